"""S3 URIs."""

from __future__ import annotations


def split(uri: str) -> tuple[str, str]:
    """The bucket and the key (or prefix, may be empty) of an s3:// URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
