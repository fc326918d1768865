"""A step that is tried again after its answer was lost says what it said the first time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from traindrop.delivery import Delivery
from traindrop.runs import Claims, Runs


@pytest.fixture
def delivery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivery]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        for table, key in (("runs", "run_id"), ("claims", "claim")):
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        yield Delivery(s3, Runs(dynamodb, "runs"), Claims(dynamodb, "claims"), "artifacts", lambda: 0.0)


def measured(delivery: Delivery, run_id: str, score: float) -> dict[str, Any]:
    """What measuring a run of this score answers, and what its record then says of the comparison."""
    key = f"models/rooms/{run_id}/metrics.json"
    delivery.s3.put_object(Bucket="artifacts", Key=key, Body=json.dumps({"map50_95_mask": score}).encode())
    delivery.runs.update(run_id, slug="rooms", ended="completed")
    answer = delivery.measure(run_id)
    return {**answer, "previous_score": delivery.runs.get(run_id).get("previous_score")}


def test_a_run_that_is_measured_again_compares_itself_with_the_one_before_it(delivery: Delivery) -> None:
    assert measured(delivery, "first", 0.5)["previous_score"] is None
    better = measured(delivery, "second", 0.7)
    assert (better["promoted"], better["previous_score"]) == (True, 0.5)
    assert measured(delivery, "second", 0.7) == better


def test_a_first_run_that_is_measured_again_is_still_the_first(delivery: Delivery) -> None:
    first = measured(delivery, "first", 0.5)
    assert measured(delivery, "first", 0.5) == first


def test_a_worse_run_leaves_the_best_as_it_was(delivery: Delivery) -> None:
    measured(delivery, "first", 0.5)
    worse = measured(delivery, "second", 0.3)
    assert (worse["promoted"], worse["previous_score"]) == (False, 0.5)
    assert measured(delivery, "second", 0.3) == worse
