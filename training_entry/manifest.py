"""What was checked, pair by pair, and whether what reached the job is that."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from training_entry.failure import BadJob, DatasetChanged

SPLITS = ("train", "val")
_EXAMPLES = 3
_NAME_LIMIT = 120


class Pair(NamedTuple):
    """An image and its label, relative to the folder of data.yaml; a background's label is empty."""

    image: str
    label: str


@dataclass(frozen=True)
class Manifest:
    """The pairs of each split in order, size in bytes and digest of each file, and the zip's own size (0: a folder).

    `checksum` is `md5`, `crc32` or empty. S3 does not know the MD5 of an object that was uploaded in parts or encrypted
    with a KMS key: its digest is empty, and it is compared by its size only.
    """

    checksum: str
    archive_bytes: int
    splits: Mapping[str, tuple[Pair, ...]]
    files: Mapping[str, tuple[int, str]]

    def compare(self, folder: Path, crcs: Mapping[str, str]) -> None:
        """Refuse files that are missing or different; others, which came later, are not trained on.

        Args:
            folder: the folder of data.yaml.
            crcs: CRC-32 of each unpacked file, known without reading it again.

        Raises:
            DatasetChanged: names up to three files.
        """
        sizes = {name: place.stat().st_size for name in self.files if (place := folder / name).is_file()}
        differences = {
            name: "was changed" if name in sizes else "is missing"
            for name, (size, _) in self.files.items()
            if sizes.get(name) != size
        }
        if not differences:
            known = [name for name, (_, digest) in self.files.items() if digest]
            found = crcs if self.checksum == "crc32" else _md5s(folder, known)
            differences = {name: "was changed" for name in known if found.get(name) != self.files[name][1]}
        if differences:
            raise DatasetChanged(_told(differences))

    def digest(self, pairs: Iterable[Pair]) -> str:
        """Digest of some pairs, by path, size and content, whatever their order."""
        rows = sorted([name, *self.files[name]] for pair in pairs for name in pair if name)
        return f"sha256:{hashlib.sha256(json.dumps(rows).encode()).hexdigest()}"


def read(place: Path) -> Manifest:
    """Read manifest.json.gz.

    Raises:
        BadJob: it is missing or damaged.
    """
    try:
        document = json.loads(gzip.decompress(place.read_bytes()))
        if document["checksum"] not in ("md5", "crc32", ""):
            raise ValueError(f"checksum {document['checksum']!r} is unknown")
        files: dict[str, tuple[int, str]] = {}
        splits = {name: tuple(_pair(row, files) for row in document["splits"][name]) for name in SPLITS}
        return Manifest(document["checksum"], int(document["archive_bytes"]), splits, files)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadJob(
            f"{place} does not say what was checked ({type(error).__name__}: {error}); this is a fault of Traindrop, "
            "not of the dataset. Drop the dataset again."
        ) from error


def _pair(row: list[Any], files: dict[str, tuple[int, str]]) -> Pair:
    """A row's image and label; what they were is added to the files."""
    image, size, digest, *label = row
    for name, found, checksum in ((image, size, digest), *([label] if label else ())):
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{name!r:.200} is no path below the dataset")
        files[name] = int(found), str(checksum)
    return Pair(image, label[0] if label else "")


def _md5s(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """MD5 of files, several at once: hashing releases the interpreter's lock. Measured: 0.8 s per GB on two cores."""

    def md5(name: str) -> tuple[str, str]:
        with (folder / name).open("rb") as file:
            return name, hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(pool.map(md5, names))


def _told(differences: Mapping[str, str]) -> str:
    shown = [f"{name if name.isprintable() else ascii(name):.{_NAME_LIMIT}} {how}" for name, how in differences.items()]
    more = len(shown) - _EXAMPLES
    return ", ".join(shown[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")
