"""How runs ended, read where a user reads it: messages, logs, CloudWatch."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.stack import Stack, T, eventually

END_OUTCOMES = frozenset({"Completed", "Rejected", "Failed", "Stopped", "Unchanged"})
"""A run ends with exactly one of these."""


def physical_id(stack: Stack, logical_id: str) -> str:
    """The name that CloudFormation gave a resource of the stack."""
    client = stack.cloud.client("cloudformation")
    found = client.describe_stack_resource(StackName="traindrop", LogicalResourceId=logical_id)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def function_log(stack: Stack, function: str) -> list[str]:
    """The lines that a function wrote into its log."""
    group = physical_id(stack, function.replace("Function", "Logs"))
    pages = stack.cloud.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


def function_sum(stack: Stack, function: str, metric: str) -> int:
    """The sum of one of Lambda's own metrics of a function so far, such as `Errors`."""
    now = datetime.now(UTC)
    found = stack.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": "FunctionName", "Value": physical_id(stack, function)}],
        StartTime=now - timedelta(hours=6),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return sum(int(point["Sum"]) for point in found["Datapoints"])


def still(look: Callable[[], T], *, within: float, every: float = 1) -> T:
    """What `look` answers as soon as it is false, or at last."""
    deadline = time.monotonic() + within
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(every)
    return found


def after_an_epoch(stack: Stack, name: str) -> tuple[str, str]:
    """The execution's ARN and the job's name of a run that has finished an epoch and trains on."""
    execution = stack.execution(name, within=120)

    def look() -> str | None:
        return next(
            (job["TrainingJobName"] for job in stack.jobs(execution["name"]) if job.get("FinalMetricDataList")), None
        )

    return execution["executionArn"], eventually(look, within=120, what=f"an epoch of {name}")


def end_of(stack: Stack, name: str, execution: dict[str, Any]) -> tuple[str, str, int, bool]:
    """The execution's status, what was told and recorded, how many jobs there were, whether there is a model."""
    run = stack.run(execution["name"])
    told = [message["outcome"] for message in stack.messages(name) if message["outcome"] in END_OUTCOMES]
    outcome = told[0] if told == [run["status"]] else f"told {told}, recorded {run['status']}"
    model = f"models/{run['slug']}/{run['run_id']}/best.pt" in stack.artifacts(f"models/{run['slug']}/")
    return (execution["status"], outcome, len(stack.jobs(run["run_id"])), model)
