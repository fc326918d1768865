"""The rules of a YOLO dataset: which images a split has, and which labels belong to them.

Pure: a dataset is a listing of its files and a way to read a few of them. The rules are ultralytics' own
(`ultralytics/data/utils.py` of 8.4.190); where Traindrop is stricter, the message says so.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from traindrop.data_yaml import Description
from traindrop.problems import EXAMPLES, Problem

IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
_LISTS_LIMIT = 16 * 1024 * 1024
_LABEL_LIMIT = 64 * 1024
_NOT_LABELS = frozenset(
    {
        "classes.txt",
        "labels.txt",
        "names.txt",
        "notes.txt",
        "readme.txt",
        "license.txt",
        "readme.dataset.txt",
        "readme.roboflow.txt",
        "obj.names",
        "train.txt",
        "val.txt",
        "test.txt",
    }
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
    """The files that a split trains or validates on."""

    images: list[File] = field(default_factory=list)
    labels: list[File] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Images, labels, and backgrounds (images without a label)."""
        return {
            "images": len(self.images),
            "labels": len(self.labels),
            "backgrounds": len(self.images) - len(self.labels),
        }


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


def resolve(
    description: Description, files: Mapping[str, File], read: Callable[[str], bytes]
) -> tuple[dict[str, Split], list[Problem]]:
    """The images and labels of each split, and what does not pair up.

    `files` maps relative paths to files, noise left out; `read` answers the content of one of them.
    """
    problems: list[Problem] = []
    splits: dict[str, Split] = {}
    lists = {entry for entries in description.splits.values() for entry in entries if _is_list(entry)}
    if sum(files[entry].size for entry in lists if entry in files) > _LISTS_LIMIT:
        return {}, [
            Problem(
                "split.list_too_large",
                f"the lists of images that data.yaml names have more than {_LISTS_LIMIT // 1024**2} MiB; name folders",
                sorted(lists),
            )
        ]
    for name, entries in description.splits.items():
        split = splits[name] = Split()
        seen: set[str] = set()
        folders: set[str] = set()
        for entry in entries:
            found = list(dict.fromkeys(_images(entry, files, read, folders)))
            if not found:
                problems.append(
                    Problem(
                        "split.no_images",
                        f"data.yaml names `{name}: {entry}`, but no image lies there; upload the "
                        f"images there, or correct the path",
                        [entry],
                        passing=True,
                    )
                )
            split.images += [files[image] for image in found if image not in seen]
            seen.update(found)
        wanted = {label_of(image.name) for image in split.images}
        split.labels = [files[label] for label in sorted(wanted) if label in files]
        split.orphans = sorted(label for label in _labels_in(folders, files) if label not in wanted)
        if split.orphans:
            problems.append(
                Problem(
                    "label.without_image",
                    f"labels of the {name} split without an image: {len(split.orphans)}, such as {split.orphans[0]}; "
                    "upload the missing image or delete the label",
                    split.orphans[:EXAMPLES],
                    len(split.orphans),
                    passing=True,
                )
            )
        if split.images and not split.labels and name != "test":
            problems.append(
                Problem(
                    "split.no_labels",
                    f"none of the {len(split.images)} images of the {name} split has a label; expected "
                    f"for instance {label_of(split.images[0].name)}",
                    [split.images[0].name],
                    len(split.images),
                    passing=True,
                )
            )
    problems += _overlap(splits)
    return splits, problems


def _images(entry: str, files: Mapping[str, File], read: Callable[[str], bytes], folders: set[str]) -> Iterable[str]:
    if _is_list(entry):
        if entry not in files:
            return
        for line in read(entry).decode("utf-8", errors="replace").split("\n"):
            path = line.strip().replace("\\", "/")
            if not path:
                continue
            if path.startswith("./"):
                path = posixpath.join(posixpath.dirname(entry), path[2:])
            path = posixpath.normpath(path).lstrip("/")
            if path in files and is_image(path):
                folders.add(posixpath.dirname(path))
                yield path
    elif entry in files and is_image(entry):
        yield entry
    else:
        prefix = "" if entry == "." else f"{entry.rstrip('/')}/"
        folders.add(prefix.rstrip("/"))
        yield from sorted(name for name in files if name.startswith(prefix) and is_image(name))


def _is_list(entry: str) -> bool:
    return entry.lower().endswith(".txt")


def is_image(name: str) -> bool:
    """Whether ultralytics takes a file for an image, by its suffix in any case."""
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _labels_in(folders: set[str], files: Mapping[str, File]) -> Iterable[str]:
    """Label files that lie where the labels of images in these folders are looked for."""
    below = {posixpath.dirname(label_of(f"{folder}/x.png" if folder else "x.png")) for folder in folders}
    for name in files:
        if name.endswith(".txt") and posixpath.basename(name).lower() not in _NOT_LABELS:
            folder = name.rpartition("/")[0]
            while folder and folder not in below:
                folder = folder.rpartition("/")[0]
            if folder in below:
                yield name


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
