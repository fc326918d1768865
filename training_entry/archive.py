"""A zip of strangers onto disk: only plain files, only below the target, never more than there is room for."""

from __future__ import annotations

import posixpath
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, cast

from training_entry.failure import BadDataset

_MAX_ENTRIES = 400_000
_MAX_MEMBER = 1024**3
_RESERVE = 2 * 1024**3
_CHUNK = 1024 * 1024
_MAX_DIRECTORY = 64 * 1024 * 1024
_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_NAME_BYTES, _PART_BYTES, _PARTS = 1024, 255, 64


def is_noise(name: str) -> bool:
    """Whether a file is what operating systems and ultralytics leave behind, not a part of the dataset."""
    base = posixpath.basename(name)
    return (
        base.startswith(".")
        or base in ("Thumbs.db", "desktop.ini", "Icon\r")
        or base.endswith(".cache")
        or name.startswith("__MACOSX/")
        or "/__MACOSX/" in name
    )


def extract(archive: Path, target: Path, *, max_bytes: int | None = None) -> dict[str, str]:
    """Unpack a zip below target; answer the CRC-32 of each file, which unpacking has confirmed, in hexadecimal.

    Nothing is written before every name has been checked. `max_bytes` limits the unpacked size; without it, all
    but 2 GiB of the free space may be filled.

    Raises:
        BadDataset: no zip, encrypted, damaged, too large, or with names that leave the target, collide, or are no
            plain files.
    """
    room = max(0, shutil.disk_usage(target.parent).free - _RESERVE) if max_bytes is None else max_bytes
    try:
        with archive.open("rb") as raw, zipfile.ZipFile(cast("IO[bytes]", _Bounded(raw, archive.name))) as opened:
            members = _checked(archive.name, opened, room)
            for name, info in members.items():
                place = target / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(info) as source, place.open("xb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, ValueError) as error:
        raise BadDataset(
            f"{archive.name} is not a readable zip ({error}); pack it again and upload it anew."
        ) from error
    return {name: f"{info.CRC:08x}" for name, info in members.items()}


def _checked(shown: str, opened: zipfile.ZipFile, room: int) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in opened.infolist():
        name = info.filename.replace("\\", "/")
        if name.endswith("/") or is_noise(name):
            continue
        parts = name.split("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if name.startswith("/") or ".." in parts or name[1:2] == ":" or not name.isprintable():
            raise BadDataset(
                f"{shown} holds {name!r:.200}, a path that leaves its folder; pack it again with relative paths."
            )
        if kind not in (0, stat.S_IFREG):
            raise BadDataset(f"{shown} holds {name!r:.200}, which is a link or a device; pack real files.")
        if len(parts) > _PARTS or len(name.encode()) > _NAME_BYTES or max(map(_bytes, parts)) > _PART_BYTES:
            raise BadDataset(f"{shown} holds {name!r:.200}, a path too long or too deep for a disk; pack it anew.")
        if info.flag_bits & _ENCRYPTED:
            raise BadDataset(f"{shown} is encrypted; pack it without a password.")
        # zipfile unpacks the other methods without a bound on what one chunk becomes in memory.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadDataset(f"{shown} holds {name!r:.200}, neither stored nor deflated; pack with ordinary zip.")
        name = posixpath.normpath(name)
        if name in members:
            raise BadDataset(f"{shown} holds {name!r:.200} twice; pack it again.")
        total += info.file_size
        if info.file_size > _MAX_MEMBER or total > room:
            raise BadDataset(
                f"{shown} unpacks to more than the job has room for ({room / 1e9:.1f} GB); drop a smaller "
                "dataset, or one without files that do not belong to it."
            )
        members[name] = info
    _refuse_collisions(shown, members)
    return members


def _refuse_collisions(shown: str, members: Mapping[str, zipfile.ZipInfo]) -> None:
    for name in members:
        above = next((str(folder) for folder in PurePosixPath(name).parents if str(folder) in members), None)
        if above:
            raise BadDataset(f"{shown} holds {above!r:.200} both as a file and as a folder; pack it again.")


def _bytes(part: str) -> int:
    return len(part.encode())


class _NoSuchPlace(zipfile.BadZipFile, OSError):
    """An offset before the zip's beginning: zipfile knows it by one name where it looks for zip64, we by the other."""


class _Bounded:
    """A zip's bytes; zipfile takes its directory in one read, whose entries are counted before they become objects."""

    def __init__(self, raw: IO[bytes], shown: str) -> None:
        self._raw, self._shown = raw, shown
        self.tell, self.seekable, self.close = raw.tell, raw.seekable, raw.close

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._raw.seek(offset, whence)
        except OSError as error:
            raise _NoSuchPlace(f"it points to its byte {offset}") from error

    def read(self, size: int = -1) -> bytes:
        if size <= _MAX_DIRECTORY:
            data = self._raw.read(size)
            if data.count(_ENTRY) <= _MAX_ENTRIES:
                return data
        raise BadDataset(f"{self._shown} holds too many files; at most {_MAX_ENTRIES} are accepted.")
