"""One label file judged as ultralytics judges it: `verify_image_label` of 8.4.190, in float32, without numpy.

A file that ultralytics drops as corrupt has a `fault`. What it accepts though it is surely wrong is in `oddities`.
Pure: bytes in, a `Label` out; standard library only.
"""

from __future__ import annotations

from array import array
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

Task = Literal["segment", "detect", ""]
CORNERS_SEARCHED = 256
"""A polygon of more corners is not searched for edges that cross, which can take time by the square of their number."""
_BOX_COLUMNS = 5
_SLACK = 1e-3
"""How far beyond the image a point may lie unnoticed, as a share of its side: exporters round."""
_FLAT = 1e-9
"""The share of the image's area that is none: a hundredth of a pixel where the image has 3,000 by 3,000."""


def float32(value: float) -> float:
    """The nearest float32, as numpy rounds; infinite where none is so large."""
    return array("f", (value,))[0]


_UPPER, _LOWER = float32(1.01), float32(-0.01)


@dataclass(frozen=True)
class Fault:
    """Why ultralytics would drop the file and its image: a stable code, the line (from 1; 0 for the file), words."""

    code: str
    line: int
    words: str


@dataclass(frozen=True)
class Label:
    """What a label file holds: only a fault if it is corrupt, nothing at all if its image is a background.

    Attributes:
        task: what its rows are made for; "" without rows.
        instances: how many there are of each class index as ultralytics counts, duplicates removed.
        fault: why ultralytics drops the file.
        oddities: lines (from 1) of rows that ultralytics accepts though they are surely wrong, by what is wrong:
            `outside` (beyond the image), `point` (a single corner), `flat` (no area), `tiny`, `crossing` (edges cross),
            `class_form` (a class not written as a whole number), `duplicate` (removed by ultralytics).
    """

    task: Task = ""
    instances: Counter[int] = field(default_factory=Counter)
    fault: Fault | None = None
    oddities: Mapping[str, Sequence[int]] = field(default_factory=dict)


class _Corrupt(Exception):
    """Code and words of what is wrong with a row."""


_Values = Sequence[float]
_Oddities = tuple[str, ...]
_Instance = tuple[int, float, _Values]
"""The line, the class index in float32, and the values behind it."""


def judge(data: bytes, class_count: int, *, search_crossings: bool = True, tiny_below: float = 0.0) -> Label:
    """Judge the content of a label file.

    Args:
        data: the file's bytes.
        class_count: how many classes data.yaml names; a class index must be below it.
        search_crossings: whether polygons are searched for what takes long to see: edges that cross, and no area though
            their box has one.
        tiny_below: an object is tiny if the square root of its box's area, as a share of the image's, is below this.
    """
    if BOM_UTF8.startswith(data):
        return Label()
    try:
        text = data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        return Label(fault=Fault("label.not_text", line, f"byte 0x{byte:02x} is not UTF-8"))
    rows = [line.split() for line in text.splitlines()]
    longest = max(map(len, rows))
    if not longest:
        return Label()
    segments = longest > _BOX_COLUMNS + 1
    read = _polygon if segments else _box
    # Of all that stands for a number only nan and inf have an n; hardly a file does, so most are read the fast way.
    number = _finite if "n" in text or "N" in text else float
    limit, smallest = float32(class_count), tiny_below**2
    indexes: dict[str, float] = {}
    found: list[_Instance] = []
    oddities: dict[str, list[int]] = {}
    line = 0
    try:
        for line, row in enumerate(rows, 1):
            if not row:
                continue
            index = indexes.get(row[0])
            if index is None:
                index = indexes[row[0]] = _class_index(row[0], limit)
            values, size, odd = read(row, number, search_crossings)
            found.append((line, index, values))
            if size < smallest and size > _FLAT:
                odd = (*odd, "tiny")
            if odd:
                for kind in odd:
                    oddities.setdefault(kind, []).append(line)
    except _Corrupt as corrupt:
        code, words = corrupt.args
        return Label(fault=Fault(code, line, words))
    except ValueError:
        words = f"{_not_a_number(rows[line - 1])!r:.40} is not a number"
        return Label(fault=Fault("label.not_a_number", line, words))
    if not "".join(indexes).isdecimal():
        oddities["class_form"] = [line for line, row in enumerate(rows, 1) if row and not row[0].isdecimal()]
    repeated = _repeated(found, segments=segments)
    if repeated:
        oddities["duplicate"] = sorted(repeated)
    instances = Counter([int(index) for line, index, _ in found if line not in repeated])
    return Label("segment" if segments else "detect", instances, None, oddities)


def _class_index(token: str, limit: float) -> float:
    index = float32(float(token))
    if not (index >= 0.0 and index % 1 == 0.0):
        raise _Corrupt("label.class_not_an_index", f"class {token:.40} is not 0, 1, 2, …")
    if index >= limit:
        raise _Corrupt("label.class_out_of_range", f"class {index:.0f}; data.yaml names {limit:.0f}, counted from 0")
    return index


def _polygon(row: Sequence[str], number: Callable[[str], float], search: bool) -> tuple[_Values, float, _Oddities]:
    """Coordinates of a row, the area of its box as a share of the image's, and what is odd about it."""
    if len(row) == _BOX_COLUMNS:
        raise _Corrupt("label.mixed", "a box among polygons")
    values = list(map(number, row[1:]))
    xs, ys = values[::2], values[1::2]
    if len(xs) != len(ys) or not xs:
        words = f"{len(values)} coordinates; a polygon has pairs of x and y, and no confidence behind them"
        raise _Corrupt("label.odd_coordinates", words)
    across, down = sorted(xs), sorted(ys)
    left, top, right, bottom = across[0], down[0], across[-1], down[-1]
    odd: _Oddities = ()
    # No limit is near a box within the image, so only what lies beyond is measured as ultralytics does, in float32.
    if left < 0.0 or top < 0.0 or right > 1.0 or bottom > 1.0:
        left, top, right, bottom = map(float32, (left, top, right, bottom))
        box = (float32(left + right) / 2, float32(top + bottom) / 2, float32(right - left), float32(bottom - top))
        if not (max(box) <= _UPPER and min(box) >= _LOWER):
            raise _out_of_bounds(values)
        if min(left, top) < -_SLACK or max(right, bottom) > 1.0 + _SLACK:
            odd = ("outside",)
    size = covered = (right - left) * (bottom - top)
    if search and size > _FLAT:
        covered = area(xs, ys)
        # What fills its box is a rectangle.
        if size - covered > _FLAT and len(xs) <= CORNERS_SEARCHED and crosses(xs, ys):
            return values, size, (*odd, "crossing")
    if covered <= _FLAT:
        odd = (*odd, "flat" if len(xs) > 1 else "point")
    return values, size, odd


def _box(row: Sequence[str], number: Callable[[str], float], _: bool) -> tuple[_Values, float, _Oddities]:
    """Values of a row, the area of its box as a share of the image's, and what is odd about it."""
    if len(row) != _BOX_COLUMNS:
        words = f"{len(row)} columns; a box has 5 (class x y width height), a polygon 7 or more"
        raise _Corrupt("label.wrong_columns", words)
    values = array("f", map(number, row[1:]))
    x, y, width, height = values
    if not (max(values) <= _UPPER and min(values) >= _LOWER and width >= 0.0 and height >= 0.0):
        raise _out_of_bounds(values)
    odd: _Oddities = ()
    if max(abs(x - 0.5) + width / 2, abs(y - 0.5) + height / 2) > 0.5 + _SLACK:
        odd = ("outside",)
    size = width * height
    return values, size, (*odd, "flat") if size <= _FLAT else odd


def _out_of_bounds(values: Iterable[float]) -> _Corrupt:
    worst = max(values, key=lambda value: abs(value - 0.5))
    words = f"coordinate {worst:.6g} is outside the image"
    return _Corrupt("label.out_of_bounds", words)


def _repeated(found: Sequence[_Instance], *, segments: bool) -> set[int]:
    """Lines that in float32 are equal to an earlier one: polygons bit by bit, boxes as numbers."""
    # Hardly a file has two instances that begin alike; only in one that does are whole rows compared.
    if len(set(array("f", [values[0] for _, _, values in found]))) == len(found):
        return set()
    seen: set[object] = set()
    repeated = set()
    for line, index, values in found:
        row = array("f", (index, *values))
        key = row.tobytes() if segments else tuple(row)
        if key in seen:
            repeated.add(line)
        seen.add(key)
    return repeated


def _finite(token: str) -> float:
    value = float(token)
    if not isfinite(value):
        raise ValueError
    return value


def _not_a_number(row: Iterable[str]) -> str:
    for token in row:
        try:
            _finite(token)
        except ValueError:
            return token
    raise AssertionError("every token is a number")


def area(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The area of a closed polygon."""
    twice = 0.0
    before_x, before_y = xs[-1], ys[-1]
    for x, y in zip(xs, ys, strict=True):
        twice += before_x * y - x * before_y
        before_x, before_y = x, y
    return abs(twice) / 2


def crosses(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether two edges of a closed polygon cross; edges that only touch do not."""
    ends = zip(xs, ys, (*xs[1:], xs[0]), (*ys[1:], ys[0]), strict=True)
    edges = sorted([(ax, ay, bx, by) if ax < bx else (bx, by, ax, ay) for ax, ay, bx, by in ends])
    for place, (ax, ay, bx, by) in enumerate(edges, 1):
        dx, dy = bx - ax, by - ay
        low, high = (ay, by) if ay < by else (by, ay)
        for cx, cy, ex, ey in edges[place:]:
            if cx >= bx:
                break
            if (cy >= high and ey >= high) or (cy <= low and ey <= low):
                continue
            if (dx * (cy - ay) - dy * (cx - ax)) * (dx * (ey - ay) - dy * (ex - ax)) < 0.0 and (
                ((ex - cx) * (ay - cy) - (ey - cy) * (ax - cx)) * ((ex - cx) * (by - cy) - (ey - cy) * (bx - cx)) < 0.0
            ):
                return True
    return False
