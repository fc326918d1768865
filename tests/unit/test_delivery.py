"""A run competes with its dataset's best model; tried again, it says what it said the first time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from traindrop import champion, receipt
from traindrop.delivery import Delivery
from traindrop.runs import Claims, Runs


@pytest.fixture
def delivery(s3: Any, dynamodb: Any) -> Delivery:
    return Delivery(s3, Runs(dynamodb, "runs"), Claims(dynamodb, "claims"), "artifacts", lambda: 0.0)


def measured(
    delivery: Delivery, run_id: str, score: float, *, margin: float | None = None, **metrics: Any
) -> dict[str, Any]:
    """What measuring a run of this score answers, and what its record then says of the comparison."""
    place = f"models/rooms/{run_id}"
    document = json.dumps({"map50_95_mask": score, "task": "segment", "names": ["room"], **metrics}).encode()
    delivery.s3.put_object(Bucket="artifacts", Key=f"{place}/metrics.json", Body=document)
    delivery.s3.put_object(Bucket="artifacts", Key=f"{place}/best.pt", Body=b"weights")
    settings = {} if margin is None else {"promotion_margin": margin}
    delivery.runs.update(run_id, slug="rooms", ended="completed", settings=settings)
    answer = delivery.measure(run_id)
    record = delivery.runs.get(run_id)
    return {**answer, "previous_score": record["comparison"]["before"], "comparison": record["comparison"]}


def history(delivery: Delivery) -> list[str]:
    return [entry["run_id"] for entry in champion.read(delivery.s3, "artifacts", "rooms").history]


def test_a_run_that_is_measured_again_compares_itself_with_the_one_before_it(delivery: Delivery) -> None:
    assert measured(delivery, "first", 0.5)["previous_score"] is None
    better = measured(delivery, "second", 0.7)
    assert (better["promoted"], better["previous_score"]) == (True, 0.5)
    assert measured(delivery, "second", 0.7) == better
    assert history(delivery) == ["first", "second"]


def test_a_first_run_that_is_measured_again_is_still_the_first(delivery: Delivery) -> None:
    first = measured(delivery, "first", 0.5)
    assert measured(delivery, "first", 0.5) == first
    assert history(delivery) == ["first"]


def test_a_run_that_is_measured_again_after_another_was_promoted_is_not_promoted_twice(delivery: Delivery) -> None:
    measured(delivery, "first", 0.5)
    second = measured(delivery, "second", 0.7)
    measured(delivery, "third", 0.9)
    assert measured(delivery, "second", 0.7) == second
    assert history(delivery) == ["first", "second", "third"]


def test_a_worse_run_leaves_the_best_as_it_was(delivery: Delivery) -> None:
    measured(delivery, "first", 0.5)
    worse = measured(delivery, "second", 0.3)
    assert (worse["promoted"], worse["previous_score"]) == (False, 0.5)
    assert measured(delivery, "second", 0.3) == worse
    assert history(delivery) == ["first"]


@pytest.mark.parametrize(("margin", "promoted"), [(None, False), (0.0, True), (0.004, False)])
def test_the_margin_is_that_of_the_runs_settings(delivery: Delivery, margin: float | None, promoted: bool) -> None:
    measured(delivery, "first", 0.5)
    assert measured(delivery, "second", 0.504, margin=margin)["promoted"] is promoted


def test_a_rival_that_the_job_measured_is_compared_by_that(delivery: Delivery) -> None:
    measured(delivery, "first", 0.9)
    second = measured(delivery, "second", 0.5, champion={"run_id": "first", "map50_95_mask": 0.4})
    assert (second["promoted"], second["previous_score"]) == (True, 0.4)
    assert second["comparison"]["basis"] == "measured"


def test_after_a_rollback_the_next_run_competes_with_the_one_that_came_back(delivery: Delivery) -> None:
    measured(delivery, "first", 0.5)
    measured(delivery, "second", 0.7)
    back = champion.entry("first", "artifacts", "rooms", score=0.5, at="", how=champion.ROLLED_BACK, why="")
    champion.change(delivery.s3, "artifacts", "rooms", lambda _: (None, back))
    third = measured(delivery, "third", 0.6)
    assert (third["promoted"], third["previous_score"], third["comparison"]["against"]) == (True, 0.5, "first")
    assert history(delivery) == ["first", "second", "first", "third"]


def test_a_run_whose_promotion_was_rolled_back_while_its_answer_was_lost_stays_rolled_back(delivery: Delivery) -> None:
    measured(delivery, "first", 0.5)
    second = measured(delivery, "second", 0.7)
    back = champion.entry("first", "artifacts", "rooms", score=0.5, at="", how=champion.ROLLED_BACK, why="")
    champion.change(delivery.s3, "artifacts", "rooms", lambda _: (None, back))
    assert measured(delivery, "second", 0.7) == second
    assert history(delivery) == ["first", "second", "first"]


def test_of_two_runs_that_end_together_the_later_compares_itself_anew(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(delivery, "first", 0.5)
    put, others = delivery.s3.put_object, ["second"]

    def put_after_another(**request: Any) -> Any:
        if request["Key"].endswith("best.json") and others:
            measured(delivery, others.pop(), 0.7)
        return put(**request)

    monkeypatch.setattr(delivery.s3, "put_object", put_after_another)
    third = measured(delivery, "third", 0.9)
    assert (third["promoted"], third["previous_score"]) == (True, 0.7)
    assert history(delivery) == ["first", "second", "third"]


def test_a_measured_run_has_its_pace_and_a_receipt_of_what_it_leaves(delivery: Delivery) -> None:
    # 1,000 s trained, 350 billed: 0.0716. The last start took 640 s, and of the 360 s before it three epochs of 100 s
    # were kept; of its own, four of 110 s.
    job = {
        "name": "run-1",
        "instance_type": "ml.g4dn.xlarge",
        "spot": True,
        "seconds_trained": 1000,
        "seconds_billed": 350,
        "interruptions": 1,
        "starts": 2,
        "seconds_of_last_start": 640,
    }
    times = (100, 200, 300, 110, 220, 330, 440)
    rows = "".join(f"{number},{time}\n" for number, time in enumerate(times, 1))
    for key, size in (
        ("models/rooms/run/plot.png", 5000),
        ("checkpoints/run/a.zip", 7),
        ("training-output/run-1/m", 3),
    ):
        delivery.s3.put_object(Bucket="artifacts", Key=key, Body=b"x" * size)
    delivery.s3.put_object(Bucket="artifacts", Key="models/rooms/run/results.csv", Body=f"epoch,time\n{rows}".encode())
    delivery.runs.update("run", jobs=[job], dataset_bytes=2**30, receipt=receipt.of_jobs([job]))
    measured(delivery, "run", 0.5)
    run = delivery.runs.get("run")
    bill = run["receipt"]
    assert (bill["cost_usd"], bill["seconds_lost"], bill["lost_usd"]) == (0.0716, 60, 0.0043)
    assert bill["storage"]["model_bytes"] > 5000
    assert (bill["storage"]["temporary_bytes"], bill["storage"]["dataset_usd_month"]) == (10, 0.023)
    assert bill["orchestration"]["s3_writes"] == 5 * 7 + 4 + 60
    assert (run["pace"]["epoch_seconds"], run["pace"]["overhead_seconds"]) == (110, 200)
    measured(delivery, "run", 0.5)
    assert delivery.runs.get("run")["receipt"] == bill


def test_however_many_classes_there_are_the_record_stays_small(delivery: Delivery) -> None:
    names = [f"{'n' * 120}{number}" for number in range(10_000)]
    classes = {name: {"map50_mask": 0.5, "instances": 3} for name in names}
    measured(delivery, "first", 0.5, names=names, classes=classes, predictions={"largest": names}, map50_mask=0.6)
    assert delivery.runs.get("first")["metrics"] == {"map50_95_mask": 0.5, "map50_mask": 0.6, "task": "segment"}
