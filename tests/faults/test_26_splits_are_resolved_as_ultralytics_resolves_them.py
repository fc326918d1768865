"""Whatever lies where and whatever data.yaml says: a split has the images that ultralytics' own loader lists."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from tests.faults.conftest import Rows
from tests.faults.properties import hold
from tests.oracle import Oracle
from traindrop import dataset as rules
from traindrop.data_yaml import describe
from traindrop.layout import is_image
from traindrop.problems import Problem

STRICTER = {
    "data_yaml.bad_class_name": "a class is told by its name in every message and report",
    "data_yaml.bad_names": "ultralytics takes keys such as -1 and 0.5, whose classes no label can name",
    "data_yaml.bad_split": "a blank path is the working directory to ultralytics, or nothing",
    "data_yaml.channels": "models of three channels are trained, and others fail on such images",
    "data_yaml.no_split": "an empty path is the working directory to ultralytics, whatever that is",
    "label.without_image": "an upload lost the image",
    "label.wrong_suffix": "the image would be trained on as a background",
    "split.image_missing": "ultralytics drops the line and trains without the image",
    "split.line_is_no_image": "ultralytics drops the line and trains without the image",
    "split.no_images": "one of several entries has no image, or leads out of the dataset",
    "split.no_labels": "a model would be judged on backgrounds alone",
    "split.overlap": "a model would be judged on what it learned from",
    "task.unsupported": "keypoints are not trained",
}
MORE_LENIENT = re.compile(r"/|[A-Za-z]:[\\/]|.*\\")
"""Entries that are absolute or have backslashes come from another machine: what of them is here is used."""
UNSEEN = {"split.entry_is_an_image", "split.image_missing", "split.line_is_no_image", "split.no_images"}
"""Errors beside which a split may lack images that ultralytics lists."""

BYTES = "\udcff\udcd8"
IMAGES = st.sampled_from(["1.jpg", "2.PNG", "3.Jpeg", "a b.webp", "é.tif", "x.y.bmp", "4.jpg", "5.JPG"])
OTHERS = st.sampled_from(
    [
        "4.gif",
        "noext",
        "jpg",
        ".DS_Store",
        "._1.jpg",
        "Thumbs.db",
        "labels.cache",
        ".hidden/1.jpg",
        "n.png/1.jpg",
        "6.jpg.md",
    ]
)
PAIRS = [
    ("images/train", "images/val", "images/test"),
    ("train/images", "valid/images", "test/images"),
    ("train", "val", "test"),
    ("data/images/train", "data/images/val", "data/images/test"),
    ("images/train/a", "images/train/b", "images"),
    ("", "images/val", "."),
    ("rooms/a.b/images", "rooms/.c/images", "rooms"),
]


@st.composite
def datasets(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """A dataset's files, and what its data.yaml says."""
    folders = draw(st.sampled_from(PAIRS))
    files: dict[str, str] = {}
    for folder in folders[: draw(st.integers(2, 3))]:
        for name in draw(st.lists(IMAGES, min_size=1, max_size=5)) + draw(st.lists(OTHERS, max_size=2)):
            files[posixpath.normpath(f"{folder}/{name}").lstrip("/")] = BYTES
    images = [name for name in sorted(files) if is_image(name)]
    for image in images:
        if draw(st.integers(0, 9)):
            files[rules.label_of(image)] = "0 .5 .5 .1 .1"
    odd = draw(st.integers(0, 3)) == 0
    if odd and draw(st.booleans()):
        files[f"{draw(st.sampled_from(['labels/train', 'train/labels', 'train', 'data/labels/val']))}/lost.txt"] = ""
    lists = []
    if draw(st.integers(0, 2)) == 0:
        for name in draw(st.lists(st.sampled_from(["train.txt", "lists/val.txt", "listing"]), min_size=1, unique=True)):
            lists.append(name)
            files[name] = draw(listings(images, odd=odd))
    path = draw(st.none() | st.sampled_from(PATHS if odd else PATHS[:9]))
    below = path.strip("./") + "/" if isinstance(path, str) and path.strip("./") else ""
    values: dict[str, Any] = {"path": path} if path is not None else {}
    for key, folder in zip(
        ("train", draw(st.sampled_from(["val", "val", "val", "validation"])), "test"), folders, strict=True
    ):
        places = [folder] if not odd else [*folders, *images[:2], "nowhere", ".."]
        if lists:
            places += lists
        entry = entries(places, below, odd=odd)
        values[key] = draw(entry | st.lists(entry, min_size=1, max_size=3) if odd or lists else entry)
    values["names"] = ["room"]
    if odd:
        values |= draw(st.fixed_dictionaries({}, optional=ODD))
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False)
    return {name: text_ for name, text_ in files.items() if _fits(name, files)}, text


PATHS = [
    ".",
    "./",
    "",
    "../datasets/rooms",
    "coco8-seg",
    "/home/me/rooms",
    "/home/me/data",
    "data",
    "C:\\projects\\rooms",
    "..",
    "images/..",
    "None",
    "images",
    "train.txt",
    5,
    ["."],
    False,
]
ODD: dict[str, st.SearchStrategy[Any]] = {
    "names": st.sampled_from(
        [None, [], "room", {0: "a"}, {"0": "a", 1: "b"}, {1: "a"}, {-1: "a", 0: "b"}, [True], [None]]
    ),
    "nc": st.sampled_from([1, 2, "1", "1.0", 1.0, 1.5, None, "one", 0, True, [1], "None"]),
    "channels": st.sampled_from([1, 3, 4, None]),
    "kpt_shape": st.sampled_from([[17, 3], 17, None]),
    "val": st.sampled_from([None, "", 5, "None"]),
    "train": st.sampled_from([None, [], [""], [5], {"a": 1}]),
    "test": st.sampled_from([None, [], 0, "None", "../test/images", ["../test/images"]]),
}


def entries(places: list[str], below: str, *, odd: bool) -> st.SearchStrategy[str]:
    """An entry of a split that leads to one of these places, in one way or another."""
    plain = [
        lambda place: place or ".",
        lambda place: f"./{place}",
        lambda place: f"{place or '.'}/",
        lambda place: (place.removeprefix(below) if below else place) or ".",
        lambda place: f"../{place}",
        lambda place: f"/home/me/rooms/{place}",
    ]
    strange = [
        lambda place: f"../../{place}",
        lambda place: f"images/../{place}",
        lambda place: f"C:\\rooms\\{place}".replace("/", "\\"),
        lambda place: f"..\\{place}".replace("/", "\\"),
        lambda place: f" {place}",
        lambda place: f"rooms/{place}",
        lambda place: f"../rooms/{place}",
    ]
    ways = plain + strange if odd else [*plain[:3], plain[3], plain[3], plain[4], plain[5]]
    return st.builds(lambda way, place: way(place), st.sampled_from(ways), st.sampled_from(places))


def listings(images: list[str], *, odd: bool) -> st.SearchStrategy[str]:
    """The text of a list of images."""
    plain = ["{0}", "{0}", "./{0}", "../{0}", "", "  ", "/home/me/rooms/{0}", "data/{0}"]
    strange = ["C:\\rooms\\{0}", "{0} ", " {0}", "{0}.gif", "nothing.jpg", "././{0}", "png", "../rooms/{0}", "\udcff"]
    line = st.builds(
        lambda form, image: form.format(image),
        st.sampled_from(plain + strange if odd else plain),
        st.sampled_from(images),
    )
    return st.builds(
        lambda start, end, found: start + end.join(found) + end,
        st.sampled_from(["", "", "\ufeff", "\n \n"]),
        st.sampled_from(["\n", "\n", "\r\n", "\r", "\u2028", "\x0c"]),
        st.lists(line, min_size=1, max_size=6),
    )


def _fits(name: str, files: dict[str, str]) -> bool:
    """Whether a file can lie beside the others: none of the folders above it is a file."""
    parts = name.split("/")
    return not any("/".join(parts[:end]) in files for end in range(1, len(parts)))


class Comparison:
    """What was compared: how many datasets, and how many of them were resolved by both."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle, self.seen, self.alike = oracle, 0, 0
        self.why: Counter[str] = Counter()

    def compare(self, dataset: tuple[dict[str, str], str]) -> None:
        """Compare one dataset; a mismatch is an AssertionError."""
        files, text = dataset
        self.seen += 1
        theirs = self.oracle.ask("layouts.images", files, text)
        splits, problems = resolved(files, text)
        errors = {problem.code for problem in problems if not problem.warning}
        self.why.update(errors)
        refused = {split for split in ("train", "val", "test") if "error" in theirs.get(split, {"error": ""})}
        if not splits or refused & {"train", "val"}:
            if errors:
                return
        elif not theirs.get("test") or told("test", problems).keys() & UNSEEN:
            refused.discard("test")
        if refused:
            written = yaml.safe_load(text)
            assert any(from_elsewhere(written.get(split) or written["validation"]) for split in refused), theirs
            places = {name: [place or "." for place in split.places] for name, split in splits.items()}
            theirs = self.oracle.ask("layouts.images", files, yaml.safe_dump({**places, "names": ["room"]}))
        assert errors <= STRICTER.keys(), errors - STRICTER.keys()
        for name, split in splits.items():
            same_split(name, split, theirs.get(name, {}), problems)
        self.alike += bool(splits) and not refused


def resolved(files: dict[str, str], text: str) -> tuple[dict[str, rules.Split], list[Problem]]:
    """Splits and problems by the product's rules."""
    contents = {name: content.encode(errors="surrogateescape") for name, content in files.items()}
    listing = {name: rules.File(name, len(body), "") for name, body in contents.items() if not rules.is_noise(name)}
    description, problems = describe(text.encode(errors="surrogateescape"), "data.yaml")
    if description is None:
        return {}, problems
    splits, found = rules.resolve(description, listing, contents.__getitem__)
    return splits, [*problems, *found]


def from_elsewhere(written: str | list[str]) -> bool:
    """Whether an entry of a split was written on another machine."""
    return any(map(MORE_LENIENT.match, [written] if isinstance(written, str) else written))


def told(name: str, problems: list[Problem]) -> dict[str, int]:
    """How often each problem of a split was told."""
    return {
        item.code: item.count for item in problems if f"{name} split" in item.message or f"`{name}:" in item.message
    }


def same_split(name: str, split: rules.Split, theirs: dict[str, Any], problems: list[Problem]) -> None:
    """The images are those that ultralytics lists, each once; how often more is said."""
    images, counts = [image.name for image in split.images], told(name, problems)
    found = set(images)
    assert images == sorted(found)
    if "error" in theirs or not theirs:
        assert name == "test"
        return
    listed = {image for image in theirs["listed"] if not rules.is_noise(image)}
    # What is not listed is what lines lead to that were written on another machine: ultralytics finds nothing there.
    assert len(found - listed) <= len(theirs["missing"])
    if not counts.keys() & UNSEEN:
        assert listed <= found
        assert counts.get("split.listed_twice", 0) == len(theirs["listed"] + theirs["missing"]) - len(found)


@pytest.mark.parametrize(
    "examples", [pytest.param(60, marks=pytest.mark.brief), pytest.param(1_500, marks=pytest.mark.long)]
)
def test_a_split_has_the_images_that_ultralytics_lists(examples: int, row: Rows, tmp_path: Path) -> None:
    line = row(
        26,
        fault="data.yaml and folders of any form",
        injected=f"{examples:,} datasets, each resolved by ultralytics too",
        promise="the images of each split are the same",
    )
    line.figure("a mismatch")
    with Oracle(tmp_path) as oracle:
        comparison = Comparison(oracle)
        hold(examples, comparison.compare, datasets())
    share = round(100 * comparison.alike / comparison.seen)
    line.figure(f"mismatches = 0 of {comparison.seen:,}, {share} % resolved by both")
    assert share >= 30, comparison.why
