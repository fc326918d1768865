"""The bytes of a zip in S3."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from traindrop.zip_archive import ZipArchive
from traindrop.zip_bytes import Span

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAIL = 1024 * 1024


class ArchiveSource(ZipArchive):
    """A dataset as one zip in S3."""

    def __init__(self, s3: S3Client, bucket: str, key: str) -> None:
        """Read the zip's directory.

        Raises:
            SourceError: it cannot be unpacked safely, or holds no data.yaml.
        """
        super().__init__(_ObjectZip(s3, bucket, key))


class _ObjectZip:
    """The bytes of an object, pinned to one ETag; its last MiB is fetched ahead."""

    image_sample: int | None = 2

    def __init__(self, s3: S3Client, bucket: str, key: str) -> None:
        head = s3.head_object(Bucket=bucket, Key=key)
        self._s3, self._bucket, self._etag = s3, bucket, head["ETag"]
        self.name, self.place, self.size, self.newest = (
            posixpath.basename(key),
            key,
            head["ContentLength"],
            head["LastModified"],
        )
        self._tail_start = max(0, self.size - _TAIL)
        self._tail = self._get(self._tail_start, self.size) if self.size else b""

    def _get(self, start: int, end: int) -> bytes:
        return self._s3.get_object(
            Bucket=self._bucket, Key=self.place, Range=f"bytes={start}-{end - 1}", IfMatch=self._etag
        )["Body"].read()

    def fetch(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each span."""
        for index, (start, end) in enumerate(spans):
            end = min(end, self.size)
            if start >= end:
                yield index, b""
            elif start >= self._tail_start:
                yield index, self._tail[start - self._tail_start : end - self._tail_start]
            else:
                yield index, self._get(start, end)
