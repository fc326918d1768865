"""What runs took and cost reaches CloudWatch whole and once, however a run ends and goes on."""

from __future__ import annotations

from typing import Any

from traindrop.runs import Runs
from traindrop.spending import untold


def told(runs: Runs) -> dict[str, float]:
    return {name: value for name, _, value in untold(runs, "run")}


def test_what_was_told_is_not_told_again_and_what_a_redrive_adds_is(dynamodb: Any) -> None:
    runs = Runs(dynamodb, "runs")
    runs.update("run", training_seconds=100, interruptions=1, cost_usd=0.1, saved_usd=0.2)
    first = {"TrainingSeconds": 100, "SpotInterruptions": 1, "CostUsd": 0.1, "SavedUsd": 0.2}
    assert told(runs) == first
    assert told(runs) == dict.fromkeys(first, 0)
    runs.update("run", training_seconds=150, cost_usd=0.3, saved_usd=0.2)
    assert told(runs) == {"TrainingSeconds": 50, "SpotInterruptions": 0, "CostUsd": 0.2, "SavedUsd": 0}


def test_a_run_that_had_no_job_tells_of_nothing_spent(dynamodb: Any) -> None:
    runs = Runs(dynamodb, "runs")
    runs.update("run", status="Failed")
    assert set(told(runs).values()) == {0}
