"""What a stack keeps in its buckets, old versions and unfinished uploads included, and whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from traindrop.drops import ROOT, RUN_ID, slug_of_run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteTypeDef

BATCH = 1000
"""What DeleteObjects takes at once."""

_KINDS = {
    "models": "models",
    "checkpoints": "checkpoints",
    "training-output": "job archives",
    "training-input": "job descriptions",
    "verdicts": "verdicts",
    "weights": "pretrained weights",
    "code": "training code",
    "datasets": "datasets",
}
_OF_RUN = re.compile(
    rf"(?:models/[^/]+/|checkpoints/|training-output/|training-input/|verdicts/)(?P<run>{RUN_ID.pattern})(?=[-./])"
)
_OF_DATASET = re.compile(r"(?:models|weights)/(?P<slug>[^/]+)/")


@dataclass(frozen=True)
class Holding:
    """One version of an object, one delete marker, or one multipart upload that was not finished.

    Sizes are bytes; `since` is when an upload was begun.
    """

    bucket: str
    key: str
    size: int
    version_id: str = ""
    upload_id: str = ""
    is_current: bool = False
    since: datetime | None = None

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        return _KINDS.get(self.key.partition("/")[0], "other")

    @property
    def run_id(self) -> str:
        """The run to which an object of the artifact bucket belongs; empty where to none."""
        found = _OF_RUN.match(self.key)
        return found["run"] if found else ""

    @property
    def slug(self) -> str:
        """The slug of the dataset to which an object of the artifact bucket belongs; empty where to none."""
        if self.run_id:
            return slug_of_run(self.run_id)
        found = _OF_DATASET.match(self.key)
        return found["slug"] if found else ""


def prefixes_of_run(run_id: str) -> list[str]:
    """Where everything that a run left lies in the artifact bucket."""
    places = [f"{place}/{run_id}" for place in ("checkpoints", "training-output", "training-input", "verdicts")]
    return [f"models/{slug_of_run(run_id)}/{run_id}/", *places]


def prefixes_of_dataset(slug: str) -> list[str]:
    """Where everything of a dataset lies in the artifact bucket, and of datasets whose slugs go on after this one."""
    runs = [f"{place}/{slug}-" for place in ("checkpoints", "training-output", "training-input", "verdicts")]
    return [f"models/{slug}/", f"weights/{slug}/", *runs]


def is_data_of(holding: Holding, dataset: str) -> bool:
    """Whether an object of the dataset bucket is of the dataset: in its folder, or its zip."""
    below = holding.key.removeprefix(f"{ROOT}{dataset}")
    return holding.key.startswith(f"{ROOT}{dataset}") and (below.startswith("/") or below.lower() == ".zip")


def holdings(s3: S3Client, bucket: str, prefix: str) -> Iterator[Holding]:
    """Everything below a prefix that is stored, the newest versions and delete markers included."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for version in page.get("Versions", []):
            yield Holding(bucket, version["Key"], version["Size"], version["VersionId"], is_current=version["IsLatest"])
        for marker in page.get("DeleteMarkers", []):
            yield Holding(bucket, marker["Key"], 0, marker["VersionId"])
    yield from unfinished_uploads(s3, bucket, prefix)


def unfinished_uploads(s3: S3Client, bucket: str, prefix: str) -> Iterator[Holding]:
    """Multipart uploads below a prefix that were neither completed nor aborted; their parts are billed."""
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for upload in page.get("Uploads", []):
            parts = s3.get_paginator("list_parts").paginate(
                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )
            size = sum(part["Size"] for page in parts for part in page.get("Parts", []))
            yield Holding(bucket, upload["Key"], size, upload_id=upload["UploadId"], since=upload["Initiated"])


def delete(s3: S3Client, batch: Sequence[Holding]) -> list[str]:
    """Delete at most `BATCH` holdings of one bucket for good; answer what could not be deleted, with AWS's reason."""
    versions = [item for item in batch if not item.upload_id]
    failed = [why for item in batch if item.upload_id and (why := _abort(s3, item))]
    if not versions:
        return failed
    what: DeleteTypeDef = {
        "Objects": [{"Key": item.key, "VersionId": item.version_id} for item in versions],
        "Quiet": True,
    }
    bucket = versions[0].bucket
    errors = s3.delete_objects(Bucket=bucket, Delete=what).get("Errors", [])
    return failed + [f"s3://{bucket}/{error['Key']}: {error.get('Message') or error['Code']}" for error in errors]


def _abort(s3: S3Client, upload: Holding) -> str:
    """Why an upload could not be aborted; empty when it is gone."""
    try:
        s3.abort_multipart_upload(Bucket=upload.bucket, Key=upload.key, UploadId=upload.upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            return f"s3://{upload.bucket}/{upload.key}: {error}"
    return ""
