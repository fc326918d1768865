"""S3 and DynamoDB within the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import boto3
import pytest

from traindrop.runs import RUNS_OF_DATASET


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """What makes clients of services as moto has them."""
    from moto import mock_aws  # the environment of `make mutants` has none

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield partial(boto3.client, region_name="us-east-1")


@pytest.fixture
def s3(moto: Callable[[str], Any]) -> Any:
    """A client of S3, with the buckets `data` and `artifacts`."""
    client = moto("s3")
    for bucket in ("data", "artifacts"):
        client.create_bucket(Bucket=bucket)
    return client


@pytest.fixture
def dynamodb(moto: Callable[[str], Any]) -> Any:
    """A client of DynamoDB, with the tables `runs` and `claims` as the template has them."""
    client = moto("dynamodb")
    client.create_table(
        TableName="runs",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("run_id", "slug")],
        KeySchema=[{"AttributeName": "run_id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": RUNS_OF_DATASET,
                "KeySchema": [
                    {"AttributeName": "slug", "KeyType": "HASH"},
                    {"AttributeName": "run_id", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    client.create_table(
        TableName="claims",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "claim", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "claim", "KeyType": "HASH"}],
    )
    return client
