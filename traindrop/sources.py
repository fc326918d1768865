"""Where a dataset lies: a folder or a zip in S3, each read with as few requests as the rules need."""

from __future__ import annotations

import hashlib
import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from traindrop.data_yaml import DATA_FILES
from traindrop.dataset import File, is_noise
from traindrop.member_names import collision_of, fault_of
from traindrop.problems import Problem
from traindrop.ranged_object import RangedObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BLOCK = 256 * 1024
_READ_LIMIT = 16 * 1024 * 1024
_MAX_ENTRIES = 400_000
_MAX_DIRECTORY = 64 * 1024 * 1024
_ENTRY = b"PK\x01\x02"
_MAX_MEMBER = 1024**3
_MAX_UNPACKED = 500 * 10**9
_MAX_RATIO = 200
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    OSError,
)
"""What zipfile raises on a broken zip; botocore's errors are none of these."""


class Source(Protocol):
    """A dataset to validate: its files by path relative to the folder of data.yaml, and their contents."""

    @property
    def files(self) -> Mapping[str, File]:
        """The files, noise left out."""

    @property
    def root(self) -> str:
        """Folder inside an archive that holds data.yaml, with its slash; empty elsewhere."""

    @property
    def newest(self) -> datetime:
        """When the last object arrived."""

    @property
    def checksum(self) -> str:
        """What `File.digest` is: `md5`, `crc32`, or empty where it does not follow from the content."""

    @property
    def archive_bytes(self) -> int:
        """Size of the zip itself; 0 for a folder."""

    def read(self, name: str) -> bytes:
        """Content of a file, at most 16 MiB of it."""


class SourceError(Exception):
    """The dataset cannot be read at all; carries the problem to report."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem."""
        super().__init__(problem.message)
        self.problem = problem


class FolderSource:
    """A dataset as objects below `datasets/<name>/`."""

    def __init__(self, s3: S3Client, bucket: str, prefix: str) -> None:
        """List everything below the prefix (1,000 keys a request)."""
        self._s3, self._bucket, self._prefix = s3, bucket, prefix
        self.root, self.checksum, self.archive_bytes = "", "md5", 0
        found: dict[str, File] = {}
        self.newest = datetime.fromtimestamp(0, UTC)
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                self.newest = max(self.newest, item["LastModified"])
                name = item["Key"][len(prefix) :]
                if not name or name.endswith("/") or is_noise(name):
                    continue
                if fault := fault_of(name):
                    raise SourceError(
                        Problem(
                            "folder.unsafe_name",
                            f"the dataset holds {name!r:.200}, {fault}; delete that object and upload it under "
                            "a plain name",
                            [item["Key"]],
                        )
                    )
                if len(found) >= _MAX_ENTRIES:
                    raise SourceError(
                        Problem(
                            "folder.too_many_files",
                            f"the dataset holds more than {_MAX_ENTRIES} files, which is all that are accepted; "
                            "drop fewer, larger ones",
                            [prefix],
                        )
                    )
                found[name] = File(name, item["Size"], item["ETag"].strip('"'))
        if above := collision_of(found):
            raise SourceError(
                Problem(
                    "folder.name_collision",
                    f"{above!r:.200} is there twice, or both as a file and as a folder; delete one of them",
                    [prefix + above],
                )
            )
        self.files = found

    def read(self, name: str) -> bytes:
        """Content of an object.

        Whatever is read shows whether ETags are MD5s here: those of objects encrypted with a KMS key are not, and a
        listing does not tell.
        """
        if not self.files[name].size:
            return b""
        answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name, Range=f"bytes=0-{_READ_LIMIT - 1}")
        content, etag = answer["Body"].read(), answer["ETag"].strip('"')
        if "-" not in etag and len(content) < _READ_LIMIT and _md5(content) != etag:
            self.checksum = ""
        return content


class ArchiveSource:
    """A dataset as one zip; only its directory and the few files that the rules ask for are fetched."""

    def __init__(self, s3: S3Client, bucket: str, key: str) -> None:
        """Read the zip's directory.

        Raises:
            SourceError: the object is no zip, is encrypted or packed in an unusual way, would unpack to more than
                a job may hold, has hostile names, or no data.yaml at its root.
        """
        head = s3.head_object(Bucket=bucket, Key=key)
        self.newest, self.checksum, self.archive_bytes = head["LastModified"], "crc32", head["ContentLength"]
        shown = posixpath.basename(key)
        try:
            self._zip = zipfile.ZipFile(
                _Bounded(shown, RangedObject(s3, bucket, key, self.archive_bytes, head["ETag"]), _BLOCK)
            )
        except _UNREADABLE as error:
            raise SourceError(
                Problem(
                    "archive.not_a_zip",
                    f"{shown} is not a readable zip ({error}); pack the dataset again, for instance "
                    f"with `zip -r {shown} data.yaml images labels`, and upload it anew",
                    [key],
                )
            ) from error
        entries = _members(shown, self._zip.infolist(), self.archive_bytes)
        self.root = _root(shown, entries)
        self._infos = {name[len(self.root) :]: info for name, info in entries.items() if name.startswith(self.root)}
        self.files: Mapping[str, File] = {
            name: File(name, info.file_size, f"{info.CRC:08x}") for name, info in self._infos.items()
        }

    def read(self, name: str) -> bytes:
        """Content of a member."""
        try:
            with self._zip.open(self._infos[name]) as member:
                return member.read(_READ_LIMIT)
        except _UNREADABLE as error:
            raise SourceError(
                Problem("archive.broken_member", f"{name} cannot be unpacked ({error}); pack the dataset again", [name])
            ) from error


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


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
    if unpacked > _MAX_UNPACKED or (unpacked > _MAX_MEMBER and unpacked > _MAX_RATIO * packed_bytes):
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
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "archive.unusual_compression", "which is neither stored nor deflated; pack with ordinary `zip -r`"
    if info.file_size > _MAX_MEMBER:
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
    hint = f"; there is one at {found}, too deep" if found else ""
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
            if entries <= _MAX_ENTRIES:
                return data
        raise SourceError(
            Problem(
                "archive.too_many_files",
                f"{self._shown} holds {entries or 'too many'} files, or names of more than {_MAX_DIRECTORY // 1024**2} "
                f"MiB; at most {_MAX_ENTRIES} files are accepted",
                [self._shown],
            )
        )
