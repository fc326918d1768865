"""From a job's `model.tar.gz` to the model's place, member by member, in bounded memory and without a disk."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from traindrop.errors import TraindropError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MODEL_FILE = re.compile(
    r"(best\.pt|best\.onnx|metrics\.json|results\.csv|args\.yaml"
    r"|[A-Za-z0-9_-]{1,80}\.(png|jpg)|samples/[A-Za-z0-9_-]{1,80}\.jpg)"
)
_PRETRAINED = re.compile(r"pretrained/(?P<name>[a-z0-9-]{1,40}\.pt)")
_MAX_MEMBERS = 300
_MAX_BYTES = 8 * 1024**3
_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "png": "image/png",
    "jpg": "image/jpeg",
    "yaml": "application/yaml",
}


class UnexpectedArchive(TraindropError):
    """The archive holds more than any training of ours writes; nothing of it is trusted further."""


class NoModel(TraindropError):
    """The job left neither an archive with a model nor a checkpoint."""


def extract(s3: S3Client, *, bucket: str, archive_key: str, target_prefix: str, weights_prefix: str) -> list[str]:
    """Stream the expected members of an archive to their places; answer the names delivered.

    Members of other names are skipped; links and devices cannot match, since only regular files are taken.
    A `pretrained/` member goes to the cache of weights instead.

    Raises:
        UnexpectedArchive: more than 300 members or 8 GiB.
        NoModel: there is no such archive, or no best.pt in it.
    """
    try:
        body = s3.get_object(Bucket=bucket, Key=archive_key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            raise NoModel(f"the training job left no s3://{bucket}/{archive_key}") from error
        raise
    delivered: list[str] = []
    total = 0
    with tarfile.open(fileobj=body, mode="r|gz") as archive:
        for count, (name, size, content) in enumerate(_files(archive), 1):
            total += size
            if count > _MAX_MEMBERS or total > _MAX_BYTES:
                raise UnexpectedArchive(
                    f"s3://{bucket}/{archive_key} holds more than {_MAX_MEMBERS} files or {_MAX_BYTES // 1024**3} GiB"
                )
            cached = _PRETRAINED.fullmatch(name)
            if cached:
                _upload(s3, content, bucket, weights_prefix + cached["name"])
            elif _MODEL_FILE.fullmatch(name) and name not in delivered:
                _upload(s3, content, bucket, target_prefix + name)
                delivered.append(name)
    if "best.pt" not in delivered:
        raise NoModel(f"s3://{bucket}/{archive_key} holds no best.pt")
    return delivered


def best_checkpoint(s3: S3Client, *, bucket: str, checkpoint_prefix: str, target_prefix: str) -> list[str]:
    """Deliver the newest best.pt among the checkpoints, and its figures, for a job that left no archive.

    Raises:
        NoModel: there is no checkpoint either.
    """
    found = [
        item
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=checkpoint_prefix)
        for item in page.get("Contents", [])
    ]
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


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, int, IO[bytes]]]:
    for member in archive:
        content = archive.extractfile(member) if member.isreg() else None
        if content is not None:
            yield member.name.removeprefix("./"), member.size, content


def _upload(s3: S3Client, content: IO[bytes], bucket: str, key: str) -> None:
    kind = _TYPES.get(key.rsplit(".", 1)[-1], "application/octet-stream")
    s3.upload_fileobj(cast("IO[bytes]", _Readable(content)), bucket, key, ExtraArgs={"ContentType": kind})


class _Readable:
    """Only `read`: the stream of a tar member claims to be seekable, which the uploader would try."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content

    def read(self, *size: Any) -> bytes:
        return self._content.read(*size)
