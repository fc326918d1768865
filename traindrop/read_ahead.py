"""Objects read while others are still looked for, in the time that a listing waits for its pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Self

from traindrop.errors import TraindropError
from traindrop.object_reads import ObjectReads, Piece

_MOST_PIECES = 8192
_MOST_BYTES = 32 * 1024**2


class ReadAhead:
    """Reads that begin as soon as a piece is named; up to 8,192 pieces and 32 MiB, which is what may be read in vain.

    While the context lasts, a thread reads what is named; it leaves no request behind. A read that fails is as if it
    had not been tried: who wants the piece meets what is wrong.
    """

    def __init__(self, reads: ObjectReads) -> None:
        """Begin with nothing."""
        self._reads = reads
        self._named: SimpleQueue[Piece | None] = SimpleQueue()
        self._room, self._bytes = _MOST_PIECES, _MOST_BYTES
        self._kept: dict[Piece, bytes] = {}
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._reading = self._thread.submit(self._read)
        return self

    def __exit__(self, *_: object) -> None:
        """Begin no more reads, and wait for those under way."""
        self.stop()
        self._thread.shutdown()
        self._reading.result()

    def begin(self, piece: Piece) -> None:
        """Read a piece, if there is room for it."""
        size = piece.end - piece.start
        if self._room and size <= self._bytes:
            self._room -= 1
            self._bytes -= size
            self._named.put(piece)

    def stop(self) -> None:
        """Begin no more reads."""
        self._room = 0
        with suppress(Empty):
            while True:
                self._named.get_nowait()
        self._named.put(None)

    def fetch(self, pieces: Iterable[Piece]) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each piece; those that are here fill the time until others come. See `ObjectReads`."""
        here: list[tuple[int, Piece]] = []
        missing: list[tuple[int, Piece]] = []
        for index, piece in enumerate(pieces):
            (here if piece in self._kept else missing).append((index, piece))
        for number, data in self._reads.fetch(piece for _, piece in missing):
            yield missing[number][0], data
            if here:
                index, piece = here.pop()
                yield index, self._kept.pop(piece)
        for index, piece in here:
            yield index, self._kept.pop(piece)

    def _read(self) -> None:
        begun: list[Piece] = []

        def named() -> Iterator[Piece]:
            for piece in iter(self._named.get, None):
                begun.append(piece)
                yield piece

        with suppress(TraindropError):
            for index, data in self._reads.fetch(named()):
                self._kept[begun[index]] = data
