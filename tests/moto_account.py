"""What the template's buckets and tables are in moto."""

from __future__ import annotations

from typing import Any

from traindrop.runs import RUNS_OF_DATASET


def make_buckets(s3: Any, *names: str) -> None:
    for bucket in names:
        s3.create_bucket(Bucket=bucket)


def make_tables(dynamodb: Any) -> None:
    """The tables `runs` and `claims` as the template has them."""
    dynamodb.create_table(
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
    dynamodb.create_table(
        TableName="claims",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "claim", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "claim", "KeyType": "HASH"}],
    )
