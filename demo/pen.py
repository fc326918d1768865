"""Drawing on a grey sheet in the units of `demo.layout`, at twice the final resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_BITS = 4


@dataclass(frozen=True)
class Pen:
    """Draws shapes given in units; a `placed` pen draws in a frame of its own, turned by quarters of a circle.

    Every line is `heaviness` times as wide as its weight says.
    """

    sheet: Image
    scale: float
    grey: int = 0
    weight: float = 1.0
    heaviness: float = 1.0
    origin: tuple[float, float] = (0.0, 0.0)
    turns: int = 0

    def placed(self, x: float, y: float, turns: int) -> Pen:
        """A pen whose (0, 0) is here at (x, y), and whose x axis is turned by `turns` quarters, clockwise."""
        return replace(self, origin=self._here(x, y), turns=(self.turns + turns) % 4)

    def inked(self, grey: int, weight: float = 1.0) -> Pen:
        """A pen of another grey (0 is black) and line width in units."""
        return replace(self, grey=grey, weight=weight)

    def line(self, *points: tuple[float, float], closed: bool = False) -> None:
        """A line through points."""
        width = max(1, round(self.weight * self.heaviness * self.scale))
        cv2.polylines(self.sheet, [self._pixels(points)], closed, self.grey, width, cv2.LINE_AA, _BITS)

    def fill(self, *points: tuple[float, float]) -> None:
        """A filled polygon."""
        cv2.fillPoly(self.sheet, [self._pixels(points)], self.grey, cv2.LINE_AA, _BITS)

    def box(self, x0: float, y0: float, x1: float, y1: float, *, filled: bool = False) -> None:
        """A rectangle."""
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        if filled:
            self.fill(*corners)
        else:
            self.line(*corners, closed=True)

    def rounded(self, x0: float, y0: float, x1: float, y1: float, radius: float) -> None:
        """A rectangle with round corners."""
        points: list[tuple[float, float]] = []
        for cx, cy, start in (
            (x1 - radius, y0 + radius, -90),
            (x1 - radius, y1 - radius, 0),
            (x0 + radius, y1 - radius, 90),
            (x0 + radius, y0 + radius, 180),
        ):
            points += _arc(cx, cy, radius, radius, start, start + 90, 6)
        self.line(*points, closed=True)

    def oval(self, x: float, y: float, rx: float, ry: float) -> None:
        """An ellipse around (x, y)."""
        self.line(*_arc(x, y, rx, ry, 0, 360, 36), closed=True)

    def arc(self, x: float, y: float, radius: float, start: float, end: float) -> None:
        """Part of a circle, in degrees clockwise from the x axis."""
        self.line(*_arc(x, y, radius, radius, start, end, 24))

    def dashes(self, start: tuple[float, float], end: tuple[float, float], dash: float = 5) -> None:
        """A dashed straight line."""
        length = math.dist(start, end)
        for step in range(0, int(length / dash), 2):
            a, b = step * dash / length, min(1.0, (step + 1) * dash / length)
            self.line(*((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])) for t in (a, b)))

    def text(self, x: float, y: float, words: str, height: float, *, upright: bool = False) -> None:
        """Words centred at (x, y), with capitals of `height` units; `upright` reads from below."""
        face, bold = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(self.weight * self.heaviness * self.scale))
        size = height * self.scale / 21.0
        (width, tall), under = cv2.getTextSize(words, face, size, bold)
        patch = np.full((tall + under + 6, width + 6), 255, np.uint8)
        cv2.putText(patch, words, (3, tall + 3), face, size, self.grey, bold, cv2.LINE_AA)
        if upright:
            patch = np.ascontiguousarray(np.rot90(patch))
        px, py = (round(v * self.scale) for v in self._here(x, y))
        top, left = py - patch.shape[0] // 2 + (0 if upright else under // 2), px - patch.shape[1] // 2
        high, wide = self.sheet.shape
        y0, y1, x0, x1 = max(0, top), min(high, top + patch.shape[0]), max(0, left), min(wide, left + patch.shape[1])
        if y0 < y1 and x0 < x1:
            area = self.sheet[y0:y1, x0:x1]
            np.minimum(area, patch[y0 - top : y1 - top, x0 - left : x1 - left], out=area)

    def _here(self, x: float, y: float) -> tuple[float, float]:
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[self.turns]
        return self.origin[0] + cos * x - sin * y, self.origin[1] + sin * x + cos * y

    def _pixels(self, points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
        here = np.array([self._here(x, y) for x, y in points])
        pixels: NDArray[np.int32] = np.round(here * self.scale * 2**_BITS).astype(np.int32)
        return pixels


def text_width(words: str, height: float) -> float:
    """Width of words in units, as `Pen.text` draws them."""
    return float(cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, height / 21.0, 1)[0][0])


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int) -> list[tuple[float, float]]:
    angles = (math.radians(start + (end - start) * step / steps) for step in range(steps + 1))
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]
