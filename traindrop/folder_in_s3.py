"""A dataset as objects below a prefix of a bucket."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from traindrop.bucket_listing import objects_below
from traindrop.dataset import File, is_noise
from traindrop.images import HEAD_BYTES, TAIL_BYTES
from traindrop.member_names import collision_of, fault_of
from traindrop.object_reads import ObjectGone, Piece, can_be_read
from traindrop.problems import Problem
from traindrop.read_ahead import ReadAhead
from traindrop.sources import MAX_ENTRIES, READ_LIMIT, SourceError, within_budget

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_IMAGE_SAMPLE = 100
_THREADS = 8


class FolderSource:
    """A dataset as objects below `datasets/<name>/`."""

    def __init__(
        self, s3: S3Client, reads: ReadAhead, bucket: str, prefix: str, *, at_rest_since: float = math.inf
    ) -> None:
        """List everything below the prefix, and have labels read meanwhile.

        Args:
            s3: lists, and reads single objects.
            reads: reads many, and ahead.
            bucket: where the dataset lies.
            prefix: its folder, with the slash.
            at_rest_since: epoch seconds; as soon as a later file is found no more is read ahead, because the upload
                goes on and nobody will ask for it.

        Raises:
            SourceError: a name is none that any disk takes, is there twice, or there are too many.
        """
        self._s3, self._reads, self._bucket, self._prefix = s3, reads, bucket, prefix
        self.root, self.checksum, self.archive_bytes = "", "md5", 0
        self.image_sample: int | None = _IMAGE_SAMPLE
        try:
            found = list(self._listed(at_rest_since))
        finally:
            reads.end()
        self.files: Mapping[str, File] = {file.name: file for file in sorted(found, key=lambda file: file.name)}
        above = collision_of(self.files)
        if above:
            raise SourceError(
                Problem(
                    "folder.name_collision",
                    f"{above!r:.200} is there twice, or both as a file and as a folder; delete one of them",
                    [prefix + above],
                )
            )

    def _listed(self, at_rest_since: float) -> Iterator[File]:
        """Every file of the dataset; what looks like a label of train or val begins to be read."""
        count, newest = 0, 0.0
        for item in objects_below(self._s3, self._bucket, self._prefix):
            modified = item["LastModified"].timestamp()
            newest = max(newest, modified)
            if modified > at_rest_since:
                self._reads.stop()
            name = item["Key"][len(self._prefix) :]
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
            count += 1
            if count > MAX_ENTRIES:
                raise SourceError(
                    Problem(
                        "folder.too_many_files",
                        f"the dataset holds more than {MAX_ENTRIES} files, which is all that are accepted; "
                        "drop fewer, larger ones",
                        [self._prefix],
                    )
                )
            if name.endswith(".txt") and "test" not in name.split("/") and item["Size"] and can_be_read(item["Key"]):
                self._reads.begin(Piece(item["Key"], 0, item["Size"]))
            yield File(name, item["Size"], item["ETag"].strip('"'), modified)
        self.newest = datetime.fromtimestamp(newest, UTC)

    def read(self, name: str) -> bytes:
        """Content of an object.

        Whatever is read shows whether ETags are MD5s here: those of objects encrypted with a KMS key are not, and a
        listing does not tell.

        Raises:
            SourceError: it has vanished since it was listed.
        """
        if not self.files[name].size:
            return b""
        try:
            answer = self._s3.get_object(
                Bucket=self._bucket, Key=self._prefix + name, Range=f"bytes=0-{READ_LIMIT - 1}"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                raise _changing(name) from error
            raise
        content, etag = answer["Body"].read(), answer["ETag"].strip('"')
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if "-" not in etag and len(content) < READ_LIMIT and md5 != etag:
            self.checksum = ""
        return content

    def affordable(self, names: Sequence[str]) -> list[str]:
        """The objects that can be read within the budget."""
        return within_budget(
            names, lambda chosen: (len(chosen), sum(min(self.files[name].size, READ_LIMIT) for name in chosen))
        )

    def contents(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each object, as they arrive.

        Raises:
            SourceError: one has vanished, or has another size, since it was listed.
        """
        for name, _, content in self._parts([(name, 0, min(self.files[name].size, READ_LIMIT)) for name in names]):
            yield name, content

    def ends(self, names: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        """Name, head and tail of each object, as they arrive; a tail beyond the head costs a second request."""
        wanted = []
        for name in names:
            size = self.files[name].size
            wanted.append((name, 0, min(size, HEAD_BYTES)))
            if size > HEAD_BYTES:
                wanted.append((name, max(HEAD_BYTES, size - TAIL_BYTES), size))
        waiting: dict[str, tuple[int, bytes]] = {}
        for name, start, data in self._parts(wanted):
            if self.files[name].size <= HEAD_BYTES:
                yield name, data, data[-TAIL_BYTES:]
            elif name not in waiting:
                waiting[name] = start, data
            else:
                (_, head), (_, tail) = sorted([waiting.pop(name), (start, data)])
                yield name, head, (head + tail)[-TAIL_BYTES:]

    def digests(self, names: Sequence[str]) -> Mapping[str, str]:
        """ETag of each object."""
        return {name: self.files[name].digest for name in names}

    def _parts(self, wanted: Sequence[tuple[str, int, int]]) -> Iterator[tuple[str, int, bytes]]:
        """Name, start and bytes of each part of an object that is wanted, as they arrive."""
        plain, odd = [], []
        for name, start, end in wanted:
            if start == end:
                yield name, start, b""
            elif can_be_read(self._prefix + name):
                plain.append((name, start, end))
            else:
                odd.append((name, start, end))
        pieces = [Piece(self._prefix + name, start, end) for name, start, end in plain]
        try:
            for index, data in self._reads.fetch(pieces):
                name, start, end = plain[index]
                if len(data) != end - start:
                    raise _changing(name)
                yield name, start, data
        except ObjectGone as error:
            raise _changing(error.key.removeprefix(self._prefix)) from error
        with ThreadPoolExecutor(_THREADS) as threads:
            for first in range(0, len(odd), _THREADS):
                some = odd[first : first + _THREADS]
                contents = threads.map(self.read, [name for name, _, _ in some])
                for (name, start, end), content in zip(some, contents, strict=True):
                    yield name, start, content[start:end]


def _changing(name: str) -> SourceError:
    return SourceError(
        Problem(
            "folder.changing",
            f"{name} was deleted or replaced while the dataset was looked at; let the upload end",
            [name],
            passing=True,
        )
    )
