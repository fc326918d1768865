"""The rules of a YOLO dataset: what data.yaml means, which images a split has, and which labels belong to them.

Pure: a dataset is a listing of its files and a way to read a few of them. The rules are ultralytics' own
(`ultralytics/data/utils.py` of 8.4.190); where Traindrop is stricter, the message says so.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from traindrop.problems import EXAMPLES, Problem

IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
DATA_FILES = ("data.yaml", "data.yml")
_YAML_LIMIT = 1024 * 1024
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
_SPLIT_KEYS = {"train": ("train",), "val": ("val", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class File:
    """A file of a dataset: its path relative to the dataset's root, size in bytes and content digest."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Description:
    """A normalised data.yaml: class names by index and, per split, paths relative to the dataset's root."""

    names: dict[int, str]
    splits: dict[str, list[str]]


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
        or base in ("Thumbs.db", "desktop.ini")
        or base.endswith(".cache")
        or name.startswith("__MACOSX/")
        or "/__MACOSX/" in name
    )


def describe(text: bytes, place: str) -> tuple[Description | None, list[Problem]]:
    """Normalise a data.yaml; unknown keys, `download:` among them, are dropped and never acted on."""
    if len(text) > _YAML_LIMIT:
        return None, [
            Problem("data_yaml.too_large", f"{place} has {len(text)} bytes; at most {_YAML_LIMIT} are read", [place])
        ]
    try:
        values = yaml.safe_load(text.decode("utf-8-sig", errors="replace"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return None, [
            Problem("data_yaml.not_yaml", f"{place} is not YAML: {' '.join(str(error).split())[:300]}", [place])
        ]
    if not isinstance(values, dict):
        return None, [Problem("data_yaml.not_a_mapping", f"{place} must hold `train:`, `val:` and `names:`", [place])]
    problems: list[Problem] = []
    names = _names(values, place, problems)
    splits: dict[str, list[str]] = {}
    for split, keys in _SPLIT_KEYS.items():
        value = next((values[key] for key in keys if values.get(key) is not None), None)
        if value is None:
            if split != "test":
                problems.append(
                    Problem(
                        "data_yaml.no_split",
                        f"{place} has no `{split}:`; name the folder of the "
                        f"{'validation' if split == 'val' else 'training'} images, such as "
                        f"`{split}: images/{split}`",
                        [place],
                    )
                )
            continue
        paths = _paths(value, str(values.get("path") or ""), f"{place}: {split}", problems)
        if paths:
            splits[split] = paths
    return (None if problems else Description(names, splits)), problems


def _names(values: Mapping[str, Any], place: str, problems: list[Problem]) -> dict[int, str]:
    names, count = values.get("names"), values.get("nc")
    if names is None and isinstance(count, int) and 0 < count <= 10_000:
        return {index: f"class_{index}" for index in range(count)}
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        problems.append(
            Problem(
                "data_yaml.no_names",
                f"{place} has no class names; write `names: [room]` or `names: {{0: room}}`",
                [place],
            )
        )
        return {}
    try:
        named = {int(key): str(value) for key, value in names.items()}
    except (TypeError, ValueError):
        named = {}
    if sorted(named) != list(range(len(names))):
        problems.append(
            Problem(
                "data_yaml.bad_names",
                f"{place}: the keys of `names` must be 0 to {len(names) - 1} without a hole",
                [place],
            )
        )
    if isinstance(count, int) and count != len(names):
        problems.append(
            Problem(
                "data_yaml.names_differ_from_nc",
                f"{place} says nc: {count} but names {len(names)} classes; correct one of the two, or leave nc out",
                [place],
            )
        )
    return dict(sorted(named.items()))


def _paths(value: Any, base: str, place: str, problems: list[Problem]) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(entry, str) and entry.strip() for entry in entries):
        problems.append(Problem("data_yaml.bad_split", f"{place} must be a path or a list of paths", [place]))
        return []
    return [_relative(entry, base, roboflow=isinstance(value, str)) for entry in entries]


def _relative(entry: str, base: str, *, roboflow: bool) -> str:
    """Path of a split below the dataset's root, as ultralytics finds it.

    The root is the folder of data.yaml whatever `path` says, because that is where the drop lies; an absolute
    `path` of the author's machine is cut off. `../train/images` of Roboflow's exports means `train/images`.
    """
    entry = entry.strip().replace("\\", "/")
    base = base.strip().replace("\\", "/").rstrip("/")
    if base and entry.startswith(f"{base}/"):
        entry = entry[len(base) + 1 :]
    if roboflow and entry.startswith("../"):
        entry = entry[3:]
    parts = [part for part in posixpath.normpath(entry.lstrip("/")).split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "."


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
    if entry.lower().endswith(".txt"):
        if entry not in files:
            return
        for line in read(entry).decode("utf-8", errors="replace").split("\n"):
            path = line.strip().replace("\\", "/")
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


def is_image(name: str) -> bool:
    """Whether ultralytics takes a file for an image, by its suffix in any case."""
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _labels_in(folders: set[str], files: Mapping[str, File]) -> Iterable[str]:
    """Label files that lie where the labels of images in these folders are looked for."""
    prefixes = set()
    for folder in folders:
        label_folder = posixpath.dirname(label_of(f"{folder}/x.png" if folder else "x.png"))
        prefixes.add(f"{label_folder}/" if label_folder else "")
    for name in files:
        if (
            name.endswith(".txt")
            and posixpath.basename(name).lower() not in _NOT_LABELS
            and any(name.startswith(prefix) for prefix in prefixes)
        ):
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


def task_of(labels: Iterable[bytes]) -> str | None:
    """`segment` or `detect`, by ultralytics' rule that any row of more than six fields makes polygons."""
    answer = None
    for text in labels:
        rows = [row.split() for row in text.decode("utf-8-sig", errors="replace").splitlines() if row.strip()]
        if any(len(row) > 6 for row in rows):
            return "segment"
        if rows:
            answer = "detect"
    return answer


def fingerprint(description: Description, splits: Mapping[str, Split], settings: Mapping[str, Any]) -> str:
    """Digest of all that decides the model: names, sizes and digests of the files used, classes, settings."""
    digest = hashlib.sha256()
    digest.update(repr((sorted(description.names.items()), sorted(settings.items()))).encode())
    for name, split in sorted(splits.items()):
        for file in sorted([*split.images, *split.labels], key=lambda file: file.name):
            digest.update(f"{name}\0{file.name}\0{file.size}\0{file.digest}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def sample(items: Sequence[File], count: int) -> list[File]:
    """Up to `count` items spread evenly over a sequence."""
    step = max(1, len(items) // count)
    return list(items[::step][:count])
