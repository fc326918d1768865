"""`traindrop train`: what already lies in the dataset bucket is trained again, without uploading it."""

from __future__ import annotations

import difflib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop.cli import Answer, CannotDo
from traindrop.cli.stack import Stack
from traindrop.data_yaml import DATA_FILES
from traindrop.drops import ROOT, Drop, recognise, run_id_of
from traindrop.objects import listed
from traindrop.plain_text import printable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PERMISSIONS = (
    "cloudformation:DescribeStacks, s3:ListBucket of the DatasetBucket, and states:StartExecution of the state machine"
)


def train(dataset: str, *, settings: Mapping[str, Any], stack: Stack, as_json: bool) -> Answer:
    """Start a run of a dataset's newest drop.

    Args:
        dataset: its name as it was dropped.
        settings: those that come before the bucket's and the dataset's own.
        stack: where it lies.
        as_json: whether the answer is a document instead of text for people.

    Raises:
        CannotDo: nothing lies there that could be trained, or AWS does not let us.
    """
    with stack.needing(_PERMISSIONS, so="nothing was started: "):
        bucket, s3 = stack.output("DatasetBucketName"), stack.client("s3")
        drop = _newest_drop(s3, bucket, dataset)
        run_id = run_id_of(dataset, datetime.now(UTC), bucket, drop.key, uuid.uuid4().hex)
        given = {
            "bucket": bucket,
            "key": drop.key,
            "dataset": drop.dataset,
            "form": drop.form,
            "prefix": drop.prefix,
            **({"settings": dict(settings)} if settings else {}),
        }
        stack.client("stepfunctions").start_execution(
            stateMachineArn=stack.output("StateMachineArn"),
            name=run_id,
            input=json.dumps(given, ensure_ascii=False),
        )
    if as_json:
        document = {"run_id": run_id, "dataset": dataset, "from": f"s3://{bucket}/{drop.key}", "settings": settings}
        return Answer(json.dumps(document, indent=2))
    told = f" with {json.dumps(settings, ensure_ascii=False)}" if settings else ""
    return Answer(
        f"{printable(f's3://{bucket}/{drop.key}')} is trained again{told}, as run {run_id}.\n"
        f"Follow it with: traindrop watch {run_id}"
    )


def _newest_drop(s3: S3Client, bucket: str, dataset: str) -> Drop:
    """The dataset's zip or the yaml file of its folder, whichever was put there last."""
    places = (f"{ROOT}{dataset}.", f"{ROOT}{dataset}/data.y", f"{ROOT}{dataset}/training.y")
    found = sorted(
        (item["LastModified"], item["Key"]) for place in places for item in listed(s3, bucket, place, Delimiter="/")
    )
    drops = [drop for _, key in found if isinstance(drop := recognise(key), Drop) and drop.dataset == dataset]
    if not any(drop.key.endswith(DATA_FILES) for drop in drops):
        drops = [drop for drop in drops if drop.form == "archive"]
    if not drops:
        raise CannotDo(
            f"there is no dataset {printable(dataset)}: s3://{bucket}/ holds neither {printable(places[0])}zip nor "
            f"{printable(ROOT + dataset)}/data.yaml{_meant(s3, bucket, dataset)}"
        )
    return drops[-1]


def _meant(s3: S3Client, bucket: str, dataset: str) -> str:
    """The name that was probably meant, of those of the first thousand datasets."""
    page = s3.list_objects_v2(Bucket=bucket, Prefix=ROOT, Delimiter="/")
    folders = [item["Prefix"].removeprefix(ROOT).rstrip("/") for item in page.get("CommonPrefixes", [])]
    archives = [drop.dataset for item in page.get("Contents", []) if isinstance(drop := recognise(item["Key"]), Drop)]
    near = difflib.get_close_matches(dataset, [*folders, *archives], n=1)
    return f"; did you mean {printable(near[0])!r}?" if near else "; drop it first: traindrop drop PATH"
