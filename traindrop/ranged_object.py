"""An object in S3 as a file that can be searched, so that a zip's directory costs one request or two."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAIL = 1024 * 1024


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
            raise OSError("an offset before the beginning")
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
