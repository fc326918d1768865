"""Objects of a bucket: those below a prefix, and those that need not be there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def listed(s3: S3Client, bucket: str, prefix: str, **more: Any) -> Iterator[dict[str, Any]]:
    """The objects below a prefix, page by page, as ListObjectsV2 tells of them; `more` goes into its request."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **more):
        for item in page.get("Contents", []):
            yield dict(item)


def content(s3: S3Client, bucket: str, key: str) -> bytes | None:
    """The whole content of an object; None where there is none."""
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise


def is_there(s3: S3Client, bucket: str, key: str) -> bool:
    """Whether there is such an object."""
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return False
        raise
    return True
