"""Reads of many objects of a bucket, or of many ranges of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from traindrop.errors import TraindropError


class ObjectGone(TraindropError):
    """An object was deleted, or replaced by another, before it was read."""

    def __init__(self, key: str) -> None:
        """Keep its key."""
        super().__init__(f"{key} was deleted or replaced while it was read")
        self.key = key


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `start` up to `end` of an object; of no other than the one of this ETag, if one is given."""

    key: str
    start: int
    end: int
    etag: str = ""


class ObjectReads(Protocol):
    """A way to read many pieces of one bucket's objects."""

    def fetch(self, pieces: Iterable[Piece]) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each piece, as they arrive; fewer bytes where the object ends within it.

        No more pieces are taken than are read at once, so they may be named as they become known.

        Raises:
            ObjectGone: an object is not there, or not the one that was meant.
            TransientError: S3 does not answer as it should, however often it was asked.
            AccessDenied: the role may not read it.
        """


def can_be_read(key: str) -> bool:
    """Whether obstore can name an object: to it a path has no empty part, no dots and no control characters."""
    return key.isprintable() and not any(part in ("", ".", "..") for part in key.split("/"))
