"""What `expect` in training.yaml makes of an upload that is not whole, and of one that is."""

from __future__ import annotations

import pytest

from tests.memory_source import MemorySource
from tests.stack import YAML
from traindrop.validation import validate

POLYGON = b"0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n"
WHOLE = [
    f"{kind}/{split}/{number}.{ending}"
    for kind, ending in (("images", "png"), ("labels", "txt"))
    for split in ("train", "val")
    for number in range(2)
]


def lying(names: list[str], expect: str, archive_bytes: int = 0) -> MemorySource:
    """Files that lie somewhere."""
    files = {name: POLYGON if name.endswith(".txt") else b"x" for name in names}
    files |= {"data.yaml": YAML.encode(), "training.yaml": f"expect: {expect}".encode()}
    return MemorySource(files, archive_bytes)


@pytest.mark.parametrize("missing", WHOLE)
@pytest.mark.parametrize("expect", ["{train: 2, val: 2}", "{train: 2, val: 2, backgrounds: 0}"])
def test_whatever_is_missing_is_waited_for(missing: str, expect: str) -> None:
    names = [name for name in WHOLE if name != missing]
    assert validate("rooms", lying(WHOLE, expect), None).verdict.ok
    assert validate("rooms", lying(names, expect), None).verdict.may_be_uploading


def test_images_without_a_label_that_are_expected_are_no_fault() -> None:
    names = [name for name in WHOLE if name != "labels/val/1.txt"]
    assert validate("rooms", lying(names, "{train: 2, val: 2, backgrounds: 1}"), None).verdict.ok


@pytest.mark.parametrize("expect", ["{train: 1, val: 2}", "{train: 2, val: 2, backgrounds: 1}"])
def test_more_than_is_expected_is_a_fault_that_no_waiting_mends(expect: str) -> None:
    verdict = validate("rooms", lying(WHOLE, expect), None).verdict
    assert [problem.code for problem in verdict.errors] == ["expect.count_differs"]
    assert not verdict.may_be_uploading


def test_the_cure_is_said() -> None:
    names = [name for name in WHOLE if name != "labels/val/1.txt"]
    (problem,) = validate("rooms", lying(names, "{train: 2, val: 2}"), None).verdict.errors
    assert "images without a label: 1, with `expect` in training.yaml asking for 0" in problem.message
    assert "`backgrounds: 1` in `expect`" in problem.message


def test_a_zip_arrives_whole_so_its_images_without_a_label_count_only_where_a_number_is_given() -> None:
    names = [name for name in WHOLE if name != "labels/val/1.txt"]
    assert validate("rooms", lying(names, "{train: 2, val: 2}", 99), None).verdict.ok
    assert validate("rooms", lying(names, "{train: 2, val: 2, backgrounds: 1}", 99), None).verdict.ok
    assert not validate("rooms", lying(names, "{train: 2, val: 2, backgrounds: 0}", 99), None).verdict.ok


def test_the_test_split_needs_no_labels() -> None:
    source = lying([*WHOLE, "images/test/0.png"], "{train: 2, val: 2}")
    source.bodies["data.yaml"] += b"test: images/test\n"
    assert validate("rooms", source, None).verdict.ok
