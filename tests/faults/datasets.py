"""Small valid datasets in every form that users bring, each decided by a seed; `mutations` makes them wrong."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import yaml

SUFFIXES = (".png", ".png", ".jpg", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".PNG", ".JPG", ".Jpeg", ".TIFF")
_PATHS = (None, ".", "./", "/home/me/datasets/rooms", "../datasets/rooms", "C:\\Users\\me\\rooms", "rooms")
_NAMES = ("room", "door", "window", "Küche", "部屋", "wet room", "no", "1")
_STEMS = ("plan {}", "plan-{}", "Étage {}", "図面_{}", "a.b.{}", "{}", "floor+{}", "IMG_{}")
_DEBRIS = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "images/.DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "__MACOSX/._data.yaml": b"\0\5\x16\7",
    "labels/train.cache": b"cos\nsystem\n(S'touch hacked'\ntR.",
    "labels/.gitkeep": b"",
    "README.roboflow.txt": b"Exported by a tool\n",
    "notes.json": b"{}",
    "images/train/._plan 0.png": b"\0\5\x16\7",
}


@dataclass
class Made:
    """A dataset in memory: what data.yaml and training.yaml say, all other files, and the images of train and val.

    `splits` tells for each image where its label lies or would lie. Writing it down is the last step, so a mutation
    may change any part of it.
    """

    random: Random
    task: str
    data: dict[str, Any]
    settings: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    splits: dict[str, dict[str, str]] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)  # images whose damage shows only once they are decoded

    @property
    def class_count(self) -> int:
        return max(1, len(self.data["names"]) if "names" in self.data else int(self.data.get("nc", 1)))

    def split(self) -> str:
        """One of the two, train more often than not."""
        return self.random.choice(("train", "train", "val"))

    def image(self, split: str | None = None) -> str:
        """An image that is there; a new one if none is left."""
        images = self.splits[split or self.split()]
        there = sorted(images.keys() & self.files.keys())
        if there:
            return self.random.choice(there)
        first = next(iter(images))
        self.files[first] = encode(draw(self.random, self.task, self.class_count)[0], posixpath.splitext(first)[1])
        return first

    def label(self, split: str | None = None) -> str:
        """A label that is there and holds objects; written anew if none is left."""
        there = sorted(
            label for label in self.splits[split or self.split()].values() if self.files.get(label, b"").strip()
        )
        return self.random.choice(there) if there else self.rewritten(self.image(split))

    def rewritten(self, image: str) -> str:
        """The label of an image, with two objects in it."""
        label = next(labels[image] for labels in self.splits.values() if image in labels)
        rows = [_row(self.task, self.random.randrange(self.class_count), (x, 0.2, x + 0.2, 0.6)) for x in (0.1, 0.5)]
        self.files[label] = ("\n".join(rows) + "\n").encode()
        return label

    def every_label(self, split: str) -> Iterator[str]:
        yield from sorted({label for label in self.splits[split].values() if label in self.files})

    def content(self) -> dict[str, bytes]:
        """All files by path; data.yaml and training.yaml among them, unless a mutation has put its own there."""
        document = yaml.safe_dump(self.data, sort_keys=False, allow_unicode=True)
        settings = yaml.safe_dump(self.settings, sort_keys=False)
        return {"data.yaml": document.encode(), "training.yaml": settings.encode(), **self.files}

    def write(self, folder: Path) -> Path:
        for name, content in self.content().items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return folder

    def write_at_home(self, folder: Path) -> Path:
        """Write it where its author had it: `path` means this folder, and so does the `data/` of a tool's lists."""
        self.write(folder)
        place = folder / "data.yaml"
        text = place.read_text().replace(f"{self.data.get('path')}/", f"{folder}/")
        place.write_text(re.sub("^path: .*$", f"path: {folder}", text, flags=re.MULTILINE))
        if not (folder / "data").exists():
            (folder / "data").symlink_to(".")
        return folder

    def pack(self, place: Path) -> Path:
        """As a zip; half of them below a top folder, as tools that pack a folder make them."""
        top = self.random.choice(("", "rooms/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(place, "w", self.random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as packed:
            for name, content in self.content().items():
                packed.writestr(name if name.startswith("__MACOSX/") else top + name, content)
        return place


def draw(random: Random, task: str, class_count: int, most: int = 4) -> tuple[Any, str]:
    """A plan of up to `most` rooms, 32 to 64 pixels a side, and its label."""
    width, height = random.randint(32, 64), random.randint(32, 64)
    image = np.full((height, width, 3), random.randint(200, 255), np.uint8)
    rows = []
    for number in range(random.randint(1, most)):
        left, top = random.uniform(0, 0.6), random.uniform(0, 0.6)
        box = (left, top, left + random.uniform(0.15, 0.39), top + random.uniform(0.15, 0.39))
        corners = [round(share * side) for share, side in zip(box, (width, height) * 2, strict=True)]
        cv2.rectangle(image, corners[:2], corners[2:], (number * 30, 0, 0), 1)
        rows.append(_row(task, random.randrange(class_count), box))
    return image, "\n".join(rows) + "\n"


def encode(image: Any, suffix: str) -> bytes:
    done, encoded = cv2.imencode(suffix.lower(), image)
    assert done
    return bytes(encoded.tobytes())


def _row(task: str, index: int, box: tuple[float, float, float, float]) -> str:
    left, top, right, bottom = box
    if task == "detect":
        numbers = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    else:
        numbers = [left, top, right, top, right, bottom, (left + right) / 2, bottom, left, bottom]
    return f"{index} " + " ".join(f"{number:.6f}" for number in numbers)


# --- layouts: where images and labels of a split lie, and what data.yaml says of them ---------------------------------


@dataclass(frozen=True)
class Layout:
    images: str
    labels: str
    entry: str | list[str]
    listed: str = ""  # how a list names an image

    def folder(self, pattern: str, split: str, number: int = 0) -> str:
        return pattern.format(split=split, valid="valid" if split == "val" else split, part="ab"[number % 2])


LAYOUTS = {
    "ultralytics": Layout("images/{split}", "labels/{split}", "images/{split}"),
    "slash at the end": Layout("images/{split}", "labels/{split}", "./images/{split}/"),
    "roboflow": Layout("{valid}/images", "{valid}/labels", "../{valid}/images"),
    "roboflow, mended": Layout("{valid}/images", "{valid}/labels", "{valid}/images"),
    "nested": Layout("images/{split}/floor {part}/x", "labels/{split}/floor {part}/x", "images/{split}"),
    "several": Layout("{part}/images/{split}", "{part}/labels/{split}", ["a/images/{split}", "b/images/{split}"]),
    "beside": Layout("{split}", "{split}", "{split}"),
    "cvat": Layout("images/{split}", "labels/{split}", "{split}.txt", "data/{image}"),
    "label studio": Layout("images", "labels", "{split}.txt", "./{image}"),
    "plain lists": Layout("images/{split}", "labels/{split}", "{split}.txt", "{image}"),
}


def make(seed: int) -> Made:
    """The valid dataset of a seed."""
    random = Random(seed)
    task = random.choice(("segment", "segment", "detect"))
    class_count = random.choice((1, 1, 2, 3, 5, 80))
    layout = LAYOUTS[random.choice(sorted(LAYOUTS))]
    made = Made(random, task, _data(random, layout, class_count), _settings(random, task))
    suffixes = [random.choice(SUFFIXES)] if random.random() < 0.6 else list(SUFFIXES)
    stem = random.choice(_STEMS)
    for split, count in (("train", random.randint(3, 9)), ("val", random.randint(2, 4))):
        made.splits[split] = {}
        for number in range(count):
            name = stem.format(f"{split[0]}{number}" if layout.images == "images" else number)
            image = f"{layout.folder(layout.images, split, number)}/{name}{random.choice(suffixes)}"
            label = posixpath.splitext(_label_beside(image, layout))[0] + ".txt"
            picture, text = draw(random, task, class_count)
            made.files[image] = encode(picture, posixpath.splitext(image)[1])
            made.splits[split][image] = label
            made.files[label] = text.encode()
    _vary(made)
    _list(made, layout)
    return made


def _label_beside(image: str, layout: Layout) -> str:
    return image.replace("images", "labels", 1) if layout.images != layout.labels else image


def _data(random: Random, layout: Layout, class_count: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    path = "./" if layout.listed.startswith("data/") else random.choice(_PATHS)
    if path is not None and not str(layout.entry).startswith("../"):
        data["path"] = path
    for split in ("train", "val"):
        patterns = layout.entry if isinstance(layout.entry, list) else [layout.entry]
        entries = [layout.folder(pattern, split) for pattern in patterns]
        data[split] = entries if isinstance(layout.entry, list) else entries[0]
    if "{valid}" in str(layout.entry):
        data["test"] = str(layout.entry).format(valid="test")
    names = [_NAMES[index] if index < len(_NAMES) else f"class {index}" for index in range(class_count)]
    kind = random.choice(("list", "list", "dict", "nc"))
    if kind != "list":
        data["nc"] = class_count
    if kind != "nc":
        data["names"] = dict(enumerate(names)) if kind == "dict" else names
    return data


def _settings(random: Random, task: str) -> dict[str, Any]:
    train: dict[str, Any] = {"workers": 0, "plots": random.random() < 0.04, "amp": False, "deterministic": False}
    for name, values in (
        ("mosaic", (0.0, 1.0)),
        ("mixup", (0.0, 1.0)),
        ("copy_paste", (0.0, 1.0)),
        ("degrees", (0.0, 45.0)),
        ("overlap_mask", (True, False)),
        ("rect", (True, False)),
        ("cache", ("ram", "disk", False)),
        ("mask_ratio", (1, 4)),
        ("multi_scale", (0.0, 0.5)),
    ):
        if random.random() < 0.2:
            train[name] = random.choice(values)
    return {
        "model": "yolov8n-seg.yaml" if task == "segment" else "yolov8n.yaml",
        "epochs": 1,
        "imgsz": 32 if random.random() < 0.1 else 64,
        "batch": random.choice((2, 4, 8)),
        "train": train,
    }


def _vary(made: Made) -> None:
    """What harms nothing: images without objects, other ends of line, a byte-order mark, what systems leave behind."""
    random = made.random
    train = sorted(made.splits["train"])
    for image in random.sample(train, random.choice((0, 0, 1, 2))):
        label = made.splits["train"][image]
        if random.random() < 0.5:
            del made.files[label]
        else:
            made.files[label] = random.choice((b"", b"\n", b" \r\n"))
    for label in made.every_label("train"):
        text = made.files[label]
        made.files[label] = random.choice(
            (text, text, text, b"\xef\xbb\xbf" + text, text.replace(b"\n", b"\r\n"), text.rstrip(), b"\n" + text)
        )
    for name in random.sample(sorted(_DEBRIS), random.choice((0, 0, 2, 5))):
        made.files.setdefault(name, _DEBRIS[name])
    if random.random() < 0.2:
        made.files["classes.txt"] = b"room\n"
        made.files["labels/classes.txt"] = b"room\n"


def _list(made: Made, layout: Layout) -> None:
    if layout.listed:
        for split, images in made.splits.items():
            lines = [layout.listed.format(image=image) for image in images]
            made.files[f"{split}.txt"] = made.random.choice(("\n", "\r\n")).join(lines).encode() + b"\n"


# --- mutations --------------------------------------------------------------------------------------------------------

Mutation = Callable[[Made], None]


def mutated(seed: int, mutations: dict[str, Mutation]) -> Made:
    """The dataset of a seed with none to three of the mutations, most often one; in turn each of them is the first."""
    made = make(seed)
    names = sorted(mutations)
    first = names[(seed + seed // len(names)) % len(names)]
    for name in [first, *made.random.sample(names, 2)][: made.random.choice((0, 1, 1, 1, 2, 3))]:
        mutations[name](made)
        made.history.append(name)
    return made
