"""Label files, judged one by one."""

from __future__ import annotations

import pytest

from tests.label_table import BOX, TABLE, TRIANGLE, Case
from traindrop.labels import CORNERS_SEARCHED, Label, judge

SQUARE = "0 .1 .1 .5 .1 .5 .5 .1 .5"
BOW_TIE = "0 .1 .1 .5 .5 .5 .1 .1 .5"
ROUND_TWICE = "0 .2 .2 .8 .2 .8 .8 .2 .8 .3 .3 .7 .3 .7 .7 .3 .7"


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_a_label_is_taken_for_what_it_is_or_its_first_bad_line_is_named(case: Case) -> None:
    found = judge(case.data, case.classes)
    assert (found.fault and (found.fault.code, found.fault.line)) == case.fault
    assert (found.task, dict(found.instances)) == (case.task, case.instances)
    if found.fault:
        assert found == Label(fault=found.fault)
        assert found.fault.words.isprintable()
        assert len(found.fault.words) < 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 .5 .5 .2 1.7", "coordinate 1.7 is outside the image"),
        ("0 .1 .1 .5 .1 .3 640", "coordinate 640 is outside the image"),
        ("0 .5 .5 .2 -.4", "coordinate -0.4 is outside the image"),
        ("3 .5 .5 .2 .2", "class 3; data.yaml names 3, counted from 0"),
        ("1.5 .5 .5 .2 .2", "class 1.5 is not 0, 1, 2, …"),
        ("0 .5 .5 .2 .2 .9", "6 columns; a box has 5"),
        ("0 .1 .1 .5 .1 .3 .4 .9", "7 coordinates; a polygon has pairs"),
        ("0 .5 ,5 .2 .2", "',5' is not a number"),
        ("0 .5 nan .2 .2", "'nan' is not a number"),
        (f"0 {'x' * 500} .5 .2 .2", "'xxxxxx"),
    ],
)
def test_a_fault_names_what_is_wrong(text: str, words: str) -> None:
    fault = judge(text.encode(), 3).fault
    assert fault
    assert words in fault.words
    assert len(fault.words) < 200


@pytest.mark.parametrize(
    ("second", "third", "code"),
    [
        ("0 .1 .1 .5 .1 .3 1.4", "7 .1 .1 .5 .1 .3 .4", "label.out_of_bounds"),
        ("0 .1 .1 .5 .1 .3 1.4", "0 .1 .1 .5 .1 .3 room", "label.out_of_bounds"),
        ("7 .1 .1 .5 .1 .3 1.4", "x .1 .1 .5 .1 .3 .4", "label.class_out_of_range"),
        ("0 .1 .1 .5 .1 room 1.4", "7 .1 .1 .5 .1 .3 .4", "label.not_a_number"),
    ],
)
def test_the_first_line_with_a_fault_is_named_whatever_the_next_is(second: str, third: str, code: str) -> None:
    fault = judge(f"{TRIANGLE}\n{second}\n{third}".encode(), 3).fault
    assert fault
    assert (fault.code, fault.line) == (code, 2)


def test_a_file_that_is_no_text_says_by_which_byte() -> None:
    fault = judge(b"\xef\xbb\xbf" + TRIANGLE.encode() + b"\n\xff\n", 3).fault
    assert fault
    assert (fault.line, fault.words) == (2, "byte 0xff is not UTF-8")


@pytest.mark.parametrize(
    ("text", "oddities"),
    [
        (f"{TRIANGLE}\n{SQUARE}\n{BOW_TIE[:-2]}.9", {"crossing": [3]}),
        (BOX, {}),
        # Beyond the image: by more than exporters round.
        (f"{TRIANGLE}\n0 -.0011 .1 .5 .1 .3 .4", {"outside": [2]}),
        ("0 .1 .1 .5 .1 .3 1.0011", {"outside": [1]}),
        ("0 -.00099 -.00099 1.00099 .1 1.00099 1.00099", {}),
        ("0 .1 -.0011 .5 .1 .3 .4\n0 .1 .1 1.0011 .1 .3 .4", {"outside": [1, 2]}),
        (f"0 .9 .5 .21 .2\n{BOX}\n0 .5 .1 .2 .21", {"outside": [1, 3]}),
        ("0 .1 .5 .2 .2\n0 .5 .9 .2 .2019", {}),
        # No area.
        (f"{TRIANGLE}\n0 .1 .1 .2 .2 .3 .3", {"flat": [2]}),
        ("0 .1 .1 .5 .1 .3 .1", {"flat": [1]}),
        ("0 .1 .1 .5 .2 .3 .4 .5 .2", {"flat": [1]}),
        (f"{TRIANGLE}\n0 .5 .5", {"point": [2]}),
        (f"{BOX}\n0 .5 .5 0 .2\n0 .5 .5 .2 0", {"flat": [2, 3]}),
        ("0 .5 .5 .00001 .00001", {"flat": [1]}),
        # Edges that cross, whatever area is left between them.
        (BOW_TIE, {"crossing": [1]}),
        (f"{ROUND_TWICE}\n{SQUARE}", {"crossing": [1]}),
        ("0 .1 .1 .5 .1 .5 .5 .3 -.1 .1 .5", {"crossing": [1], "outside": [1]}),
        # Duplicates, the first not counted.
        (f"{BOX}\n\n{BOX}\n{BOX}", {"duplicate": [3, 4]}),
        (f"{TRIANGLE}\n{SQUARE}\n{TRIANGLE}", {"duplicate": [3]}),
        # Classes that are no plain number.
        (f"\n{BOX}\n1.0 .5 .5 .3 .2\n+1 .4 .5 .2 .2\n02 .3 .5 .2 .2", {"class_form": [3, 4]}),
    ],
)
def test_what_is_accepted_but_surely_wrong_is_told_by_line(text: str, oddities: dict[str, list[int]]) -> None:
    found = judge(text.encode(), 3)
    assert found.fault is None
    assert found.oddities == oddities


@pytest.mark.parametrize("text", [BOX, "0 .4 .4 .6 .4 .6 .6 .4 .6 .4 .5"])
def test_an_object_is_tiny_below_a_size_that_is_given(text: str) -> None:
    assert judge(text.encode(), 1).oddities == {}
    assert judge(text.encode(), 1, tiny_below=0.1999).oddities == {}
    assert judge(text.encode(), 1, tiny_below=0.2001).oddities == {"tiny": [1]}


def test_what_has_no_area_is_not_tiny_too() -> None:
    rows = f"{TRIANGLE}\n0 .5 .5\n0 .1 .1 .2 .1 .3 .1".encode()
    assert judge(rows, 1, tiny_below=0.1).oddities == {"point": [2], "flat": [3]}
    assert judge(b"0 .5 .5 0 .2", 1, tiny_below=0.1).oddities == {"flat": [1]}


def test_crossings_are_searched_where_it_is_asked() -> None:
    assert judge(BOW_TIE.encode(), 1, search_crossings=False).oddities == {}


@pytest.mark.parametrize(("corners", "searched"), [(CORNERS_SEARCHED, True), (CORNERS_SEARCHED + 1, False)])
def test_a_polygon_of_very_many_corners_is_not_searched(corners: int, searched: bool) -> None:
    tail = "".join(f" {0.5 - 0.001 * step:.3f} .6" for step in range(corners - 4))
    found = judge(f"0 .1 .1 .6 .5 .6 .1 .5 .4{tail}".encode(), 1)
    assert found.oddities == ({"crossing": [1]} if searched else {})
