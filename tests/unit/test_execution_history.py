"""What is kept of an execution's history, what it tells, and the page that explains it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from docs.draw_state_machine import PICTURES, ROOT, SOURCE
from docs.execution_history import Execution, Visit, cut, read

MACHINE: dict[str, Any] = json.loads(SOURCE.read_text())
HISTORIES = sorted((ROOT / "docs/histories").glob("*.json"))
PAGE = (ROOT / "docs/reading_an_execution.md").read_text()
BEGAN = datetime(2026, 11, 25, 12, tzinfo=UTC)


def history(*events: tuple[float, str, dict[str, str]]) -> list[dict[str, Any]]:
    """Events as GetExecutionHistory answers them: seconds from the beginning, type, details."""
    found = []
    for seconds, kind, details in events:
        family = "state" + kind[-7:] if "State" in kind else kind[0].lower() + kind[1:]
        found.append({"timestamp": BEGAN + timedelta(seconds=seconds), "type": kind, f"{family}EventDetails": details})
    return found


def told(status: str, *events: tuple[float, str, dict[str, str]], error: str = "", cause: str = "") -> Execution:
    described = {"name": "run", "status": status, "error": error, "cause": cause, "executionArn": "arn"}
    return read(json.loads(json.dumps(cut(described, history(*events)))))


def test_a_state_lasts_from_its_entering_to_its_leaving_and_a_caught_error_is_told() -> None:
    execution = told(
        "SUCCEEDED",
        (0, "ExecutionStarted", {"input": "{}"}),
        (0.5, "TaskStateEntered", {"name": "TrainModel", "input": "{}"}),
        (0.6, "TaskScheduled", {"parameters": "{}"}),
        (60.5, "TaskTimedOut", {"error": "States.Timeout"}),
        (60.5, "TaskStateExited", {"name": "TrainModel"}),
        (60.5, "PassStateEntered", {"name": "ClimbLadder"}),
        (60.75, "PassStateExited", {"name": "ClimbLadder"}),
        (61, "ExecutionSucceeded", {"output": "{}"}),
    )
    assert execution.visits == (
        Visit("TrainModel", 60.0, "caught", "States.Timeout", 1),
        Visit("ClimbLadder", 0.5, "succeeded", "", 0),
    )
    assert execution.seconds == 61
    assert execution.errors() == {("TrainModel", "ClimbLadder", "States.Timeout"): 1}


def test_what_was_tried_again_and_went_well_counts_its_tries() -> None:
    execution = told(
        "SUCCEEDED",
        (0, "ExecutionStarted", {}),
        (0, "TaskStateEntered", {"name": "WriteReport"}),
        (1, "TaskFailed", {"error": "Lambda.TooManyRequestsException"}),
        (3, "TaskSucceeded", {"output": "{}"}),
        (3, "TaskStateExited", {"name": "WriteReport"}),
        (3, "ExecutionSucceeded", {}),
    )
    assert execution.visits == (Visit("WriteReport", 3.0, "succeeded", "", 2),)


def test_a_failure_stays_at_its_state_until_a_redrive_goes_on_from_there() -> None:
    failing: tuple[tuple[float, str, dict[str, str]], ...] = (
        (0, "ExecutionStarted", {}),
        (0, "TaskStateEntered", {"name": "ExtractModel"}),
        (1, "TaskFailed", {"error": "NoModel"}),
        (1, "ExecutionFailed", {"error": "NoModel"}),
    )
    failed = told("FAILED", *failing, error="NoModel", cause="there is none")
    assert failed.visits == (Visit("ExtractModel", 1.0, "failed", "NoModel", 1),)
    redriven = told(
        "SUCCEEDED",
        *failing,
        (100, "ExecutionRedriven", {}),
        (102, "TaskSucceeded", {}),
        (102, "TaskStateExited", {"name": "ExtractModel"}),
        (102, "ExecutionSucceeded", {}),
    )
    assert redriven.visits == (Visit("ExtractModel", 102.0, "succeeded", "", 2),)


def test_an_execution_that_was_stopped_was_stopped_in_its_last_state() -> None:
    stopped = told(
        "ABORTED",
        (0, "ExecutionStarted", {}),
        (0, "WaitStateEntered", {"name": "WaitForQuota"}),
        (5, "ExecutionAborted", {}),
    )
    assert stopped.visits == (Visit("WaitForQuota", 5.0, "aborted", "", 0),)


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_history_that_is_kept_is_one_of_this_state_machine_and_names_no_account(file: Any) -> None:
    text = file.read_text()
    execution = read(json.loads(text))
    ways = {
        (name, target)
        for name, state in MACHINE["States"].items()
        for target in [
            state.get("Next"),
            state.get("Default"),
            *(way["Next"] for way in [*state.get("Choices", []), *state.get("Catch", [])]),
        ]
    }
    assert execution.visits[0].state == MACHINE["StartAt"]
    assert set(execution.ways()) <= ways
    assert "arn:" not in text
    assert len(text) < 10_000


def test_the_page_shows_every_picture_and_explains_every_state_and_no_other() -> None:
    shown = set(re.findall(r"!\[[^\]]+\]\((\w+\.svg)\)", PAGE))
    assert shown == {f"execution_{file.stem}.svg" for file in HISTORIES}
    assert shown == {file.name for file in PICTURES.glob("execution_*.svg")}
    table = PAGE.split("## The states")[1].split("\n## ")[0]
    first = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(first))) == sorted(MACHINE["States"])


def test_every_state_that_the_page_names_anywhere_exists_and_every_error_is_caught_or_ends_a_run() -> None:
    words = set(re.findall(r"`([A-Z][a-z]+(?:\.?[A-Z][a-z]+)+)`", PAGE))
    errors = {
        error
        for state in MACHINE["States"].values()
        for item in state.get("Catch", [])
        for error in item["ErrorEquals"]
    }
    of_aws = {"TaskFailed", "TaskScheduled", "DashboardUrl"}
    assert words - set(MACHINE["States"]) - errors - of_aws == {"StoppedByUser"}
