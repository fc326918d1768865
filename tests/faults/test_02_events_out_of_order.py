"""However late and in whatever order events come: every run ends as it ended."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.faults.conftest import Rows
from tests.faults.ends import after_an_epoch, end_of, function_log, still
from tests.stack import UNTIL_STOPPED, Stack, dataset_files

RUNS, EARLY = 20, 10
JITTER_SECONDS = 6.0
FAULTS: dict[str, dict[str, Any]] = {
    "reordered": {"reorder": True},
    "delayed": {"jitter_seconds": JITTER_SECONDS, "jitter_seed": 2, "duplicate": 2},
}


def expected_ends(prefix: str) -> dict[str, str]:
    """Twenty datasets by the end that each must come to: the fault that is no fault of Traindrop's included."""
    ends = ["zip"] * 6 + ["folder"] * 4 + ["rejected"] * 3 + ["job-stopped"] * 2 + ["aborted"] * 2 + ["failing"] * 3
    return {f"{prefix}-{number:02}-{end}": end for number, end in enumerate(ends)}


def drop(stack: Stack, name: str, end: str) -> None:
    if end == "folder":
        for file, content in dataset_files(marker=name).items():
            stack.put(f"datasets/{name}/{file}", content)
    elif end == "rejected":
        stack.drop_zip(name, dataset_files(marker=name, settings="epoch: 3\n"))
    else:
        settings = UNTIL_STOPPED if end in ("job-stopped", "aborted") else "epochs: 3\nimgsz: 64\n"
        stack.drop_zip(name, dataset_files(marker=name, settings=settings))


RIGHT = {
    "zip": ("SUCCEEDED", "Completed", 1, True),
    "folder": ("SUCCEEDED", "Completed", 1, True),
    "rejected": ("FAILED", "Rejected", 0, False),
    "job-stopped": ("SUCCEEDED", "Stopped", 1, True),
    "aborted": ("ABORTED", "Stopped", 1, True),
    "failing": ("FAILED", "Failed", 1, False),
}
"""What each comes to: the execution's status, the end message and the record's status, the jobs, whether a model."""


@pytest.mark.long
@pytest.mark.parametrize("how", FAULTS)
def test_late_and_reordered_events_change_no_end(stack: Stack, row: Rows, how: str) -> None:
    events = FAULTS[how]
    line = row(
        2,
        fault=f"events {how}",
        injected="twenty runs: zips, folders, bad data, stopped jobs, aborted executions, failing training; "
        + ", ".join(f"{key}: {value}" for key, value in events.items()),
        promise="right end state",
    )
    datasets = expected_ends(f"mixed-{how}")
    stack.cloud.inject({"events": events})
    for name, end in datasets.items():
        if end != "failing":
            drop(stack, name, end)
    for name, end in datasets.items():
        if end in ("job-stopped", "aborted"):
            arn, job = after_an_epoch(stack, name)
            if end == "aborted":
                stack.sfn.stop_execution(executionArn=arn, cause="enough")
            else:
                stack.sagemaker.stop_training_job(TrainingJobName=job)
    executions = {name: stack.ended(name, within=180) for name, end in datasets.items() if end != "failing"}
    stack.cloud.inject({"events": events, "training": {"stub_fails_with": "CUDA out of memory"}})
    failing = [name for name, end in datasets.items() if end == "failing"]
    for name in failing:
        drop(stack, name, "failing")
    executions |= {name: stack.ended(name, within=180) for name in failing}

    def wrong() -> dict[str, Any]:
        found = {name: end_of(stack, name, executions[name]) for name in datasets}
        return {name: end for name, end in found.items() if end != RIGHT[datasets[name]]}

    still(wrong, within=60)
    time.sleep(JITTER_SECONDS)  # the last delivery of the last event has then been made
    left = wrong()
    line.figure(f"wrong ends = {len(left)} of {len(datasets)}")
    assert left == {}


@pytest.mark.long
def test_completed_before_the_token_is_stored(stack: Stack, row: Rows) -> None:
    line = row(
        2,
        fault="Completed before the token is stored",
        injected="StartTraining times out after it created the job; its second life, with a new token, begins 5 s late",
        promise="right end state",
    )
    names = [f"early-{number:02}" for number in range(EARLY)]
    lost = {"function": "StartTraining", "fails": "times_out", "after_work": True}
    late = {"function": "StartTraining", "delay_seconds": 5}
    stack.cloud.inject(
        {"functions": [{**fault, "containing": [f"{name}-"]} for name in names for fault in (lost, late)]}
    )
    for name in names:
        stack.drop_zip(name)
    executions = {name: stack.ended(name, within=180) for name in names}
    ends = {name: end_of(stack, name, executions[name]) for name in names if stack.message(name, "Completed")}
    log = function_log(stack, "ReportJobEndFunction")
    early = sum(any(name in entry and "too late" in entry for entry in log) for name in names)
    wrong = {name: end for name, end in ends.items() if end != RIGHT["zip"]}
    line.figure(f"wrong ends = {len(wrong)} of {EARLY}; {early} of them reported to a token that was dead by then")
    assert wrong == {}
    assert early > 0
