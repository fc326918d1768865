"""What settings make of a train split: each GPU's part of a batch, and the last batch of each epoch."""

from __future__ import annotations

from math import ceil

from traindrop.problems import Problem
from traindrop.settings import TrainingSettings

_STRIDE = 32
_GPUS = {"ml.g5.12xlarge": 4, "ml.p4d.24xlarge": 8, "ml.p5.48xlarge": 8}
"""GPUs of the instance types that have several."""


def trained_on(images: int, settings: TrainingSettings) -> int:
    """How many of a train split's images, the first by name, a training uses: ultralytics' `fraction`."""
    return max(1, round(images * (settings.train.fraction or 1)))


def unequal_shares(settings: TrainingSettings) -> list[Problem]:
    """An error for each instance type whose GPUs cannot have equal parts of a batch.

    Ultralytics gives each GPU the whole part of `batch / GPUs` and learns from fewer images at a time than was set, in
    silence; with fewer images than GPUs some of these would be paid for and do nothing.
    """
    return [
        Problem(
            "settings.batch_not_divisible",
            f"batch {settings.batch} cannot be shared out equally to the {gpus} GPUs of {name}; set `batch` to a "
            f"multiple of {gpus} such as {gpus * ceil(settings.batch / gpus)}, or list instance types with one GPU",
        )
        for name in settings.instance_types
        if settings.batch % (gpus := _GPUS.get(name, 1))
    ]


def last_of_one(images: int, settings: TrainingSettings) -> list[Problem]:
    """An error if the last batch of an epoch would be one image that ends as one pixel: nothing to normalise by.

    Ultralytics' own rule (`engine/trainer.py`), where each of several GPUs has its part of the images and of a batch;
    `images` is how many the train split has.
    """
    used = trained_on(images, settings)
    size = ceil(settings.imgsz / _STRIDE) * _STRIDE
    smallest = max(_STRIDE, int(size * (1 - (settings.train.multi_scale or 0))) // _STRIDE * _STRIDE)
    if (
        not images
        or smallest >= 2 * _STRIDE
        or all(_last(used, settings.batch, _GPUS.get(name, 1)) > 1 for name in settings.instance_types)
    ):
        return []
    return [
        Problem(
            "settings.last_batch_of_one",
            f"{used} train images in batches of {settings.batch} leave one image for the last, which cannot be learned "
            f"from at {smallest} pixels; set another `batch`, or an `imgsz` of {2 * _STRIDE} or more"
            + (", without `multi_scale`" if settings.train.multi_scale else ""),
        )
    ]


def _last(images: int, batch: int, gpus: int) -> int:
    """How many images the last batch of a GPU has."""
    share = min(max(1, batch // gpus), images)
    return ceil(images / gpus) % share or share
