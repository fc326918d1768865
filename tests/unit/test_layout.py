"""The layouts that exporters write and people keep: which images each split has, and which paths lead nowhere."""

from __future__ import annotations

import pytest

from traindrop import dataset as rules
from traindrop.data_yaml import describe
from traindrop.dataset import File, Split, is_noise, label_of, resolve
from traindrop.layout import Layout
from traindrop.problems import Problem

NAMES = "names: [room]\n"


def resolved(data_yaml: str, files: dict[str, str]) -> tuple[dict[str, Split], list[Problem]]:
    """Splits and problems of a dataset; values are the texts of its files."""
    description, problems = describe(data_yaml.encode(), "data.yaml")
    assert description, problems
    contents = {name: text.encode() for name, text in files.items()}
    listing = {name: File(name, len(body), "") for name, body in contents.items() if not is_noise(name)}
    return resolve(description, listing, contents.__getitem__)


def images(data_yaml: str, files: dict[str, str]) -> dict[str, list[str]]:
    """Images of each split of a dataset in which nothing is wrong but what is warned of."""
    splits, problems = resolved(data_yaml, files)
    assert [problem for problem in problems if not problem.warning] == []
    return {name: [image.name for image in split.images] for name, split in splits.items()}


def labelled(*names: str) -> dict[str, str]:
    """Images with the labels that belong to them."""
    return dict.fromkeys(names, "") | {label_of(name): "" for name in names}


TWO = {"train": ["images/train/1.jpg"], "val": ["images/val/2.jpg"]}
PLAIN = labelled("images/train/1.jpg", "images/val/2.jpg")
LISTED = {
    "train.txt": "images/train/1.jpg\n",
    "val.txt": "images/val/2.jpg\n",
}

LAYOUTS = {
    "ultralytics' own": (
        "path: coco8-seg\ntrain: images/train\nval: images/val\ntest: # none\n",
        PLAIN | {"README.md": "", "LICENSE": ""},
        TWO,
    ),
    "Roboflow, YOLOv8": (
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 1\n",
        labelled("train/images/a_jpg.rf.0a.jpg", "valid/images/b_png.rf.1b.jpg")
        | {"README.dataset.txt": "", "README.roboflow.txt": ""},
        {"train": ["train/images/a_jpg.rf.0a.jpg"], "val": ["valid/images/b_png.rf.1b.jpg"], "test": []},
    ),
    "Label Studio, YOLO with images, described by hand": (
        "path: /data/export\ntrain: images\nval: val/images\n",
        labelled("images/0a1b-plan.png", "val/images/2c3d-plan.png")
        | {"classes.txt": "room\n", "notes.json": "{}", "labels/classes.txt": "room"},
        {"train": ["images/0a1b-plan.png"], "val": ["val/images/2c3d-plan.png"]},
    ),
    "CVAT, Ultralytics YOLO 1.0": ("path: ./\ntrain: train.txt\nval: val.txt\n", PLAIN | LISTED, TWO),
    "CVAT, whose lists name a folder above": (
        "path: ./\ntrain: train.txt\nval: val.txt\n",
        PLAIN | {"train.txt": "data/images/train/1.jpg\n", "val.txt": "data/images/val/2.jpg\n"},
        TWO,
    ),
    "lists of absolute paths": (
        "train: /home/me/rooms/train.txt\nval: C:\\rooms\\val.txt\n",
        PLAIN
        | {"train.txt": "/home/me/rooms/images/train/1.jpg\r\n", "val.txt": "\ufeffC:\\rooms\\images\\val\\2.jpg"},
        TWO,
    ),
    "a list in a folder": (
        "train: lists/train\nval: images/val\n",
        PLAIN
        | labelled("images/train/3.jpg", "images/train/4.jpg")
        | {
            "lists/train": "\n\n./../images/train/1.jpg\u2028images/train/3.jpg\r\n \n./../images/train/4.jpg\n",
            "lists/images/train/3.jpg": "",
        },
        {
            "train": ["images/train/1.jpg", "images/train/3.jpg", "images/train/4.jpg"],
            "val": ["images/val/2.jpg"],
        },
    ),
    "flat": (
        "train: train\nval: val\n",
        labelled("train/1.jpg", "train/2.jpg", "val/3.jpg"),
        {"train": ["train/1.jpg", "train/2.jpg"], "val": ["val/3.jpg"]},
    ),
    "nested": (
        "train: images/train\nval: images/val\n",
        labelled("images/train/site a/floor 1/1.jpg", "images/train/1.jpg", "images/val/x/images/2.jpg"),
        {
            "train": ["images/train/1.jpg", "images/train/site a/floor 1/1.jpg"],
            "val": ["images/val/x/images/2.jpg"],
        },
    ),
    "suffixes in any case": (
        "train: images/train\nval: images/val\n",
        labelled("images/train/1.JPG", "images/train/2.Png", "images/train/noext.v2.TIF", "images/val/2.jpg"),
        {
            "train": ["images/train/1.JPG", "images/train/2.Png", "images/train/noext.v2.TIF"],
            "val": ["images/val/2.jpg"],
        },
    ),
    "what systems and tools leave behind": (
        "train: images/train\nval: images/val\n",
        PLAIN
        | {
            "images/train/._1.jpg": "",
            "__MACOSX/images/train/._1.jpg": "",
            ".DS_Store": "",
            "images/train/Thumbs.db": "",
            "images/train/.ipynb_checkpoints/1-checkpoint.jpg": "",
            "labels/train/.ipynb_checkpoints/1-checkpoint.txt": "",
            "labels/train.cache": "",
            "labels/.gitkeep": "",
            "images/train/noext": "",
            "images/train/jpg": "",
            "labels/train/classes.txt": "",
        },
        TWO,
    ),
    "several folders of each split": (
        "train: [images/train, more/images]\nval: [images/val/]\n",
        PLAIN | labelled("more/images/9.jpg"),
        {"train": ["images/train/1.jpg", "more/images/9.jpg"], "val": ["images/val/2.jpg"]},
    ),
    "a path that is a folder here": (
        "path: sub\ntrain: images/train\nval: ../images/val\n",
        labelled("sub/images/train/1.jpg", "images/train/x.jpg", "images/val/2.jpg"),
        {"train": ["sub/images/train/1.jpg"], "val": ["images/val/2.jpg"]},
    ),
    "an absolute path whose end is a folder here": (
        "path: /home/me/rooms/data\ntrain: images/train\nval: images/val\n",
        labelled("data/images/train/1.jpg", "data/images/val/2.jpg"),
        {"train": ["data/images/train/1.jpg"], "val": ["data/images/val/2.jpg"]},
    ),
    "an absolute path whose end is a folder here without the train split": (
        "path: /home/me/images\ntrain: images/train\nval: images/val\n",
        PLAIN,
        TWO,
    ),
    "an absolute path whose end is a folder here with a part of the train split": (
        "path: /home/me/data\ntrain: [images/train, more]\nval: images/val\n",
        PLAIN | labelled("more/3.jpg", "data/images/train/4.jpg"),
        {"train": ["images/train/1.jpg", "more/3.jpg"], "val": ["images/val/2.jpg"]},
    ),
    "another machine": (
        "path: C:\\Users\\me\\rooms\ntrain: C:\\Users\\me\\rooms\\images\\train\nval: images\\val\n",
        PLAIN,
        TWO,
    ),
    "a path above": ("path: ../datasets/rooms\ntrain: images/train\nval: ./images/train/../val\n", PLAIN, TWO),
    "a hidden folder that is named": (
        "train: .data/images\nval: images/val\n",
        labelled(".data/images/1.jpg", "images/val/2.jpg"),
        {"train": [".data/images/1.jpg"], "val": ["images/val/2.jpg"]},
    ),
    "slashes that mean nothing on a disk": (
        "train: images/train\nval: images/val\n",
        {"images//train/1.jpg": "", "labels/train//1.txt": "", "./images/val/2.jpg": "", "labels/val/2.txt": ""},
        {"train": ["images//train/1.jpg"], "val": ["./images/val/2.jpg"]},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_split_has_its_images_in_the_layout_of(layout: str) -> None:
    data_yaml, files, expected = LAYOUTS[layout]
    assert images(data_yaml + NAMES, files) == expected


@pytest.mark.parametrize(
    ("train", "code"),
    [
        ("nowhere", "split.no_images"),
        ("[../images/train]", "split.no_images"),
        ("[images/train, nowhere]", "split.no_images"),
        ("..", "split.no_images"),
        ("/home/me/rooms", "split.no_images"),
        ("documents", "split.no_images"),
        ("empty.txt", "split.no_images"),
        ("images/train/1.jpg", "split.entry_is_an_image"),
        ("missing.txt", "split.image_missing"),
        ("strange.txt", "split.line_is_no_image"),
        ("blank.txt", "split.line_is_no_image"),
    ],
)
def test_an_entry_that_leads_nowhere_has_its_code(train: str, code: str) -> None:
    files = PLAIN | {
        "documents/x.pdf": "",
        "empty.txt": "\n \n",
        "missing.txt": "images/train/1.jpg\nimages/train/7.jpg",
        "strange.txt": "images/train/1.jpg\nimages/train/7.gif",
        "blank.txt": "images/train/1.jpg \nimages/train/1.jpg",
    }
    _, problems = resolved(f"train: {train}\nval: images/val\n{NAMES}", files)
    assert code in [problem.code for problem in problems if not problem.warning]


def test_a_path_that_is_a_folder_here_is_meant_even_if_nothing_lies_there() -> None:
    _, problems = resolved(f"path: sub\ntrain: images/train\nval: images/val\n{NAMES}", PLAIN | {"sub/x.md": ""})
    assert [problem.code for problem in problems] == ["split.no_images", "split.no_images"]


def test_a_list_that_is_no_text_is_named() -> None:
    description, _ = describe(f"train: train.txt\nval: images/val\n{NAMES}".encode(), "data.yaml")
    assert description
    files = {name: File(name, 1, "") for name in [*PLAIN, "train.txt"]}
    _, problems = resolve(description, files, lambda _: b"images/train/1.jpg\n\xff\xfe")
    assert ("split.list_not_text", ["train.txt"]) in [(problem.code, problem.examples) for problem in problems]


def test_a_line_that_names_nothing_is_told_by_its_number_and_may_be_on_its_way() -> None:
    text = "\n\n  \nimages/train/1.jpg\n\nimages/train/8.jpg\nC:\\x\\9.jpg\n"
    splits, problems = resolved(f"train: train.txt\nval: images/val\n{NAMES}", PLAIN | {"train.txt": text})
    (problem,) = problems
    assert (problem.code, problem.examples, problem.count, problem.passing) == (
        "split.image_missing",
        ["train.txt:6", "train.txt:7"],
        2,
        True,
    )
    assert [image.name for image in splits["train"].images] == ["images/train/1.jpg"]


def test_what_is_listed_twice_is_trained_on_once_and_counted() -> None:
    files = PLAIN | labelled("images/train/3.jpg") | {"a.txt": "images/train/1.jpg\n./images/train/1.jpg\n"}
    splits, problems = resolved(f"train: [images/train, images/train, a.txt]\nval: images/val\n{NAMES}", files)
    assert [image.name for image in splits["train"].images] == ["images/train/1.jpg", "images/train/3.jpg"]
    assert [(problem.code, problem.count, problem.warning) for problem in problems] == [("split.listed_twice", 4, True)]


def test_what_is_wrong_with_the_test_split_is_only_warned_of() -> None:
    files = PLAIN | {"test/images/1.jpg": "", "test/labels/9.txt": "", "test.txt": "nothing.jpg"}
    _, problems = resolved(f"train: images/train\nval: images/val\ntest: [test/images, test.txt, x]\n{NAMES}", files)
    assert {problem.code for problem in problems} == {"split.no_images", "split.image_missing", "label.without_image"}
    assert all(problem.warning for problem in problems)


def test_a_thousand_bad_entries_are_one_problem() -> None:
    train = ", ".join(f"no{number}" for number in range(1000))
    _, problems = resolved(f"train: [{train}]\nval: images/val\n{NAMES}", PLAIN)
    (problem,) = problems
    assert (problem.code, problem.count, len(problem.examples)) == ("split.no_images", 1000, 10)
    assert "paths of `train:` in data.yaml where no image lies: 1000, such as no0. " in problem.message


def test_a_folder_that_a_thousand_entries_name_is_searched_once() -> None:
    class Counting(Layout):
        searched = 0

        def images_below(self, folder: str) -> list[str]:
            Counting.searched += 1
            return super().images_below(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "Layout", Counting)
        entries = ", ".join("images/train" + "/." * (number % 100) for number in range(1000))
        splits, _ = resolved(f"train: [{entries}]\nval: images/val\n{NAMES}", PLAIN)
    assert len(splits["train"].images) == 1
    assert Counting.searched == 2
