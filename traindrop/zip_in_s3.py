"""A dataset as one zip in S3: its end first, then what lies elsewhere in few ranges of the same object."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from traindrop.errors import TransientError
from traindrop.object_reads import ObjectGone, ObjectReads, Piece
from traindrop.zip_archive import ZipArchive
from traindrop.zip_bytes import Span

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAIL = 1024 * 1024
"""Room for the directory of some 9,000 files."""
_BLOCK = 64 * 1024
_FEW_REQUESTS = 4


class ArchiveSource(ZipArchive):
    """A dataset as one zip in S3."""

    def __init__(self, s3: S3Client, reads: ObjectReads, bucket: str, key: str) -> None:
        """Read the zip's directory.

        Raises:
            SourceError: it cannot be unpacked safely, or holds no data.yaml.
        """
        super().__init__(_ObjectZip(s3, reads, bucket, key))


class _ObjectZip:
    """The bytes of an object as it was when its last MiB was read; `requests` have been made."""

    def __init__(self, s3: S3Client, reads: ObjectReads, bucket: str, key: str) -> None:
        self.name, self.place, self._reads = posixpath.basename(key), key, reads
        self.requests = 1
        try:
            answer = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{_TAIL}")
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidRange":  # which is said of an empty object
                raise
            answer = s3.get_object(Bucket=bucket, Key=key)
        tail = answer["Body"].read()
        self.size = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else len(tail)
        self.newest, self._etag = answer["LastModified"], answer["ETag"]
        self._known = [(self.size - len(tail), tail)]

    @property
    def image_sample(self) -> int:
        """What is left of four requests, and one at least."""
        return max(1, _FEW_REQUESTS - self.requests)

    def fetch(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each span; what is known is not asked for again."""
        missing = []
        for index, (start, end) in enumerate(spans):
            before, span, after = self._cut(start, min(end, self.size))
            if span[0] < span[1]:
                missing.append((index, before, span, after))
            else:
                yield index, before + after
        lone = len(missing) == 1
        wanted = [self._widened(span) if lone else span for _, _, span, _ in missing]
        pieces = [Piece(self.place, start, end, self._etag) for start, end in wanted]
        self.requests += len(pieces)
        try:
            for number, data in self._reads.fetch(pieces):
                index, before, (start, end), after = missing[number]
                begin = pieces[number].start
                if lone and len(data) <= 2 * _BLOCK:
                    self._known[1:] = [(begin, data)]
                yield index, before + data[start - begin : end - begin] + after
        except ObjectGone as error:
            raise TransientError(f"{error}; it is judged anew") from error

    def _widened(self, span: Span) -> Span:
        """A span with what lies around it, up to what is known of the end: beside data.yaml lies training.yaml."""
        start, end = span
        begin = start // _BLOCK * _BLOCK
        return begin, max(end, min(begin + _BLOCK, self._known[0][0]))

    def _cut(self, start: int, end: int) -> tuple[bytes, Span, bytes]:
        """What is known of a span's beginning, the span that is not known, and what is known of its end."""
        before = after = b""
        for base, data in self._known:
            if base <= start < base + len(data):
                before = data[start - base : max(start, end) - base]
                start += len(before)
            elif start < base < end <= base + len(data):
                after = data[: end - base]
                end = base
        return before, (start, end), after
