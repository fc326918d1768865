"""Which of the objects that a model finds in an image are which of the true ones, and how well that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Outline = NDArray[np.float64]
    Overlaps = NDArray[np.float32]

IOU = 0.5
"""From which intersection over union on two outlines are of one object, as in mAP50."""
_SIDE = 320  # pixels of the longer side of the raster on which outlines are compared


@dataclass(frozen=True)
class Shape:
    """An object in an image: the index of its class and its outline (n x 2, pixels)."""

    kind: int
    outline: Outline


@dataclass(frozen=True)
class Match:
    """True objects, found ones, and the pairs (index of the true, of the found, IoU) that are one object."""

    truth: Sequence[Shape]
    found: Sequence[Shape]
    pairs: Sequence[tuple[int, int, float]]

    @cached_property
    def right(self) -> list[tuple[int, int, float]]:
        """The pairs of one class."""
        return [pair for pair in self.pairs if self.truth[pair[0]].kind == self.found[pair[1]].kind]

    @property
    def missed(self) -> list[int]:
        """True objects that were not found as what they are."""
        return sorted(set(range(len(self.truth))) - {one for one, _, _ in self.right})

    @property
    def wrong(self) -> list[int]:
        """Found objects that are none, or none of that class."""
        return sorted(set(range(len(self.found))) - {other for _, other, _ in self.right})

    @property
    def quality(self) -> float:
        """Panoptic quality, 0 to 1: the mean IoU of what is right, times F1, to which missed and wrong objects count.

        An image without objects in which none is found has 1. Kirillov et al., Panoptic Segmentation, 2019.
        """
        counted = len(self.right) + (len(self.missed) + len(self.wrong)) / 2
        return sum(iou for _, _, iou in self.right) / counted if counted else 1.0


def match(truth: Sequence[Shape], found: Sequence[Shape], width: int, height: int) -> Match:
    """Pair objects of an image, each with one other at most: those of one class first, then those that overlap most."""
    likeness = overlaps([one.outline for one in truth], [one.outline for one in found], width, height)
    candidates = [
        (truth[one].kind != found[other].kind, -float(likeness[one, other]), one, other)
        for one in range(len(truth))
        for other in range(len(found))
        if likeness[one, other] >= IOU
    ]
    pairs: list[tuple[int, int, float]] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for _, negative, one, other in sorted(candidates):
        if one not in taken[0] and other not in taken[1]:
            pairs.append((one, other, -negative))
            taken[0].add(one)
            taken[1].add(other)
    return Match(truth, found, pairs)


def overlaps(some: Sequence[Outline], others: Sequence[Outline], width: int, height: int) -> Overlaps:
    """Intersection over union of every outline with every other one, on a raster of at most 320 pixels a side."""
    import numpy as np

    if not some or not others:
        return np.zeros((len(some), len(others)), np.float32)
    scale = min(1.0, _SIDE / max(width, height))
    one, other = (_raster(outlines, scale, width, height) for outlines in (some, others))
    common = one @ other.T
    union = one.sum(axis=1)[:, None] + other.sum(axis=1)[None] - common
    likeness: Overlaps = common / np.maximum(union, 1)
    return likeness


def _raster(outlines: Sequence[Outline], scale: float, width: int, height: int) -> NDArray[np.float32]:
    """Each outline as a row of pixels that are 1 inside and 0 outside."""
    import cv2
    import numpy as np

    rows = np.zeros((len(outlines), max(1, round(height * scale)), max(1, round(width * scale))), np.uint8)
    for row, outline in zip(rows, outlines, strict=True):
        cv2.fillPoly(row, [np.floor(outline * scale).astype(np.int32)], 1)
    return rows.reshape(len(rows), -1).astype(np.float32)
