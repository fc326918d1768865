"""What a training must find: size and digest of every image and label that it uses, as they were when checked."""

from __future__ import annotations

import gzip
import json
import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traindrop.dataset import Split
    from traindrop.sources import Source

FILE = "manifest.json.gz"
_TRAINED_ON = ("train", "val")


def manifest(source: Source, splits: Mapping[str, Split]) -> bytes:
    """The manifest as gzipped JSON: `{"checksum": "md5", "archive_bytes": 0, "files": {"1.png": [48211, "d41d…"]}}`.

    Paths are relative to the folder of data.yaml, sizes in bytes. A zip has the CRC-32 of its directory, a folder the
    MD5 that S3 gives as ETag. An empty digest leaves a file to be told by its size alone: an object uploaded in parts
    has an ETag with a dash, which is no MD5, and where `source.checksum` is empty no ETag is one.
    """
    used = [file for name in _TRAINED_ON if name in splits for file in (*splits[name].images, *splits[name].labels)]
    files = {
        posixpath.normpath(file.name): [file.size, "" if not source.checksum or "-" in file.digest else file.digest]
        for file in used
    }
    document = {"checksum": source.checksum, "archive_bytes": source.archive_bytes, "files": files}
    return gzip.compress(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0)
