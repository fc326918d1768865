"""Run records and claims: of many one wins, also when the answer to its write is lost and the write repeated."""

from __future__ import annotations

from typing import Any

import pytest

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
def client(dynamodb: Any) -> Any:
    return Repeating(dynamodb)


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


def test_a_count_grows_and_other_fields_are_set_beside_it(client: Any) -> None:
    runs = Runs(client._client, "runs")
    runs.update("run", count="starts", status="Training", token="t")
    runs.update("run", count="starts", token=None)
    assert runs.get("run") == {"run_id": "run", "starts": 2, "status": "Training"}


def test_the_runs_of_a_dataset_come_newest_first_and_those_of_others_not_at_all(client: Any) -> None:
    runs = Runs(client._client, "runs")
    for slug, day in (("rooms", 2), ("rooms", 1), ("rooms-2", 3), ("rooms", 3)):
        runs.update(f"{slug}-2026010{day}T000000-00000000", slug=slug, day=day)
    assert [run["day"] for run in runs.of_dataset("rooms", 9)] == [3, 2, 1]
    assert [run["day"] for run in runs.of_dataset("rooms", 2)] == [3, 2]
    assert runs.of_dataset("none", 9) == []
