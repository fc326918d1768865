"""What is read ahead costs no second request, nothing beyond its bounds, and hides no failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from threading import Semaphore
from time import sleep

import pytest

from traindrop import read_ahead
from traindrop.errors import AccessDenied
from traindrop.object_reads import ObjectGone, Piece
from traindrop.read_ahead import ReadAhead

PIECES = [Piece(f"labels/{number}.txt", 0, 10) for number in range(20)]


class Recorded:
    """Reads that are noted; those of a key in `failing` fail."""

    def __init__(self) -> None:
        self.asked: list[Piece] = []
        self.failing: dict[str, Exception] = {}

    def fetch(self, pieces: Iterable[Piece]) -> Iterator[tuple[int, bytes]]:
        for index, piece in enumerate(pieces):
            self.asked.append(piece)
            if piece.key in self.failing:
                raise self.failing[piece.key]
            yield index, piece.key.encode()


def ahead_of(reads: Recorded, pieces: Iterable[Piece]) -> ReadAhead:
    """All of them named, and read."""
    ahead = ReadAhead(reads)
    for piece in pieces:
        ahead.begin(piece)
    ahead.end()
    if ahead._reading:
        ahead._reading.result()
    return ahead


def fetched(ahead: ReadAhead, pieces: list[Piece]) -> dict[int, bytes]:
    found = list(ahead.fetch(pieces))
    assert len(found) == len(dict(found)), "each piece arrives once"
    return dict(found)


def test_what_was_read_ahead_is_read_once_and_the_rest_when_it_is_asked_for() -> None:
    reads = Recorded()
    ahead = ahead_of(reads, PIECES[::2])
    assert reads.asked == PIECES[::2]
    expected = {index: piece.key.encode() for index, piece in enumerate(PIECES)}
    assert fetched(ahead, PIECES) == expected
    assert reads.asked == [*PIECES[::2], *PIECES[1::2]]
    assert fetched(ahead, PIECES) == expected
    assert len(reads.asked) == 2 * len(PIECES), "what was handed out is not kept"


def test_another_range_of_an_object_is_another_piece() -> None:
    ahead = ahead_of(Recorded(), PIECES)
    assert fetched(ahead, [Piece(PIECES[0].key, 0, 5)]) == {0: PIECES[0].key.encode()}
    assert ahead._reads.asked[-1].end == 5  # type: ignore[attr-defined]


def test_a_read_ahead_that_fails_is_told_to_who_wants_the_piece() -> None:
    for failure in (ObjectGone(PIECES[5].key), AccessDenied("no")):
        reads = Recorded()
        reads.failing = {PIECES[5].key: failure}
        ahead = ahead_of(reads, PIECES)
        assert reads.asked == PIECES[:6]
        assert len(fetched(ahead, PIECES[:5])) == 5
        with pytest.raises(type(failure)):
            fetched(ahead, PIECES)


def test_no_more_is_read_ahead_than_may_be_read_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_MOST_PIECES", 7)
    reads = Recorded()
    ahead_of(reads, PIECES)
    assert reads.asked == PIECES[:7]
    monkeypatch.setattr(read_ahead, "_MOST_BYTES", 45)
    reads = Recorded()
    ahead_of(reads, PIECES)
    assert reads.asked == PIECES[:4]


def test_nothing_more_is_begun_once_it_is_stopped() -> None:
    reads = Recorded()
    with ReadAhead(reads) as ahead:
        ahead.stop()
        for piece in PIECES:
            ahead.begin(piece)
    assert reads.asked == []


class Held(Recorded):
    """Reads that go on one by one, as they are let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = Semaphore(0)

    def fetch(self, pieces: Iterable[Piece]) -> Iterator[tuple[int, bytes]]:
        for item in super().fetch(pieces):
            self.let.acquire()
            yield item


def test_what_has_come_is_handed_out_while_the_rest_is_under_way() -> None:
    reads = Held()
    ahead = ReadAhead(reads)
    for piece in PIECES:
        ahead.begin(piece)
    found = ahead.fetch(PIECES)
    for number in range(len(PIECES)):
        reads.let.release()
        assert next(found) == (number, PIECES[number].key.encode())
    assert next(found, None) is None
    assert reads.asked == PIECES


def test_the_end_of_the_context_leaves_no_read_behind() -> None:
    reads = Held()

    def listing() -> None:
        with ReadAhead(reads) as ahead:
            for piece in PIECES:
                ahead.begin(piece)
            while not reads.asked:
                sleep(0.001)
            ahead.stop()
            reads.let.release(len(PIECES))
            threads.append(ahead._reading)
            raise RuntimeError

    threads: list[Future[None] | None] = []
    with pytest.raises(RuntimeError):
        listing()
    assert threads[0]
    assert threads[0].done()
    assert len(reads.asked) == 1
