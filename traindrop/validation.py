"""The gate before anything is paid for: one dataset and its settings, one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from traindrop import balance
from traindrop.batches import last_of_one, trained_on, unequal_shares
from traindrop.data_yaml import DATA_FILES, Description, describe
from traindrop.dataset import Split, hint_of_classification, resolve
from traindrop.inspection import Inspection
from traindrop.problems import Problem, Verdict
from traindrop.settings import TrainingSettings
from traindrop.settings_layers import Layer, merge
from traindrop.sources import Source

SETTINGS_FILES = ("training.yaml", "training.yml")
_WORST = ("settings", "data_yaml", "archive", "folder", "task", "split", "expect", "label.box_only", "label", "image")
"""Groups of codes, the one that spoils most first; a box-only file ends a training, any other bad one is left out."""


@dataclass(frozen=True)
class Validation:
    """A verdict with what training needs to know beyond it.

    `instances` are objects by class index, of each split whose labels were read. `starts_from` is what the settings'
    model stands for: itself, or for `best` the run whose model that was.
    """

    verdict: Verdict
    settings: TrainingSettings
    description: Description | None = None
    splits: dict[str, Split] = field(default_factory=dict)
    instances: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    starts_from: str = ""


def validate(
    name: str,
    source: Source,
    bucket_settings: Layer | None,
    *,
    given_settings: Layer | None = None,
    look_into_incomplete: bool = True,
    upload_window_seconds: float | None = None,
) -> Validation:
    """Judge a dataset by every rule; no rule stops another from being looked at where both can be.

    Args:
        name: what the dataset is called.
        source: where it lies.
        bucket_settings: settings that rank below those of the dataset.
        given_settings: settings that rank above them.
        look_into_incomplete: whether labels and images are read although some have still to come.
        upload_window_seconds: files that came so long before the last one are warned of; None where that means nothing.
    """
    layers = [bucket_settings, *layers_of(source), given_settings]
    settings, problems = merge([layer for layer in layers if layer])
    problems += unequal_shares(settings)
    description, found = _described(name, source)
    problems += found
    if description is None:
        return Validation(Verdict(name, settings.task or "segment", {}, {}, *_parted(problems)), settings)
    splits, found = resolve(description, source.files, source.read)
    problems += found
    problems += _expected(settings, splits, arrives_whole=source.archive_bytes > 0)
    counts = {key: split.counts() for key, split in splits.items()}
    task, instances = settings.task or "segment", dict[str, Mapping[int, int]]()
    if look_into_incomplete or not any(problem.passing for problem in problems):
        inspection = Inspection(source, splits, len(description.names), settings)
        problems += inspection.problems
        problems += _task(settings, inspection, splits)
        problems += last_of_one(len(splits.get("train", Split()).images), settings)
        problems += _warnings(source, description, splits, settings, inspection, upload_window_seconds)
        task = inspection.task or task
        for key, holding in inspection.holdings.items():
            counts[key] |= holding.counts()
            instances[key] = holding.instances
    verdict = Verdict(name, task, description.names, counts, *_parted(problems))
    return Validation(verdict, settings, description, splits, instances)


def layers_of(source: Source) -> list[Layer]:
    """The settings that lie in a dataset, in rising order of rank."""
    return [Layer(file, source.read(file)) for file in SETTINGS_FILES if file in source.files]


def _described(name: str, source: Source) -> tuple[Description | None, list[Problem]]:
    file = next((file for file in DATA_FILES if file in source.files), None)
    if file:
        return describe(source.read(file), file)
    return None, [
        Problem(
            "data_yaml.missing",
            "there is no data.yaml beside the images yet; upload it to the "
            f"dataset's folder, datasets/{name}/data.yaml{hint_of_classification(source.files)}",
            passing=True,
        )
    ]


def _parted(problems: Iterable[Problem]) -> tuple[list[Problem], list[Problem]]:
    """Errors, the worst first, and warnings."""
    ranked = sorted(problems, key=lambda problem: (_rank(problem.code), -problem.count))
    return [item for item in ranked if not item.warning], [item for item in ranked if item.warning]


def _rank(code: str) -> int:
    return next(
        (rank for rank, worst in enumerate(_WORST) if code == worst or code.startswith(f"{worst}.")), len(_WORST)
    )


def _expected(settings: TrainingSettings, splits: dict[str, Split], *, arrives_whole: bool) -> list[Problem]:
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


def _task(settings: TrainingSettings, inspection: Inspection, splits: dict[str, Split]) -> Iterator[Problem]:
    """What speaks against training a model of this task on these labels."""
    found = inspection.task
    if found and settings.task and found != settings.task:
        kind, other = ("boxes", "polygons") if found == "detect" else ("polygons", "boxes")
        cure = settings.model.replace("-seg", "") if found == "detect" else settings.model.replace(".", "-seg.", 1)
        yield Problem(
            "task.model_differs",
            f"the labels hold {kind}, but {settings.model} learns from "
            f"{other}; set `model: {cure}` in training.yaml, or export the labels as {other}",
            [label.name for label in splits["train"].labels[:3]],
        )
    for key, holding in inspection.holdings.items():
        images = sorted(image.name for image in splits[key].images)
        if key == "train":
            images = images[: trained_on(len(images), settings)]
        if splits[key].labels and holding.all_read and not holding.faulty and not any(map(holding.has_objects, images)):
            part = "" if len(images) == len(splits[key].images) else f"part ({settings.train.fraction:g}) of the "
            yield Problem(
                "split.no_objects",
                f"no label of the {part}{key} split holds an object; a model cannot be "
                f"{'trained' if key == 'train' else 'judged'} on backgrounds alone: export the labels again",
                [splits[key].labels[0].name],
                len(splits[key].labels),
            )


def _warnings(
    source: Source,
    description: Description,
    splits: dict[str, Split],
    settings: TrainingSettings,
    inspection: Inspection,
    upload_window_seconds: float | None,
) -> Iterator[Problem]:
    if not settings.train.single_cls:
        yield from balance.classes(inspection.holdings, description.names)
    yield from balance.backgrounds(splits, inspection.holdings, settings.checks.backgrounds)
    yield from balance.same_content(source, splits)
    if upload_window_seconds is not None:
        yield from balance.older_files(splits, upload_window_seconds)
