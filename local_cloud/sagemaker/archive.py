"""What a job leaves behind: model.tar.gz and output.tar.gz under S3OutputPath/<job>/output/."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.errors import JobFailure
from local_cloud.sagemaker.s3_uri import split

# Weights hardly compress: the fastest level costs a tenth of the default's time for the same size.
_COMPRESSION = 1
_IN_THIS_THREAD = TransferConfig(use_threads=False)


def output_uri(request: dict[str, Any], name: str) -> str:
    """Where a file of this job's output goes."""
    base = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{base}/{request['TrainingJobName']}/output/{name}"


def pack(folder: Path, archive: Path) -> bool:
    """Write a .tar.gz with the folder's entries at its top; False, and no archive, for an empty folder."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    if not entries:
        return False
    with tarfile.open(archive, "w:gz", compresslevel=_COMPRESSION) as tar:
        for entry in entries:
            tar.add(entry, arcname=entry.name)
    return True


def upload(s3: Any, archive: Path, uri: str) -> None:
    """Put the archive at its place; JobFailure where the role may not."""
    bucket, key = split(uri)
    try:
        with archive.open("rb") as body:
            s3.upload_fileobj(body, bucket, key, Config=_IN_THIS_THREAD)
    except (ClientError, BotoCoreError, OSError) as error:
        cause = str(error)
        if isinstance(error, ClientError):
            cause = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        raise JobFailure(f"ClientError: Artifact upload failed:Unable to upload object {uri} ({cause})") from error
