"""A zip of strangers onto disk: only plain files, only below the target, never more than there is room for."""

from __future__ import annotations

import posixpath
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from training_entry.failure import BadDataset

_MAX_ENTRIES = 400_000
_MAX_MEMBER = 1024**3
_RESERVE = 2 * 1024**3
_CHUNK = 1024 * 1024


def is_noise(name: str) -> bool:
    """Whether a file is what operating systems and ultralytics leave behind, not a part of the dataset."""
    base = posixpath.basename(name)
    return (
        base.startswith(".")
        or base in ("Thumbs.db", "desktop.ini")
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
        with zipfile.ZipFile(archive) as opened:
            members = _checked(archive.name, opened, room)
            for name, info in members.items():
                place = target / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(info) as source, place.open("xb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        raise BadDataset(
            f"{archive.name} is not a readable zip ({error}); pack it again and upload it anew."
        ) from error
    return {name: f"{info.CRC:08x}" for name, info in members.items()}


def _checked(shown: str, opened: zipfile.ZipFile, room: int) -> dict[str, zipfile.ZipInfo]:
    infos = opened.infolist()
    if len(infos) > _MAX_ENTRIES:
        raise BadDataset(f"{shown} holds {len(infos)} files; at most {_MAX_ENTRIES} are accepted.")
    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in infos:
        name = info.filename.replace("\\", "/")
        if info.is_dir() or is_noise(name):
            continue
        parts = name.split("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if name.startswith("/") or ".." in parts or name[1:2] == ":" or not name.isprintable():
            raise BadDataset(
                f"{shown} holds {name!r:.200}, a path that leaves its folder; pack it again with relative paths."
            )
        if kind not in (0, stat.S_IFREG):
            raise BadDataset(f"{shown} holds {name!r:.200}, which is a link or a device; pack real files.")
        if info.flag_bits & 0x1:
            raise BadDataset(f"{shown} is encrypted; pack it without a password.")
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
    for name in members:
        above = next((str(folder) for folder in PurePosixPath(name).parents if str(folder) in members), None)
        if above:
            raise BadDataset(f"{shown} holds {above!r:.200} both as a file and as a folder; pack it again.")
    return members
