"""The weights that the settings name, judged before anything is paid for: there, our own, and fit for the dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from traindrop import champion
from traindrop.comparison import classes_of, listed
from traindrop.objects import is_there
from traindrop.problems import Problem

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from traindrop.settings import TrainingSettings

_BEST = "/best.pt"


@dataclass(frozen=True)
class Start:
    """What `model` stands for (itself; for `best` the run whose model that is now), and what is wrong with it."""

    model: str
    problems: list[Problem] = field(default_factory=list)


def starting_weights(
    s3: S3Client, bucket: str, slug: str, settings: TrainingSettings, *, task: str, names: list[str] | None
) -> Start:
    """Look at the weights of an earlier run that a dataset is to be trained from; other models are taken as named.

    Another task is an error. Other classes are a warning: ultralytics begins the layers that tell classes anew where
    their number differs, and takes them over where it does not.

    Args:
        s3: client.
        bucket: where the models of this stack lie.
        slug: the dataset's.
        settings: their `model` may be `best`, or `s3://<bucket>/models/…/best.pt`.
        task: what the dataset's labels are for.
        names: its classes in order; None where they are not known.
    """
    model = settings.model
    if model != "best" and not model.startswith("s3://"):
        return Start(model)
    stands_for, place, problem = _place(s3, bucket, slug, model)
    if problem:
        return Start(model, [problem])
    found = [_contradiction(model)] if settings.train.pretrained is False else []
    if names is not None:
        classes = ["item"] if settings.train.single_cls else names
        found += _misfits(model, champion.metrics_at(s3, bucket, f"{place}/metrics.json"), task, classes)
    return Start(stands_for, found)


def _place(s3: S3Client, bucket: str, slug: str, model: str) -> tuple[str, str, Problem | None]:
    """What a model stands for, the folder of its best.pt, and why that cannot be had, if it cannot."""
    cure = f"give s3://{bucket}/models/…/best.pt of an earlier run"
    stands_for = model
    if model == "best":
        now = champion.read(s3, bucket, slug).now
        cure = "this dataset has no best model yet; train it once from yolov8n-seg.pt"
        if now is None:
            return model, "", _missing(model, cure)
        stands_for = str(now["run_id"])
        place = f"models/{slug}/{stands_for}"
        cure = f"{place}{_BEST} was deleted; make another run the best with `traindrop rollback`, or train from another"
    else:
        owner, _, key = model.removeprefix("s3://").partition("/")
        if owner != bucket or not (key.startswith("models/") and key.endswith(_BEST)):
            return (
                model,
                "",
                Problem(
                    "settings.foreign_model",
                    f"model is {model}; only models that this stack trained are loaded, because a checkpoint can run "
                    f"code: {cure}",
                ),
            )
        place = key.removesuffix(_BEST)
    there = is_there(s3, bucket, place + _BEST)
    return stands_for, place, None if there else _missing(model, cure)


def _missing(model: str, cure: str) -> Problem:
    return Problem("settings.model_missing", f"model is {model}, but there is no such object: {cure}")


def _contradiction(model: str) -> Problem:
    return Problem(
        "settings.pretrained_off",
        f"model is {model}, but train.pretrained is false, which begins from nothing: delete train.pretrained to go on "
        "from that model, or name an architecture such as yolov8n-seg.yaml",
    )


def _misfits(model: str, learned: dict[str, object], task: str, names: list[str]) -> list[Problem]:
    """In what the model's run differs from the dataset, as far as that run said."""
    known, classes = learned.get("task"), classes_of(learned)
    if known and known != task:
        return [
            Problem(
                "settings.model_task",
                f"model is {model}, which is for the task {known}, but the dataset's labels are for the task {task}: "
                f"train from {'yolov8n-seg.pt' if task == 'segment' else 'yolov8n.pt'}, or from a model of that task",
            )
        ]
    if classes is None or classes == names:
        return []
    fate = "taken over though they were learnt for others" if len(classes) == len(names) else "begun anew"
    return [
        Problem(
            "settings.model_classes",
            f"model is {model}, which knows the classes {listed(classes)}, but the dataset has {listed(names)}: the "
            f"layers that tell classes apart are {fate}, all others are taken over. That trains well; if it is not "
            "meant, correct names in data.yaml, or model",
            warning=True,
        )
    ]
