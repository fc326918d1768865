"""Input channels in File mode: what S3Prefix pulls, and where each object lands below the channel's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.errors import Cancelled, JobFailure
from local_cloud.sagemaker.s3_uri import split

DOWNLOADS_AT_ONCE = 8


def list_keys(s3: Any, uri: str, *, limit: int | None = None) -> list[str]:
    """The keys whose names begin with the URI's key; `s3://b/rooms.zip` also lists `rooms.zip.bak`."""
    bucket, prefix = split(uri)
    keys: list[str] = []
    arguments = {"Bucket": bucket, "Prefix": prefix} | ({"MaxKeys": limit} if limit else {})
    for page in s3.get_paginator("list_objects_v2").paginate(**arguments):
        keys += [item["Key"] for item in page.get("Contents", [])]
        if limit and len(keys) >= limit:
            break
    return keys


def local_name(prefix: str, key: str) -> PurePosixPath | None:
    """Where an object lands below the channel's folder; None for the marker of a folder.

    Below a prefix that ends at a slash (written or not) the rest of the key is kept. Where the prefix ends inside a
    name, as a single object's does, that whole name is kept. Raises JobFailure for a key that leaves the folder.
    """
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        rest = key[len(folder) :]
    else:
        parent, slash, _ = prefix.rpartition("/")
        rest = key[len(parent) + len(slash) :]
    if not rest or rest.endswith("/"):
        return None
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in rest or not parts:
        raise JobFailure(f"ClientError: Data download failed:Key {key!r} leads out of the input directory")
    return PurePosixPath(*parts)


def download(s3: Any, uri: str, folder: Path, *, role_arn: str, cancelled: Callable[[], bool]) -> int:
    """Fetch every object of the prefix into the folder, several at once; answer their number.

    Raises JobFailure with SageMaker's text where there is none or the role may not read one, Cancelled when
    `cancelled` turns true on the way.
    """
    bucket, prefix = split(uri)
    try:
        keys = list_keys(s3, uri)
    except ClientError as error:
        raise JobFailure(f"ClientError: Data download failed:{no_objects(uri, role_arn, error)}") from error
    if not keys:
        raise JobFailure(f"ClientError: Data download failed:{no_objects(uri, role_arn)}")
    places = {key: name for key in keys if (name := local_name(prefix, key)) is not None}
    folder.mkdir(parents=True, exist_ok=True)

    def fetch(key: str) -> None:
        if cancelled():
            raise Cancelled
        _fetch(s3, bucket, key, folder / places[key])

    _run_all(fetch, places)
    return len(places)


def no_objects(uri: str, role_arn: str, error: ClientError | None = None) -> str:
    """SageMaker's text for an input prefix under which the role sees nothing."""
    bucket, _ = split(uri)
    text = (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in'
        " the selected region, that objects exist under that S3 prefix, and that the role"
        f' "{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )
    return text if error is None else f"{text} Error message from S3: {error.response['Error']['Message']}"


def _run_all(fetch: Callable[[str], None], keys: Iterable[str]) -> None:
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, thread_name_prefix="sagemaker-download") as pool:
        futures = [pool.submit(fetch, key) for key in keys]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _fetch(s3: Any, bucket: str, key: str, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            shutil.copyfileobj(body, file, 1024 * 1024)
    except ClientError as error:
        cause = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        raise JobFailure(
            f"ClientError: Data download failed:Unable to download object s3://{bucket}/{key} ({cause})"
        ) from error
    except (BotoCoreError, OSError) as error:  # for instance keys `a` and `a/b`, which cannot both be files
        raise JobFailure(f"ClientError: Data download failed:s3://{bucket}/{key}: {error}") from error
