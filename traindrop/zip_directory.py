"""The directory of a zip: its members once nothing speaks against unpacking them anywhere, and where each lies."""

from __future__ import annotations

import bisect
import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from traindrop.data_yaml import DATA_FILES
from traindrop.dataset import hint_of_classification, is_noise
from traindrop.member_names import collision_of, fault_of
from traindrop.problems import Problem
from traindrop.sources import MAX_ENTRIES, SourceError

UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    OSError,
)
"""What zipfile, zlib and struct raise on a broken zip; those of AWS clients are none of these."""
_MAX_DIRECTORY = 64 * 1024 * 1024
_ENTRY = b"PK\x01\x02"
MAX_MEMBER = 1024**3
_MAX_UNPACKED = 500 * 10**9
_MAX_RATIO = 200
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PATCHED = 0x20
_UTF8 = 0x800
_BLOCK = 256 * 1024
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LONGEST_EXTRA = 0xFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a zip: where it lies, from its local header to `end` at most, and what it must unpack to."""

    stored_name: str
    utf8: bool
    offset: int
    end: int
    packed_size: int
    size: int
    crc: int
    deflated: bool

    def header_size(self, raw: bytes) -> int:
        """Size of the local header with which `raw`, the bytes from `offset` on, begins.

        Raises:
            any of `UNREADABLE`: no local header of this member is there.
        """
        signature, name_size, extra_size = _LOCAL_HEADER.unpack_from(raw)
        after_name = _LOCAL_HEADER.size + name_size
        name = raw[_LOCAL_HEADER.size : after_name].decode("utf-8" if self.utf8 else "cp437")
        if signature != b"PK\3\4" or name != self.stored_name:
            raise zipfile.BadZipFile("another file lies in its place")
        return int(after_name + extra_size)

    def head(self, raw: bytes, limit: int) -> bytes:
        """The first bytes of the content, as many as `raw`, the bytes from `offset` on, has of `limit`; unchecked.

        Raises:
            any of `UNREADABLE`: they cannot be unpacked.
        """
        start = self.header_size(raw)
        packed = raw[start : start + self.packed_size]
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit) if self.deflated else packed[:limit]

    def content(self, raw: bytes, limit: int) -> bytes:
        """The content, checked against size and CRC-32; of a larger one the first `limit` bytes, unchecked.

        Raises:
            any of `UNREADABLE`: it cannot be unpacked, or is not what the directory says.
        """
        content = self.head(raw, min(self.size + 1, limit))
        if self.size >= limit:
            if len(content) < limit:
                raise EOFError("it ends too early")
        elif len(content) != self.size or zlib.crc32(content) != self.crc:
            raise zipfile.BadZipFile("its size or its checksum is not what the zip's directory says")
        return content


def read_directory(shown: str, key: str, file: io.RawIOBase, size: int) -> tuple[str, dict[str, Member]]:
    """The folder that holds data.yaml, with its slash, and the files below it by path relative to it.

    Args:
        shown: what the zip is called in messages.
        key: where it lies.
        file: its bytes, of which little more than the directory is read.
        size: of the zip in bytes.

    Raises:
        SourceError: it is no zip, is encrypted or packed in an unusual way, would unpack to more than a job may hold,
            has hostile names, or no data.yaml at its root or in its single top folder.
    """
    try:
        found = zipfile.ZipFile(_Bounded(shown, file, _BLOCK))
        infos = found.infolist()
        if any(info.header_offset < 0 for info in infos):
            raise zipfile.BadZipFile("its directory points to what lies before its beginning")
    except UNREADABLE as error:
        raise SourceError(
            Problem(
                "archive.not_a_zip",
                f"{shown} is not a readable zip ({error}); pack the dataset again, for instance "
                f"with `zip -r {shown} data.yaml images labels`, and upload it anew",
                [key],
            )
        ) from error
    entries = _members(shown, infos, size)
    root = _root(shown, entries)
    starts = sorted(info.header_offset for info in infos)
    starts.append(found.start_dir)
    return root, {name[len(root) :]: _placed(info, starts) for name, info in entries.items() if name.startswith(root)}


def _placed(info: zipfile.ZipInfo, starts: list[int]) -> Member:
    """A member and how far it can reach: to the next one, as the length of its local header is not known yet."""
    longest = _LOCAL_HEADER.size + 4 * len(info.orig_filename) + _LONGEST_EXTRA + info.compress_size
    after = bisect.bisect_right(starts, info.header_offset)
    next_start = starts[after] if after < len(starts) else info.header_offset
    return Member(
        info.orig_filename,
        bool(info.flag_bits & _UTF8),
        info.header_offset,
        min(info.header_offset + longest, next_start),
        info.compress_size,
        info.file_size,
        info.CRC,
        info.compress_type == zipfile.ZIP_DEFLATED,
    )


def _members(shown: str, infos: list[zipfile.ZipInfo], packed_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip by name, noise and folders left out, once nothing speaks against unpacking it anywhere."""
    members: dict[str, zipfile.ZipInfo] = {}
    unpacked = 0
    for info in infos:
        name = info.filename.replace("\\", "/")
        if name.endswith("/") or is_noise(name):
            continue
        if fault := _fault(name, info):
            raise SourceError(Problem(fault[0], f"{shown} holds {name!r:.200}, {fault[1]}", [name]))
        if name in members:
            raise _duplicate(shown, name)
        members[name] = info
        unpacked += info.file_size
    if unpacked > _MAX_UNPACKED or (unpacked > MAX_MEMBER and unpacked > _MAX_RATIO * packed_bytes):
        raise SourceError(
            Problem(
                "archive.unpacks_too_large",
                f"{shown} has {packed_bytes} bytes and would unpack to {unpacked}; at most {_MAX_UNPACKED // 10**9} GB "
                f"and {_MAX_RATIO} times its size are accepted. Pack the images as PNG or JPEG",
                [shown],
            )
        )
    if name := collision_of(members):
        raise _duplicate(shown, name)
    return members


def _fault(name: str, info: zipfile.ZipInfo) -> tuple[str, str] | None:
    """Code and end of the sentence that says why a member is not accepted."""
    if found := fault_of(name):
        return "archive.unsafe_name", f"{found}; pack the dataset again with plain relative paths"
    if info.flag_bits & _ENCRYPTED:
        return "archive.encrypted", "which is encrypted; pack the dataset without a password"
    if (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
        return "archive.not_a_file", "which is a link or a device; pack real files (zip without --symlinks)"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & _PATCHED:
        return "archive.unusual_compression", "which is neither stored nor deflated; pack with ordinary `zip -r`"
    if info.file_size > MAX_MEMBER:
        return "archive.member_too_large", f"which unpacks to {info.file_size} bytes; at most 1 GiB is accepted"
    return None


def _duplicate(shown: str, name: str) -> SourceError:
    return SourceError(
        Problem(
            "archive.duplicate_name",
            f"{shown} holds {name!r:.200} twice, or both as a file and as a folder; pack it again",
            [name],
        )
    )


def _root(shown: str, entries: Mapping[str, zipfile.ZipInfo]) -> str:
    """Folder in the zip that holds data.yaml: the root itself or the single top folder."""
    if any(name in entries for name in DATA_FILES):
        return ""
    tops = {name.split("/", 1)[0] for name in entries}
    if len(tops) == 1:
        top = f"{tops.pop()}/"
        if any(top + name in entries for name in DATA_FILES):
            return top
    found = next((name for name in entries if posixpath.basename(name) in DATA_FILES), None)
    hint = f"; there is one at {found}, too deep" if found else hint_of_classification(entries)
    raise SourceError(
        Problem(
            "data_yaml.missing",
            f"{shown} has no data.yaml at its root or in its single top folder"
            f"{hint}; pack the folder that holds data.yaml",
            [shown],
        )
    )


class _Bounded(io.BufferedReader):
    """The zip's bytes, read in blocks; zipfile takes its directory in one read, whose entries are counted first.

    What the zip says about their number may be a lie, and each takes a kilobyte once it is an object.
    """

    def __init__(self, shown: str, raw: io.RawIOBase, block: int) -> None:
        super().__init__(raw, block)
        self._shown = shown

    def read(self, size: int | None = -1, /) -> bytes:
        """Bytes from the current offset."""
        entries = 0
        if size is not None and size <= _MAX_DIRECTORY:
            data = super().read(size)
            entries = data.count(_ENTRY)
            if entries <= MAX_ENTRIES:
                return data
        raise SourceError(
            Problem(
                "archive.too_many_files",
                f"{self._shown} holds {entries or 'too many'} files, or names of more than {_MAX_DIRECTORY // 1024**2} "
                f"MiB; at most {MAX_ENTRIES} files are accepted",
                [self._shown],
            )
        )
