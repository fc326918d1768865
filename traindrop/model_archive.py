"""From a job's `model.tar.gz` to the model's place, member by member, in bounded memory and without a disk."""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from traindrop.errors import TraindropError
from traindrop.objects import listed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MODEL_FILE = re.compile(
    r"(best\.pt|best\.onnx|metrics\.json|results\.csv|args\.yaml"
    r"|[A-Za-z0-9_-]{1,80}\.(png|jpg)|samples/[A-Za-z0-9_-]{1,80}\.jpg)"
)
_PRETRAINED = re.compile(r"pretrained/(?P<name>[a-z0-9-]{1,40}\.pt)")
_MAX_MEMBERS = 300
_MAX_BYTES = 8 * 1024**3
_HEADER_BYTES = 256 * 1024
_BLOCK = 64 * 1024
_BROKEN = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RecursionError, ValueError)
"""What gzip and tarfile raise on a broken archive; botocore's errors are none of these."""
_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "png": "image/png",
    "jpg": "image/jpeg",
    "yaml": "application/yaml",
}


class UnexpectedArchive(TraindropError):
    """The archive is broken or holds more than any training of ours writes; nothing of it is trusted further."""


class NoModel(TraindropError):
    """The job left neither an archive with a model nor a checkpoint."""


def extract(s3: S3Client, *, bucket: str, archive_key: str, target_prefix: str, weights_prefix: str) -> list[str]:
    """Stream the expected members of an archive to their places; answer the names delivered.

    Members of other names are skipped, and so are links, devices and a second member of the same name: only the first
    regular file of each is taken. A `pretrained/` member goes to the dataset's cache of weights instead.

    Raises:
        UnexpectedArchive: not a whole tar.gz, more than 300 members or 8 GiB, or headers that go on and on.
        NoModel: there is no such archive, or no best.pt in it.
    """
    try:
        body = s3.get_object(Bucket=bucket, Key=archive_key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            raise NoModel(f"the training job left no s3://{bucket}/{archive_key}") from error
        raise
    delivered: list[str] = []
    try:
        for name, content in _files(cast("IO[bytes]", body)):
            cached = _PRETRAINED.fullmatch(name)
            if cached:
                _upload(s3, content, bucket, weights_prefix + cached["name"])
            elif _MODEL_FILE.fullmatch(name) and name not in delivered:
                _upload(s3, content, bucket, target_prefix + name)
                delivered.append(name)
    except _BROKEN as error:
        raise UnexpectedArchive(
            f"s3://{bucket}/{archive_key} is no whole tar.gz of a training ({error}); the job's checkpoints are kept. "
            "Drop the dataset again to train anew"
        ) from error
    if "best.pt" not in delivered:
        raise NoModel(f"s3://{bucket}/{archive_key} holds no best.pt")
    return delivered


def best_checkpoint(s3: S3Client, *, bucket: str, checkpoint_prefix: str, target_prefix: str) -> list[str]:
    """Deliver the newest best.pt among the checkpoints, and its figures, for a job that left no archive.

    Raises:
        NoModel: there is no checkpoint either.
    """
    found = list(listed(s3, bucket, checkpoint_prefix))
    best = [item for item in found if item["Key"].rsplit("/", 1)[-1] == "best.pt"]
    if not best:
        raise NoModel(f"the training left no model and no checkpoint below s3://{bucket}/{checkpoint_prefix}")
    newest = max(best, key=lambda item: (item["LastModified"], item["Key"]))["Key"]
    delivered = []
    for name in ("best.pt", "metrics.json", "results.csv"):
        source = newest.removesuffix("best.pt") + name
        if any(item["Key"] == source for item in found):
            s3.copy({"Bucket": bucket, "Key": source}, bucket, target_prefix + name)
            delivered.append(name)
    return delivered


def _files(packed: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of a tar.gz; ValueError where it holds more than it may."""
    unpacked = _Unpacked(packed)
    total = 0
    with tarfile.open(fileobj=cast("IO[bytes]", unpacked), mode="r|", bufsize=_BLOCK) as archive:
        for count, member in enumerate(archive, 1):
            total += member.size
            if member.size < 0 or count > _MAX_MEMBERS or total > _MAX_BYTES:
                raise ValueError(
                    f"more than {_MAX_MEMBERS} members or {_MAX_BYTES // 1024**3} GiB, or less than nothing"
                )
            unpacked.allow(member.size)
            content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if content is not None:
                yield member.name.removeprefix("./"), content


class _Unpacked:
    """The tar within a gzip; it gives no more than the members so far account for, and a header's worth beyond.

    tarfile keeps whole headers in memory, and those of pax, long names and sparse files are as long as they say.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self._stream = gzip.GzipFile(fileobj=packed, mode="rb")
        self._allowed = _HEADER_BYTES

    def allow(self, size: int) -> None:
        """Let a member of this size through, and the next header."""
        self._allowed += size + _HEADER_BYTES

    def read(self, size: int) -> bytes:
        """The next bytes."""
        self._allowed -= size
        if self._allowed < 0:
            raise ValueError(f"a header of more than {_HEADER_BYTES // 1024} KiB")
        return self._stream.read(size)


def _upload(s3: S3Client, content: IO[bytes], bucket: str, key: str) -> None:
    kind = _TYPES.get(key.rsplit(".", 1)[-1], "application/octet-stream")
    s3.upload_fileobj(cast("IO[bytes]", _Readable(content)), bucket, key, ExtraArgs={"ContentType": kind})


class _Readable:
    """Only `read`: the stream of a tar member claims to be seekable, which the uploader would try."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content

    def read(self, *size: Any) -> bytes:
        return self._content.read(*size)
