"""How an image comes to lie in the square that a model sees, and the way back.

As ultralytics' `LetterBox` and `scale_boxes` of 8.4.190 have it: scaled to fit, in the middle of a grey ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from traindrop.onnx_metadata import Metadata

Image = NDArray[np.uint8]
"""Rows, columns, BGR."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Letterbox:
    """An image of so many pixels, `inner` of them after scaling, at `left`, `top` of what the model sees."""

    width: int
    height: int
    inner: tuple[int, int]
    left: int
    top: int

    @classmethod
    def of(cls, image: Image, metadata: Metadata) -> Letterbox:
        """How this image lies."""
        height, width = image.shape[:2]
        rows, columns = metadata.imgsz
        gain = min(rows / height, columns / width)
        inner = max(round(width * gain), 1), max(round(height * gain), 1)
        left, top = (round((whole - part) / 2 - 0.1) for whole, part in zip((columns, rows), inner, strict=True))
        return cls(width, height, inner, left, top)

    @property
    def scale(self) -> tuple[float, float]:
        """What a pixel's width and height of the image are for the model."""
        return self.inner[0] / self.width, self.inner[1] / self.height

    def apply(self, image: Image, metadata: Metadata) -> Floats:
        """The image as the model takes it: 1 x 3 x rows x columns."""
        rows, columns = metadata.imgsz
        seen = np.full((rows, columns, 3), metadata.padding, np.uint8)
        fitted = image
        if image.shape[1::-1] != self.inner:
            fitted = cv2.resize(image, self.inner, interpolation=cv2.INTER_LINEAR)
        seen[self.top : self.top + self.inner[1], self.left : self.left + self.inner[0]] = fitted
        if metadata.colour_order == "RGB":
            seen = seen[..., ::-1]
        return np.ascontiguousarray(seen.transpose(2, 0, 1)[None], np.float32) / np.float32(metadata.divisor)

    def back(self, boxes: Floats) -> Floats:
        """Boxes (n x 4: left, top, right, bottom) of what the model sees in pixels of the image, never beyond it."""
        across, down = self.scale
        shift = np.array([self.left, self.top] * 2, np.float32)
        found = (boxes - shift) / np.array([across, down] * 2, np.float32)
        return np.clip(found, 0, np.array([self.width, self.height] * 2, np.float32)).astype(np.float32)
