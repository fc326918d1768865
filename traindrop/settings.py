"""`training.yaml`: what a user may set, its defaults, and errors that name the key, the value and the cure."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError, field_validator

from traindrop.comparison import MARGIN
from traindrop.pricing import PRICES, dearest, seconds_for
from traindrop.problems import Problem
from traindrop.yaml_text import NotYaml, read_yaml

_SIZES = "nsmlx"
MODELS = tuple(
    f"{family}{size}{task}{kind}"
    for family in ("yolov8", "yolo11", "yolo26")
    for size in _SIZES
    for task in ("", "-seg")
    for kind in (".pt", ".yaml")
)
_OTHER_TASKS = {
    "pose": "keypoints",
    "obb": "oriented boxes",
    "cls": "classification",
    "sem": "semantic segmentation",
    "depth": "depth",
}
_CHECKPOINT = re.compile(r"s3://[a-z0-9.-]{3,63}/[A-Za-z0-9._/-]{1,900}\.pt")
_TEXT_LIMIT = 64 * 1024
_MOST_PROBLEMS = 20
SHORTEST_SECONDS = 30
"""Less is not worth a training job: it takes as long to bring data and packages to the instance."""

Share = Annotated[float, Field(ge=0, le=1)]


class TrainArguments(BaseModel):
    """Extra arguments of ultralytics' `train()`: those that change how a model learns, none that reaches outside."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    optimizer: Literal["auto", "SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSProp"] | None = None
    lr0: Annotated[float, Field(gt=0, le=1)] | None = None
    lrf: Annotated[float, Field(gt=0, le=1)] | None = None
    momentum: Share | None = None
    weight_decay: Share | None = None
    warmup_epochs: Annotated[float, Field(ge=0, le=100)] | None = None
    cos_lr: StrictBool | None = None
    close_mosaic: Annotated[StrictInt, Field(ge=0)] | None = None
    nbs: Annotated[StrictInt, Field(ge=1, le=1024)] | None = None
    freeze: Annotated[StrictInt, Field(ge=0, le=100)] | None = None
    dropout: Share | None = None
    box: Annotated[float, Field(ge=0, le=100)] | None = None
    cls: Annotated[float, Field(ge=0, le=100)] | None = None
    dfl: Annotated[float, Field(ge=0, le=100)] | None = None
    mask_ratio: Annotated[StrictInt, Field(ge=1, le=16)] | None = None
    overlap_mask: StrictBool | None = None
    single_cls: StrictBool | None = None
    rect: StrictBool | None = None
    multi_scale: Annotated[float, Field(ge=0, le=0.5)] | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    hsv_h: Share | None = None
    hsv_s: Share | None = None
    hsv_v: Share | None = None
    degrees: Annotated[float, Field(ge=0, le=180)] | None = None
    translate: Share | None = None
    scale: Share | None = None
    shear: Annotated[float, Field(ge=-180, le=180)] | None = None
    perspective: Annotated[float, Field(ge=0, le=0.001)] | None = None
    flipud: Share | None = None
    fliplr: Share | None = None
    mosaic: Share | None = None
    mixup: Share | None = None
    copy_paste: Share | None = None
    erasing: Annotated[float, Field(ge=0, lt=1)] | None = None
    amp: StrictBool | None = None
    deterministic: StrictBool | None = None
    cache: StrictBool | Literal["ram", "disk"] | None = None
    workers: Annotated[StrictInt, Field(ge=0, le=64)] | None = None
    plots: StrictBool | None = None
    pretrained: StrictBool | None = None
    max_det: Annotated[StrictInt, Field(ge=1, le=3000)] | None = None
    iou: Share | None = None


class Expect(BaseModel):
    """Exact counts that make a half-finished upload certain to be seen: images by split, and images without a label.

    Without `backgrounds` a folder is expected to have none, since its labels may still be on their way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    train: Annotated[StrictInt, Field(ge=1)] | None = None
    val: Annotated[StrictInt, Field(ge=1)] | None = None
    test: Annotated[StrictInt, Field(ge=1)] | None = None
    backgrounds: Annotated[StrictInt, Field(ge=0)] | None = None


class Checks(BaseModel):
    """How closely a dataset is looked at: which images are opened, and above which share backgrounds are warned of."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    images: Literal["sample", "all"] = "sample"
    backgrounds: Share = 0.2


class TrainingSettings(BaseModel):
    """Settings of a run: hours, dollars and counts as the names say."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str = "yolov8n-seg.pt"
    epochs: Annotated[StrictInt, Field(ge=1, le=10_000)] = 50
    imgsz: Annotated[StrictInt, Field(ge=32, le=4096)] = 1024
    batch: Annotated[StrictInt, Field(ge=1, le=1024)] = 8
    patience: Annotated[StrictInt, Field(ge=0, le=10_000)] = 20
    seed: Annotated[StrictInt, Field(ge=0, le=2**31 - 1)] = 0
    spot: StrictBool = True
    instance_types: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] = ("ml.g4dn.xlarge", "ml.g5.xlarge")
    on_demand_fallback: StrictBool = False
    max_runtime_hours: Annotated[float, Field(gt=0, le=120)] = 6
    capacity_patience_hours: Annotated[float, Field(gt=0, le=240)] = 2
    max_wait_hours: Annotated[float, Field(gt=0, le=240)] = 12
    max_cost_usd: Annotated[float, Field(gt=0, le=10_000)] = 5
    expect: Expect | None = None
    checks: Checks = Checks()
    force: StrictBool = False
    promotion_margin: Share = MARGIN
    train: TrainArguments = TrainArguments()

    @field_validator("model")
    @classmethod
    def _known_model(cls, value: str) -> str:
        if value in MODELS or value == "best" or _CHECKPOINT.fullmatch(value):
            return value
        for task, words in _OTHER_TASKS.items():
            if re.search(rf"-{task}\b", value):
                raise ValueError(
                    f"a model for segmentation (yolov8n-seg.pt) or detection (yolov8n.pt), not for {words}"
                )
        raise ValueError(
            "a known YOLO name such as yolov8n-seg.pt, its architecture yolov8n-seg.yaml, "
            f"s3://<ArtifactBucket>/…/best.pt, or best{_closest(value, MODELS)}"
        )

    @field_validator("instance_types")
    @classmethod
    def _known_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name.startswith(("ml.p2.", "ml.p3")):
                raise ValueError(
                    f"{name} has a GPU that the training image no longer supports; ml.g4dn.xlarge is "
                    "the cheapest that it does"
                )
            if name not in PRICES:
                raise ValueError(f"{name} is not one of {', '.join(PRICES)}{_closest(name, PRICES)}")
        return value

    @property
    def task(self) -> str | None:
        """`segment` or `detect` where the model's name tells it, else None."""
        if self.model in MODELS:
            return "segment" if "-seg" in self.model else "detect"
        return None

    def train_arguments(self) -> dict[str, Any]:
        """Arguments of ultralytics' `train()` that these settings ask for."""
        return {
            "epochs": self.epochs,
            "imgsz": self.imgsz,
            "batch": self.batch,
            "patience": self.patience,
            "seed": self.seed,
            **self.train.model_dump(exclude_none=True),
        }


@dataclass(frozen=True)
class Layer:
    """Settings from one place, named for error messages: the text of a file, or values that were given otherwise."""

    place: str
    content: bytes | Mapping[str, Any]


def merge(layers: Sequence[Layer]) -> tuple[TrainingSettings, list[Problem]]:
    """Settings from layers in rising order of rank, with the problems found; a bad layer counts as empty.

    A later one replaces a key of an earlier one as a whole, but for `train`, whose arguments are merged.
    """
    merged: dict[str, Any] = {}
    problems: list[Problem] = []
    for layer in layers:
        values, found = values_of(layer)
        problems += found
        extra = {**merged.get("train", {}), **values.get("train", {})}
        merged |= values
        if extra:
            merged["train"] = extra
    settings = TrainingSettings.model_validate(merged)
    if settings.max_wait_hours < settings.max_runtime_hours:
        problems.append(
            Problem(
                "settings.wait_below_runtime",
                f"max_wait_hours is {settings.max_wait_hours:g}, below max_runtime_hours "
                f"{settings.max_runtime_hours:g}: waiting and running together cannot take less than "
                "running; raise max_wait_hours or lower max_runtime_hours",
            )
        )
    fitting = min(
        settings.max_runtime_hours * 3600, seconds_for(settings.max_cost_usd, dearest(settings.instance_types))
    )
    if fitting < SHORTEST_SECONDS:
        problems.append(
            Problem(
                "settings.cap_too_small",
                f"max_runtime_hours {settings.max_runtime_hours:g} and max_cost_usd {settings.max_cost_usd:g} leave "
                f"{fitting:.1f} s on {dearest(settings.instance_types)}, and below {SHORTEST_SECONDS} s nothing can be "
                "trained; raise them, or list cheaper instance_types",
            )
        )
    return settings, problems


def values_of(layer: Layer) -> tuple[dict[str, Any], list[Problem]]:
    """What one layer sets, as JSON has it, and what is wrong with it; a bad one sets nothing."""
    problems: list[Problem] = []
    values = _read(layer, problems)
    try:
        given = TrainingSettings.model_validate(values)
    except ValidationError as error:
        return {}, [*problems, *_explain(layer.place, error)]
    return given.model_dump(mode="json", exclude_unset=True), problems


_SHOWN = reprlib.Repr()
_SHOWN.maxlevel = 2  # aliases can make a small file print as gigabytes
_GROUPS: dict[str, type[BaseModel]] = {"train": TrainArguments, "expect": Expect, "checks": Checks}


def _read(layer: Layer, problems: list[Problem]) -> dict[str, Any]:
    values: Any = layer.content
    if isinstance(values, bytes):
        if len(values) > _TEXT_LIMIT:
            problems.append(
                Problem(
                    "settings.too_large",
                    f"{layer.place} has {len(values)} bytes; settings need less than {_TEXT_LIMIT}",
                    [layer.place],
                )
            )
            return {}
        try:
            values = read_yaml(values)
        except NotYaml as error:
            problems.append(Problem("settings.not_yaml", f"{layer.place} is not YAML: {error}", [layer.place]))
            return {}
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        problems.append(
            Problem(
                "settings.not_a_mapping",
                f"{layer.place} must hold `key: value` lines, such as `epochs: 50`",
                [layer.place],
            )
        )
        return {}
    if "train" in values and values["train"] is None:
        return {key: value for key, value in values.items() if key != "train"}
    return values


def _explain(place: str, error: ValidationError) -> Iterable[Problem]:
    for item in error.errors(include_url=False)[:_MOST_PROBLEMS]:
        path = [str(part) for part in item["loc"]]
        key = ".".join(part for part in path if part in _GROUPS or part in _keys()) or path[0]
        value = item["input"]
        if item["type"] == "extra_forbidden":
            key = ".".join(path)
            group = _GROUPS.get(path[0], TrainingSettings)
            allowed = group.model_fields
            where = f"{path[0]} takes" if group is not TrainingSettings else "the keys are"
            yield Problem(
                "settings.unknown_key",
                f"{place}: {key[:80]!r} is not a setting{_closest(path[-1][:80], allowed)}; "
                f"{where} {', '.join(allowed)}",
                [place],
            )
        else:
            reason = item["msg"].removeprefix("Value error, ")
            yield Problem(
                "settings.bad_value",
                f"{place}: {key} is {_SHOWN.repr(value):.80}; it should be: {_allowed(reason)}",
                [place],
            )


def _keys() -> set[str]:
    return {*TrainingSettings.model_fields, *TrainArguments.model_fields, *Expect.model_fields, *Checks.model_fields}


def _allowed(reason: str) -> str:
    return re.sub(r"^Input should be (a )?", "", reason)


def _closest(word: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
