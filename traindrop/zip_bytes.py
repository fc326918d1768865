"""The bytes of a zip, wherever it lies, and as the file that zipfile reads its directory from."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

Span = tuple[int, int]
"""Offset of the first byte, and of the one after the last."""
_AT_ONCE = 16 * 1024**2
"""A directory of 64 MiB is not to be held several times."""


class ZipBytes(Protocol):
    """A zip of `size` bytes that came at `newest`; `name` is what messages call it, `place` where it lies."""

    name: str
    place: str
    size: int
    newest: datetime

    @property
    def image_sample(self) -> int | None:
        """See `Source`."""

    def fetch(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each span, in any order; fewer bytes where the zip ends within it."""


class ZipFileObject(io.RawIOBase):
    """A read-only, seekable file over a zip's bytes."""

    def __init__(self, zipped: ZipBytes) -> None:
        """Stand at the beginning."""
        self._zipped = zipped
        self._position = 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be searched: yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte offset."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._zipped.size}[whence]
        if base + offset < 0:
            raise OSError("an offset before the beginning")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Current byte offset."""
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the current offset, or 16 MiB of it; 0 at the end."""
        start, end = self._position, min(self._zipped.size, self._position + min(len(buffer), _AT_ONCE))
        if start >= end:
            return 0
        [(_, data)] = self._zipped.fetch([(start, end)])
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
