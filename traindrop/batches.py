"""What settings make of a train split: the images that are left of it, and the last batch of each epoch."""

from __future__ import annotations

from math import ceil

from traindrop.dataset import Split, label_of
from traindrop.problems import Problem
from traindrop.settings import TrainingSettings

_STRIDE = 32


def unfit(train: Split, settings: TrainingSettings) -> list[Problem]:
    """Why a train split cannot be learned from with these settings, though nothing is wrong with either.

    Ultralytics' own rules: `fraction` takes the first images by name and finds no labels with them
    (`data/base.py`, `data/dataset.py`), and a last batch of one image that ends as one pixel has nothing to normalise
    (`engine/trainer.py`, counted as it is on one GPU).
    """
    if not train.images:
        return []
    share = settings.train.fraction or 1.0
    names = sorted(image.name for image in train.images)[: max(1, round(len(train.images) * share))]
    problems = []
    there = {label.name for label in train.labels}
    if train.labels and not any(label_of(name) in there for name in names):
        problems.append(
            Problem(
                "settings.fraction_without_labels",
                f"`fraction: {share:g}` takes the first {len(names)} of {len(train.images)} train images by name, and "
                "none of these has a label; raise it, or leave it out",
                names[:1],
            )
        )
    batch = min(settings.batch, len(names))
    if (len(names) % batch or batch) == 1 and _smallest(settings) < 2 * _STRIDE:
        problems.append(
            Problem(
                "settings.last_batch_of_one",
                f"{len(names)} train images in batches of {settings.batch} leave one image for the last, which cannot "
                f"be learned from at a size of {_smallest(settings)} pixels; set another `batch`, or `imgsz: "
                f"{2 * _STRIDE}` or more" + (" without `multi_scale`" if settings.train.multi_scale else ""),
            )
        )
    return problems


def _smallest(settings: TrainingSettings) -> int:
    """The smallest size in pixels that an image is trained at."""
    size = ceil(settings.imgsz / _STRIDE) * _STRIDE
    return max(_STRIDE, int(size * (1 - (settings.train.multi_scale or 0))) // _STRIDE * _STRIDE)
