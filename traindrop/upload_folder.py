"""A dataset sent as a folder: objects side by side, those left out that lie there already, the yaml files last."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from traindrop.bucket_listing import objects_below
from traindrop.dataset import is_noise
from traindrop.layout import is_image
from traindrop.packing import packed_names

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AT_ONCE = 32
"""Objects on their way at the same time; connections that the client should keep."""
_HEAP = 1000
"""Objects that are planned at once; all of them are waited for before the next."""


@dataclass(frozen=True)
class SentFolder:
    """A folder that lies in S3 as it is here: bytes there before and sent now, and when its first yaml file came."""

    kept: int
    sent: int
    objects: int
    modified: datetime


class Strangers(Exception):
    """Objects lie in the folder that belong to no file of the dataset; `keys` are theirs."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Keep the keys."""
        super().__init__(f"{len(keys)} other objects, such as {keys[0]}")
        self.keys = keys


def send_folder(
    s3: S3Client,
    bucket: str,
    prefix: str,
    names: Sequence[str],
    read: Callable[[str], bytes],
    *,
    advance: Callable[[int], None],
) -> SentFolder:
    """Send the files of a dataset; S3 compares each with its MD5.

    The yaml files, each of which starts a run, are sent when all else is there, and always.

    Args:
        s3: a client that keeps `AT_ONCE` connections.
        bucket: where it goes.
        prefix: the folder, with its slash.
        names: the files, as `packed_names` puts them: yaml files first.
        read: answers a whole file.
        advance: told of bytes that are there.

    Raises:
        Strangers: the folder holds more images, labels or yaml files than the dataset has; nothing was sent.
        ClientError: S3 does not take it.
    """
    there = dict(_objects(s3, bucket, prefix))
    if strangers := sorted(set(packed_names(there)) - set(names)):
        raise Strangers([prefix + name for name in strangers])
    yaml = [name for name in names if not (is_image(name) or name[-4:].lower() == ".txt")]

    def bring(name: str) -> tuple[int, int]:
        content = read(name)
        md5 = hashlib.md5(content, usedforsecurity=False)
        new = name in yaml or there.get(name) != (len(content), md5.hexdigest())
        if new:
            digest = base64.b64encode(md5.digest()).decode()
            s3.put_object(Bucket=bucket, Key=prefix + name, Body=content, ContentMD5=digest)
        advance(len(content))
        return (0, len(content)) if new else (len(content), 0)

    done = list(_side_by_side(bring, [name for name in names if name not in yaml]))
    # A run begins with the first of them, and reads both: data.yaml, which comes first in `names`, comes last.
    done += [bring(name) for name in reversed(yaml)]
    first = s3.head_object(Bucket=bucket, Key=prefix + yaml[-1])
    kept, sent = (sum(column) for column in zip(*done, strict=True))
    return SentFolder(kept, sent, sum(1 for _, new in done if new), first["LastModified"])


def _objects(s3: S3Client, bucket: str, prefix: str) -> Iterator[tuple[str, tuple[int, str]]]:
    """Name, size and ETag of each object of the folder, noise left out."""
    for item in objects_below(s3, bucket, prefix):
        name = item["Key"][len(prefix) :]
        if not is_noise(name):
            yield name, (item["Size"], item["ETag"].strip('"'))


def _side_by_side(bring: Callable[[str], tuple[int, int]], names: Sequence[str]) -> Iterator[tuple[int, int]]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for first in range(0, len(names), _HEAP):
            yield from threads.map(bring, names[first : first + _HEAP])
