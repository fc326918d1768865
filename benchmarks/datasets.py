"""Datasets of any size that are made as they are read: labels are kept, images and zips of many GB never are."""

from __future__ import annotations

import bisect
import functools
import hashlib
import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

_FILLER = random.Random(4).randbytes(1 << 20).replace(b"\xff", b"\xfe")
_JPEG_HEAD = (
    bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300")
    + b"\1" * 64
    + bytes.fromhex("ffc0000b080600080001011100ffc40014000100000000000000000000000000000000ffda0008010100003f00")
)
"""Of a grey picture of 2048 x 1536 pixels, up to its data."""
_JPEG_TAIL = b"\xff\xd9"
_YAML = b"train: images/train\nval: images/val\nnames: [room, door]\n"
_TRAINING_YAML = b"model: yolov8n-seg.pt\nepochs: 50\n"
_DAY = 0x5B79
"""25 November 2025, as a zip says it."""


class Content(Protocol):
    """What an object holds."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def etag(self) -> str:
        """Unlike that of any other."""

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end`."""


@dataclass(frozen=True, slots=True)
class Text:
    """A content that is kept."""

    data: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    @property
    def etag(self) -> str:
        """MD5, as S3 gives it."""
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end`."""
        return self.data[start:end]


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG of noise of a given size; its digests are those of no content, and unlike any other's."""

    name: str
    size: int

    @property
    def etag(self) -> str:
        """As long as an MD5."""
        return hashlib.md5(self.name.encode(), usedforsecurity=False).hexdigest()

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end`."""
        end = min(end, self.size)
        noise_from, noise_to = len(_JPEG_HEAD), self.size - len(_JPEG_TAIL)
        parts = [_JPEG_HEAD[start:end]]
        at, stop = max(start, noise_from), min(end, noise_to)
        while at < stop:
            first = (at - noise_from) % len(_FILLER)
            parts.append(_FILLER[first : first + stop - at])
            at += len(parts[-1])
        parts.append(_JPEG_TAIL[max(0, start - noise_to) : max(0, end - noise_to)])
        return b"".join(parts)


class Joined:
    """Contents one behind the other."""

    def __init__(self, parts: Sequence[Content]) -> None:
        """Lay them out."""
        self._parts, self._starts, self.size = parts, [0], 0
        for part in parts:
            self.size += part.size
            self._starts.append(self.size)
        self.etag = f"{zlib.crc32(str(self.size).encode()):032x}"

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end`."""
        first = bisect.bisect_right(self._starts, start) - 1
        after = bisect.bisect_left(self._starts, end, first)
        return b"".join(
            self._parts[index].read(max(0, start - self._starts[index]), end - self._starts[index])
            for index in range(first, min(after, len(self._parts)))
        )


def label(number: int) -> bytes:
    """Some ten rooms with four corners and a door each, as a labelling tool writes them: 0.7 KB."""
    dice = random.Random(number)
    rows = []
    for room in range(dice.randint(6, 12)):
        left, top = 0.05 + 0.24 * (room % 4), 0.05 + 0.3 * (room // 4)
        right, bottom = left + dice.uniform(0.05, 0.2), top + dice.uniform(0.05, 0.25)
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        rows.append(f"{room % 2} " + " ".join(f"{x:.6f} {y:.6f}" for x, y in corners))
    return "\n".join(rows).encode() + b"\n"


def images(count: int) -> Iterator[tuple[str, str, int]]:
    """Split, stem and number of each image; a twelfth of them is for validation."""
    for number in range(count):
        yield "val" if number % 12 == 0 else "train", f"plan_{number:06}", number


@functools.cache
def folder(count: int) -> dict[str, Content]:
    """A dataset of so many images and as many labels by path; an image has 0.65 MB on average."""
    files: dict[str, Content] = {"data.yaml": Text(_YAML), "training.yaml": Text(_TRAINING_YAML)}
    for split, stem, number in images(count):
        files[f"images/{split}/{stem}.jpg"] = Picture(stem, 300_000 + number * 7919 % 700_000)
    for split, stem, number in images(count):
        files[f"labels/{split}/{stem}.txt"] = Text(label(number))
    return files


@functools.cache
def archive(count: int, *, interleaved: bool) -> Joined:
    """The zip of the same, as `zip -r` packs it (images stored, labels deflated), or with each label by its image."""
    files = folder(count)
    names = list(files)
    if interleaved:
        names.sort(key=lambda name: (name.rpartition("/")[2].partition(".")[0], name))
    parts: list[Content] = []
    directory: list[bytes] = []
    offset = 0
    for name in names:
        content = files[name]
        data: Content = content
        method, crc = 0, zlib.crc32(name.encode())
        if isinstance(content, Text):
            packer = zlib.compressobj(6, zlib.DEFLATED, -15)
            data = Text(packer.compress(content.data) + packer.flush())
            method, crc = 8, zlib.crc32(content.data)
        raw = name.encode()
        facts = (20, 0, method, 0, _DAY, crc, data.size, content.size, len(raw))
        header = struct.pack("<4s5H3L2H", b"PK\3\4", *facts, 0) + raw
        extra = struct.pack("<HHQ", 1, 8, offset) if offset >= 0xFFFFFFFF else b""
        directory.append(
            struct.pack("<4sH5H3L2H", b"PK\1\2", 0x31E, *facts, len(extra))
            + struct.pack("<3H2L", 0, 0, 0, 0o100644 << 16, 0xFFFFFFFF if extra else offset)
            + raw
            + extra
        )
        parts += [Text(header), data]
        offset += len(header) + data.size
    size = sum(map(len, directory))
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, len(names), len(names), size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, offset + size, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return Joined([*parts, Text(b"".join(directory) + end64 + locator + end)])
