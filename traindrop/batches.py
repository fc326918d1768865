"""What settings make of a train split: the last batch of each epoch."""

from __future__ import annotations

from math import ceil

from traindrop.problems import Problem
from traindrop.settings import TrainingSettings

_STRIDE = 32


def trained_on(images: int, settings: TrainingSettings) -> int:
    """How many of a train split's images, the first by name, a training uses: ultralytics' `fraction`."""
    return max(1, round(images * (settings.train.fraction or 1)))


def last_of_one(images: int, settings: TrainingSettings) -> list[Problem]:
    """An error if the last batch of an epoch would be one image that ends as one pixel: nothing to normalise by.

    Ultralytics' own rule (`engine/trainer.py`), counted as it is on one GPU; `images` is how many the train split has.
    """
    used = trained_on(images, settings)
    batch = min(settings.batch, used)
    size = ceil(settings.imgsz / _STRIDE) * _STRIDE
    smallest = max(_STRIDE, int(size * (1 - (settings.train.multi_scale or 0))) // _STRIDE * _STRIDE)
    if not images or (used % batch or batch) > 1 or smallest >= 2 * _STRIDE:
        return []
    return [
        Problem(
            "settings.last_batch_of_one",
            f"{used} train images in batches of {settings.batch} leave one image for the last, which cannot be learned "
            f"from at {smallest} pixels; set another `batch`, or an `imgsz` of {2 * _STRIDE} or more"
            + (", without `multi_scale`" if settings.train.multi_scale else ""),
        )
    ]
