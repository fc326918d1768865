"""The dataset as ultralytics may see it: unpacked, counted against its verdict, described by known keys only.

Its own data.yaml is not read here: what it says was checked and normalised before the job began, and comes in
job.json. Every split becomes a list of absolute image paths, so that nothing depends on the working directory.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from training_entry import archive, durable
from training_entry.failure import BadDataset
from training_entry.job import Job, Paths

IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
_SPLITS = ("train", "val")
_EXAMPLES = 3


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk: the description for ultralytics, and the images of each split."""

    description: Path
    images: dict[str, list[Path]]


def prepare(job: Job, paths: Paths) -> Dataset:
    """Unpack the dataset if it is a zip, list its images and describe them.

    Raises:
        BadDataset: it cannot be unpacked, or is not what was validated.
    """
    place = paths.dataset
    if job.form == "archive":
        packed = _exact(place, job.file)
        place = paths.work / "dataset"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        count = archive.extract(packed, place)
        print(f"UNPACKED {count} files of {job.file}", flush=True)
    folder = Path(os.path.abspath(place / job.data_root))  # noqa: PTH100  (resolve() would follow links)
    images = {split: _images(folder, job.splits.get(split, []), split) for split in _SPLITS}
    for split, found in images.items():
        _compare(split, len(found), job.expected.get(split))
    return Dataset(_describe(job, paths, folder, images), images)


def label_of(image: Path) -> Path:
    """Where ultralytics looks for the label of an image: the last /images/ becomes /labels/, the suffix .txt."""
    head, found, tail = str(image).rpartition("/images/")
    return Path(f"{head}/labels/{tail}" if found else str(image)).with_suffix(".txt")


def _exact(channel: Path, file: str) -> Path:
    packed = channel / file
    if not file or "/" in file or not packed.is_file():
        there = sorted(item.name for item in channel.glob("*"))[:_EXAMPLES] if channel.is_dir() else []
        raise BadDataset(
            f"The zip {file!r} did not reach the job (there is {', '.join(there) or 'nothing'}); it was "
            "deleted or replaced after it was checked. Drop it again."
        )
    return packed


def _compare(split: str, found: int, expected: int | None) -> None:
    if expected is not None and found != expected:
        raise BadDataset(
            f"The {split} split has {found} images, but {expected} were there when the dataset was "
            "checked: it was changed since. Drop it again, and do not change it while it trains."
        )
    if not found:
        raise BadDataset(f"The {split} split has no images; correct data.yaml and drop the dataset again.")


def _images(folder: Path, entries: list[str], split: str) -> list[Path]:
    """Images of a split in the order of its entries, each once."""
    found: dict[str, None] = {}
    for entry in entries:
        path = folder / _below(entry, split)
        if path.is_dir():
            found.update(dict.fromkeys(_walk(folder, path)))
        elif path.suffix.lower() == ".txt" and path.is_file():
            found.update(dict.fromkeys(_listed(folder, path)))
        elif path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            found[path.relative_to(folder).as_posix()] = None
    return [folder / name for name in found]


def _below(entry: str, split: str) -> str:
    if entry.startswith("/") or ".." in entry.split("/"):
        raise BadDataset(f"The {split} split names {entry!r:.200}, a path outside of the dataset.")
    return entry


def _walk(folder: Path, start: Path) -> list[str]:
    found = []
    for base, _, names in os.walk(start):
        inner = Path(base).relative_to(folder).as_posix()
        found += [
            posixpath.normpath(f"{inner}/{name}")
            for name in names
            if posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES
        ]
    return sorted(name for name in found if not archive.is_noise(name))


def _listed(folder: Path, listing: Path) -> Iterator[str]:
    """Images that a .txt list names and that exist; `./` is relative to the list, all else to the dataset."""
    beside = listing.parent.relative_to(folder).as_posix()
    for line in listing.read_text(encoding="utf-8", errors="replace").split("\n"):
        name = line.strip().replace("\\", "/")
        if not name:
            continue
        name = posixpath.normpath(posixpath.join(beside, name[2:]) if name.startswith("./") else name.lstrip("/"))
        if ".." in name.split("/") or posixpath.splitext(name)[1].lower() not in IMAGE_SUFFIXES:
            continue
        if (folder / name).is_file():
            yield name


def _describe(job: Job, paths: Paths, folder: Path, images: dict[str, list[Path]]) -> Path:
    description = paths.work / "data.yaml"
    lists = {split: paths.work / f"{split}.txt" for split in _SPLITS}
    for split, place in lists.items():
        durable.write(place, "".join(f"{image}\n" for image in images[split]))
    document = {"path": str(folder), **{split: str(place) for split, place in lists.items()}, "names": job.names}
    durable.write(description, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return description
