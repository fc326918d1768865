"""Uploads that were begun and not finished, remembered on this machine from one attempt to the next."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


class BusyUpload(Exception):
    """Another process sends the same object at this moment."""


class Unfinished:
    """The upload of one object; what was not written by this class counts as nothing."""

    def __init__(self, file: IO[str]) -> None:
        """Keep the file, which nobody else writes to meanwhile."""
        self._file = file

    def recall(self) -> tuple[str, int]:
        """Upload id and size of a part; empty and 0 where there is none."""
        self._file.seek(0)
        try:
            found = json.load(self._file)
            return str(found["upload_id"]), int(found["size_of_part"])
        except (ValueError, KeyError, TypeError):
            return "", 0

    def remember(self, upload_id: str, size_of_part: int) -> None:
        """Keep an upload in mind, whatever happens to this process."""
        self._write(json.dumps({"upload_id": upload_id, "size_of_part": size_of_part}))

    def forget(self) -> None:
        """There is none any more."""
        self._write("")

    def _write(self, text: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()


@contextlib.contextmanager
def unfinished(*place: str) -> Iterator[Unfinished]:
    """What is remembered of the upload to a place, named by endpoint, bucket and key; held until the end.

    Raises:
        BusyUpload: another process holds it.
        OSError: the cache folder cannot be written to.
    """
    folder = _cache() / "traindrop" / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(chr(0).join(place).encode()).hexdigest()[:32]}.json"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyUpload from error
        kept = Unfinished(file)
        try:
            yield kept
        finally:
            if not kept.recall()[0]:
                path.unlink(missing_ok=True)


def _cache() -> Path:
    """Where a user's caches lie, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
