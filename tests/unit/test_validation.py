"""One verdict about a dataset: what `expect` asks, what labels and images hold, and what it is like as a whole."""

from __future__ import annotations

import json

import pytest

from tests import pictures
from tests.memory_source import MemorySource
from tests.stack import POLYGON, YAML, dataset_files, png
from traindrop.fingerprint import fingerprint
from traindrop.images import HEAD_BYTES
from traindrop.problems import Problem
from traindrop.validation import Validation, validate

BOX = b"0 0.5 0.5 0.2 0.2\n"
WHOLE = [
    f"{kind}/{split}/{number}.{ending}"
    for kind, ending in (("images", "png"), ("labels", "txt"))
    for split in ("train", "val")
    for number in range(2)
]


def files(names: list[str] = WHOLE, settings: str = "") -> dict[str, bytes]:
    contents = {name: POLYGON.encode() if name.endswith(".txt") else png(name) for name in names}
    return contents | {"data.yaml": YAML.encode(), "training.yaml": settings.encode()}


def judged(contents: dict[str, bytes], **source: object) -> Validation:
    return validate("rooms", MemorySource(contents, **source), None)  # type: ignore[arg-type]


def codes(problems: list[Problem]) -> list[str]:
    return [problem.code for problem in problems]


# --- expect -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", WHOLE)
@pytest.mark.parametrize("expect", ["{train: 2, val: 2}", "{train: 2, val: 2, backgrounds: 0}"])
def test_whatever_is_missing_is_waited_for(missing: str, expect: str) -> None:
    whole = files(settings=f"expect: {expect}")
    assert judged(whole).verdict.ok
    del whole[missing]
    found = validate("rooms", MemorySource(whole), None, look_into_incomplete=False).verdict
    assert found.may_be_uploading


def test_images_without_a_label_that_are_expected_are_no_fault() -> None:
    names = [name for name in WHOLE if name != "labels/val/1.txt"]
    assert judged(files(names, "expect: {train: 2, val: 2, backgrounds: 1}")).verdict.ok


@pytest.mark.parametrize("expect", ["{train: 1, val: 2}", "{train: 2, val: 2, backgrounds: 1}"])
def test_more_than_is_expected_is_a_fault_that_no_waiting_mends(expect: str) -> None:
    verdict = judged(files(settings=f"expect: {expect}")).verdict
    assert codes(verdict.errors) == ["expect.count_differs"]
    assert not verdict.may_be_uploading


def test_the_cure_is_said() -> None:
    names = [name for name in WHOLE if name != "labels/val/1.txt"]
    (problem,) = judged(files(names, "expect: {train: 2, val: 2}")).verdict.errors
    assert "images without a label: 1, with `expect` in training.yaml asking for 0" in problem.message
    assert "`backgrounds: 1` in `expect`" in problem.message


def test_a_zip_arrives_whole_so_its_images_without_a_label_count_only_where_a_number_is_given() -> None:
    names = [name for name in WHOLE if name != "labels/val/1.txt"]
    assert judged(files(names, "expect: {train: 2, val: 2}"), archive_bytes=99).verdict.ok
    assert judged(files(names, "expect: {train: 2, val: 2, backgrounds: 1}"), archive_bytes=99).verdict.ok
    assert not judged(files(names, "expect: {train: 2, val: 2, backgrounds: 0}"), archive_bytes=99).verdict.ok


def test_the_test_split_needs_no_labels() -> None:
    contents = files([*WHOLE, "images/test/0.png"], "expect: {train: 2, val: 2}")
    contents["data.yaml"] += b"test: images/test\n"
    assert judged(contents).verdict.ok


# --- labels and images ------------------------------------------------------------------------------------------------


def test_every_label_is_judged_and_counted() -> None:
    contents = files()
    contents["labels/train/1.txt"] = POLYGON.encode() + b"0 .1 .1 .2 .1 .2 .2\n"
    verdict = judged(contents).verdict
    assert verdict.ok
    assert verdict.task == "segment"
    assert verdict.splits["train"] == {
        "images": 2,
        "labels": 2,
        "backgrounds": 0,
        "instances": 3,
        "labels_read": 2,
        "images_opened": 2,
    }


def test_the_objects_of_a_label_count_for_each_image_that_it_is_the_label_of() -> None:
    contents = files()
    before = judged(contents).verdict.splits["val"]["instances"]
    image = next(name for name in contents if name.startswith("images/val/"))
    twin = image.rpartition(".")[0] + ".bmp"
    assert judged(contents | {twin: contents[image]}).verdict.splits["val"]["instances"] == before + 1


def test_a_fault_names_file_line_and_cure_and_how_often_it_was_found() -> None:
    contents = files()
    for name in ("labels/train/0.txt", "labels/train/1.txt"):
        contents[name] = POLYGON.encode() + b"7 .1 .1 .2 .1 .2 .2\n"
    (problem,) = judged(contents).verdict.errors
    assert problem.code == "label.class_out_of_range"
    assert problem.message.startswith(
        "label files with a class that data.yaml does not name: 2, such as labels/train/0.txt:2 (class 7; "
    )
    assert "add it to `names`" in problem.message
    assert problem.count == 2
    assert list(problem.examples) == ["labels/train/0.txt:2", "labels/train/1.txt:2"]


def test_a_box_only_file_in_a_segmentation_set_is_an_error() -> None:
    contents = files()
    contents["labels/val/1.txt"] = BOX
    (problem,) = judged(contents).verdict.errors
    assert problem.code == "label.box_only"
    assert list(problem.examples) == ["labels/val/1.txt"]


def test_boxes_train_a_detection_model_and_no_other() -> None:
    contents = files() | {name: BOX for name in WHOLE if name.endswith(".txt")}
    assert codes(judged(contents).verdict.errors) == ["task.model_differs"]
    contents["training.yaml"] = b"model: yolov8n.pt"
    verdict = judged(contents).verdict
    assert verdict.ok
    assert verdict.task == "detect"


def test_boxes_among_polygons_do_not_stop_a_detection_model() -> None:
    contents = files(settings="model: yolov8n.pt") | {"labels/train/0.txt": BOX}
    assert judged(contents).verdict.ok


def test_a_split_whose_labels_are_all_empty_is_an_error() -> None:
    contents = files() | {"labels/val/0.txt": b"", "labels/val/1.txt": b"\n"}
    assert codes(judged(contents).verdict.errors) == ["split.no_objects"]


def test_the_fraction_that_is_trained_on_must_hold_objects() -> None:
    contents = files(settings="train: {fraction: 0.5}") | {"labels/train/0.txt": b""}
    assert codes(judged(contents).verdict.errors) == ["split.no_objects"]
    contents["labels/train/0.txt"], contents["labels/train/1.txt"] = POLYGON.encode(), b""
    assert judged(contents).verdict.ok


def test_with_single_cls_no_class_is_out_of_range() -> None:
    contents = files(settings="train: {single_cls: true}") | {"labels/train/0.txt": b"9 .1 .1 .2 .1 .2 .2\n"}
    assert judged(contents).verdict.ok


def test_a_bad_image_is_an_error_and_an_empty_one_needs_no_opening() -> None:
    contents = files() | {"images/train/0.png": b"", "images/val/0.png": b"GIF89a"}
    source = MemorySource(contents)
    found = {problem.code: list(problem.examples) for problem in validate("rooms", source, None).verdict.errors}
    assert found["image.empty"] == ["images/train/0.png"]
    assert [name for code, names in found.items() if code != "image.empty" for name in names] == ["images/val/0.png"]
    assert "images/train/0.png" not in source.opened


def test_an_image_whose_end_does_not_show_is_read_whole_before_it_is_refused() -> None:
    long = pictures.png(before=pictures.chunk(b"abCd", bytes(HEAD_BYTES)))
    found = judged(files() | {"images/train/0.png": long + bytes(5000), "images/train/1.png": long + b"x"}).verdict
    assert (codes(found.errors), codes(found.warnings)) == ([], ["image.trailing_bytes"])
    found = judged(files() | {"images/train/0.png": long[:-10]}).verdict
    assert codes(found.errors) == ["image.truncated"]


def test_a_sample_of_images_is_opened_or_all_as_the_settings_say() -> None:
    contents = dataset_files(train=40, val=10, settings="")
    assert judged(contents, image_sample=10).verdict.splits["train"]["images_opened"] == 5
    contents["training.yaml"] = b"checks: {images: all}"
    assert judged(contents, image_sample=10).verdict.splits["train"]["images_opened"] == 40


def test_labels_that_were_not_read_are_said() -> None:
    source = MemorySource(files())
    source.affords = 3
    (problem,) = validate("rooms", source, None).verdict.warnings
    assert problem.code == "label.sampled"
    assert "1 of 2 labels of the val split" in problem.message


def test_a_verdict_about_many_bad_files_is_small() -> None:
    contents = dataset_files(train=20_000, val=10, settings="")
    for number in range(20_000):
        contents[f"labels/train/{number}.txt"] = b"%d .1 .1 .2 .1 .2 .2\n" % (number + 1)
        contents[f"images/train/{number}.png"] = b"no image"
    verdict = judged(contents).verdict
    assert {problem.count for problem in verdict.errors} == {20_000}
    assert len(json.dumps(verdict.as_dict())) < 20_000


def test_what_is_still_to_come_is_waited_for_before_anything_is_read() -> None:
    contents = files() | {"labels/train/0.txt": b"broken"}
    del contents["images/val/1.png"]
    verdict = validate("rooms", MemorySource(contents), None, look_into_incomplete=False).verdict
    assert verdict.may_be_uploading
    assert "label.not_a_number" in codes(judged(contents).verdict.errors) or len(judged(contents).verdict.errors) == 2


# --- what it is like as a whole ---------------------------------------------------------------------------------------


def test_classes_without_objects_and_rare_ones_are_warned_of() -> None:
    contents = files()
    contents["data.yaml"] = YAML.replace("[room]", "[room, door, stair]").encode()
    contents["labels/train/0.txt"] = (
        b"".join(b"0 .1 .1 .2 .1 .2 .%d\n" % (2000 + n) for n in range(200)) + POLYGON.replace("0 ", "1 ", 1).encode()
    )
    found = {problem.code: problem for problem in judged(contents).verdict.warnings}
    assert list(found["dataset.class_absent_in_train"].examples) == ["stair"]
    assert list(found["dataset.class_absent_in_val"].examples) == ["door", "stair"]
    assert "class door has 1 objects in the train split, room has 201" in found["dataset.imbalance"].message
    assert judged(contents).verdict.ok


def test_many_backgrounds_are_warned_of_above_a_share_that_can_be_set() -> None:
    names = [name for name in WHOLE if name != "labels/train/1.txt"]
    (problem,) = judged(files(names)).verdict.warnings
    assert problem.code == "dataset.backgrounds"
    assert (
        "1 of 2 images of the train split have no object (50%, above 20%), such as images/train/1.png"
        in problem.message
    )
    assert not judged(files(names, "checks: {backgrounds: 0.5}")).verdict.warnings


def test_the_same_image_in_train_and_in_val_is_warned_of() -> None:
    contents = files()
    contents["images/val/1.png"] = contents["images/train/0.png"]
    (problem,) = judged(contents).verdict.warnings
    assert problem.code == "split.same_content"
    assert list(problem.examples) == ["images/val/1.png = images/train/0.png"]


def test_what_an_earlier_upload_left_in_the_folder_is_warned_of() -> None:
    came = dict.fromkeys(WHOLE, 1_000_000.0)
    source = MemorySource(files(), modified=came | {"images/train/0.png": 1_000.0})
    (problem,) = validate("rooms", source, None, upload_window_seconds=3600).verdict.warnings
    assert problem.code == "folder.older_files"
    assert list(problem.examples) == ["images/train/0.png"]
    assert not validate("rooms", source, None).verdict.warnings


def test_the_worst_comes_first() -> None:
    contents = files(settings="epoks: 3") | {"labels/train/0.txt": b"0 .1\n", "images/val/0.png": b""}
    assert codes(judged(contents).verdict.errors)[0] == "settings.unknown_key"
    assert codes(judged(contents).verdict.errors)[-1] == "image.empty"


def test_what_ends_a_training_comes_before_what_is_left_out_and_what_is_frequent_before_what_is_rare() -> None:
    contents = dataset_files(train=8, settings="")
    contents["labels/train/0.txt"] = BOX
    contents["labels/train/1.txt"] = b"0 .1\n"
    for number in (2, 3):
        contents[f"labels/train/{number}.txt"] = b"7 .1 .1 .2 .1 .2 .2\n"
    assert codes(judged(contents).verdict.errors) == [
        "label.box_only",
        "label.class_out_of_range",
        "label.wrong_columns",
    ]


# --- fingerprint ------------------------------------------------------------------------------------------------------


def mark(contents: dict[str, bytes], model: str = "yolov8n-seg.pt") -> str:
    source = MemorySource(contents)
    found = validate("rooms", source, None)
    assert found.description
    return fingerprint(source, found.description, found.splits, found.settings, model)


def test_the_fingerprint_sees_content_names_classes_settings_and_the_run_whose_model_is_the_best() -> None:
    before = mark(files())
    assert mark(files() | {"images/val/0.png": png("another")}) != before
    assert mark(files() | {"labels/val/0.txt": POLYGON.encode() + b"\n"}) != before
    assert mark(files() | {"data.yaml": YAML.replace("room", "flat").encode()}) != before
    assert mark(files(settings="epochs: 7")) != before
    assert mark(files(), model="rooms-20261101T000000-00000000") != mark(
        files(), model="rooms-20261102T000000-00000000"
    )
    swapped = files()
    swapped["images/train/0.png"], swapped["images/val/0.png"] = (
        swapped["images/val/0.png"],
        swapped["images/train/0.png"],
    )
    assert mark(swapped) != before


def test_the_fingerprint_does_not_see_order_the_test_split_or_where_and_how_dearly_is_trained() -> None:
    before = mark(files())
    assert mark(dict(reversed(files().items()))) == before
    cheap = "max_cost_usd: 1\nspot: false\nforce: true\nchecks: {images: all}\nexpect: {train: 2}"
    assert mark(files(settings=cheap)) == before
    with_test = files() | {"images/test/0.png": png("t"), ".DS_Store": b"x"}
    with_test["data.yaml"] += b"test: images/test\n"
    assert mark(with_test) == before
