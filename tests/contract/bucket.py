"""An S3 client in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError


class Bucket:
    """As much of an S3 client as a host needs, in memory."""

    def __init__(self, **objects: bytes):
        self.objects = dict(objects)
        self.denied: set[str] = set()
        self.puts: list[str] = []

    def get_paginator(self, _name: str) -> Bucket:
        return self

    def paginate(self, *, Bucket: str, Prefix: str, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: ARG002, N803
        self._check("list_objects_v2")
        for key in sorted(self.objects):
            if key.startswith(Prefix):
                yield {"Contents": [{"Key": key}]}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803
        self._check("get_object")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: ARG002, N803
        self._check("put_object")
        self.puts.append(Key)
        self.objects[Key] = Body

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: ARG002, N803
        self._check("delete_object")
        del self.objects[Key]

    def _check(self, operation: str) -> None:
        if operation in self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, operation)
