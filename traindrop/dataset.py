"""The rules of a YOLO dataset: which images a split has, and which labels belong to them.

Pure: a dataset is a listing of its files and a way to read a few of them. The rules are ultralytics' own
(`ultralytics/data/utils.py` of 8.4.190); where Traindrop is stricter, the message says so.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from traindrop.data_yaml import Description
from traindrop.file_problems import of_split
from traindrop.layout import Layout, is_hidden, is_image, lines, several
from traindrop.problems import EXAMPLES, Problem, Tally

TRAINED_ON = ("train", "val")
"""The splits that a training uses."""
_LISTS_LIMIT = 16 * 1024 * 1024
_NOT_LABELS = re.compile(
    r"(classes|labels|names|notes|data|requirements|readme.*|license.*|copying|attribution"
    r"|(autosplit_)?(train|trainval|val|valid|validation|test))\.txt",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a dataset: its path relative to the dataset's root, size in bytes, content digest, and when it came.

    `digest` is empty where it is not known without reading the file; `modified` is in epoch seconds, 0 if unknown.
    """

    name: str
    size: int
    digest: str
    modified: float = 0.0


@dataclass
class Split:
    """The files that a split trains or validates on, and the folders and lists that its entries lead to.

    `images` are in the order of their names, each once; `backgrounds` are those without a label, `orphans` the labels
    without an image.
    """

    images: list[File] = field(default_factory=list)
    labels: list[File] = field(default_factory=list)
    backgrounds: list[File] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Images, labels, and backgrounds (images without a label)."""
        return {"images": len(self.images), "labels": len(self.labels), "backgrounds": len(self.backgrounds)}


def is_noise(name: str) -> bool:
    """Whether a file is what operating systems and ultralytics leave behind, not a part of the dataset."""
    base = posixpath.basename(name)
    return (
        base.startswith((".", "._"))
        or base in ("Thumbs.db", "desktop.ini", "Icon\r")
        or base.endswith(".cache")
        or name.startswith("__MACOSX/")
        or "/__MACOSX/" in name
    )


def label_of(image: str) -> str:
    """Where the label of an image lies: the last `/images/` becomes `/labels/`, the suffix `.txt`."""
    head, found, tail = f"/{image}".rpartition("/images/")
    path = f"{head}/labels/{tail}" if found else f"/{image}"
    return posixpath.splitext(path)[0][1:] + ".txt"


def hint_of_classification(names: Collection[str]) -> str:
    """What to say besides that there is no data.yaml where images without labels lie in `train/<class>/`."""
    images = [name for name in names if is_image(name)]
    classes = {tuple(name.split("/")[-3:-1]) for name in images}
    if not any(len(parts) == 2 and parts[0] == "train" and parts[1] != "images" for parts in classes):
        return ""
    if any(label_of(image) in names for image in images):
        return ""
    return (
        "; images in a folder of their own for each class are a dataset for classification, and segmentation and "
        "detection alone are trained here"
    )


def resolve(
    description: Description, files: Mapping[str, File], read: Callable[[str], bytes]
) -> tuple[dict[str, Split], list[Problem]]:
    """The images and labels of each split, and what does not pair up.

    Every split's images are those that ultralytics' own loader lists, each once. What is wrong with the test split,
    which training does not use, is only warned of.

    Args:
        description: what data.yaml says.
        files: the files by their paths relative to the dataset's root, noise left out.
        read: answers the content of one of them.
    """
    layout = Layout(files)
    base = layout.base(description.path, description.splits.get("train", []))
    splits = {name: Split() for name in description.splits}
    faults = {name: Tally() for name in splits}
    for name, entries in description.splits.items():
        for entry in several(entries):
            place = layout.place(entry, base, alone=isinstance(entries, str))
            if place is None:
                faults[name].add("split.no_images", entry)
            else:
                splits[name].places.append(place)
    lists = sorted({place for split in splits.values() for place in split.places if place in layout.names})
    if sum(files[layout.names[place]].size for place in lists if not is_image(place)) > _LISTS_LIMIT:
        words = f"the lists of images that data.yaml names have more than {_LISTS_LIMIT // 1024**2} MiB; name folders"
        return {}, [Problem("split.list_too_large", words, lists)]
    images: dict[str, list[str]] = {}
    for name, split in splits.items():
        images[name] = _images(split, layout, read, faults[name])
        split.images = [files[layout.names[image]] for image in images[name]]
        _pair(split, images[name], files, layout, faults[name])
        if split.images and not split.labels and name != "test":
            expected = label_of(images[name][0])
            faults[name].add(
                "split.no_labels", images[name][0], f"its label would be {expected}", count=len(split.images)
            )
    _look_for_orphans(splits, images, layout, lists, faults)
    found = [problem for name in splits for problem in faults[name].problems(of_split(name))]
    return splits, [*found, *_overlap(splits)]


def _images(split: Split, layout: Layout, read: Callable[[str], bytes], faults: Tally) -> list[str]:
    """Images that the folders and lists of a split hold, each once and in order."""
    found: set[str] = set()
    for place, times in Counter(split.places).items():
        if place in layout.folders:
            here = layout.images_below(place)
            if not here:
                faults.add("split.no_images", place or ".")
        elif is_image(place):
            faults.add("split.entry_is_an_image", place)
            continue
        else:
            here = list(_listed(place, read(layout.names[place]), layout, faults))
        fresh = set(here) - found
        if twice := times * len(here) - len(fresh):
            known = (image for image in here if image not in fresh)
            faults.add("split.listed_twice", next(known, "") or Counter(here).most_common(1)[0][0], count=twice)
        found |= fresh
    return sorted(found)


def _listed(name: str, content: bytes, layout: Layout, faults: Tally) -> Iterator[str]:
    """Images that a list names."""
    number = 0
    try:
        for number, line in lines(content):
            if not is_image(line):
                faults.add("split.line_is_no_image", f"{name}:{number}")
            elif image := layout.listed(line, name):
                yield image
            else:
                faults.add("split.image_missing", f"{name}:{number}")
    except UnicodeDecodeError:
        faults.add("split.list_not_text", name)
    else:
        if not number:
            faults.add("split.no_images", name)


def _pair(split: Split, images: Sequence[str], files: Mapping[str, File], layout: Layout, faults: Tally) -> None:
    """Give a split its labels and its backgrounds."""
    labels = list(map(label_of, images))
    users = Counter(labels)
    split.labels = [files[layout.names[label]] for label in sorted(users) if label in layout.names]
    for file, image, label in zip(split.images, images, labels, strict=True):
        if label not in layout.names:
            split.backgrounds.append(file)
        elif users[label] > 1:
            faults.add("label.shared", image)


def _look_for_orphans(
    splits: Mapping[str, Split],
    images: Mapping[str, Sequence[str]],
    layout: Layout,
    lists: Sequence[str],
    faults: Mapping[str, Tally],
) -> None:
    """Find what lies among the labels of a split and is none: those of no image, and those of another suffix.

    They lie where the labels of a split's images do, or anywhere below the labels of a folder that it names.
    """
    beside: dict[str, str] = {}
    below: dict[str, str] = {}
    for name, split in splits.items():
        for folder in set(map(posixpath.dirname, images[name])):
            beside.setdefault(_labels_of(folder), name)
        for place in split.places:
            if place in layout.folders:
                below.setdefault(_labels_of(place), name)

    def owner(folder: str) -> str:
        if folder not in below:
            below[folder] = owner(posixpath.dirname(folder)) if folder else ""
        return below[folder]

    used = {*map(label_of, layout.images), *lists}
    for label in sorted(layout.names):
        if label[-4:].lower() != ".txt" or label in used or is_hidden(label):
            continue
        folder, _, base = label.rpartition("/")
        name = beside.get(folder) or owner(folder)
        if not name or _NOT_LABELS.fullmatch(base):
            continue
        if label.endswith(".txt"):
            splits[name].orphans.append(label)
            faults[name].add("label.without_image", label)
        else:
            faults[name].add("label.wrong_suffix", label)


def _labels_of(folder: str) -> str:
    """The folder where the labels of the images in a folder lie."""
    return posixpath.dirname(label_of(f"{folder}/x.png" if folder else "x.png"))


def _overlap(splits: Mapping[str, Split]) -> list[Problem]:
    if "train" not in splits or "val" not in splits:
        return []
    shared = sorted({image.name for image in splits["train"].images} & {image.name for image in splits["val"].images})
    if not shared:
        return []
    return [
        Problem(
            "split.overlap",
            f"{len(shared)} images are in both the train and the val split, such as "
            f"{shared[0]}; a model must not be judged on what it learned from",
            shared[:EXAMPLES],
            len(shared),
        )
    ]


def sample(names: Sequence[str], count: int) -> list[str]:
    """Up to `count` names spread evenly over a sequence."""
    step = max(1, len(names) // count)
    return list(names[::step][:count])
