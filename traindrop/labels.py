"""One label file judged as ultralytics judges it: `verify_image_label` of 8.4.190, in float32, without numpy.

A file that ultralytics drops as corrupt has a `fault`. What it accepts though it is surely wrong is counted in
`oddities`. Pure: bytes in, a `Label` out.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from encodings.utf_8_sig import IncrementalDecoder
from math import isfinite
from operator import mul
from struct import pack, unpack
from typing import Literal

Task = Literal["segment", "detect", ""]
CORNERS_CHECKED = 64
"""A polygon of more corners is not searched for edges that cross, which takes time by the square of their number."""
_BOX_COLUMNS = 5


def float32(value: float) -> float:
    """The nearest float32, as numpy rounds."""
    try:
        found: float = unpack("f", pack("f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return found


_UPPER, _LOWER = float32(1.01), float32(-0.01)
_SLACK = 1e-3
_FLAT = 1e-9


@dataclass(frozen=True)
class Fault:
    """Why ultralytics would drop the file and its image: a stable code, the line (from 1; 0 for the file), words."""

    code: str
    line: int
    words: str


@dataclass(frozen=True)
class Label:
    """What a label file holds: the task that its rows are made for, and the instances of each class index.

    `instances` counts as ultralytics does, duplicates removed; a corrupt file has none.
    """

    task: Task = ""
    instances: Counter[int] = field(default_factory=Counter)
    fault: Fault | None = None
    oddities: Counter[str] = field(default_factory=Counter)
    smallest: float = 1.0


def judge(data: bytes, class_count: int, *, search_crossings: bool = True) -> Label:
    """Judge the content of a label file.

    Args:
        data: the file's bytes.
        class_count: how many classes data.yaml names; a class index must be below it.
        search_crossings: whether polygons whose edges cross are looked for.

    Returns:
        A `Label`. `oddities` counts rows by `outside` (points beyond the image), `flat` (no area), `crossing` (edges
        that cross) and `duplicate`. `smallest` is the smallest square root of a box's share of the image.
    """
    try:
        text = IncrementalDecoder().decode(data, final=True)
    except UnicodeDecodeError as error:
        return Label(fault=Fault("label.not_text", 0, f"byte {error.start} is not UTF-8; save it as plain UTF-8 text"))
    rows = [row for line in text.splitlines() if (row := line.split())]
    if not rows:
        return Label()
    segments = max(map(len, rows)) > _BOX_COLUMNS + 1
    try:
        # Of all letters only those of nan and inf, and the e of an exponent, stand in a number.
        values = [] if "n" in text or "N" in text else [list(map(float, row)) for row in rows]
    except ValueError:
        values = []
    found = _polygons(values, class_count, search_crossings) if segments else _boxes(values, class_count)
    return found or Label(fault=_first_fault(text, class_count, segments=segments))


def _polygons(rows: Sequence[list[float]], class_count: int, search_crossings: bool) -> Label | None:
    """What a file of polygons holds; None if it is corrupt."""
    instances: Counter[int] = Counter()
    oddities: Counter[str] = Counter()
    seen: set[tuple[float, ...]] = set()
    smallest = 1.0
    for row in rows:
        count = len(row)
        if count % 2 == 0 or count < 3 or count == _BOX_COLUMNS or not _is_class(row[0], class_count):
            return None
        xs, ys = row[1::2], row[2::2]
        left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
        # Within the image no limit is near, so only what lies outside is measured as ultralytics does, in float32.
        if left < 0.0 or top < 0.0 or right > 1.0 or bottom > 1.0:
            left, top, right, bottom = map(float32, (left, top, right, bottom))
            box = (float32(left + right) / 2, float32(top + bottom) / 2, float32(right - left), float32(bottom - top))
            if not (max(box) <= _UPPER and min(box) >= _LOWER):
                return None
            oddities["outside"] += left < -_SLACK or top < -_SLACK or right > 1 + _SLACK or bottom > 1 + _SLACK
        size = area = (right - left) * (bottom - top)
        if area > _FLAT:
            area = abs(sum(map(mul, xs, ys[1:] + ys[:1])) - sum(map(mul, ys, xs[1:] + xs[:1]))) / 2
        if area <= _FLAT:
            oddities["flat"] += 1
        elif search_crossings and area < size and 3 < len(xs) <= CORNERS_CHECKED and crosses(xs, ys):
            oddities["crossing"] += 1
        if size < smallest:
            smallest = size
        key = tuple(row)
        if key in seen:
            oddities["duplicate"] += 1
        else:
            seen.add(key)
            instances[int(float32(row[0]))] += 1
    return Label("segment", instances, None, +oddities, smallest**0.5) if rows else None


def _boxes(rows: Sequence[list[float]], class_count: int) -> Label | None:
    """What a file of boxes holds; None if it is corrupt."""
    instances: Counter[int] = Counter()
    oddities: Counter[str] = Counter()
    seen: set[tuple[float, ...]] = set()
    smallest = 1.0
    lowest = narrowest = 0.0
    for row in rows:
        if len(row) != _BOX_COLUMNS or not _is_class(row[0], class_count):
            return None
        _, x, y, width, height = array("f", row)
        if not max(x, y, width, height) <= _UPPER:
            return None
        lowest, narrowest = min(lowest, x, y, width, height), min(narrowest, width, height)
        oddities["outside"] += max(abs(x - 0.5) + width / 2, abs(y - 0.5) + height / 2) > 0.5 + _SLACK
        oddities["flat"] += width * height <= _FLAT
        smallest = min(smallest, width * height)
        key = tuple(row)
        if key in seen:
            oddities["duplicate"] += 1
        else:
            seen.add(key)
            instances[int(float32(row[0]))] += 1
    if not rows or lowest < _LOWER or narrowest < 0.0:
        return None
    return Label("detect", instances, None, +oddities, max(0.0, smallest) ** 0.5)


def _is_class(index: float, class_count: int) -> bool:
    index = index if index % 1 == 0 else float32(index)
    return 0.0 <= index < class_count and index % 1 == 0


def _first_fault(text: str, class_count: int, *, segments: bool) -> Fault:
    """The first row that makes a file corrupt, in words; asked only for files of which one does."""
    for number, line in enumerate(text.splitlines(), 1):
        row = line.split()
        if not row:
            continue
        if segments and len(row) == _BOX_COLUMNS:
            return Fault("label.mixed", number, "a box among polygons; export every object as a polygon")
        if not segments and len(row) != _BOX_COLUMNS:
            words = f"{len(row)} columns; a box has 5 (class x y width height), a polygon 7 or more"
            return Fault("label.wrong_columns", number, words)
        if len(row) % 2 == 0 or len(row) < 3:
            return Fault("label.odd_coordinates", number, f"{len(row) - 1} coordinates; a polygon has pairs of x and y")
        try:
            index, *points = array("f", map(float, row))
        except ValueError:
            wrong = next(token for token in row if not _is_number(token))
            return Fault("label.not_a_number", number, f"{wrong!r:.40} is not a number; numbers are parted by spaces")
        if not all(map(isfinite, (index, *points))):
            return Fault("label.not_a_number", number, "a value is not finite")
        if index % 1 or index < 0:
            return Fault("label.class_not_an_index", number, f"class {row[0]:.40} is not 0, 1, 2, …")
        if index >= class_count:
            words = f"class {int(index)}, but data.yaml names {class_count} (0 to {class_count - 1})"
            return Fault("label.class_out_of_range", number, words)
        worst = max(points, key=lambda value: abs(value - 0.5))
        alone = [[index, *points]]
        if not (_polygons(alone, class_count, False) if segments else _boxes(alone, class_count)):
            return Fault(
                "label.out_of_bounds",
                number,
                f"coordinate {worst:.6g} is outside the image; coordinates are shares of its width and height, 0 to 1",
            )
    raise AssertionError("a corrupt file has a corrupt row")


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def crosses(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether two edges of a closed polygon cross; edges that only touch do not."""
    count = len(xs)
    corners = [(xs[i], ys[i], xs[(i + 1) % count], ys[(i + 1) % count]) for i in range(count)]
    for i in range(count - 2):
        ax, ay, bx, by = corners[i]
        dx, dy = bx - ax, by - ay
        for j in range(i + 2, count - (i == 0)):
            cx, cy, ex, ey = corners[j]
            if ((dx * (cy - ay) - dy * (cx - ax)) * (dx * (ey - ay) - dy * (ex - ax)) < 0.0) and (
                ((ex - cx) * (ay - cy) - (ey - cy) * (ax - cx)) * ((ex - cx) * (by - cy) - (ey - cy) * (bx - cx)) < 0.0
            ):
                return True
    return False
