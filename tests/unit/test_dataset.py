"""The rules of a dataset over every layout that is promised."""

import pytest

from traindrop import dataset as rules
from traindrop.data_yaml import Description, describe
from traindrop.dataset import File, label_of, resolve


def listing(*names: str) -> dict[str, File]:
    return {name: File(name, 10, "0") for name in names}


def codes(text: str) -> list[str]:
    return [problem.code for problem in describe(text.encode(), "data.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("train: images/train\nval: images/val\nnames: [room]", {"train": ["images/train"], "val": ["images/val"]}),
        (
            "path: /home/me/rooms\ntrain: images/train\nval: images/val\nnames: [room]",
            {"train": ["images/train"], "val": ["images/val"]},
        ),
        (
            "path: /home/me/rooms\ntrain: /home/me/rooms/images/train\nval: images/val\nnames: [room]",
            {"train": ["images/train"], "val": ["images/val"]},
        ),
        (
            "train: ../train/images\nval: ../valid/images\nnames: [room]\nnc: 1",
            {"train": ["train/images"], "val": ["valid/images"]},
        ),
        (
            "train: [a/images, b/images]\nvalidation: v.txt\nnames: {0: room}",
            {"train": ["a/images", "b/images"], "val": ["v.txt"]},
        ),
        ("train: .\nval: ./\nnc: 1", {"train": ["."], "val": ["."]}),
        (
            "path: ..\\data\ntrain: images\\train\nval: images\\val\nnames: [room]",
            {"train": ["images/train"], "val": ["images/val"]},
        ),
    ],
)
def test_a_split_is_found_below_the_folder_of_data_yaml(text: str, splits: dict[str, list[str]]) -> None:
    description, found = describe(text.encode(), "data.yaml")
    assert not found
    assert description is not None
    assert description.splits == splits


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("train: a\nnames: [x]", "data_yaml.no_split"),
        ("val: a\nnames: [x]", "data_yaml.no_split"),
        ("train: a\nval: b", "data_yaml.no_names"),
        ("train: a\nval: b\nnames: room", "data_yaml.no_names"),
        ("train: a\nval: b\nnames: {0: a, 2: b}", "data_yaml.bad_names"),
        ("train: a\nval: b\nnames: [a]\nnc: 2", "data_yaml.names_differ_from_nc"),
        ("train: {a: 1}\nval: b\nnames: [a]", "data_yaml.bad_split"),
        ("[", "data_yaml.not_yaml"),
        ("just words", "data_yaml.not_a_mapping"),
        ("!!python/object/apply:os.system ['true']", "data_yaml.not_yaml"),
    ],
)
def test_a_fault_in_data_yaml_has_its_code(text: str, code: str) -> None:
    assert code in codes(text)


def test_nothing_of_data_yaml_but_classes_and_splits_is_kept() -> None:
    description, _ = describe(b"train: a\nval: b\nnames: [x]\ndownload: 'import os'", "data.yaml")
    assert description == Description({0: "x"}, {"train": ["a"], "val": ["b"]})


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/train/1.jpg", "labels/train/1.txt"),
        ("train/images/1.PNG", "train/labels/1.txt"),
        ("images/a/images/1.jpg", "images/a/labels/1.txt"),
        ("flat/1.jpg", "flat/1.txt"),
        ("1.jpg", "1.txt"),
    ],
)
def test_a_label_lies_where_ultralytics_looks(image: str, label: str) -> None:
    assert label_of(image) == label


def test_images_without_labels_are_backgrounds_and_labels_without_images_are_faults() -> None:
    files = listing(
        "images/train/1.jpg",
        "images/train/2.JPG",
        "labels/train/1.txt",
        "labels/train/9.txt",
        "images/val/1.jpg",
        "labels/val/1.txt",
        "labels/val/classes.txt",
    )
    splits, found = resolve(
        Description({0: "x"}, {"train": ["images/train"], "val": ["images/val"]}), files, lambda _: b""
    )
    assert splits["train"].counts() == {"images": 2, "labels": 1, "backgrounds": 1}
    assert [(problem.code, list(problem.examples), problem.passing) for problem in found] == [
        ("label.without_image", ["labels/train/9.txt"], True)
    ]


def test_a_list_file_names_images_relative_to_itself() -> None:
    files = listing("lists/train.txt", "lists/images/1.jpg", "lists/labels/1.txt", "images/v.jpg", "labels/v.txt")
    splits, found = resolve(
        Description({0: "x"}, {"train": ["lists/train.txt"], "val": ["images"]}),
        files,
        lambda _: b"./images/1.jpg\n\n./images/missing.jpg\n",
    )
    assert not found
    assert [image.name for image in splits["train"].images] == ["lists/images/1.jpg"]


def test_an_empty_split_an_unlabelled_one_and_an_overlap_are_faults() -> None:
    files = listing("a/1.jpg", "b/2.jpg")
    _, found = resolve(Description({0: "x"}, {"train": ["a"], "val": ["c"]}), files, lambda _: b"")
    assert {problem.code for problem in found} == {"split.no_images", "split.no_labels"}
    files = listing("a/1.jpg", "a/1.txt")
    _, found = resolve(Description({0: "x"}, {"train": ["a"], "val": ["a"]}), files, lambda _: b"")
    assert [problem.code for problem in found] == ["split.overlap"]


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "images/._1.jpg", "__MACOSX/images/1.jpg", "Thumbs.db", "labels/train.cache", "labels/.gitkeep"],
)
def test_what_systems_leave_behind_is_noise(name: str) -> None:
    assert rules.is_noise(name)
