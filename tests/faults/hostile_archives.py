"""Zips and tars that no packer makes, written byte by byte: what their headers say need not be true."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from tests.stack import POLYGON, YAML, png

MEGABYTE, GIGABYTE = 1 << 20, 1 << 30
HANDLED = "handled"


@dataclass(frozen=True)
class Member:
    """One member of a zip; whatever is given stands in its headers as it is, the rest is made to fit."""

    name: str | bytes
    data: bytes = b""
    packed: bytes | None = None
    method: int = zipfile.ZIP_STORED
    size: int | None = None
    crc: int | None = None
    flags: int = 0
    attributes: int = 0
    offset: int | None = None

    def local(self) -> bytes:
        """Header and content where the content lies."""
        name, packed, size, crc = self._facts()
        fixed = (b"PK\3\4", 20, self.flags, self.method, 0, 0x21, crc, len(packed), min(size, 2**32 - 2), len(name), 0)
        return struct.pack("<4s5H3L2H", *fixed) + name + packed

    def central(self, offset: int) -> bytes:
        """Entry in the directory."""
        name, packed, size, crc = self._facts()
        place = offset if self.offset is None else self.offset
        fixed = (b"PK\1\2", 20, 3, 20, 0, self.flags, self.method, 0, 0x21, crc, len(packed), size, len(name))
        return struct.pack("<4s4B4HL2L5H2L", *fixed, 0, 0, 0, 0, self.attributes, place) + name

    def _facts(self) -> tuple[bytes, bytes, int, int]:
        name = self.name if isinstance(self.name, bytes) else self.name.encode()
        packed = self.data if self.packed is None else self.packed
        size = len(self.data) if self.size is None else self.size
        return name, packed, size, zlib.crc32(self.data) if self.crc is None else self.crc


def raw_zip(*members: Member, directory: bytes | None = None, count: int | None = None, claims: int = 0) -> bytes:
    """The zip of these members; `directory`, `count` and `claims` (its length) may say otherwise."""
    body, entries = bytearray(), bytearray()
    for member in members:
        utf8 = replace(member, flags=member.flags | 0x800)
        entries += utf8.central(len(body))
        body += utf8.local()
    shown = bytes(entries) if directory is None else directory
    number = min(len(members) if count is None else count, 0xFFFF)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, number, number, claims or len(shown), len(body), 0)
    return bytes(body) + shown + end


GOOD = (
    Member("data.yaml", YAML.encode()),
    Member("images/train/1.png", png("a")),
    Member("images/val/2.png", png("b")),
    Member("labels/train/1.txt", POLYGON.encode()),
    Member("labels/val/2.txt", POLYGON.encode()),
)


def zeros(megabytes: int) -> bytes:
    """Deflated zeros, a thousandth of their size, made without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + b"\x03\x00"


def zipped(packer: int, content: bytes) -> bytes:
    """The good dataset, packed by another method than the usual ones."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packer) as target:
        target.writestr("data.yaml", content)
    return buffer.getvalue()


def hostile_zips() -> dict[str, tuple[Callable[[], bytes], str]]:
    """Zips by what is wrong with them, each with the code of its rejection, or HANDLED."""
    link, device = (0o120777 << 16), (0o020666 << 16)
    twice = Member("images/train/1.png", b"c")
    nine = Member("images/train/9.png", b"x" * 10, size=900 * MEGABYTE, crc=1)
    whole = raw_zip(*GOOD)
    torn = bytearray(raw_zip(Member("data.yaml", YAML.encode(), zlib.compress(YAML.encode())[2:-4], 8), *GOOD[1:]))
    torn[45:60] = b"\xff" * 15
    entry = Member(b"x").central(0)
    cases: dict[str, tuple[Callable[[], bytes], str]] = {
        f"a path such as {name!r}": (partial(raw_zip, *GOOD, Member(name, b"evil")), "archive.unsafe_name")
        for name in (
            "../evil.png",
            "images/../../evil.png",
            "/tmp/evil.png",
            "C:/evil.png",
            "C:evil.png",
            "..\\evil.png",
            "\\\\host\\share\\evil.png",
            "images/train/a\nb.png",
            "images/\x1b[2J.png",
            "images/\u202egnp.png",
            "images/" + "n" * 300 + ".png",
            "d/" * 500 + "x.png",
            "d" * 60_000,
        )
    }
    bzip2 = bz2.compress(bytes(200 * MEGABYTE))
    nested = Member("in.zip", raw_zip(Member("in.zip", whole)))
    return cases | {
        "a link": (
            lambda: raw_zip(*GOOD, Member("images/l.png", b"/etc/passwd", attributes=link)),
            "archive.not_a_file",
        ),
        "a device": (lambda: raw_zip(*GOOD, Member("images/d.png", attributes=device)), "archive.not_a_file"),
        "a name twice": (lambda: raw_zip(*GOOD, twice), "archive.duplicate_name"),
        "a name twice, written otherwise": (
            lambda: raw_zip(*GOOD, replace(twice, name="images//train/./1.png")),
            "archive.duplicate_name",
        ),
        "a name twice, once with backslashes": (
            lambda: raw_zip(*GOOD, replace(twice, name="images\\train\\1.png")),
            "archive.duplicate_name",
        ),
        "a file that is also a folder": (
            lambda: raw_zip(*GOOD, replace(twice, name="images/train")),
            "archive.duplicate_name",
        ),
        "names that differ by case": (lambda: raw_zip(*GOOD, Member("images/train/1.PNG", png("x"))), HANDLED),
        "DATA.YAML": (lambda: raw_zip(Member("DATA.YAML", YAML.encode()), *GOOD[1:]), "data_yaml.missing"),
        "encrypted": (lambda: raw_zip(*GOOD, replace(twice, name="images/e.png", flags=1)), "archive.encrypted"),
        "strongly encrypted": (
            lambda: raw_zip(*GOOD, replace(twice, name="images/e.png", flags=0x40)),
            "archive.encrypted",
        ),
        "a method that nobody knows": (
            lambda: raw_zip(*GOOD, replace(twice, name="images/m.png", method=99)),
            "archive.unusual_compression",
        ),
        "200 MB of bzip2 in 200 bytes": (
            lambda: raw_zip(Member("data.yaml", packed=bzip2, size=200 * MEGABYTE, method=12)),
            "archive.unusual_compression",
        ),
        "a bomb of LZMA": (lambda: zipped(zipfile.ZIP_LZMA, bytes(20 * MEGABYTE)), "archive.unusual_compression"),
        "a bomb by ratio": (
            lambda: raw_zip(*GOOD, *(replace(nine, name=f"images/{n}.png") for n in range(3))),
            "archive.unpacks_too_large",
        ),
        "members that overlap, 4 TB in all": (
            lambda: raw_zip(*GOOD, *(replace(nine, name=f"images/{n}.png", offset=0) for n in range(4500))),
            "archive.unpacks_too_large",
        ),
        "a member of 3 GB": (lambda: raw_zip(*GOOD, replace(nine, size=3 * GIGABYTE)), "archive.member_too_large"),
        "a zip in the zip in the zip": (lambda: raw_zip(*GOOD, nested), HANDLED),
        "a data.yaml of 1 GB in 1 MB": (
            lambda: raw_zip(Member("data.yaml", packed=zeros(1000), method=8, size=1000 * MEGABYTE, crc=0), *GOOD[1:]),
            "data_yaml.too_large",
        ),
        "a data.yaml that says 10 bytes and holds 1 GB": (
            lambda: raw_zip(Member("data.yaml", packed=zeros(1000), method=8, size=10, crc=0), *GOOD[1:]),
            "archive.broken_member",
        ),
        "a wrong checksum": (lambda: raw_zip(replace(GOOD[0], crc=1), *GOOD[1:]), "archive.broken_member"),
        "a torn deflate stream": (lambda: bytes(torn), "archive.broken_member"),
        "a member that lies nowhere": (
            lambda: raw_zip(replace(GOOD[0], offset=2**31), *GOOD[1:]),
            "archive.broken_member",
        ),
        "a member of another name": (lambda: whole.replace(b"data.yaml", b"evil.yaml", 1), "archive.broken_member"),
        "truncated": (lambda: whole[: len(whole) // 2], "archive.not_a_zip"),
        "without its last byte": (lambda: whole[:-1], "archive.not_a_zip"),
        "empty": (lambda: b"", "archive.not_a_zip"),
        "noise": (lambda: bytes(range(256)) * 4000, "archive.not_a_zip"),
        "names that are no UTF-8": (lambda: raw_zip(*GOOD, Member(b"images/\xff\xfe.png")), "archive.not_a_zip"),
        "a directory that says it has 3 GB": (lambda: raw_zip(*GOOD, claims=3 * GIGABYTE), "archive.not_a_zip"),
        "a directory of 1,000,000 entries that says it has one": (
            lambda: raw_zip(*GOOD, directory=entry * 1_000_000, count=1),
            "archive.too_many_files",
        ),
        "a directory of 70 MB": (
            lambda: raw_zip(*GOOD, directory=Member(b"n" * 65_000).central(0) * 1100),
            "archive.too_many_files",
        ),
        "bytes before its first header": (lambda: b"#!/bin/sh\nrm -rf /\n" + whole, HANDLED),
        "70,000 files": (lambda: many_files(70_000), HANDLED),
        "zip64 throughout": (zip64, HANDLED),
    }


def many_files(count: int) -> bytes:
    """A dataset whose number of files only a zip64 directory can say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for member in GOOD:
            target.writestr(str(member.name), member.data)
        for number in range(count // 2):
            target.writestr(f"images/train/plan {number}.png", png(str(number)))
            target.writestr(f"labels/train/plan {number}.txt", POLYGON)
    return buffer.getvalue()


def zip64() -> bytes:
    """A small dataset with zip64 fields in every local header."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for member in GOOD:
            with target.open(str(member.name), "w", force_zip64=True) as file:
                file.write(member.data)
    return buffer.getvalue()


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> bytes:
    """One block of a tar: a header that says what it is given."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info.tobuf(tarfile.GNU_FORMAT)


def tar_file(name: str, content: bytes) -> bytes:
    """A member with its content, padded."""
    return header(name, size=len(content)) + content + bytes(-len(content) % 512)


def packed(*parts: bytes, then_zeros: int = 0) -> bytes:
    """gzip of the parts and of so many megabytes of zeros."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    start = b"".join(packer.compress(part) for part in parts) + packer.flush(zlib.Z_FULL_FLUSH)
    body = start + zeros(then_zeros or 1)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + bytes(8)


FIRST, SECOND = b"the model", b"another model"
MODEL = tar_file("best.pt", FIRST)


def hostile_tars() -> dict[str, tuple[Callable[[], bytes], str]]:
    """Archives by what is wrong, each with the error that names it, or HANDLED: best.pt alone is delivered."""
    end = bytes(1024)
    folders = header("d/", tarfile.DIRTYPE) * 1000
    whole = gzip.compress(MODEL + tar_file("metrics.json", b"{}") + end)
    pax = header("x", tarfile.XHDTYPE, 512) + b"12 comment=x\n".ljust(512, b"\0")
    sparse = bytearray(header("best.pt", tarfile.GNUTYPE_SPARSE, 512))
    sparse[482] = 1  # more of its map follows
    sparse[148:156] = b"%06o\0 " % _checksum(sparse)
    more = bytes(504) + b"\1" + bytes(7)
    pax_sparse = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n".ljust(512, b"\0")
    cases: dict[str, tuple[Callable[[], bytes], str]] = {
        f"a path such as {name!r}": (partial(packed, MODEL, tar_file(name, b"evil"), end), HANDLED)
        for name in ("../best.pt", "samples/../../evil.jpg", "/best.onnx", "models/other/best.pt", "samples\\x.jpg")
    }
    return cases | {
        "links and devices named as files of ours": (
            lambda: packed(
                header("best.onnx", tarfile.SYMTYPE, link="/etc/passwd"),
                header("metrics.json", tarfile.LNKTYPE, link="best.onnx"),
                header("results.csv", tarfile.CHRTYPE),
                header("args.yaml", tarfile.FIFOTYPE),
                MODEL,
                end,
            ),
            HANDLED,
        ),
        "best.pt twice": (lambda: packed(MODEL, tar_file("best.pt", SECOND), end), HANDLED),
        "301 files": (lambda: packed(MODEL, *[header(f"{n}.png") for n in range(301)], end), "UnexpectedArchive"),
        "a million folders": (lambda: packed(*[folders] * 1000, MODEL), "UnexpectedArchive"),
        "a file of 9 GB": (lambda: packed(header("junk", size=9 * GIGABYTE), then_zeros=9216), "UnexpectedArchive"),
        "a pax header of 2 GB": (
            lambda: packed(header("x", tarfile.XHDTYPE, 2 * GIGABYTE), then_zeros=2048),
            "UnexpectedArchive",
        ),
        "a long name of 2 GB": (
            lambda: packed(header("x", tarfile.GNUTYPE_LONGNAME, 2 * GIGABYTE), then_zeros=2048),
            "UnexpectedArchive",
        ),
        "100,000 pax headers on end": (lambda: packed(pax * 100_000, MODEL), "UnexpectedArchive"),
        "a sparse map that never ends": (lambda: packed(bytes(sparse), more * 100_000), "UnexpectedArchive"),
        "a sparse file of pax": (
            lambda: packed(
                header("x", tarfile.XHDTYPE, len(pax_sparse)),
                pax_sparse,
                header("best.pt", size=1 << 20),
                b"9" * 12 + b"\n",
                b"1\n" * 500_000,
            ),
            "UnexpectedArchive",
        ),
        "a size below nothing": (lambda: packed(_negative(), MODEL), "UnexpectedArchive"),
        "not gzip": (lambda: MODEL, "UnexpectedArchive"),
        "gzip of no tar": (lambda: gzip.compress(b"hello " * 1000), "UnexpectedArchive"),
        "lzma": (lambda: lzma.compress(MODEL), "UnexpectedArchive"),
        "truncated": (lambda: whole[: len(whole) - 40], "UnexpectedArchive"),
        "a bit changed": (lambda: whole[:60] + bytes([whole[60] ^ 255]) + whole[61:], "UnexpectedArchive"),
    }


def _negative() -> bytes:
    block = bytearray(header("junk"))
    block[124:136] = b"\xff" * 11 + b"\x00"
    block[148:156] = b"%06o\0 " % _checksum(block)
    return bytes(block)


def _checksum(block: bytearray) -> int:
    return sum(block) - sum(block[148:156]) + 8 * ord(" ")
