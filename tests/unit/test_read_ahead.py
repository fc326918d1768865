"""What is read ahead costs no second request, nothing beyond its bounds, and hides no failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
    with ReadAhead(reads) as ahead:
        for piece in pieces:
            ahead.begin(piece)
        while ahead._named.qsize():
            pass
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
    assert PIECES[0] in ahead._kept


def test_a_read_ahead_that_fails_is_told_to_who_wants_the_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    for failure in (ObjectGone(PIECES[5].key), AccessDenied("no")):
        reads = Recorded()
        reads.failing = {PIECES[5].key: failure}
        monkeypatch.setattr(ReadAhead, "stop", lambda self: self._named.put(None))
        with ReadAhead(reads) as ahead:
            for piece in PIECES:
                ahead.begin(piece)
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


def test_a_listing_that_fails_leaves_no_read_behind() -> None:
    reads = Recorded()
    ahead = ReadAhead(reads)

    def listing() -> None:
        with ahead:
            ahead.begin(PIECES[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        listing()
    assert ahead._reading.done()
