"""However often, and however much at once, an event is delivered: one run."""

from __future__ import annotations

import pytest

from tests.faults.conftest import Rows
from tests.stack import Stack

DROPS, DELIVERIES = 20, 5


@pytest.mark.long
def test_one_run_per_drop(stack: Stack, row: Rows) -> None:
    line = row(
        1,
        fault="each S3 event delivered 5 times, concurrently",
        injected=f"{DROPS} zips dropped at once, every event {DELIVERIES} times",
        promise="one run",
    )
    stack.cloud.inject({"events": {"duplicate": DELIVERIES}})
    names = [f"often-{number:02}" for number in range(DROPS)]
    for name in names:
        stack.drop_zip(name)
    executions = [stack.ended(name, within=180) for name in names]
    jobs = [len(stack.jobs(execution["name"])) for execution in executions]
    line.figure(f"jobs per drop = {sum(jobs) / DROPS:g} over {DROPS} drops ({min(jobs)} to {max(jobs)})")
    assert jobs == [1] * DROPS
    for name in names:
        stack.message(name, "Completed", within=60)
