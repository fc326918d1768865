"""The event of a job's end never comes: the run finds out by itself, whatever the end was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import Rows
from tests.faults.ends import after_an_epoch, end_of, still
from tests.stack import UNTIL_STOPPED, Stack, dataset_files

QUICK = "epochs: 3\nimgsz: 64\nbatch: 2\n"
LOST = {"events": {"drop": ["Completed", "Failed", "Stopped"]}}
RUNS = {
    "completed": 6,
    "no-capacity": 2,
    "job-stopped": 3,
    "aborted": 3,
    "failing": 3,
}
RIGHT = {
    "completed": ("SUCCEEDED", "Completed", 1, True),
    "no-capacity": ("SUCCEEDED", "Completed", 2, True),
    "job-stopped": ("SUCCEEDED", "Stopped", 1, True),
    "aborted": ("ABORTED", "Stopped", 1, True),
    "failing": ("FAILED", "Failed", 1, False),
}


@pytest.mark.long
def test_a_lost_completion_event_is_reconciled(stack: Stack, row: Rows) -> None:
    line = row(
        3,
        fault="completion event lost",
        injected="no event of a job's end is delivered: Completed, Failed, Stopped; "
        + ", ".join(f"{count} {kind}" for kind, count in RUNS.items()),
        promise="reconciled",
    )
    kinds = {f"lost-{kind}-{number:02}": kind for kind, count in RUNS.items() for number in range(count)}
    of = {kind: [name for name in kinds if kinds[name] == kind] for kind in RUNS}

    def drop(names: list[str], settings: str = QUICK) -> None:
        for name in names:
            stack.drop_zip(name, dataset_files(marker=name, settings=settings))

    def ended(names: list[str]) -> dict[str, Any]:
        return {name: stack.ended(name, within=150) for name in names}

    stack.cloud.inject(LOST)
    drop(of["job-stopped"] + of["aborted"], UNTIL_STOPPED)
    drop(of["completed"])
    for name in of["job-stopped"]:
        stack.sagemaker.stop_training_job(TrainingJobName=after_an_epoch(stack, name)[1])
    for name in of["aborted"]:
        stack.sfn.stop_execution(executionArn=after_an_epoch(stack, name)[0], cause="enough")
    executions = ended(of["completed"] + of["job-stopped"] + of["aborted"])
    stack.cloud.inject({**LOST, "training": {"capacity_errors": RUNS["no-capacity"]}})
    drop(of["no-capacity"])
    executions |= ended(of["no-capacity"])
    stack.cloud.inject({**LOST, "training": {"stub_fails_with": "CUDA out of memory"}})
    drop(of["failing"])
    executions |= ended(of["failing"])

    def wrong() -> dict[str, Any]:
        found = {name: end_of(stack, name, execution) for name, execution in executions.items()}
        return {name: end for name, end in found.items() if end != RIGHT[kinds[name]]}

    left = still(wrong, within=60)
    hung = sum(execution["status"] == "RUNNING" for execution in executions.values())
    lost = sum(not end[-1] for name, end in left.items() if RIGHT[kinds[name]][-1])
    line.figure(
        f"executions hung = {hung} of {len(kinds)}, results lost = {lost} of "
        f"{sum(RIGHT[kind][-1] for kind in kinds.values())}, wrong ends = {len(left)}"
    )
    assert (hung, lost, left) == (0, 0, {})
