"""Mutations of one label file each: what annotation tools, scripts and half-finished uploads make of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.faults.datasets import Made, Mutation

Rows = list[list[str]]
_SIDES = 64  # pixels, about
_BOX = ["0.5", "0.5", "0.2", "0.2"]
_SQUARE = ["0.1", "0.1", "0.5", "0.1", "0.5", "0.5", "0.1", "0.4"]


def _first(rows: Rows, change: Callable[[list[str]], list[str]]) -> Rows:
    return [change(rows[0]), *rows[1:]]


def _index(made: Made, rows: Rows, value: str) -> Rows:
    return _first(rows, lambda row: [value.format(count=made.class_count), *row[1:]])


def _point(_: Made, rows: Rows, value: str) -> Rows:
    """One x of the first object."""
    return _first(rows, lambda row: [row[0], value, *row[2:]])


def _points(_: Made, rows: Rows, points: str) -> Rows:
    """The first object as this polygon; in a set of boxes as its own."""
    return _first(rows, lambda row: [row[0], *points.split()])


def _in_pixels(_: Made, rows: Rows) -> Rows:
    return [[row[0], *(f"{float(value) * _SIDES:.1f}" for value in row[1:])] for row in rows]


def _box_beside_polygons(_: Made, rows: Rows) -> Rows:
    return [*rows, ["0", *_BOX], ["0", *_SQUARE]]


def _only_boxes(_: Made, rows: Rows) -> Rows:
    return [[row[0], "0.5", "0.5", "0.2", f"0.{number + 1}"] for number, row in enumerate(rows[:8])]


def _only_polygons(_: Made, rows: Rows) -> Rows:
    return [[row[0], *_SQUARE] for row in rows[:1]]


def _huge(made: Made, _: Rows) -> Rows:
    """As many objects as no detector can tell apart, the last of which may be wrong."""
    many = []
    for number in range(1500):
        x, y = 0.02 + (number % 40) * 0.024, 0.02 + (number // 40) * 0.024
        corners = [x, y, 0.02, 0.02] if made.task == "detect" else [x, y, x + 0.02, y, x + 0.02, y + 0.02]
        many.append(["0", *(f"{value:.4f}" for value in corners)])
    return many if made.random.random() < 0.6 else [*many, ["0", "7", "0.5", "0.1", "0.1", "0.1", "0.2"]]


_ROWS: dict[str, Callable[[Made, Rows], Rows]] = {
    "class out of range": partial(_index, value="{count}"),
    "class far out of range": partial(_index, value="900"),
    "class negative": partial(_index, value="-1"),
    "class between two": partial(_index, value="0.5"),
    "class written as a float": partial(_index, value="0.0"),
    "class a name": partial(_index, value="room"),
    "coordinate nan": partial(_point, value="nan"),
    "coordinate inf": partial(_point, value="inf"),
    "coordinate with underscore": partial(_point, value="0.1_5"),
    "coordinate with exponent": partial(_point, value="1.5e-1"),
    "coordinate with comma": partial(_point, value="0,15"),
    "coordinate just outside": partial(_point, value="1.005"),
    "coordinate just below": partial(_point, value="-0.005"),
    "coordinate outside": partial(_point, value="1.3"),
    "coordinate far outside": partial(_point, value="1e30"),
    "coordinate negative": partial(_point, value="-0.2"),
    "coordinates in pixels": _in_pixels,
    "box beside polygons": _box_beside_polygons,
    "only boxes": _only_boxes,
    "only polygons": _only_polygons,
    "odd coordinates": lambda _, rows: _first(rows, lambda row: row[:-1]),
    "confidence as a sixth column": lambda _, rows: [[*row[:5], "0.9"] for row in rows],
    "row cut off": lambda _, rows: [*rows[:-1], rows[-1][:3]],
    "class alone": lambda _, rows: [*rows, ["0"]],
    "one point": partial(_points, points="0.5 0.5"),
    "two points": partial(_points, points="0.2 0.2 0.6 0.6"),
    "zero area": partial(_points, points="0.1 0.5 0.4 0.5 0.9 0.5"),
    "same point thrice": partial(_points, points="0.3 0.3 0.3 0.3 0.3 0.3"),
    "crossing edges": partial(_points, points="0.1 0.1 0.8 0.8 0.8 0.1 0.1 0.8"),
    "below a pixel": partial(_points, points="0.5 0.5 0.502 0.5 0.502 0.503 0.5 0.503"),
    "box without size": partial(_points, points="0.5 0.5 0 0"),
    "duplicates": lambda _, rows: [*rows, *rows],
    "huge": _huge,
    "rotated boxes": partial(_points, points="0.1 0.1 0.5 0.2 0.5 0.6 0.1 0.5"),
}

_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "commas": lambda text: text.replace(b" ", b","),
    "semicolons": lambda text: text.replace(b" ", b";"),
    "tabs": lambda text: text.replace(b" ", b"\t"),
    "several spaces": lambda text: b"  " + text.replace(b" ", b"   "),
    "UTF-16": lambda text: text.decode("utf-8-sig").encode("utf-16"),
    "Latin-1": lambda text: text + b"# K\xfcche\n",
    "comment": lambda text: b"# class x y w h\n" + text,
    "NUL": lambda text: text + b"\0",
    "zeros": lambda text: b"\0" * len(text),
    "emptied": lambda _: b"",
    "blank lines": lambda _: b"\n \n\t\n",
    "cut off": lambda text: text[: len(text) * 2 // 3],
    "JSON": lambda _: b'{"shapes": []}',
    "XML": lambda _: b"<annotation><object/></annotation>\n",
    "twice the byte-order mark": lambda text: b"\xef\xbb\xbf\xef\xbb\xbf" + text.removeprefix(b"\xef\xbb\xbf"),
    "old Mac ends of line": lambda text: text.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "form feeds": lambda text: text.replace(b"\n", b"\x0c\n"),
    "control Z at the end": lambda text: text + b"\x1a",
}


def _by_rows(change: Callable[[Made, Rows], Rows], made: Made) -> None:
    label = made.label()
    rows = [line.split() for line in made.files[label].decode("utf-8-sig", errors="replace").splitlines()]
    rows = [row for row in rows if len(row) >= 5]
    if not rows:
        rows = [["0", *(_BOX if made.task == "detect" else _SQUARE)]]
    made.files[label] = "".join(" ".join(row) + "\n" for row in change(made, rows)).encode()


def _by_bytes(change: Callable[[bytes], bytes], made: Made) -> None:
    label = made.label()
    made.files[label] = change(made.files[label])


MUTATIONS: dict[str, Mutation] = {
    **{f"label: {name}": partial(_by_rows, change) for name, change in _ROWS.items()},
    **{f"label: {name}": partial(_by_bytes, change) for name, change in _BYTES.items()},
}
