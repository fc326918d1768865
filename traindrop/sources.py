"""Where a dataset lies: a folder or a zip in S3, each read with as few requests as the rules need."""

from __future__ import annotations

import hashlib
import io
import posixpath
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from traindrop.dataset import DATA_FILES, File, is_noise
from traindrop.problems import Problem

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAIL = 1024 * 1024
_BLOCK = 256 * 1024
_READ_LIMIT = 16 * 1024 * 1024
_MAX_ENTRIES = 400_000


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
                if name and not name.endswith("/") and not is_noise(name):
                    found[name] = File(name, item["Size"], item["ETag"].strip('"'))
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
            SourceError: the object is no zip, is encrypted, has hostile names, or no data.yaml at its root.
        """
        head = s3.head_object(Bucket=bucket, Key=key)
        self.newest, self.checksum, self.archive_bytes = head["LastModified"], "crc32", head["ContentLength"]
        shown = posixpath.basename(key)
        try:
            self._zip = zipfile.ZipFile(
                io.BufferedReader(RangedObject(s3, bucket, key, self.archive_bytes, head["ETag"]), _BLOCK)
            )
            infos = self._zip.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise SourceError(
                Problem(
                    "archive.not_a_zip",
                    f"{shown} is not a readable zip ({error}); pack the dataset again, for instance "
                    f"with `zip -r {shown} data.yaml images labels`, and upload it anew",
                    [key],
                )
            ) from error
        if len(infos) > _MAX_ENTRIES:
            raise SourceError(
                Problem(
                    "archive.too_many_files",
                    f"{shown} holds {len(infos)} files; at most {_MAX_ENTRIES} are accepted",
                    [key],
                )
            )
        entries = {info.filename.replace("\\", "/"): info for info in infos if not info.is_dir()}
        entries = {name: info for name, info in entries.items() if not is_noise(name)}
        _refuse_hostile(shown, infos, entries)
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
        except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
            raise SourceError(
                Problem("archive.broken_member", f"{name} cannot be unpacked ({error}); pack the dataset again", [name])
            ) from error


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _refuse_hostile(shown: str, infos: list[zipfile.ZipInfo], entries: Mapping[str, zipfile.ZipInfo]) -> None:
    for name, info in entries.items():
        if name.startswith("/") or ".." in name.split("/") or name[1:3] == ":/" or not name.isprintable():
            raise SourceError(
                Problem(
                    "archive.unsafe_name",
                    f"{shown} holds {name!r:.200}, a path that leaves its "
                    "folder; pack the dataset again with relative paths",
                    [name],
                )
            )
        if info.flag_bits & 0x1:
            raise SourceError(Problem("archive.encrypted", f"{shown} is encrypted; pack it without a password", [name]))
        if (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
            raise SourceError(
                Problem(
                    "archive.not_a_file",
                    f"{shown} holds {name!r:.200}, which is a link or a "
                    "device; pack real files (zip without --symlinks)",
                    [name],
                )
            )
    count = sum(1 for info in infos if not info.is_dir() and not is_noise(info.filename.replace("\\", "/")))
    if count != len(entries):
        raise SourceError(
            Problem("archive.duplicate_name", f"{shown} holds the same path twice; pack it again", [shown])
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


class RangedObject(io.RawIOBase):
    """A read-only, seekable file over an S3 object, pinned to one ETag; its last MiB is fetched ahead."""

    def __init__(self, s3: S3Client, bucket: str, key: str, size: int, etag: str) -> None:
        """Fetch the tail, where a zip keeps its directory."""
        self._s3, self._bucket, self._key, self._size, self._etag = s3, bucket, key, size, etag
        self._position = 0
        self._tail_start = max(0, size - _TAIL)
        self._tail = self._get(self._tail_start, size) if size else b""

    def _get(self, start: int, end: int) -> bytes:
        return self._s3.get_object(
            Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{end - 1}", IfMatch=self._etag
        )["Body"].read()

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be searched: yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte offset."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Current byte offset."""
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the current offset; 0 at the end."""
        start, end = self._position, min(self._size, self._position + len(buffer))
        if start >= end:
            return 0
        if start >= self._tail_start:
            data = self._tail[start - self._tail_start : end - self._tail_start]
        else:
            data = self._get(start, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
