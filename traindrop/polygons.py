"""Polygons of what a model finds in an image: its outlines for segmentation, its boxes for detection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from traindrop import outlines
from traindrop.letterbox import Floats, Image, Letterbox
from traindrop.onnx_model import Model
from traindrop.outlines import Points
from traindrop.predictions import mask, predicted

_FINEST = 1280
"""Steps along the longer side of an image in which outlines are traced at most; a mask has a quarter of the model's."""
_COLOURS = ((200, 60, 200), (60, 160, 30), (30, 120, 230), (200, 120, 20), (40, 40, 210), (160, 160, 20))  # BGR


@dataclass(frozen=True)
class Polygon:
    """One object: its class, how sure the model is (0 to 1), and its corners in pixels of the image."""

    name: str
    score: float
    points: Points


def find(model: Model, image: Image, *, simplified: bool = True) -> list[Polygon]:
    """The objects in an image, the likeliest first.

    Args:
        model: the model to ask.
        image: rows, columns, BGR.
        simplified: whether outlines have few corners and right angles; else they follow the pixels of the mask.
    """
    letterbox = Letterbox.of(image, model.metadata)
    candidates, prototypes = model.ask(letterbox.apply(image, model.metadata))
    found = predicted(candidates, model.metadata)
    polygons = []
    boxes = letterbox.back(found.boxes)
    step = math.ceil(max(letterbox.width, letterbox.height) / _FINEST)
    likeness = None if prototypes is None else np.tensordot(found.coefficients, prototypes, 1)
    for number, (box, scores) in enumerate(zip(boxes, found.scores, strict=True)):
        if likeness is None:
            outline = _corners(box)
        else:
            pixels, left, top = mask(likeness[number], box, letterbox, model.metadata.imgsz, step)
            outline = (outlines.trace(pixels) + np.array([left, top])) * step
            if simplified and len(outline):
                outline = outlines.straighten(outlines.simplify(outline))
        if len(outline):
            likeliest = int(scores.argmax())
            inside = np.clip(outline, 0, (letterbox.width, letterbox.height))
            polygons.append(Polygon(model.metadata.names[likeliest], float(scores[likeliest]), inside))
    return polygons


def _corners(box: Floats) -> Points:
    left, top, right, bottom = (float(value) for value in box)
    if right <= left or bottom <= top:
        return np.zeros((0, 2))
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def document(name: str, image: Image, polygons: list[Polygon]) -> dict[str, Any]:
    """What `traindrop polygons` writes: lengths in pixels, areas in square pixels, `normalized` from 0 to 1."""
    height, width = image.shape[:2]
    return {
        "image": name,
        "width": width,
        "height": height,
        "polygons": [
            {
                "class": polygon.name,
                "score": round(polygon.score, 4),
                "points": np.round(polygon.points, 2).tolist(),
                "normalized": np.round(polygon.points / (width, height), 6).tolist(),
                "area": round(outlines.area(polygon.points), 1),
                "perimeter": round(outlines.perimeter(polygon.points), 1),
            }
            for polygon in polygons
        ],
    }


def overlay(image: Image, polygons: list[Polygon]) -> Image:
    """The image with the polygons drawn over it, each with its class and score."""
    filled, lines = image.copy(), max(1, round(max(image.shape[:2]) / 400))
    shapes = [np.round(polygon.points).astype(np.int32) for polygon in polygons]
    names = sorted({polygon.name for polygon in polygons})
    colours = [_COLOURS[names.index(polygon.name) % len(_COLOURS)] for polygon in polygons]
    for shape, colour in zip(shapes, colours, strict=True):
        cv2.fillPoly(filled, [shape], colour)
    drawn: Image = cv2.addWeighted(filled, 0.3, image, 0.7, 0)
    for polygon, shape, colour in zip(polygons, shapes, colours, strict=True):
        cv2.polylines(drawn, [shape], True, colour, lines, cv2.LINE_AA)
        x, y = shape.mean(axis=0).astype(int)
        # OpenCV's own letters are ASCII.
        words = f"{polygon.name.encode('ascii', 'replace').decode()} {polygon.score:.2f}"
        cv2.putText(drawn, words, (int(x) - 14 * lines, int(y)), cv2.FONT_HERSHEY_SIMPLEX, 0.3 * lines, colour, lines)
    return drawn
