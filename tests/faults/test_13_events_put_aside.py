"""What a function could not handle, or a rule could not deliver, is put aside, told of, and replayed by one command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from local_cloud.process import ROOT
from tests.faults.conftest import Rows
from tests.faults.ends import after_an_epoch, end_of, physical_id, still
from tests.policies import stripped, without_permission
from tests.stack import Stack, dataset_files, eventually

SLOW = "epochs: 150\nimgsz: 64\nbatch: 2\n"
NEEDED = {
    "AcceptDrop": "states:StartExecution",
    "ReportJobEnd": "sagemaker:DescribeTrainingJob",
    "StopTraining": "sagemaker:StopTrainingJob",
}
"""An action without which a function fails with every event."""
DROPS = 4
PUT_ASIDE = {"AcceptDrop": DROPS, "ReportJobEnd": 2, "StopTraining": 1}
RIGHT = {
    "drop": ("SUCCEEDED", "Completed", 1, True),
    "stopped": ("SUCCEEDED", "Stopped", 1, True),
    "aborted": ("ABORTED", "Stopped", 1, True),
}


def function_fails(stack: Stack, name: str) -> AbstractContextManager[None]:
    return stripped(stack, f"{name}Function", NEEDED[name])


def rule_cannot_deliver(stack: Stack, name: str) -> AbstractContextManager[None]:
    return without_permission(stack, physical_id(stack, f"{name}Function"))


def depth(stack: Stack, name: str) -> int:
    """The metric that the queue's alarm reads."""
    attribute = "ApproximateNumberOfMessages"  # CloudWatch has it as ApproximateNumberOfMessagesVisible
    found = stack.cloud.client("sqs").get_queue_attributes(
        QueueUrl=physical_id(stack, f"{name}DeadLetters"), AttributeNames=[attribute]
    )
    return int(found["Attributes"][attribute])


def depths(stack: Stack) -> dict[str, int]:
    return {name: depth(stack, name) for name in PUT_ASIDE}


def rings(stack: Stack, name: str) -> bool:
    """Whether the alarm that watches this queue, and speaks through the topic, is past its threshold."""
    queue = physical_id(stack, f"{name}DeadLetters").rsplit("/", 1)[-1]
    alarms = stack.cloud.client("cloudwatch").describe_alarms(MaxRecords=100)["MetricAlarms"]
    (alarm,) = [item for item in alarms if item["Dimensions"] == [{"Name": "QueueName", "Value": queue}]]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("Maximum", "GreaterThanThreshold")
    assert alarm["AlarmActions"] == [stack.outputs["NotificationTopicArn"]]
    assert "make replay" in alarm["AlarmDescription"]
    return depth(stack, name) > float(alarm["Threshold"])


def replay(stack: Stack) -> subprocess.CompletedProcess[str]:
    """What `make replay` runs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "traindrop.replay", "traindrop"],
        cwd=ROOT,
        env={**kept, **stack.cloud.environment, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("fails", "how"),
    [
        (function_fails, "each function lacks an action"),
        (rule_cannot_deliver, "no rule may call its function"),
    ],
)
def test_events_that_were_put_aside_are_told_of_and_replayed(
    stack: Stack, row: Rows, fails: Callable[[Stack, str], AbstractContextManager[None]], how: str
) -> None:
    line = row(
        13,
        fault="function error on an event target" if fails is function_fails else "event target cannot be called",
        injected=f"{how}: {DROPS} drops, a stopped job, an aborted execution and the ends of their jobs",
        promise="dead-letter queue, alarm, replayable by `make replay`",
    )
    prefix = fails.__name__.replace("_", "-")
    datasets = {f"{prefix}-{number:02}": "drop" for number in range(DROPS)}
    stopped, aborted = f"{prefix}-stopped", f"{prefix}-aborted"
    for name in PUT_ASIDE:
        stack.cloud.client("sqs").purge_queue(QueueUrl=physical_id(stack, f"{name}DeadLetters"))
    for name in (stopped, aborted):
        stack.drop_zip(name, dataset_files(marker=name, settings=SLOW))
    _, job = after_an_epoch(stack, stopped)
    arn, _ = after_an_epoch(stack, aborted)

    with ExitStack() as broken:
        for name in PUT_ASIDE:
            broken.enter_context(fails(stack, name))
        stack.sagemaker.stop_training_job(TrainingJobName=job)
        stack.sfn.stop_execution(executionArn=arn, cause="enough")
        for name in datasets:
            stack.drop_zip(name)
        eventually(lambda: depths(stack) == PUT_ASIDE, within=120, what=f"{PUT_ASIDE} put aside")
        assert all(rings(stack, name) for name in PUT_ASIDE)
        assert not any(stack.executions(name) for name in datasets)
        if fails is function_fails:
            too_early = replay(stack)
            assert too_early.returncode == 1, too_early.stdout + too_early.stderr
            assert "AccessDenied" in too_early.stdout
            assert depths(stack) == PUT_ASIDE

    done = replay(stack)
    replayed = sum(text.startswith("replayed: ") for text in done.stdout.splitlines())
    events = sum(PUT_ASIDE.values())
    line.figure(f"lost events = {events - replayed} of {events}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"{events} replayed, 0 left."
    datasets |= {stopped: "stopped", aborted: "aborted"}
    executions = {name: stack.ended(name, within=120) for name in datasets}

    def wrong() -> dict[str, Any]:
        found = {name: end_of(stack, name, execution) for name, execution in executions.items()}
        return {name: end for name, end in found.items() if end != RIGHT[datasets[name]]}

    left = still(wrong, within=90)
    line.figure(f"lost events = {events - replayed} of {events}, wrong ends after it = {len(left)} of {len(datasets)}")
    assert left == {}
    assert depths(stack) == dict.fromkeys(PUT_ASIDE, 0)
