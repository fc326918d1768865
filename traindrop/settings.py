"""`training.yaml`: what a user may set, its defaults and bounds, and what each setting is for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, WithJsonSchema, field_validator

from traindrop.comparison import MARGIN
from traindrop.pricing import PRICES
from traindrop.setting_values import Share, Values, empty_is_default
from traindrop.train_arguments import TrainArguments

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
SHORTEST_SECONDS = 30
"""Less is not worth a training job: it takes as long to bring data and packages to the instance."""

_Model = Annotated[
    str,
    WithJsonSchema({"anyOf": [{"enum": ["best", *MODELS]}, {"type": "string", "pattern": f"^{_CHECKPOINT.pattern}$"}]}),
]
_InstanceType = Annotated[str, WithJsonSchema({"enum": [*PRICES]})]
_Count = Annotated[StrictInt, Field(ge=1)]


class Expect(Values):
    """Exact counts that make a half-finished upload certain to be seen: images by split, and images without a label.

    Without `backgrounds` a folder is expected to have none, since its labels may still be on their way.
    """

    train: Annotated[_Count | None, Field(description="Images to train on.")] = None
    val: Annotated[_Count | None, Field(description="Images to measure the model on.")] = None
    test: Annotated[_Count | None, Field(description="Images of the test split, which no training uses.")] = None
    backgrounds: Annotated[
        Annotated[StrictInt, Field(ge=0)] | None,
        Field(description="Images in a folder that have no label, on purpose. Left out: none, if a split is counted."),
    ] = None


class Checks(Values):
    """How closely a dataset is looked at: which images are opened, and above which share backgrounds are warned of."""

    images: Annotated[
        Literal["sample", "all"],
        Field(
            description="Which images in S3 are opened before anything is paid. `all` finds every broken one "
            "beforehand; with `sample` those that it did not show are left out by the job, and counted in the message."
        ),
    ] = "sample"
    backgrounds: Annotated[
        Share,
        Field(description="Share of images without an object above which it is said that labels may be missing."),
    ] = 0.2


class TrainingSettings(Values):
    """Settings of a run: hours, dollars and counts as the names say."""

    model: Annotated[
        _Model,
        Field(
            description="What the training begins with: pretrained weights (`.pt`), an architecture with random "
            "weights (`.yaml`), a model of this stack (`s3://<ArtifactBucket>/models/…/best.pt`), or `best`, this "
            "dataset's best so far. n, s, m, l, x are ever larger: more exact, slower, dearer.",
            examples=["yolo11s-seg.pt", "best"],
        ),
    ] = "yolov8n-seg.pt"
    epochs: Annotated[
        Annotated[StrictInt, Field(ge=1, le=10_000)],
        Field(description="Times that every image is learnt from, at most: time and dollars grow with it."),
    ] = 50
    imgsz: Annotated[
        Annotated[StrictInt, Field(ge=32, le=4096)],
        Field(
            description="Longer side in pixels to which images are scaled. Larger shows small objects; twice the "
            "size takes four times the time and memory."
        ),
    ] = 1024
    batch: Annotated[
        Annotated[StrictInt, Field(ge=1, le=1024)],
        Field(
            description="Images learnt from at a time, on all GPUs together. Lower it if the job runs out of memory, "
            "raise it on larger GPUs."
        ),
    ] = 8
    patience: Annotated[
        Annotated[StrictInt, Field(ge=0, le=10_000)],
        Field(
            description="Epochs without a better model after which training ends early, which saves money; 0: never."
        ),
    ] = 20
    seed: Annotated[
        Annotated[StrictInt, Field(ge=0, le=2**31 - 1)],
        Field(description="Where random choices begin. Another seed shows how far figures vary by chance."),
    ] = 0
    spot: Annotated[
        StrictBool,
        Field(
            description="Train on spare instances, mostly 60 to 70% cheaper. They may come late and be taken back; "
            "training then goes on from its last epoch. `false` for a run that must be done soon."
        ),
    ] = True
    instance_types: Annotated[
        Annotated[tuple[_InstanceType, ...], Field(min_length=1, max_length=8)],
        Field(
            description="What to train on, tried in this order until one is to be had. The dearest of them counts "
            "for the cap; more of them find an instance sooner.",
            examples=[["ml.g4dn.xlarge"], ["ml.g5.xlarge", "ml.g6.xlarge"]],
        ),
    ] = ("ml.g4dn.xlarge", "ml.g5.xlarge")
    on_demand_fallback: Annotated[
        StrictBool,
        Field(description="When no spot instance is to be had, try the same types on demand, at their full price."),
    ] = False
    max_runtime_hours: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=120)],
        Field(description="Hours of training at most, over every job of the run; then the best so far is delivered."),
    ] = 6
    capacity_patience_hours: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=240)],
        Field(description="Hours to wait for one instance type before the next is tried; waiting costs nothing."),
    ] = 2
    max_wait_hours: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=240)],
        Field(
            description="Hours of waiting and training together, over every job; not below `max_runtime_hours`. "
            "Raise it where quotas are small and many datasets are dropped at once."
        ),
    ] = 12
    max_cost_usd: Annotated[
        Annotated[StrictFloat, Field(gt=0, le=10_000)],
        Field(
            description="Dollars for all training jobs of the run together, at the on-demand price of the dearest "
            "type; the stack's `MaxCostPerRunUsd` counts where it is lower. Then the best so far is delivered."
        ),
    ] = 5
    expect: Annotated[
        Expect | None,
        Field(
            description="How many images there are, so that an upload that stopped half-way is not trained on.",
            examples=[{"train": 4195, "val": 400}],
        ),
    ] = None
    checks: Annotated[
        Checks,
        BeforeValidator(empty_is_default, json_schema_input_type=Checks | None),
        Field(description="How closely the dataset is looked at before anything is paid."),
    ] = Checks()
    force: Annotated[
        StrictBool, Field(description="Train even if the same data was already trained with the same settings.")
    ] = False
    promotion_margin: Annotated[
        Share,
        Field(
            description="By how much mask (or box) mAP50-95 a model must be better than the dataset's best to take its "
            "place. Another seed alone changes mAP as well; 0 takes whatever is better at all."
        ),
    ] = MARGIN
    train: Annotated[
        TrainArguments,
        BeforeValidator(empty_is_default, json_schema_input_type=TrainArguments | None),
        Field(
            description="Extra arguments of ultralytics' `train()`, from a checked list; one that is left out is as "
            "ultralytics has it.",
            examples=[{"mosaic": 0.5, "fliplr": 0}],
        ),
    ] = TrainArguments()

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
            f"s3://<ArtifactBucket>/…/best.pt, or best{closest(value, MODELS)}"
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
                raise ValueError(f"{name} is not one of {', '.join(PRICES)}{closest(name, PRICES)}")
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


def closest(word: str, known: Iterable[str]) -> str:
    """Words that offer the known name that is most like a misspelt one; empty where none is."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else ""
