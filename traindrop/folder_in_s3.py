"""A dataset as objects below a prefix of a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from traindrop.dataset import File, is_noise
from traindrop.member_names import collision_of, fault_of
from traindrop.problems import Problem
from traindrop.sources import HEAD_BYTES, MAX_ENTRIES, READ_LIMIT, TAIL_BYTES, SourceError, within_budget

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_IMAGE_SAMPLE = 100


class FolderSource:
    """A dataset as objects below `datasets/<name>/`."""

    def __init__(self, s3: S3Client, bucket: str, prefix: str) -> None:
        """List everything below the prefix (1,000 keys a request)."""
        self._s3, self._bucket, self._prefix = s3, bucket, prefix
        self.root, self.checksum, self.archive_bytes = "", "md5", 0
        self.image_sample: int | None = _IMAGE_SAMPLE
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
                if len(found) >= MAX_ENTRIES:
                    raise SourceError(
                        Problem(
                            "folder.too_many_files",
                            f"the dataset holds more than {MAX_ENTRIES} files, which is all that are accepted; "
                            "drop fewer, larger ones",
                            [prefix],
                        )
                    )
                found[name] = File(name, item["Size"], item["ETag"].strip('"'), item["LastModified"].timestamp())
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
        answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name, Range=f"bytes=0-{READ_LIMIT - 1}")
        content, etag = answer["Body"].read(), answer["ETag"].strip('"')
        if (
            "-" not in etag
            and len(content) < READ_LIMIT
            and hashlib.md5(content, usedforsecurity=False).hexdigest() != etag
        ):
            self.checksum = ""
        return content

    def affordable(self, names: Sequence[str]) -> list[str]:
        """The objects that can be read within the budget."""
        return within_budget(
            names, lambda chosen: (len(chosen), sum(min(self.files[name].size, READ_LIMIT) for name in chosen))
        )

    def contents(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each object, as they arrive."""
        for name in names:
            yield name, self.read(name)

    def ends(self, names: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        """Name, head and tail of each object, as they arrive."""
        for name in names:
            content = self.read(name)
            whole = self.files[name].size <= len(content)
            yield name, content[:HEAD_BYTES], content[-TAIL_BYTES:] if whole else b""

    def digests(self, names: Sequence[str]) -> Mapping[str, str]:
        """ETag of each object."""
        return {name: self.files[name].digest for name in names}
