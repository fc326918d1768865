"""Row 27: an image that ultralytics would drop, or on which training would end, is refused; and no other."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Rows
from tests.oracle import Oracle
from tests.pictures import made_by_hand
from traindrop.images import HEAD_BYTES, TAIL_BYTES, Image, look
from traindrop.layout import IMAGE_SUFFIXES

CASES = pytest.mark.parametrize(
    "cases", [pytest.param(3, marks=pytest.mark.brief), pytest.param(24, marks=pytest.mark.long)]
)
"""How often each image is changed in each way."""
Change = Callable[[str, bytes, random.Random], tuple[str, bytes]]


def cut(name: str, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    size = len(content)
    near_an_end = chance.choice(
        [chance.randrange(size), chance.randrange(min(size, 200)), size - chance.randrange(1, 80)]
    )
    return name, content[: max(0, near_an_end)]


def renamed(name: str, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    return name.rpartition(".")[0] + chance.choice(sorted(IMAGE_SUFFIXES)), content


def longer(name: str, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    added = chance.randbytes(chance.choice([1, 2, 100, 900, 5000]))
    return name, content + chance.choice([added, bytes(len(added))])


def without_its_head(name: str, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    count = chance.randrange(4, 64)
    return name, chance.choice([bytes(count) + content[count:], content[count:], chance.randbytes(3) + content])


def flipped(name: str, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    changed = bytearray(content)
    changed[chance.randrange(min(len(content), chance.choice([30, 300, 3000])))] ^= 1 << chance.randrange(8)
    return name, bytes(changed)


def with_a_hole(name: str, content: bytes, chance: random.Random) -> tuple[str, bytes]:
    start, count = chance.randrange(len(content)), chance.choice([1, 100, 600])
    return name, content[:start] + chance.choice([b"", bytes(count)]) + content[start + count :]


SHOWS_AT_THE_ENDS: tuple[Change, ...] = (cut, renamed, longer, without_its_head)
LIES_DEEPER: tuple[Change, ...] = (flipped, with_a_hole)


def ours(name: str, content: bytes) -> tuple[Image, bool]:
    """The verdict, and whether it took the whole file."""
    found = look(name, len(content), content[:HEAD_BYTES], content[-TAIL_BYTES:])
    if found.unsure:
        return look(name, len(content), content, content[-TAIL_BYTES:]), True
    return found, False


class Compared:
    """Counts of both verdicts on the same files."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.alarms: list[str] = []
        self.misses: list[str] = []

    def add(self, files: list[tuple[str, bytes]], theirs: list[str]) -> None:
        for (name, content), wrong in zip(files, theirs, strict=True):
            image, whole = ours(name, content)
            self.counts.update(
                cases=1, refused=bool(image.fault), rejected=bool(wrong), whole=whole and not image.fault
            )
            if image.fault and not wrong:
                self.alarms.append(f"{name} of {len(content)} bytes: {image.fault}")
            if wrong and not image.fault:
                self.misses.append(f"{name} of {len(content)} bytes: {wrong}; {image}")


class Judge:
    """Ultralytics, asked about files that are written for it."""

    def __init__(self, oracle: Oracle, work: Path) -> None:
        self.oracle, self.work = oracle, work
        for name in ("asked", "scratch"):
            (work / name).mkdir()

    def __call__(self, files: list[tuple[str, bytes]]) -> list[str]:
        paths = [self.work / "asked" / f"{index}_{name}" for index, (name, _) in enumerate(files)]
        for path, (_, content) in zip(paths, files, strict=True):
            path.write_bytes(content)
        answers: list[str] = self.oracle.ask("images.judge", list(map(str, paths)), str(self.work / "scratch"))
        for path in paths:
            path.unlink()
        return answers


@CASES
def test_what_cannot_be_trained_on_is_refused_and_nothing_else(cases: int, row: Rows, tmp_path: Path) -> None:
    line = row(
        27,
        fault="images that training drops, or on which it ends",
        injected="every format and many that are none; each image cut, renamed, longer, its head lost",
        promise="refused, and no other",
    )
    deeper = row(27, fault="images damaged within", injected="a flipped bit, or bytes lost", promise="most are refused")
    chance = random.Random(27)
    shown, deep = Compared(), Compared()
    with Oracle(tmp_path) as oracle:
        judge = Judge(oracle, tmp_path)
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        files = [(name, (pictures / name).read_bytes()) for name in oracle.ask("images.write", str(pictures))]
        files += made_by_hand().items()
        theirs = judge(files)
        shown.add(files, theirs)
        for name, content in (file for file, wrong in zip(files, theirs, strict=True) if not wrong):
            for compared, changes in ((shown, SHOWS_AT_THE_ENDS), (deep, LIES_DEEPER)):
                changed = [change(name, content, chance) for change in changes for _ in range(cases)]
                compared.add(changed, judge(changed))
    count = shown.counts
    line.figure(
        f"false alarms = {len(shown.alarms)} of {count['refused']:,}, misses = {len(shown.misses)} of "
        f"{count['rejected']:,}, of {count['cases']:,} files; {count['whole']} had to be read whole"
    )
    found = deep.counts["rejected"] - len(deep.misses)
    deeper.figure(
        f"found {found / deep.counts['rejected']:.0%} of {deep.counts['rejected']:,}; refused though taken: "
        f"{len(deep.alarms)} of {deep.counts['cases']:,}"
    )
    assert not shown.alarms
    assert not shown.misses
    assert found / deep.counts["rejected"] > 0.5
    assert len(deep.alarms) < 0.02 * deep.counts["cases"]
