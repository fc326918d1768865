"""The gate before anything is paid for: one dataset and its settings, one verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from traindrop import dataset as rules
from traindrop.data_yaml import DATA_FILES, Description, describe
from traindrop.problems import Problem, Verdict
from traindrop.settings import Layer, TrainingSettings, merge
from traindrop.sources import Source

_SETTINGS_FILES = ("training.yaml", "training.yml")
_LABEL_SAMPLE = 12
_NOT_IN_FINGERPRINT = {
    "force",
    "expect",
    "checks",
    "spot",
    "instance_types",
    "on_demand_fallback",
    "max_runtime_hours",
    "max_wait_hours",
    "max_cost_usd",
}


@dataclass(frozen=True)
class Validation:
    """A verdict with what training needs to know beyond it."""

    verdict: Verdict
    settings: TrainingSettings
    description: Description | None
    splits: dict[str, rules.Split] = field(default_factory=dict)


def validate(name: str, source: Source, bucket_settings: Layer | None) -> Validation:
    """Judge a dataset by every rule; no rule stops another from being looked at where both can be."""
    layers = [bucket_settings] if bucket_settings else []
    layers += [Layer(file, source.read(file)) for file in _SETTINGS_FILES if file in source.files]
    settings, errors = merge(layers)
    data_file = next((file for file in DATA_FILES if file in source.files), None)
    if data_file is None:
        errors.append(
            Problem(
                "data_yaml.missing",
                "there is no data.yaml beside the images yet; upload it to the "
                f"dataset's folder, datasets/{name}/data.yaml",
                passing=True,
            )
        )
        return Validation(Verdict(name, settings.task or "segment", {}, {}, errors), settings, None)
    description, problems = describe(source.read(data_file), data_file)
    errors += problems
    if description is None:
        return Validation(Verdict(name, settings.task or "segment", {}, {}, *_parted(errors)), settings, None)
    splits, problems = rules.resolve(description, source.files, source.read)
    errors += problems
    errors += _expected(settings, splits, arrives_whole=source.archive_bytes > 0)
    task = _task(source, splits, settings, errors)
    verdict = Verdict(
        name,
        task,
        description.names,
        {key: split.counts() for key, split in splits.items()},
        *_parted(errors),
        fingerprint=rules.fingerprint(description, splits, fingerprinted(settings)),
    )
    return Validation(verdict, settings, description, splits)


def _parted(problems: list[Problem]) -> tuple[list[Problem], list[Problem]]:
    """Errors, and warnings."""
    return [item for item in problems if not item.warning], [item for item in problems if item.warning]


def fingerprinted(settings: TrainingSettings) -> dict[str, Any]:
    """The settings that change the model; where and how long it is trained does not."""
    return settings.model_dump(exclude=_NOT_IN_FINGERPRINT, exclude_none=True)


def _expected(settings: TrainingSettings, splits: dict[str, rules.Split], *, arrives_whole: bool) -> list[Problem]:
    """What differs from `expect`.

    A folder whose images are all there may still miss labels, so without `backgrounds` it is to have no image without
    one; a zip arrives whole, so there only a number that was given counts. The test split needs no labels.
    """
    if settings.expect is None:
        return []
    problems = []
    for split, wanted in settings.expect.model_dump(exclude_none=True, exclude={"backgrounds"}).items():
        found = len(splits[split].images) if split in splits else 0
        if found != wanted:
            problems.append(
                Problem(
                    "expect.count_differs",
                    f"training.yaml expects {wanted} images in the {split} split, {found} are "
                    "there; upload the rest, or correct `expect`",
                    passing=found < wanted,
                )
            )
    unlabelled = sum(split.counts()["backgrounds"] for name, split in splits.items() if name != "test")
    wanted = settings.expect.backgrounds
    if wanted is None:
        wanted = unlabelled if arrives_whole else 0
    if unlabelled != wanted:
        problems.append(
            Problem(
                "expect.count_differs",
                f"images without a label: {unlabelled}, with `expect` in training.yaml asking for {wanted}; upload the "
                f"missing labels, or say `backgrounds: {unlabelled}` in `expect`",
                passing=unlabelled > wanted,
            )
        )
    return problems


def _task(source: Source, splits: dict[str, rules.Split], settings: TrainingSettings, errors: list[Problem]) -> str:
    """The task that the labels are made for, by a sample of them; an error when the model is made for another."""
    labels = rules.sample(splits["train"].labels, _LABEL_SAMPLE) if "train" in splits else []
    found = rules.task_of(source.read(label.name) for label in labels)
    if found and settings.task and found != settings.task:
        kind, other = ("boxes", "polygons") if found == "detect" else ("polygons", "boxes")
        cure = settings.model.replace("-seg", "") if found == "detect" else settings.model.replace(".", "-seg.", 1)
        errors.append(
            Problem(
                "task.model_differs",
                f"the labels hold {kind}, but {settings.model} learns from "
                f"{other}; set `model: {cure}` in training.yaml, or export the labels as {other}",
                [label.name for label in labels[:3]],
            )
        )
    return found or settings.task or "segment"
