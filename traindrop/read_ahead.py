"""Objects read while others are still looked for, in the time that a listing waits for its pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Self

from traindrop.errors import TraindropError
from traindrop.object_reads import ObjectReads, Piece

_MOST_PIECES = 8192
_MOST_BYTES = 32 * 1024**2


class ReadAhead:
    """Reads that begin as soon as a piece is named; up to 8,192 pieces and 32 MiB, which is what may be read in vain.

    A thread reads what is named; at the end of the context no request is left behind. A read ahead that fails is as if
    it had not been tried: who wants the piece meets what is wrong.
    """

    def __init__(self, reads: ObjectReads) -> None:
        """Begin with nothing."""
        self._reads = reads
        self._named: SimpleQueue[Piece | None] = SimpleQueue()
        self._arrived: SimpleQueue[tuple[Piece, bytes] | None] = SimpleQueue()
        self._room, self._bytes, self._stopped = _MOST_PIECES, _MOST_BYTES, False
        self._begun: set[Piece] = set()
        self._kept: dict[Piece, bytes] = {}
        self._thread = ThreadPoolExecutor(1)
        self._reading: Future[None] | None = None

    def __enter__(self) -> Self:
        """Nothing yet: the thread starts with the first piece."""
        return self

    def __exit__(self, *_: object) -> None:
        """Begin no more reads, and wait for those under way."""
        self.stop()
        self._thread.shutdown()

    def begin(self, piece: Piece) -> None:
        """Have a piece read, if there is room for it."""
        size = piece.end - piece.start
        if self._room and size <= self._bytes:
            self._room -= 1
            self._bytes -= size
            self._begun.add(piece)
            self._named.put(piece)
            self._reading = self._reading or self._thread.submit(self._read)

    def end(self) -> None:
        """Take no more pieces; those that were named are read."""
        self._room = 0
        self._named.put(None)

    def stop(self) -> None:
        """Begin no more reads, not even those that were named."""
        self._stopped = True
        self.end()

    def fetch(self, pieces: Iterable[Piece]) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each piece: those that were begun as they arrive, then the others. See `ObjectReads`."""
        self.end()
        missing: list[tuple[int, Piece]] = []
        wanted: dict[Piece, int] = {}
        for index, piece in enumerate(pieces):
            if piece in self._kept:
                yield index, self._kept.pop(piece)
            elif piece in self._begun and piece not in wanted:
                wanted[piece] = index
            else:
                missing.append((index, piece))
        while wanted and (arrived := self._arrived.get()):
            piece, data = arrived
            self._begun.discard(piece)
            if piece in wanted:
                yield wanted.pop(piece), data
            else:
                self._kept[piece] = data
        if wanted and self._reading:  # it has ended without them
            self._begun.clear()
            self._reading.result()
        missing += [(index, piece) for piece, index in wanted.items()]
        for number, data in self._reads.fetch(piece for _, piece in missing):
            yield missing[number][0], data

    def _read(self) -> None:
        try:
            with suppress(TraindropError):
                while batch := self._batch():
                    for index, data in self._reads.fetch(self._until_stopped(batch)):
                        self._arrived.put((batch[index], data))
        finally:
            self._arrived.put(None)

    def _batch(self) -> list[Piece]:
        """All that has been named meanwhile, at least one; none when no more will be."""
        batch = [self._named.get()]
        with suppress(Empty):
            while batch[-1]:
                batch.append(self._named.get_nowait())
        found = [piece for piece in batch if piece]
        if found and not batch[-1]:
            self._named.put(None)
        return found

    def _until_stopped(self, batch: list[Piece]) -> Iterator[Piece]:
        for piece in batch:
            if self._stopped:
                return
            yield piece
