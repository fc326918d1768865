"""Label files near the grammar of ultralytics and far from it, in bunches: one, and what one change makes of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

Rows = list[list[str]]
Text = tuple[bytes, int]
"""A label file, and how many classes there are."""

LIMITS = """1.01 1.0099999 1.01000001 1.0100000499 1.0100000501 1.0100001 2.02 2.0200001 -.01 -.0099999999 -.0100000001
-.0100000002 -.010000001 -.0100001 -1e-50 1e-50 -0 -0.0 0 1"""
"""The limits of coordinates, and what float32 rounds to them or just beyond them."""
ODD = """1e0 +.5 5e-1 .5. 5. . - + -- 1e 1d0 1_0 0.5_0 1__0 _1 1_ 0x1 \u0660.\u0665 \uff10.\uff15 \xbd \xb2 0,5 .5, , ;
1e39 -1e39 3.5e38 1e400 -1e400 nan NaN -nan inf -Infinity infinity n None room 0.5f \0 .5\0 \ufeff0 .5\u200b -1 -.5
99999999999999999999"""
CLASSES = """0 1 2 3 79 80 -0 00 1.0 1e0 .5 .99999999 .9999999 1.00000001 -1 -1e-50 1e-50 16777215 16777216 16777217
16777218 nan inf"""
CLASS_COUNTS = [3, 3, 3, 1, 80, 0, 2**24, 2**24 + 1, 2**24 + 2]
SPELLINGS: list[Callable[[str], str]] = [
    str,
    "{}0".format,
    "{}000000001".format,
    "{}00004".format,
    "-{}".format,
    "+{}".format,
]

VALUES = st.integers(-50, 1050).map(lambda value: f"{value / 1000:g}") | st.integers(0, 999_999).map("0.{:06d}".format)
TOKENS = st.sampled_from(LIMITS.split()) | st.sampled_from(ODD.split()) | VALUES
SEPARATORS = [*"\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029 \t\xa0\u3000\u200b,;\0", "\r\n", "\n\n", ", "]
BYTES = [b"\xef", b"\xef\xbb", b"\xef\xbb\xbf", b"\xbf", b"\xff", b"\x80", b"\xc2", b"\xe2\x80", b"\xed\xa0\x80", b"\0"]


def text_of(rows: Rows) -> str:
    return "\n".join(map(" ".join, rows))


# Each change takes the rows, a row's number, a column's number, and what to put there.


def replace(rows: Rows, row: int, column: int, put: list[str]) -> bytes:
    """A column is another one, none, or two."""
    rows[row][column : column + 1] = put
    return text_of(rows).encode()


def replace_all(rows: Rows, row: int, column: int, put: str) -> bytes:
    """Every second column is the same: all x or all y of a polygon, centre or size of a box."""
    places = slice(1 + column % 2, None, 2)
    rows[row][places] = [put] * len(rows[row][places])
    return text_of(rows).encode()


def stretch(rows: Rows, row: int, column: int, put: tuple[float, float]) -> bytes:
    """All x or all y of a polygon are one of two."""
    count = len(rows[row][1 + column % 2 :: 2])
    rows[row][1 + column % 2 :: 2] = [f"{put[place % 2]:.6f}" for place in range(count)]
    return text_of(rows).encode()


def repeat(rows: Rows, row: int, column: int, spelling: Callable[[str], str]) -> bytes:
    """A row comes again, one of its columns written otherwise."""
    again = list(rows[row])
    again[column] = spelling(again[column])
    return text_of([*rows, again]).encode()


def add(rows: Rows, row: int, _: int, put: list[str]) -> bytes:
    """A row more."""
    return text_of([*rows[:row], put, *rows[row:]]).encode()


def separate(rows: Rows, row: int, column: int, put: str) -> bytes:
    """Lines or columns are parted by something else."""
    text = text_of(rows)
    return (text.replace("\n", put) if column % 2 else text.replace(" ", put, 1 + row)).encode()


def insert(rows: Rows, row: int, column: int, put: bytes) -> bytes:
    """Bytes more: at the start, or before a column."""
    text = text_of(rows).encode()
    place = text_of([*rows[:row], rows[row][:column]]) if column else ""
    return text[: len(place.encode())] + put + text[len(place.encode()) :]


def encode(rows: Rows, _: int, __: int, encoding: str) -> bytes:
    """The text in another encoding."""
    return text_of(rows).encode(encoding)


ADDED = [[], *(["0", ".1", ".2", ".6", ".3", ".7", ".8", ".4"][:columns] for columns in (1, 2, 3, 3, 3, 4, 5, 6, 7, 8))]
SPANS = st.builds(
    lambda kind, share: {
        "width": (-share, 1.01 - share),
        "centre above": (0.6 + share, 1.42 - share),
        "centre below": (-0.42 - share, 0.4 + share),
    }[kind],
    st.sampled_from(["width", "centre above", "centre below"]),
    st.integers(0, 9_999).map(lambda millionths: millionths / 1_000_000),
)
"""Two coordinates of which the polygon's box is just at a limit, as far as float32 can tell."""
PUTS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (replace, st.lists(TOKENS, min_size=1, max_size=1)),
    (replace, st.lists(TOKENS, max_size=2)),
    (replace, st.sampled_from(LIMITS.split()).map(lambda put: [put])),
    (replace_all, st.sampled_from(LIMITS.split())),
    (stretch, SPANS),
    (repeat, st.sampled_from(SPELLINGS)),
    (add, st.sampled_from(ADDED)),
    (separate, st.sampled_from(SEPARATORS)),
    (insert, st.sampled_from(BYTES)),
    (encode, st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp037"])),
]
CHANGES = st.one_of(
    [st.tuples(st.just(change), st.integers(0, 3), st.integers(0, 12), put) for change, put in PUTS]
    + [
        st.tuples(
            st.just(replace), st.integers(0, 3), st.just(0), st.sampled_from(CLASSES.split()).map(lambda put: [put])
        )
    ]
)


def rows_of(rng: random.Random, columns: int) -> Rows:
    """Some rows of a class and so many columns, most of them within the image."""
    reach = rng.choice([0.45, 0.45, 0.5, 0.52])
    digits = rng.randint(1, 9)

    def value() -> str:
        return "0" if rng.random() < 0.05 else f"{0.5 + rng.uniform(-reach, reach):.{digits}f}"

    return [[rng.choice("0012"), *(value() for _ in range(columns))] for _ in range(rng.randint(1, 4))]


SOUP = st.lists(st.sampled_from(["\n", "\n", "0 ", "1 "]) | TOKENS, max_size=20).map(" ".join)
PLANS = st.tuples(
    st.sampled_from(CLASS_COUNTS),
    st.sampled_from([4, 6, 8, 10]),
    st.lists(CHANGES, min_size=8, max_size=8),
    st.lists(SOUP.map(str.encode) | st.binary(max_size=12) | st.sampled_from(BYTES), min_size=2, max_size=2),
)
"""How many classes and columns, changes, and texts that are no label's."""


def bunch(plan: tuple[int, int, list[tuple[Any, int, int, Any]], list[bytes]], seed: int) -> Iterator[Text]:
    """A label, what each of the changes makes of it, and the other texts."""
    class_count, columns, changes, others = plan
    rows = rows_of(random.Random(seed), columns)
    yield text_of(rows).encode(), class_count
    for change, at_row, at_column, put in changes:
        row = at_row % len(rows)
        yield change([list(each) for each in rows], row, at_column % len(rows[row]), put), class_count
    for text in others:
        yield text, class_count
