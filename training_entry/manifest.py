"""What was checked, file by file, and whether what reached the job is that."""

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

from training_entry.failure import BadJob, DatasetChanged

_EXAMPLES = 3
_NAME_LIMIT = 120


@dataclass(frozen=True)
class Manifest:
    """Size in bytes and digest of each file by its path, and the size of the zip itself (0 for a folder).

    `checksum` is `md5`, `crc32` or empty. S3 does not know the MD5 of an object that was uploaded in parts or encrypted
    with a KMS key: its digest is empty, and it is compared by its size only.
    """

    checksum: str
    archive_bytes: int
    files: Mapping[str, tuple[int, str]]

    def compare(self, places: Mapping[str, Path], crcs: Mapping[str, str]) -> None:
        """Refuse files that are missing, additional or different.

        Args:
            places: the images and labels that training would use.
            crcs: CRC-32 of each unpacked file, known without reading it again.

        Raises:
            DatasetChanged: names up to three files.
        """
        differences = {name: "is missing" for name in self.files if name not in places}
        differences |= {name: "was added" for name in places if name not in self.files}
        differences |= {
            name: "was changed"
            for name, path in places.items()
            if name in self.files and path.stat().st_size != self.files[name][0]
        }
        if not differences:
            found = crcs if self.checksum == "crc32" else _md5s(places, self._known())
            differences = {name: "was changed" for name in self._known() if found.get(name) != self.files[name][1]}
        if differences:
            raise DatasetChanged(_told(differences))

    def _known(self) -> list[str]:
        return [name for name, (_, digest) in self.files.items() if digest]


def read(place: Path) -> Manifest:
    """Read manifest.json.gz.

    Raises:
        BadJob: it is missing or damaged.
    """
    try:
        document = json.loads(gzip.decompress(place.read_bytes()))
        if document["checksum"] not in ("md5", "crc32", ""):
            raise ValueError(f"checksum {document['checksum']!r} is unknown")
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in document["files"].items()}
        return Manifest(document["checksum"], int(document["archive_bytes"]), files)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadJob(
            f"{place} does not say what was checked ({type(error).__name__}: {error}); this is a fault of Traindrop, "
            "not of the dataset. Drop the dataset again."
        ) from error


def _md5s(places: Mapping[str, Path], names: Iterable[str]) -> dict[str, str]:
    """MD5 of files, several at once: hashing releases the interpreter's lock. Measured: 0.8 s per GB on two cores."""

    def md5(name: str) -> tuple[str, str]:
        with places[name].open("rb") as file:
            return name, hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(pool.map(md5, names))


def _told(differences: Mapping[str, str]) -> str:
    shown = [f"{name if name.isprintable() else ascii(name):.{_NAME_LIMIT}} {how}" for name, how in differences.items()]
    more = len(shown) - _EXAMPLES
    return ", ".join(shown[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")
