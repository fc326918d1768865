"""Many reads at once bring everything once, in bounded memory, and name what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from traindrop import store_reads
from traindrop.object_reads import ObjectGone, Piece
from traindrop.store_reads import StoreReads

COUNT = 500
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store() -> MemoryStore:
    filled = MemoryStore()
    for number in range(COUNT):
        filled.put(f"labels/{number} \u00e9.txt", f"content {number}".encode())
    return filled


def pieces(end: int = 100) -> list[Piece]:
    return [Piece(f"labels/{number} \u00e9.txt", 0, end) for number in range(COUNT)]


def test_every_piece_arrives_once(store: MemoryStore) -> None:
    found = sorted(StoreReads(store).fetch(pieces()))
    assert found == [(number, f"content {number}".encode()) for number in range(COUNT)]
    assert list(StoreReads(store).fetch([])) == []


def test_a_range_is_what_was_asked_for(store: MemoryStore) -> None:
    etag = str(store.head("labels/7 \u00e9.txt")["e_tag"])
    wanted = [Piece("labels/7 \u00e9.txt", 3, 5), Piece("labels/7 \u00e9.txt", 4, 9, etag)]
    assert sorted(StoreReads(store).fetch(wanted)) == [(0, b"te"), (1, b"ent 7")]


def test_no_more_is_under_way_than_memory_has_room_for(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(StoreReads):
        running = most = 0

        async def _read(self, piece: Piece) -> bytes:
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                return await super()._read(piece)
            finally:
                self.running -= 1

    reads = Counted(store)
    assert len(list(reads.fetch(pieces()))) == COUNT
    assert 2 <= reads.most <= 256
    monkeypatch.setattr(store_reads, "_BYTES_AT_ONCE", 1000)
    reads = Counted(store)
    assert len(list(reads.fetch(pieces(end=100)))) == COUNT
    assert 2 <= reads.most <= 10


def test_pieces_are_taken_as_they_are_read(store: MemoryStore) -> None:
    taken: list[Piece] = []
    arriving = StoreReads(store).fetch(piece for piece in pieces() if not taken.append(piece))  # type: ignore[func-returns-value]
    next(arriving)
    assert len(taken) <= 256
    assert len(list(arriving)) == COUNT - 1


def test_reads_can_be_left_half_way_and_nested(store: MemoryStore) -> None:
    reads = StoreReads(store)
    for _ in range(30):
        half_way = reads.fetch(pieces())
        next(half_way)
        assert len(list(reads.fetch(pieces()[:3]))) == 3
        half_way.close()  # type: ignore[attr-defined]


def test_many_failures_at_once_are_one_error(store: MemoryStore) -> None:
    missing = [Piece(f"nowhere/{number}", 0, 5) for number in range(200)]
    for _ in range(30):
        with pytest.raises(ObjectGone):
            list(StoreReads(store).fetch(missing))


def test_an_object_that_is_gone_or_replaced_is_named(store: MemoryStore) -> None:
    store.delete("labels/250 \u00e9.txt")
    with pytest.raises(ObjectGone, match=r"labels/250 \S+ was deleted or replaced"):
        list(StoreReads(store).fetch(pieces()))
    etag = str(store.head("labels/1 \u00e9.txt")["e_tag"])
    store.put("labels/1 \u00e9.txt", b"another content")
    with pytest.raises(ObjectGone):
        list(StoreReads(store).fetch([Piece("labels/1 \u00e9.txt", 0, 5, etag)]))


ENDS_AT_ONCE = """
from obstore.store import MemoryStore
from traindrop.object_reads import Piece
from traindrop.store_reads import StoreReads
store = MemoryStore()
store.put("1.txt", b"content")
assert len(list(StoreReads(store).fetch([Piece("1.txt", 0, 7)] * 300))) == 300
"""


def test_a_process_may_end_as_soon_as_everything_is_read() -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", ENDS_AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
