"""From what a YOLO model puts out to what it predicts: candidates, the ones that stay, and their masks.

As ultralytics' `non_max_suppression` and `process_mask_native` of 8.4.190 have it, without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from traindrop.letterbox import Floats, Image, Letterbox
from traindrop.onnx_metadata import Metadata, UnknownModel

_COORDINATES = 4
_MOST_COMPARED = 30_000
"""Candidates that are compared with each other at most, the likeliest; ultralytics' `max_nms`."""


@dataclass(frozen=True)
class Candidates:
    """Objects that a model may have seen in an image.

    `boxes`: n x 4, left, top, right, bottom in pixels of what it was given; `scores`: n x classes; `coefficients`:
    n x prototypes, of a model that makes no masks n x 0. Several may be of one object where they are `repeated`.
    """

    boxes: Floats
    scores: Floats
    coefficients: Floats
    repeated: bool

    def __getitem__(self, which: NDArray[np.intp] | slice) -> Candidates:
        return replace(self, boxes=self.boxes[which], scores=self.scores[which], coefficients=self.coefficients[which])

    def likeliest(self, most: int) -> Candidates:
        """So many at most, the likeliest first."""
        return self[np.argsort(-self.scores.max(axis=1), kind="stable")[:most]]


def candidates(outputs: Sequence[NDArray[np.float32]], metadata: Metadata) -> Candidates:
    """What a model's outputs for one image say: as a table of rows, or of columns where it suppresses none itself.

    Raises:
        UnknownModel: the outputs are not of that shape.
    """
    masks = metadata.task == "segment"
    if [output.ndim for output in outputs] != ([3, 4] if masks else [3]):
        raise UnknownModel(f"its outputs are of shape {[output.shape for output in outputs]}; export the model anew")
    classes, prototypes = len(metadata.names), outputs[1].shape[1] if masks else 0
    table = outputs[0][0]
    if table.shape[0] == _COORDINATES + classes + prototypes:
        table = table.T
        centre, half = table[:, :2], table[:, 2:4] / 2
        scores = table[:, _COORDINATES : _COORDINATES + classes]
        return Candidates(np.hstack([centre - half, centre + half]), scores, table[:, _COORDINATES + classes :], True)
    if table.shape[1] == _COORDINATES + 2 + prototypes:
        # One score a row, of the class beside it.
        scores = np.zeros((len(table), classes), np.float32)
        scores[np.arange(len(table)), np.clip(table[:, 5].astype(int), 0, classes - 1)] = table[:, 4]
        return Candidates(table[:, :4], scores, table[:, 6:], False)
    raise UnknownModel(
        f"its output of shape {outputs[0].shape} does not belong to {classes} classes; export the model anew"
    )


def predicted(found: Candidates, metadata: Metadata) -> Candidates:
    """The candidates that count, the likeliest first; of those of a class that overlap too much the likeliest alone."""
    sure = found[np.flatnonzero(found.scores.max(axis=1) > metadata.confidence)].likeliest(_MOST_COMPARED)
    kept = _apart(sure, metadata.iou) if found.repeated else np.arange(len(sure.boxes))
    return sure[kept[: metadata.most]]


def _apart(sure: Candidates, most: float) -> NDArray[np.intp]:
    """Which candidates overlap no likelier one of their class by more than `most`, as intersection over union."""
    kept: list[int] = []
    boxes = sure.boxes.astype(np.float64)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    classes = sure.scores.argmax(axis=1)
    left = np.arange(len(boxes))
    while len(left):
        first, left = left[0], left[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[left, :2])
        high = np.minimum(boxes[first, 2:], boxes[left, 2:])
        common = np.prod(np.clip(high - low, 0, None), axis=1)
        overlap = common / np.maximum(areas[first] + areas[left] - common, 1e-9)
        left = left[(overlap <= most) | (classes[left] != classes[first])]
    return np.array(kept, np.intp)


def mask(
    likeness: Floats, box: Floats, letterbox: Letterbox, imgsz: tuple[int, int], step: int = 1
) -> tuple[Image, int, int]:
    """The pixels of the image that belong to an object, within its box; or squares of `step` pixels a side.

    Args:
        likeness: how much each prototype's pixel is the object's, above 0 where it is.
        box: left, top, right, bottom in pixels of the image.
        letterbox: how the image lay in what the model saw.
        imgsz: rows and columns of that.
        step: 1, or more for an image so large that its pixels show nothing that the prototypes know.

    Returns:
        Rows and columns of 0 and 1, and the column and the row of the image, in steps, at which they begin.
    """
    left, top, right, bottom = np.ceil(box / step).astype(int)
    if right <= left or bottom <= top:
        return np.zeros((0, 0), np.uint8), left, top
    (across, down), (rows, columns) = letterbox.scale, likeness.shape
    x = ((np.arange(left, right) + 0.5) * step * across + letterbox.left) * columns / imgsz[1] - 0.5
    y = ((np.arange(top, bottom) + 0.5) * step * down + letterbox.top) * rows / imgsz[0] - 0.5
    return (_between(_between(likeness, x, 1), y, 0) > 0).astype(np.uint8), left, top


def _between(samples: Floats, positions: NDArray[np.float64], axis: int) -> Floats:
    """Samples at positions between them along an axis, linearly; beyond the last one as there."""
    at = np.clip(positions, 0, samples.shape[axis] - 1)
    low = np.floor(at).astype(np.intp)
    high = np.minimum(low + 1, samples.shape[axis] - 1)
    part = np.expand_dims((at - low).astype(np.float32), 1 - axis)
    below = samples.take(low, axis)
    found: Floats = below + (samples.take(high, axis) - below) * part
    return found
