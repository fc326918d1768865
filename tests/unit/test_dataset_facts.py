from __future__ import annotations

import json

from tests.memory_source import MemorySource
from tests.pictures import png
from traindrop import dataset_facts
from traindrop.validation import validate


def source(classes: int = 3) -> MemorySource:
    names = [f"{'n' * 70}{number}" for number in range(classes)]
    files = {"data.yaml": f"train: images/train\nval: images/val\nnames: {json.dumps(names)}\n".encode()}
    box = "0.5 0.5 0.2 0.2"
    for split, rows in (
        ("train", f"0 {box}\n2 {box.replace('0.2', '0.3')}\n0 {box.replace('0.2', '0.4')}\n"),
        ("val", f"0 {box}\n"),
    ):
        files[f"images/{split}/a.png"] = png()
        files[f"labels/{split}/a.txt"] = rows.encode()
    return MemorySource(files)


def test_the_record_keeps_counts_by_split_and_by_class() -> None:
    found = validate("rooms", source(), None)
    kept = dataset_facts.of(found)
    assert [row[1:] for row in kept["classes"]] == [[2, 1], [0, 0], [1, 0]]
    assert kept["class_count"] == 3
    assert kept["splits"]["train"].items() >= {"images": 1, "labels": 1, "backgrounds": 0, "instances": 3}.items()


def test_the_record_stays_small_however_many_classes_there_are() -> None:
    kept = dataset_facts.of(validate("rooms", source(1000), None))
    assert kept["class_count"] == 1000
    assert len(json.dumps(kept)) < 64_000
    told = dataset_facts.told({"contents": kept})
    assert told
    assert told.more_classes == 800


def test_a_dataset_that_could_not_be_looked_into_has_no_objects() -> None:
    kept = dataset_facts.of(validate("rooms", MemorySource({}), None))
    assert kept == {"splits": {}, "classes": [], "class_count": 0}
