"""One label file judged as ultralytics judges it: `verify_image_label` of 8.4.190, in float32, without numpy.

A file that ultralytics drops as corrupt has a `fault`. What it accepts though it is surely wrong is in `oddities`.
Pure: bytes in, a `Label` out; standard library only.
"""

from __future__ import annotations

from array import array
from codecs import BOM_UTF8
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Literal

from traindrop.crossings import crosses, seen_from

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


_Row = Sequence[str]
_Number = Callable[[str], float]
_Oddities = dict[str, list[int]]


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
    # Of all that stands for a number only nan and inf have an n; hardly a file does, so most are read the fast way.
    number = _finite if "n" in text or "N" in text else float
    limit, smallest = float32(class_count), tiny_below**2
    oddities: _Oddities = defaultdict(list)

    def read(rows: Sequence[_Row], *, search: bool) -> list[float]:
        if segments:
            return _polygons(rows, number, smallest, oddities, search=search)
        return _boxes(rows, number, smallest, oddities)

    classes = [row[0] for row in rows if row]
    try:
        index_of = {token: _class_index(token, limit) for token in set(classes)}
        firsts = read(rows, search=search_crossings)
    except (_Corrupt, ValueError):
        return Label(fault=_first_fault(rows, limit, partial(read, search=False)))
    if not "".join(index_of).isdecimal():
        oddities["class_form"] = [line for line, row in enumerate(rows, 1) if row and not row[0].isdecimal()]
    instances = Counter([index_of[token] for token in classes])
    # Hardly a file has two instances that begin alike; only in one that does are whole rows compared.
    if len(set(array("f", firsts))) < len(firsts):
        for line in _repeated(rows, segments=segments):
            oddities["duplicate"].append(line)
            instances[index_of[rows[line - 1][0]]] -= 1
    return Label("segment" if segments else "detect", instances, None, oddities)


def _first_fault(rows: Sequence[_Row], limit: float, read: Callable[[Sequence[_Row]], object]) -> Fault:
    """The fault of the first row that has one, which the rows read by themselves show."""
    for line, row in enumerate(rows, 1):
        try:
            if row:
                _class_index(row[0], limit)
                read([row])
        except _Corrupt as corrupt:
            code, words = corrupt.args
            return Fault(code, line, words)
        except ValueError:
            return Fault("label.not_a_number", line, f"{_not_a_number(row)!r:.40} is not a number")
    raise AssertionError("every row is sound")


def _class_index(token: str, limit: float) -> int:
    index = float32(float(token))
    if not (index >= 0.0 and index % 1 == 0.0):
        raise _Corrupt("label.class_not_an_index", f"class {token:.40} is not 0, 1, 2, …")
    if index >= limit:
        raise _Corrupt("label.class_out_of_range", f"class {index:.0f}; data.yaml names {limit:.0f}, counted from 0")
    return int(index)


def _polygons(
    rows: Sequence[_Row], number: _Number, smallest: float, oddities: _Oddities, *, search: bool
) -> list[float]:
    """The first value of each row of x and y in turns; what is odd about them is put to the oddities."""
    firsts = []
    for line, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) == _BOX_COLUMNS:
            raise _Corrupt("label.mixed", "a box among polygons")
        values = list(map(number, row[1:]))
        across, down = values[::2], values[1::2]
        if len(across) != len(down) or not values:
            words = f"{len(values)} coordinates; a polygon has pairs of x and y, and no confidence behind them"
            raise _Corrupt("label.odd_coordinates", words)
        firsts.append(values[0])
        across.sort()
        down.sort()
        left, top, right, bottom = across[0], down[0], across[-1], down[-1]
        # No limit is near a box within the image, so only what lies beyond is measured as ultralytics does, in float32.
        if left < 0.0 or top < 0.0 or right > 1.0 or bottom > 1.0:
            left, top, right, bottom = map(float32, (left, top, right, bottom))
            box = (float32(left + right) / 2, float32(top + bottom) / 2, float32(right - left), float32(bottom - top))
            if not (max(box) <= _UPPER and min(box) >= _LOWER):
                raise _out_of_bounds(values)
            if min(left, top) < -_SLACK or max(right, bottom) > 1.0 + _SLACK:
                oddities["outside"].append(line)
        size = (right - left) * (bottom - top)
        if size <= _FLAT:
            oddities["flat" if len(across) > 1 else "point"].append(line)
            continue
        if search:
            kind = _tangled(values[::2], values[1::2], (left + right) / 2, (top + bottom) / 2)
            if kind:
                oddities[kind].append(line)
        if size < smallest:
            oddities["tiny"].append(line)
    return firsts


def _tangled(xs: Sequence[float], ys: Sequence[float], middle_x: float, middle_y: float) -> str:
    """Whether a polygon with corners around such a middle has a `crossing` or is `flat`."""
    covered, simple = seen_from(middle_x, middle_y, xs, ys)
    if not simple and len(xs) <= CORNERS_SEARCHED and crosses(xs, ys):
        return "crossing"
    return "flat" if covered <= _FLAT else ""


def _boxes(rows: Sequence[_Row], number: _Number, smallest: float, oddities: _Oddities) -> list[float]:
    """The first value of each row of x, y, width and height; what is odd about them is put to the oddities."""
    firsts = []
    for line, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) != _BOX_COLUMNS:
            words = f"{len(row)} columns; a box has 5 (class x y width height), a polygon 7 or more"
            raise _Corrupt("label.wrong_columns", words)
        values = array("f", map(number, row[1:]))
        x, y, width, height = values
        if not (max(values) <= _UPPER and min(values) >= _LOWER and width >= 0.0 and height >= 0.0):
            raise _out_of_bounds(values)
        firsts.append(x)
        if max(abs(x - 0.5) + width / 2, abs(y - 0.5) + height / 2) > 0.5 + _SLACK:
            oddities["outside"].append(line)
        size = width * height
        if size <= _FLAT:
            oddities["flat"].append(line)
        elif size < smallest:
            oddities["tiny"].append(line)
    return firsts


def _out_of_bounds(values: Iterable[float]) -> _Corrupt:
    worst = max(values, key=lambda value: abs(value - 0.5))
    words = f"coordinate {worst:.6g} is outside the image"
    return _Corrupt("label.out_of_bounds", words)


def _repeated(rows: Sequence[_Row], *, segments: bool) -> Iterator[int]:
    """Lines that in float32 are equal to an earlier one: polygons bit by bit, boxes as numbers."""
    seen: set[object] = set()
    for line, row in enumerate(rows, 1):
        if row:
            values = array("f", map(float, row))
            key = values.tobytes() if segments else tuple(values)
            if key in seen:
                yield line
            seen.add(key)


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
