"""The rules of a dataset over every layout that is promised."""

import pytest

from traindrop import dataset as rules
from traindrop.data_yaml import Description
from traindrop.dataset import File, hint_of_classification, label_of, resolve


def listing(*names: str) -> dict[str, File]:
    return {name: File(name, 10, "0") for name in names}


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


def told(train: str, *names: str) -> dict[str, list[str]]:
    """Codes and examples of what is wrong with a train split beside a good val split."""
    files = listing(*names, "v/images/v.jpg", "v/labels/v.txt")
    _, problems = resolve(Description({0: "x"}, {"train": train, "val": "v/images"}), files, lambda _: b"")
    return {problem.code: list(problem.examples) for problem in problems}


def test_labels_of_one_folder_belong_to_all_splits_that_lists_make_of_it() -> None:
    names = [
        f"{kind}/{number}.{suffix}" for number in range(3) for kind, suffix in (("images", "jpg"), ("labels", "txt"))
    ]
    files = listing(*names, "train.txt", "val.txt")
    splits, problems = resolve(
        Description({0: "x"}, {"train": "train.txt", "val": "val.txt"}),
        files,
        lambda name: b"images/0.jpg" if name == "train.txt" else b"images/1.jpg",
    )
    assert not problems
    assert [label.name for label in splits["val"].labels] == ["labels/1.txt"]


@pytest.mark.parametrize(
    ("train", "image", "lost"),
    [
        ("images", "images/1.jpg", "labels/2.txt"),
        ("images", "images/1.jpg", "labels/deep/er/2.txt"),
        ("images", "images/deep/1.jpg", "labels/other/2.txt"),
        ("a/images/b", "a/images/b/1.jpg", "a/labels/b/2.txt"),
        ("flat", "flat/1.jpg", "flat/2.txt"),
        ("flat", "flat/images/1.jpg", "flat/labels/2.txt"),
        ("images", "images/x/images/1.jpg", "images/x/labels/2.txt"),
    ],
)
def test_a_label_without_its_image_is_found_wherever_labels_lie(train: str, image: str, lost: str) -> None:
    found = told(train, image, label_of(image), lost, lost.replace("2.txt", "classes.txt"))
    assert found == {"label.without_image": [lost]}


def test_texts_that_are_no_labels_are_none() -> None:
    names = [
        "README.roboflow.txt",
        "classes.txt",
        "requirements.txt",
        "valid.txt",
        "autosplit_train.txt",
        "LICENSE.txt",
    ]
    files = listing("1.jpg", "1.txt", *names, "v/images/v.jpg", "v/labels/v.txt", "my list.txt")
    splits = {"train": ".", "val": "v/images", "test": "my list.txt"}
    _, problems = resolve(Description({0: "x"}, splits), files, lambda _: b"v/images/v.jpg")
    assert [problem.code for problem in problems] == ["split.overlap"]


def test_pairing_minds_upper_and_lower_case() -> None:
    assert told("a", "a/IMG.jpg", "a/img.txt", "a/x.jpg", "a/x.txt") == {"label.without_image": ["a/img.txt"]}
    assert told("a", "a/1.jpg", "a/1.TXT", "a/x.jpg", "a/x.txt") == {"label.wrong_suffix": ["a/1.TXT"]}


def test_a_label_that_images_share_is_warned_of_and_makes_no_background() -> None:
    names = ["a/1.jpg", "a/1.png", "a/1.txt", "a/2.jpg"]
    splits, problems = resolve(Description({0: "x"}, {"train": "a"}), listing(*names), lambda _: b"")
    assert splits["train"].counts() == {"images": 3, "labels": 1, "backgrounds": 1}
    assert [file.name for file in splits["train"].backgrounds] == ["a/2.jpg"]
    assert [(problem.code, problem.count, problem.warning) for problem in problems] == [("label.shared", 2, True)]


def test_a_dataset_for_classification_is_told_what_it_is() -> None:
    assert "classification" in hint_of_classification(["flowers/train/rose/1.jpg", "flowers/val/rose/2.jpg"])
    assert not hint_of_classification(["train/images/1.jpg", "train/labels/1.txt", "readme.md"])
    assert not hint_of_classification(["images/train/site/1.jpg", "labels/train/site/1.txt"])


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
