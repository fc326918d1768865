"""Polygons of masks: traced along the edges of pixels, simplified to the corners that a drawing has, straightened.

Points are n x 2, x and y in pixels; the upper left corner of the image is 0, 0.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from traindrop.crossings import crosses
from traindrop.letterbox import Image

Points = NDArray[np.float64]

TOLERANCE = 0.008
"""How far the simplified outline may lie from the traced one, as a part of the outline's length."""
_ATTEMPTS = 5
_NEARLY_STRAIGHT = math.radians(12)
_SHORT = 0.03
"""Part of a polygon's length that an edge across a corner has at most."""


def trace(mask: Image) -> Points:
    """The outline of the largest part of a mask (rows and columns of 0 and 1), holes filled; none of an empty one.

    It runs along the outer edges of pixels, so its area is their number and an eighth for each corner turned inwards,
    which OpenCV cuts.
    """
    if not mask.any():
        return np.zeros((0, 2))
    _, parts, figures, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    part = 1 + int(figures[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = figures[part, : cv2.CC_STAT_AREA]
    pixels = (parts[top : top + height, left : left + width] == part).astype(np.uint8)
    # At twice the size, pixel n reaches from 2n to 2n + 2, both included; OpenCV's outlines run through the last ones.
    twice = cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    twice = cv2.copyMakeBorder(twice, 0, 1, 0, 1, cv2.BORDER_CONSTANT, value=0)
    twice = cv2.dilate(twice, np.ones((2, 2), np.uint8), anchor=(1, 1))
    outlines, _ = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = max(outlines, key=cv2.contourArea)
    found: Points = outline.reshape(-1, 2) / 2 + np.array([left, top])
    return found


def simplify(outline: Points, tolerance: float = TOLERANCE) -> Points:
    """The outline with few corners, by Douglas and Peucker; none of its edges cross, and it has an area.

    Args:
        outline: as traced, at least four corners.
        tolerance: as a part of the outline's length.
    """
    curve = outline.astype(np.float32).reshape(-1, 1, 2)
    for attempt in range(_ATTEMPTS):
        corners = cv2.approxPolyDP(curve, tolerance / 2**attempt * cv2.arcLength(curve, True), True)
        found: Points = corners.reshape(-1, 2).astype(np.float64)
        if sound(found):
            return found
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def sound(points: Points) -> bool:
    """Whether a polygon has an area and no edges that cross."""
    return len(points) >= 3 and area(points) > 0 and not crosses(points[:, 0].tolist(), points[:, 1].tolist())


def straighten(points: Points) -> Points:
    """The polygon with right angles where it nearly has them, at the angle at which it lies; else as it is.

    Edges nearly along one of its two main directions are turned onto it, neighbours along the same one become one, and
    a short edge across a corner, which masks have as they are soft, gives way to the corner.
    """
    edges = np.roll(points, -1, axis=0) - points
    lengths = np.hypot(*edges.T)
    angles = np.arctan2(edges[:, 1], edges[:, 0])
    # Angles that differ by a quarter turn are one direction when multiplied by four; long edges tell it best.
    main = np.angle(np.sum(lengths**2 * np.exp(4j * angles))) / 4
    quarters = np.round((angles - main) / (math.pi / 2))
    across = np.abs(angles - main - quarters * math.pi / 2) > _NEARLY_STRAIGHT
    if (across & (lengths > _SHORT * lengths.sum())).any():
        return points
    turned = points @ _turn(main)
    middles = (turned + np.roll(turned, -1, axis=0)) / 2
    lines = [
        # A line along x has one y, and the other way round.
        (kind, float(middle[1 - kind]), float(length))
        for kind, middle, length in zip(
            quarters[~across].astype(int) % 2, middles[~across], lengths[~across], strict=True
        )
    ]
    joined = _joined(lines)
    corners = [
        (one[1], other[1])[:: 1 if one[0] else -1] for one, other in zip(joined, joined[1:] + joined[:1], strict=True)
    ]
    found: Points = np.array(corners) @ _turn(-main)
    return found if len(found) >= 4 and sound(found) else points


def _joined(lines: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """Neighbours along one direction made one, at the mean of their places, by their lengths; all around."""
    kinds = [kind for kind, _, _ in lines]
    begin = next((number for number, kind in enumerate(kinds) if kind != kinds[number - 1]), 0)
    joined: list[tuple[int, float, float]] = []
    for kind, place, length in lines[begin:] + lines[:begin]:
        if joined and joined[-1][0] == kind:
            _, before, weight = joined.pop()
            joined.append((kind, (before * weight + place * length) / (weight + length), weight + length))
        else:
            joined.append((kind, place, length))
    return joined


def _turn(angle: float) -> Points:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def area(points: Points) -> float:
    """Square pixels within a polygon."""
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def perimeter(points: Points) -> float:
    """Pixels around a polygon."""
    return float(np.hypot(*(np.roll(points, -1, axis=0) - points).T).sum())
