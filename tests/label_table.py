"""Label files written by hand, one a rule or a corner of it, each with what ultralytics makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

TRIANGLE = "0 .1 .1 .5 .1 .3 .4"
OTHER = "1 .6 .6 .9 .6 .8 .9"
BOX = "0 .5 .5 .2 .2"


@dataclass(frozen=True)
class Case:
    """A label file for so many classes; corrupt (a code and a line), or of a task, with instances of each class."""

    name: str
    data: bytes
    classes: int = 3
    fault: tuple[str, int] | None = None
    task: str = ""
    instances: dict[int, int] = field(default_factory=dict)


def corrupt(name: str, text: str | bytes, code: str, line: int, *, classes: int = 3) -> Case:
    data = text.encode() if isinstance(text, str) else text
    return Case(name, data, classes, fault=(f"label.{code}", line))


def polygons(name: str, text: str | bytes, instances: dict[int, int], *, classes: int = 3) -> Case:
    data = text.encode() if isinstance(text, str) else text
    return Case(name, data, classes, task="segment", instances=instances)


def boxes(name: str, text: str | bytes, instances: dict[int, int], *, classes: int = 3) -> Case:
    data = text.encode() if isinstance(text, str) else text
    return Case(name, data, classes, task="detect", instances=instances)


def background(name: str, data: bytes) -> Case:
    return Case(name, data)


TABLE = [
    # What a file is, and in what it is written.
    background("empty", b""),
    background("whitespace only", b" \t\r\n\n\x0b\xc2\xa0\xe2\x80\xa8"),
    background("a byte-order mark only", b"\xef\xbb\xbf"),
    background("a byte-order mark and a blank line", b"\xef\xbb\xbf\n"),
    background("a byte-order mark cut after its first byte", b"\xef"),
    background("a byte-order mark cut after its second byte", b"\xef\xbb"),
    polygons("a byte-order mark before the text", b"\xef\xbb\xbf" + TRIANGLE.encode(), {0: 1}),
    corrupt("two byte-order marks", b"\xef\xbb\xbf" * 2 + TRIANGLE.encode(), "not_a_number", 1),
    corrupt("a byte-order mark on the second line", f"{TRIANGLE}\n\ufeff{TRIANGLE}", "not_a_number", 2),
    corrupt("half a byte-order mark before the text", b"\xef\xbb0 .5 .5 .1 .1", "not_text", 1),
    corrupt("UTF-16 with its mark", TRIANGLE.encode("utf-16"), "not_text", 1),
    corrupt("UTF-16 without its mark", TRIANGLE.encode("utf-16-le"), "not_a_number", 1),
    corrupt("Latin-1 on the second line", f"{TRIANGLE}\nRäume".encode("latin-1"), "not_text", 2),
    corrupt("a surrogate in UTF-8", b"0 .5 .5 .1 \xed\xa0\x80", "not_text", 1),
    corrupt("NUL behind a number", BOX + "\0", "not_a_number", 1),
    corrupt("NUL alone", "\0", "not_a_number", 1),
    # Lines and columns.
    polygons("one polygon", TRIANGLE, {0: 1}),
    polygons("polygons of two classes", f"{TRIANGLE}\n{OTHER}\n", {0: 1, 1: 1}),
    boxes("one box", BOX, {0: 1}),
    boxes("boxes of two classes", f"{BOX}\r\n2 .5 .5 .1 .1\r\n", {0: 1, 2: 1}),
    polygons("blank lines before, between and behind", f"\n \n{TRIANGLE}\n\n\t\n{OTHER}\n\n", {0: 1, 1: 1}),
    polygons("lines parted by carriage returns", f"{TRIANGLE}\r{OTHER}", {0: 1, 1: 1}),
    *[
        polygons(f"lines parted by {separator!a}", f"{TRIANGLE}{separator}{OTHER}", {0: 1, 1: 1})
        for separator in ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
    ],
    *[
        boxes(f"columns parted by {separator!a}", BOX.replace(" ", separator), {0: 1})
        for separator in ("\t", "   ", "\x1f", "\xa0", "\u3000")
    ],
    corrupt("columns parted by a space of no width", BOX.replace(" ", "\u200b"), "not_a_number", 1),
    corrupt("columns parted by commas", BOX.replace(" ", ","), "not_a_number", 1),
    corrupt("commas and spaces", BOX.replace(" ", ", "), "not_a_number", 1),
    corrupt("decimal commas", "0 0,5 0,5 0,2 0,2", "not_a_number", 1),
    corrupt("a box with a confidence", f"{BOX} .9", "wrong_columns", 1),
    corrupt("a box that lacks a column", f"{BOX}\n0 .5 .5 .2", "wrong_columns", 2),
    corrupt("a class alone", f"\n{BOX}\n0", "wrong_columns", 3),
    corrupt("a point without a polygon", "0 .5 .5", "wrong_columns", 1),
    corrupt("a box among polygons", f"{TRIANGLE}\n{BOX}\n", "mixed", 2),
    corrupt("a polygon among boxes", f"{BOX}\n{TRIANGLE}\n", "mixed", 1),
    corrupt("a polygon of two corners", f"{TRIANGLE}\n0 .1 .1 .2 .2", "mixed", 2),
    corrupt("a polygon that lacks a coordinate", f"{OTHER}\n{TRIANGLE} .5", "odd_coordinates", 2),
    corrupt("six columns among polygons", f"{TRIANGLE}\n{BOX} .9", "odd_coordinates", 2),
    corrupt("four columns among polygons", f"{TRIANGLE}\n0 .1 .1 .1", "odd_coordinates", 2),
    corrupt("a class alone among polygons", f"{TRIANGLE}\n0", "odd_coordinates", 2),
    polygons("a point among polygons", f"{TRIANGLE}\n2 .5 .5", {0: 1, 2: 1}),
    # What is a number.
    boxes("underscores in numbers", "0 0.5_0 .5 .2 .2", {0: 1}),
    boxes("digits of other scripts", "\u0661 \u0660.\u0665 .5 .2 \uff10.\uff12", {1: 1}),
    boxes("plus signs and exponents", "+1 +.5 5e-1 2E-1 .2e+0", {1: 1}),
    boxes("numbers with hundreds of digits", f"0 .{'3' * 400} .5 .2 {'0' * 5000}.2", {0: 1}),
    corrupt("two underscores in a number", "0 0.5__0 .5 .2 .2", "not_a_number", 1),
    corrupt("hexadecimal", f"{BOX}\n0x0 .5 .5 .2 .2", "not_a_number", 2),
    corrupt("a fraction sign", "0 \xbd .5 .2 .2", "not_a_number", 1),
    corrupt("a class by name", "room .5 .5 .2 .2", "not_a_number", 1),
    corrupt("nan", f"{TRIANGLE}\n0 .1 .1 .5 nan .3 .4", "not_a_number", 2),
    corrupt("NaN in a box", "0 .5 .5 NaN .2", "not_a_number", 1),
    corrupt("inf", "0 .5 .5 .2 inf", "not_a_number", 1),
    corrupt("-Infinity", "0 .1 .1 -Infinity .1 .3 .4", "not_a_number", 1),
    corrupt("too large for a float64", "0 .1 .1 1e400 .1 .3 .4", "out_of_bounds", 1),
    corrupt("too large for a float32", "0 .5 .5 1e39 .2", "out_of_bounds", 1),
    # Classes.
    boxes("a class with a decimal point", "1.0 .5 .5 .2 .2", {1: 1}),
    boxes("a class with an exponent", "1e0 .5 .5 .2 .2", {1: 1}),
    boxes("class -0", "-0 .5 .5 .2 .2", {0: 1}),
    boxes("a class with leading zeros", "002 .5 .5 .2 .2", {2: 1}),
    boxes("a class that is whole in float32 only", "0.99999999 .5 .5 .2 .2", {1: 1}),
    boxes("a class that is zero in float32 only", "-1e-50 .5 .5 .2 .2", {0: 1}),
    boxes("the last class", "2 .5 .5 .2 .2", {2: 1}),
    corrupt("the class after the last", f"{BOX}\n3 .5 .5 .2 .2", "class_out_of_range", 2),
    corrupt("a class of polygons after the last", f"{TRIANGLE}\n{OTHER}", "class_out_of_range", 2, classes=1),
    corrupt("no class is named", BOX, "class_out_of_range", 1, classes=0),
    corrupt("class -1", "-1 .5 .5 .2 .2", "class_not_an_index", 1),
    corrupt("a class between two", f"{TRIANGLE}\n.5 .1 .1 .5 .1 .3 .4", "class_not_an_index", 2),
    corrupt("a class just below zero", "-0.001 .5 .5 .2 .2", "class_not_an_index", 1),
    corrupt("class nan", "nan .5 .5 .2 .2", "class_not_an_index", 1),
    corrupt("class inf", "inf .5 .5 .2 .2", "class_not_an_index", 1),
    boxes("the largest class that float32 tells apart", "16777215 .5 .5 .2 .2", {16777215: 1}, classes=2**24),
    boxes("a class that float32 rounds down", "16777217 .5 .5 .2 .2", {2**24: 1}, classes=2**24 + 2),
    corrupt(
        "classes whose number float32 rounds down", "16777216 .5 .5 .2 .2", "class_out_of_range", 1, classes=16777217
    ),
    # Bounds.
    boxes("up to a hundredth beyond", "0 1.01 1.01 1.01 1.01", {0: 1}),
    boxes("what rounds to a hundredth beyond in float32", "0 1.0100000499 .5 .2 .2", {0: 1}),
    corrupt("what rounds to more than a hundredth beyond", "0 1.0100001 .5 .2 .2", "out_of_bounds", 1),
    boxes("down to a hundredth below", "0 -.01 -.01 .2 .2", {0: 1}),
    boxes("what rounds to a hundredth below in float32", "0 -.0100000001 .5 .2 .2", {0: 1}),
    corrupt("what rounds to more than a hundredth below", "0 -.010000002 .5 .2 .2", "out_of_bounds", 1),
    corrupt("a width below zero", f"{BOX}\n0 .5 .5 -.001 .2", "out_of_bounds", 2),
    boxes("a width and a height of -0", "0 .5 .5 -0 -0.0", {0: 1}),
    corrupt("pixels", "0 320 240 64 64", "out_of_bounds", 1),
    polygons("corners beyond, the middle within", "0 -.3 .1 .5 .1 .3 1.05", {0: 1}),
    polygons("a polygon as wide as may be", "0 0 .1 1.01 .1 .3 .4", {0: 1}),
    corrupt("a polygon that is too wide", "0 -.006 .1 1.005 .1 .3 .4", "out_of_bounds", 1),
    corrupt("a polygon that is too high", f"{TRIANGLE}\n0 .1 -.6 .5 .1 .3 .6", "out_of_bounds", 2),
    polygons("the middle a hundredth beyond", "0 .9 .1 1.12 .1 .95 .4", {0: 1}),
    corrupt("the middle more than a hundredth beyond", "0 .9 .1 1.121 .1 .95 .4", "out_of_bounds", 1),
    polygons("the middle a hundredth below", "0 .1 .1 -.12 .1 .05 .4", {0: 1}),
    corrupt("the middle more than a hundredth below", "0 .1 .1 -.121 .1 .05 .4", "out_of_bounds", 1),
    # Duplicates.
    polygons("a polygon twice", f"{TRIANGLE}\n{OTHER}\n{TRIANGLE}", {0: 1, 1: 1}),
    polygons("a polygon of two classes", f"{TRIANGLE}\n1{TRIANGLE[1:]}", {0: 1, 1: 1}),
    polygons("a polygon twice, written otherwise", f"{TRIANGLE}\n0 .1 0.1 5e-1 .1 .30 .4", {0: 1}),
    polygons("a polygon twice in float32 only", f"{TRIANGLE}\n0 .1 .1000000001 .5 .1 .3 .4", {0: 1}),
    polygons("a polygon that begins at another corner", f"{TRIANGLE}\n0 .5 .1 .3 .4 .1 .1", {0: 2}),
    polygons("polygons that begin alike", f"{TRIANGLE}\n0 .1 .1 .5 .1 .3 .4 .2 .4", {0: 2}),
    polygons("polygons that differ by a sign of zero", "0 0 .1 .5 .1 .3 .4\n0 -0 .1 .5 .1 .3 .4", {0: 2}),
    polygons("polygons whose classes differ by a sign of zero", f"{TRIANGLE}\n-{TRIANGLE}", {0: 2}),
    boxes("a box thrice", f"{BOX}\n{BOX}\n1 .5 .5 .2 .2\n{BOX}", {0: 1, 1: 1}),
    boxes("a box twice in float32 only", f"{BOX}\n0 .5 .5000000001 .2 .2", {0: 1}),
    boxes("boxes that differ by a sign of zero", "0 0 .5 .2 .2\n-0 -0 .5 .2 .2", {0: 1}),
]
