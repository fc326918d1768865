"""What a training uses and must find: the images of each split and their labels, as they were when checked."""

from __future__ import annotations

import gzip
import json
import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING

from traindrop.dataset import TRAINED_ON, File, label_of

if TYPE_CHECKING:
    from traindrop.dataset import Split
    from traindrop.sources import Source

FILE = "manifest.json.gz"


def manifest(source: Source, splits: Mapping[str, Split]) -> bytes:
    """The manifest as gzipped JSON: `{"checksum": "md5", "archive_bytes": 0, "splits": {"train": [row, …], "val": …}}`.

    The rows of a split have its images in order, each `["images/1.png", 48211, "d41d…"]`: path, size, digest; with a
    label its path, size and digest follow. Paths are relative to the folder of data.yaml, sizes in bytes. A digest is
    the CRC-32 of a zip's directory, or the MD5 that S3 gives as ETag. An empty one leaves a file to be told by its size
    alone: an object uploaded in parts has an ETag with a dash, which is no MD5, and where `source.checksum` is empty no
    ETag is one.
    """
    used = {name: splits[name] for name in TRAINED_ON if name in splits}
    names = dict.fromkeys(file.name for split in used.values() for file in (*split.images, *split.labels))
    digests = source.digests(list(names)) if source.checksum else dict.fromkeys(names, "")

    def row(file: File) -> list[str | int]:
        digest = digests[file.name]
        return [posixpath.normpath(file.name), file.size, "" if "-" in digest else digest]

    rows = {}
    for name, split in used.items():
        labels = {label.name: label for label in split.labels}
        pairs = ((image, labels.get(label_of(image.name))) for image in split.images)
        rows[name] = [row(image) + (row(label) if label else []) for image, label in pairs]
    document = {"checksum": source.checksum, "archive_bytes": source.archive_bytes, "splits": rows}
    return gzip.compress(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0)
