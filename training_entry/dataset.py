"""The dataset as ultralytics may see it: images and labels alone, compared with what was checked, and known keys.

Its own data.yaml is not read here: what it says was checked and normalised before the job began, and comes in
job.json. Every split becomes a list of absolute image paths, so that nothing depends on the working directory.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import yaml

from training_entry import archive, durable, manifest
from training_entry.failure import BadDataset, DatasetChanged
from training_entry.job import Job, Paths
from training_entry.manifest import Manifest

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
    """Unpack the dataset if it is a zip, list its images, compare all with the manifest and describe them.

    Raises:
        BadDataset: it cannot be unpacked.
        DatasetChanged: it is not what was validated.
    """
    checked = manifest.read(paths.config / job.manifest) if job.manifest else None
    place = paths.dataset
    crcs: dict[str, str] = {}
    if job.form == "archive":
        place, crcs = _unpack(job, paths, checked)
    folder = Path(os.path.abspath(place / job.data_root))  # noqa: PTH100  (resolve() would follow links)
    images = {split: _images(folder, job.splits.get(split, []), split) for split in _SPLITS}
    if checked:
        _verify(checked, folder, images, crcs)
    for split, found in images.items():
        _compare(split, len(found), job.expected.get(split))
    gathered = paths.work / "dataset"
    images = _gather(folder, images, gathered)
    return Dataset(_describe(job, paths, gathered, images), images)


def label_of(image: Path) -> Path:
    """Where ultralytics looks for the label of an image: the last /images/ becomes /labels/, the suffix .txt."""
    head, found, tail = str(image).rpartition("/images/")
    return Path(f"{head}/labels/{tail}" if found else str(image)).with_suffix(".txt")


def _exact(channel: Path, file: str) -> Path:
    packed = channel / file
    if not file or "/" in file or not packed.is_file():
        there = sorted(item.name for item in channel.glob("*"))[:_EXAMPLES] if channel.is_dir() else []
        raise DatasetChanged(f"the zip {file!r} did not reach the job (there is {', '.join(there) or 'nothing'})")
    return packed


def _unpack(job: Job, paths: Paths, checked: Manifest | None) -> tuple[Path, dict[str, str]]:
    """Unpack the zip into the work folder; answer that folder and the CRC-32 of each file by its path below the root.

    A zip packed anew with the same files is not another dataset, so its own size matters only if it is unreadable.
    """
    packed = _exact(paths.dataset, job.file)
    place = paths.work / "unpacked"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        crcs = archive.extract(packed, place)
    except BadDataset as error:
        if checked and packed.stat().st_size != checked.archive_bytes:
            raise DatasetChanged(f"{job.file} was changed") from error
        raise
    print(f"UNPACKED {len(crcs)} files of {job.file}", flush=True)
    root = f"{posixpath.normpath(job.data_root)}/" if job.data_root else ""
    return place, {name.removeprefix(root): crc for name, crc in crcs.items()}


def _compare(split: str, found: int, expected: int | None) -> None:
    if expected is not None and found != expected:
        raise DatasetChanged(f"the {split} split has {found} images, but {expected} were there")
    if not found:
        raise BadDataset(f"The {split} split has no images; correct data.yaml and drop the dataset again.")


def _verify(checked: Manifest, folder: Path, images: Mapping[str, Sequence[Path]], crcs: Mapping[str, str]) -> None:
    started = time.monotonic()
    places: dict[str, Path] = {}
    for image in chain.from_iterable(images.values()):
        label = label_of(image)
        places |= {path.relative_to(folder).as_posix(): path for path in (image, label) if path.is_file()}
    checked.compare(places, crcs)
    print(f"VERIFIED {len(places)} files in {time.monotonic() - started:.1f} s", flush=True)


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
        if archive.is_noise(name):
            continue
        if (folder / name).is_file():
            yield name


def _gather(folder: Path, images: Mapping[str, Sequence[Path]], target: Path) -> dict[str, list[Path]]:
    """Link the images and their labels below a folder that holds nothing else; answer the images there.

    Where it lies a dataset may bring a `.cache` beside its labels, which ultralytics unpickles and so runs, or `.npy`
    beside an image, which it takes in its place.
    """
    shutil.rmtree(target, ignore_errors=True)
    links: dict[Path, Path] = {}
    for image in chain.from_iterable(images.values()):
        links |= {target / path.relative_to(folder): path for path in (image, label_of(image)) if path.is_file()}
    for link, path in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return {split: [target / image.relative_to(folder) for image in found] for split, found in images.items()}


def _describe(job: Job, paths: Paths, folder: Path, images: dict[str, list[Path]]) -> Path:
    description = paths.work / "data.yaml"
    lists = {split: paths.work / f"{split}.txt" for split in _SPLITS}
    for split, place in lists.items():
        durable.write(place, "".join(f"{image}\n" for image in images[split]))
    document = {"path": str(folder), **{split: str(place) for split, place in lists.items()}, "names": job.names}
    durable.write(description, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return description
