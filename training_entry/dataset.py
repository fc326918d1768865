"""The dataset as ultralytics may see it: the images and labels that were checked, and nothing else.

Neither its data.yaml nor its folders are read here: which images a split has, and which label belongs to each, was
settled when the dataset was checked and comes in the manifest. Every split becomes a list of absolute image paths, so
that nothing depends on the working directory.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import yaml

from training_entry import archive, durable, guard, manifest
from training_entry.failure import BadDataset, DatasetChanged
from training_entry.job import Job, Paths
from training_entry.manifest import Manifest, Pair

_EXAMPLES = 3


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk: the description for ultralytics, the images of each split, and how many were left out.

    `validation_split` is the digest of the images and labels that models are measured on.
    """

    description: Path
    images: dict[str, list[Path]]
    left_out: int
    validation_split: str


def prepare(job: Job, paths: Paths) -> Dataset:
    """Unpack the dataset if it is a zip, compare it with the manifest, leave out what cannot be used, describe it.

    Raises:
        BadDataset: it cannot be unpacked, or a split has nothing to train on.
        DatasetChanged: it is not what was validated.
    """
    checked = manifest.read(paths.config / job.manifest)
    place = paths.dataset
    crcs: dict[str, str] = {}
    if job.form == "archive":
        place, crcs = _unpack(job, paths, checked)
    folder = Path(os.path.abspath(place / job.data_root))  # noqa: PTH100  (resolve() would follow links)
    started = time.monotonic()
    checked.compare(folder, crcs)
    print(f"VERIFIED {len(checked.files)} files in {time.monotonic() - started:.1f} s", flush=True)
    usable, left_out = guard.usable(folder, checked.splits, job)
    for split, pairs in usable.items():
        backgrounds = sum(not pair.label for pair in pairs)
        print(f"DATASET {split}: {len(pairs)} images, {backgrounds} of them backgrounds", flush=True)
    images = _gather(folder, usable, paths.work / "dataset")
    return Dataset(_describe(job, paths, images), images, left_out, checked.digest(usable["val"]))


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


def _unpack(job: Job, paths: Paths, checked: Manifest) -> tuple[Path, dict[str, str]]:
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
        if packed.stat().st_size != checked.archive_bytes:
            raise DatasetChanged(f"{job.file} was changed") from error
        raise
    print(f"UNPACKED {len(crcs)} files of {job.file}", flush=True)
    root = f"{posixpath.normpath(job.data_root)}/" if job.data_root else ""
    return place, {name.removeprefix(root): crc for name, crc in crcs.items()}


def _gather(folder: Path, splits: Mapping[str, Sequence[Pair]], target: Path) -> dict[str, list[Path]]:
    """Link images and labels below a folder that holds nothing else; answer the images there.

    Where it lies a dataset may bring a `.cache` beside its labels, which ultralytics unpickles and so runs, or `.npy`
    beside an image, which it takes in its place; and a label that came after the check. An image is linked at
    `<n>/images/<its path>`. `n` is 0, or more for an image whose label would lie where another image has another one.
    """
    shutil.rmtree(target, ignore_errors=True)
    labels: dict[Path, str] = {}
    places: dict[Path, str] = {}
    images: dict[str, list[Path]] = {split: [] for split in splits}
    for split, pairs in splits.items():
        for pair in pairs:
            candidates = (target / str(number) / "images" / pair.image for number in count())
            image = next(place for place in candidates if labels.setdefault(label_of(place), pair.label) == pair.label)
            images[split].append(image)
            places[image] = pair.image
    links = {link: folder / name for link, name in (places | labels).items() if name}
    for parent in {link.parent for link in links}:
        parent.mkdir(parents=True, exist_ok=True)
    for link, place in links.items():
        link.symlink_to(place)
    return images


def _describe(job: Job, paths: Paths, images: Mapping[str, Sequence[Path]]) -> Path:
    description = paths.work / "data.yaml"
    lists = {split: paths.work / f"{split}.txt" for split in images}
    for split, place in lists.items():
        durable.write(place, "".join(f"{image}\n" for image in images[split]))
    document = {
        "path": str(paths.work / "dataset"),
        **{split: str(place) for split, place in lists.items()},
        "names": job.names,
    }
    durable.write(description, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return description
