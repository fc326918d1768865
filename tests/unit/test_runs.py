"""Run records and claims: of many one wins, also when the answer to its write is lost and the write repeated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from traindrop.runs import Claims, Runs


class Repeating:
    """A client as botocore is behind a bad connection: every write is sent again, its first answer lost."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def twice(**request: Any) -> Any:
            operation(**request)
            return operation(**request)

        return twice if name in ("update_item", "put_item", "delete_item") else operation


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    with mock_aws():
        made = boto3.client("dynamodb", region_name="us-east-1")
        for table, key in (("runs", "run_id"), ("claims", "claim")):
            made.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        yield Repeating(made)


def test_a_flag_is_set_by_one_though_its_write_is_repeated(client: Any) -> None:
    runs = Runs(client, "runs")
    assert [runs.mark_once("run", "told") for _ in range(3)] == [True, False, False]
    runs.update("run", told=None)
    assert runs.mark_once("run", "told")


def test_a_claim_is_taken_by_one_though_its_write_is_repeated(client: Any) -> None:
    claims = Claims(client, "claims")
    assert claims.take("data", "first", now=0, lasts_seconds=9) is None
    holder = claims.take("data", "second", now=0, lasts_seconds=9)
    assert holder is not None
    assert holder["owner"] == "first"
    claims.release("data", "first")
    assert claims.take("data", "second", now=0, lasts_seconds=9) is None


def test_turns_of_a_queue_come_one_after_another_and_an_idle_queue_has_one_at_once(client: Any) -> None:
    claims = Claims(client._client, "claims")
    assert [claims.next_turn("turns", now=100 + early, every_seconds=2) for early in (0, 0.5, 0.5)] == [100, 102, 104]
    assert claims.next_turn("turns", now=200, every_seconds=2) == 200
    assert claims.next_turn("turns", now=200, every_seconds=2) == 202


def test_no_turn_is_given_twice_though_its_write_is_repeated(client: Any) -> None:
    claims = Claims(client, "claims")
    assert [claims.next_turn("turns", now=100, every_seconds=2) for _ in range(3)] == [100, 102, 104]
