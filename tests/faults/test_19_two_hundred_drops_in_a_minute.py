"""More drops than the account's functions can take at once: all end right, equal data is trained once, none starves."""

from __future__ import annotations

import statistics
import time

import pytest

from tests.faults.conftest import Rows
from tests.stack import Stack, dataset_files, eventually

DROPS, SECONDS, EQUAL = 200, 60.0, 10
OVERTAKEN_AT_MOST = 20


@pytest.mark.alone
@pytest.mark.long
def test_two_hundred_drops_in_a_minute_all_end_right(stack: Stack, row: Rows) -> None:
    line = row(
        19,
        fault="200 drops in a minute",
        injected=f"{DROPS} zips in {SECONDS:g} s, {EQUAL} of them the same dataset; 10 functions at once at most",
        promise="all end right",
    )
    dropped: dict[str, float] = {}
    same = dataset_files(marker="load-same")
    began = time.monotonic()
    for number in range(DROPS):
        time.sleep(max(0.0, began + number * SECONDS / DROPS - time.monotonic()))
        if number % (DROPS // EQUAL) == EQUAL:
            stack.drop_zip("load-same", same)
        else:
            dropped[f"load-{number:03}"] = time.time()
            stack.drop_zip(f"load-{number:03}")
    took = time.monotonic() - began

    executions = stack.all_ended(DROPS, "load-", within=300)
    ended = time.monotonic() - began
    succeeded = sum(execution["status"] == "SUCCEEDED" for execution in executions)
    names = [*dropped, "load-same"]

    def ends() -> list[str] | None:
        told = [message["outcome"] for name in names for message in stack.messages(name)]
        found = [outcome for outcome in told if outcome != "Started"]
        return found if len(found) >= DROPS else None

    outcomes = eventually(ends, within=60, what="an end message for each drop", every=1)
    created: dict[str, float] = {}
    for page in stack.sagemaker.get_paginator("list_training_jobs").paginate(NameContains="load-"):
        for job in page["TrainingJobSummaries"]:
            name = job["TrainingJobName"].rsplit("-", 3)[0]
            assert name not in created, f"{name} was trained twice"
            created[name] = job["CreationTime"].timestamp()
    waits = [created[name] - at for name, at in dropped.items()]
    order = [created[name] for name in dropped]
    overtaken = max(sum(later < mine for later in order[place:]) for place, mine in enumerate(order))
    line.figure(
        f"{succeeded} of {DROPS} ended right in {ended:.0f} s (dropped in {took:.0f} s); equal data trained "
        f"{sum(name == 'load-same' for name in created)} time of {EQUAL}; drop to CreateTrainingJob: median "
        f"{statistics.median(waits):.1f} s, p95 {statistics.quantiles(waits, n=20)[-1]:.1f} s; overtaken by at most "
        f"{overtaken}"
    )
    assert succeeded == DROPS
    assert sorted(outcomes) == ["Completed"] * (DROPS - EQUAL + 1) + ["Unchanged"] * (EQUAL - 1)
    assert set(created) == set(names)
    assert overtaken <= OVERTAKEN_AT_MOST
