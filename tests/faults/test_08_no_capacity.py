"""Without capacity, or with a service that fails inside: a clear outcome after a bounded number of jobs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import Row, Rows
from tests.stack import FAST, Stack, dataset_files

TYPES = ["ml.g4dn.xlarge", "ml.g5.xlarge"]
LADDER = f"{FAST}instance_types: [{', '.join(TYPES)}]\non_demand_fallback: true\n"
SPOT, ON_DEMAND = [(name, True) for name in TYPES], [(name, False) for name in TYPES]
RUNGS = SPOT + ON_DEMAND
LIMITS = "max_runtime_hours: 0.02\nmax_wait_hours: 0.02\ncapacity_patience_hours: 0.005\n"
IMPATIENT = f"{FAST}{LIMITS}instance_types: [{TYPES[0]}]\n"
"""72 seconds in all, 18 of them for each rung but the last."""
EXHAUSTED = ("Failed", "CapacityExhausted")
INTERNAL = ("Failed", "InternalError")
COMPLETED = ("Completed", "")


def outcome(stack: Stack, name: str) -> tuple[tuple[str, str], list[tuple[str, bool]]]:
    """How a dataset's run ended by its one end message and its execution, and the instances of its jobs in order."""
    execution = stack.ended(name, within=240)
    end = "Completed" if execution["status"] == "SUCCEEDED" else "Failed"
    stack.message(name, end, within=60)
    ends = {message["outcome"] for message in stack.messages(name)} - {"Started", "Waiting"}
    assert ends == {end}
    made = sorted(stack.jobs(execution["name"]), key=lambda job: job["TrainingJobName"])
    instances = [(job["ResourceConfig"]["InstanceType"], job["EnableManagedSpotTraining"]) for job in made]
    return (end, execution.get("error", "")), instances


def compare(line: Row, found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    """Tell how many outcomes, with their jobs, are those of the table."""
    right = sum(found[case] == expected[case] for case in expected)
    jobs = sum(len(instances) for _, instances in found.values())
    line.figure(f"outcome and jobs as in the table = {right} of {len(expected)}; {jobs} jobs in all")
    assert found == expected


@pytest.mark.long
def test_each_type_without_capacity_is_tried_once(stack: Stack, row: Rows) -> None:
    line = row(
        8,
        fault="capacity error k times",
        injected=f"k = 0 to {len(RUNGS)} on a ladder of {len(RUNGS)} rungs",
        promise="one job a rung; after the last rung a clear failure",
    )
    found = {}
    for errors in range(len(RUNGS) + 1):
        name = f"rungs-{errors}"
        stack.cloud.inject({"training": {"capacity_errors": errors}})
        stack.drop_zip(name, dataset_files(marker=name, settings=LADDER))
        found[errors] = outcome(stack, name)
    expected = {errors: (COMPLETED, RUNGS[: errors + 1]) for errors in range(len(RUNGS))}
    expected[len(RUNGS)] = (EXHAUSTED, RUNGS)
    compare(line, found, expected)
    message = stack.message(f"rungs-{len(RUNGS)}", "Failed")["body"]
    assert "AWS had no on-demand capacity for ml.g5.xlarge" in message
    assert "instance_types" in message


@pytest.mark.long
def test_spot_that_never_arrives_ends_when_the_wait_is_over(stack: Stack, row: Rows) -> None:
    line = row(
        8,
        fault="no spot capacity ever",
        injected="spot jobs get no host; with and without on-demand fallback",
        promise="on demand if allowed, else a clear failure",
    )
    stack.cloud.inject({"training": {"spot_never_arrives": True}})
    settings = {"never-spot": IMPATIENT, "never-mind": f"{IMPATIENT}on_demand_fallback: true\n"}
    for name, text in settings.items():
        stack.drop_zip(name, dataset_files(marker=name, settings=text))
    found = {name: outcome(stack, name) for name in settings}
    expected = {"never-spot": (EXHAUSTED, SPOT[:1]), "never-mind": (COMPLETED, SPOT[:1] + ON_DEMAND[:1])}
    compare(line, found, expected)
    message = stack.message("never-spot", "Failed")["body"]
    assert "AWS had no spot capacity for ml.g4dn.xlarge within max_wait_hours" in message
    assert "on_demand_fallback: true" in message


def test_an_internal_error_is_retried_twice_by_sagemaker_and_then_told(stack: Stack, row: Rows) -> None:
    line = row(
        8,
        fault="internal error of SageMaker",
        injected="once; twice; for ever",
        promise="one job; after its third host a failure that says how to go on",
    )
    found = {}
    for errors in (1, 2, 99):
        name = f"inside-{errors:02}"
        stack.cloud.inject({"training": {"internal_errors": errors}})
        stack.drop_zip(name, dataset_files(marker=name))
        found[errors] = outcome(stack, name)
    left = stack.cloud.faults()["training"]["internal_errors"]
    compare(line, found, {1: (COMPLETED, SPOT[:1]), 2: (COMPLETED, SPOT[:1]), 99: (INTERNAL, SPOT[:1])})
    assert 99 - left == 3
    assert "Redrive the execution" in stack.message("inside-99", "Failed")["body"]
