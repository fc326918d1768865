"""Reads of many objects, one after the other through boto3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from traindrop.object_reads import Piece


class PlainReads:
    """As `StoreReads`, for a client that is a double."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3, self._bucket = s3, bucket

    def fetch(self, pieces: Iterable[Piece]) -> Iterator[tuple[int, bytes]]:
        for index, piece in enumerate(pieces):
            pinned = {"IfMatch": piece.etag} if piece.etag else {}
            span = f"bytes={piece.start}-{piece.end - 1}"
            answer = self._s3.get_object(Bucket=self._bucket, Key=piece.key, Range=span, **pinned)
            yield index, answer["Body"].read()
