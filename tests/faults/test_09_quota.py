"""A quota of 0 is named with its cure; above a quota in use runs queue."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.faults.conftest import Rows
from tests.stack import Stack

QUOTA = "ml.g5.xlarge for spot training job usage"


def test_a_quota_of_zero_makes_no_job_and_names_the_quota(stack: Stack, row: Rows) -> None:
    line = row(
        9,
        fault="quota 0",
        injected="every CreateTrainingJob is above a quota of 0",
        promise="says which quota and how to raise it",
    )
    stack.cloud.inject({"training": {"quota_errors": 99}})
    stack.drop_zip("no-quota")
    execution = stack.ended("no-quota")
    message = stack.message("no-quota", "Failed", within=60)
    jobs = stack.jobs(execution["name"])
    named = [word for word in (QUOTA, "Service Quotas", "ask for 1") if word in message["body"]]
    line.figure(f"jobs = {len(jobs)}; the message names {', '.join(named)}")
    assert jobs == []
    assert len(named) == 3
    assert (execution["status"], execution["error"]) == ("FAILED", "QuotaExhausted")
    assert {item["outcome"] for item in stack.messages("no-quota")} == {"Failed"}


@pytest.fixture
def narrow_stack() -> Iterator[Stack]:
    """A stack in an account that may run one job of a type at a time."""
    with LocalCloud.start(lambda_retry_seconds=0.2, environment={"TRAINDROP_INSTANCE_QUOTA": "1"}) as cloud:
        yield Stack(cloud, deploy(cloud))


@pytest.mark.long
def test_above_a_quota_in_use_runs_queue(narrow_stack: Stack, row: Rows) -> None:
    stack = narrow_stack
    line = row(
        9,
        fault="quota 1",
        injected="3 datasets dropped at once",
        promise="queues",
    )
    names = [f"queue-{number}" for number in range(3)]
    for name in names:
        stack.drop_zip(name)
    executions = [stack.ended(name, within=420) for name in names]
    jobs = [job for execution in executions for job in stack.jobs(execution["name"])]
    jobs.sort(key=lambda job: job["CreationTime"])
    overlaps = sum(later["CreationTime"] < job["TrainingEndTime"] for job, later in itertools.pairwise(jobs))
    completed = sum(execution["status"] == "SUCCEEDED" for execution in executions)
    line.figure(f"{completed} of {len(names)} Completed with {len(jobs)} jobs in turn; two at once = {overlaps}")
    assert completed == len(jobs) == len(names)
    assert overlaps == 0
    assert {job["ResourceConfig"]["InstanceType"] for job in jobs} == {"ml.g4dn.xlarge"}
    for name in names:
        stack.message(name, "Completed", within=60)
    turned_away = [
        event
        for execution in executions
        for event in stack.history(execution["executionArn"])
        if event.get("taskFailedEventDetails", {}).get("error") == "QuotaInUse"
    ]
    assert turned_away
