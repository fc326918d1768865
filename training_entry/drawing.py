"""A picture of what is there beside what a model finds: right, missed and wrong objects in colours of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from training_entry.matching import Match, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Colour = tuple[int, int, int]

MAX_BYTES = 150_000
_PANEL = 640  # longest side of a panel, pixels
_TRUTH = (60, 160, 30)  # BGR
_FOUND = (200, 60, 200)
_AMISS = (0, 90, 235)
_GAP = 8
_NAME_LENGTH = 20
_FONT_SIZE = 0.6


def compose(image: Image, seen: Match, names: Mapping[int, str]) -> bytes:
    """A JPEG of at most 150 kB: the image with the truth, and with the prediction, under a caption each.

    What was found and is there is green on one side and magenta on the other; what was missed, or is wrong, is orange
    with a thicker line. With more than one class every object bears the name of its class.
    """
    import cv2
    import numpy as np

    scale = min(1.0, _PANEL / max(image.shape[:2]))
    if max(image.shape[:2]) < _PANEL // 2:
        scale = _PANEL / 2 / max(image.shape[:2])
    shown = names if len(names) > 1 else {}
    panels = [
        _panel(
            image, seen.truth, seen.missed, scale, _TRUTH, shown, _caption("truth", seen.truth, "missed", seen.missed)
        ),
        _panel(
            image, seen.found, seen.wrong, scale, _FOUND, shown, _caption("predicted", seen.found, "wrong", seen.wrong)
        ),
    ]
    beside = image.shape[1] <= 1.5 * image.shape[0]
    gap_shape = (panels[0].shape[0], _GAP, 3) if beside else (_GAP, panels[0].shape[1], 3)
    gap = np.full(gap_shape, 255, np.uint8)
    picture = np.concatenate([panels[0], gap, panels[1]], axis=1 if beside else 0)
    while True:
        for quality in (88, 75, 60, 45):
            done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if done and len(encoded) <= MAX_BYTES:
                return bytes(encoded.tobytes())
        picture = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)


def _caption(what: str, shapes: Sequence[Shape], fault: str, amiss: Sequence[int]) -> str:
    return f"{what}: {len(shapes)}" + (f", {len(amiss)} {fault}" if amiss else "")


def _panel(
    image: Image,
    shapes: Sequence[Shape],
    amiss: Sequence[int],
    scale: float,
    colour: Colour,
    names: Mapping[int, str],
    caption: str,
) -> Image:
    import cv2
    import numpy as np

    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    canvas: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    colours = [_AMISS if number in amiss else colour for number in range(len(shapes))]
    polygons = [np.round(shape.outline * scale).astype(np.int32) for shape in shapes]
    filled = canvas.copy()
    for polygon, own in zip(polygons, colours, strict=True):
        cv2.fillPoly(filled, [polygon], own)
    canvas = cv2.addWeighted(filled, 0.35, canvas, 0.65, 0)
    for polygon, own in zip(polygons, colours, strict=True):
        cv2.polylines(canvas, [polygon], True, own, 4 if own == _AMISS else 2, cv2.LINE_AA)
    for shape, polygon, own in zip(shapes, polygons, colours, strict=True):
        if shape.kind in names:
            _label(canvas, polygon, _plain(names[shape.kind], shape.kind), own)
    letters = max(0.4, canvas.shape[1] / _PANEL)
    strip = np.full((round(44 * letters), canvas.shape[1], 3), 255, np.uint8)
    place = (round(8 * letters), round(31 * letters))
    cv2.putText(strip, caption, place, cv2.FONT_HERSHEY_SIMPLEX, letters, colour, 1 + (letters > 0.7), cv2.LINE_AA)
    return np.concatenate([strip, canvas], axis=0)


def _label(canvas: Image, polygon: NDArray[np.int32], name: str, colour: Colour) -> None:
    """Write a name in the middle of an object, or as near to it as the picture lets it be whole."""
    import cv2

    (width, height), below = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, _FONT_SIZE, 1)
    middle_x, middle_y = (polygon.min(axis=0) + polygon.max(axis=0)) // 2
    x = int(min(max(middle_x - width // 2, 3), max(3, canvas.shape[1] - width - 3)))
    y = int(min(max(middle_y + height // 2, height + 3), max(height + 3, canvas.shape[0] - below - 3)))
    cv2.rectangle(canvas, (x - 3, y - height - 3), (x + width + 3, y + below), (255, 255, 255), -1)
    dark = (colour[0] // 2, colour[1] // 2, colour[2] // 2)
    cv2.putText(canvas, name, (x, y), cv2.FONT_HERSHEY_SIMPLEX, _FONT_SIZE, dark, 1, cv2.LINE_AA)


def _plain(name: str, kind: int) -> str:
    """A name as OpenCV's letters can write it, which are ASCII's; another class by its number."""
    return name[:_NAME_LENGTH] if name.isascii() and name.isprintable() else f"class {kind}"
