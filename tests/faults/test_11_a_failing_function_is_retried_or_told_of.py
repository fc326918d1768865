"""Whatever function throws, times out or is throttled: the run goes on, or somebody is told of its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.config import Config

from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.faults.conftest import Rows
from tests.stack import Stack, eventually

STEPS = ("ValidateDataset", "StartTraining", "ReconcileJob", "ExtractModel", "PublishMetrics", "WriteReport")
TARGETS = ("AcceptDrop", "ReportJobEnd", "StopTraining")
FOR_EVER = 1000
LONG = 20
"""Throttled steps are retried for half an hour, so only that they outlast the attempts of other errors is seen here."""
EVENT_AGE_SECONDS = 30
"""Six hours in the template; AWS takes no less than a minute."""
TOGETHER = 12
"""So many runs are under way at once, besides those that fail for ever and mostly wait."""
ENDS = frozenset({"Completed", "Rejected", "Failed", "Stopped", "Unchanged"})
NAMES = {"times_out": "Sandbox.Timedout", "throttled": "Lambda.TooManyRequestsException", "throws": "InjectedError"}


@dataclass
class Case:
    """A run in which one function fails; what came of it."""

    dataset: str
    function: str
    fails: str
    times: int = 1
    after_work: bool = False
    arn: str = ""
    told: list[str] = field(default_factory=list)
    put_aside: int = 0
    error: str = ""
    left: int = 0

    def __str__(self) -> str:
        often = {1: "once", LONG: "for a while", FOR_EVER: "for ever"}[self.times]
        return f"{self.function} {self.fails} {often}{', its work done' if self.after_work else ''}"

    def faults(self) -> list[dict[str, Any]]:
        """What makes it fail, and what brings the run there."""
        mine: dict[str, Any] = {"containing": [self.dataset]}
        found = [{**mine, "function": self.function, "fails": self.fails, "times": self.times}]
        found[0]["after_work"] = self.after_work
        if self.function == "ReconcileJob":
            found.append({**mine, "function": "ReportJobEnd", "delay_seconds": 15})
        if self.function == "StopTraining":
            found.append({**mine, "function": "StartTraining", "fails": "throws"})
        return found

    @property
    def ends(self) -> list[str]:
        """The end messages that are right."""
        if self.function in STEPS:
            return ["Failed" if self.fails == "throws" or self.times == FOR_EVER else "Completed"]
        if self.times == FOR_EVER and self.function != "ReportJobEnd":
            return []
        return ["Failed" if self.function == "StopTraining" else "Completed"]

    @property
    def attempts(self) -> int | None:
        """How often the function is to have failed; None where its event's age decides."""
        if self.times != FOR_EVER:
            return self.times
        if self.function in STEPS:
            return 7
        return None if self.fails == "throttled" else 3


def cases() -> list[Case]:
    found: list[Case] = []

    def add(function: str, fails: str, **how: Any) -> None:
        found.append(Case(f"hurt-{len(found):02}", function, fails, **how))

    for function in (*STEPS, *TARGETS):
        for fails in ("throws", "times_out", "throttled"):
            add(function, fails)
            if fails != "throws" or function in TARGETS:
                add(function, fails, times=LONG if fails == "throttled" and function in STEPS else FOR_EVER)
        add(function, "times_out", after_work=True)
    return found


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack in an account that may run more functions at once, whose events wait half a minute at most."""
    with LocalCloud.start(lambda_retry_seconds=0.2, lambda_concurrency=100) as cloud:
        deployed = Stack(cloud, deploy(cloud))
        client = cloud.client("lambda", config=Config(parameter_validation=False))
        for function in client.list_functions()["Functions"]:
            name = function["FunctionName"]
            if any(target in name for target in TARGETS):
                kept = client.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
                client.put_function_event_invoke_config(
                    FunctionName=name,
                    Qualifier="$LATEST",
                    MaximumEventAgeInSeconds=EVENT_AGE_SECONDS,
                    MaximumRetryAttempts=kept["MaximumRetryAttempts"],
                    DestinationConfig=kept["DestinationConfig"],
                )
        yield deployed


def dead_letters(stack: Stack) -> list[str]:
    """The bodies of what lies in the dead-letter queues; they are left there."""
    sqs = stack.cloud.client("sqs")
    bodies = []
    for url in sqs.list_queues()["QueueUrls"]:
        if "DeadLetters" in url:
            while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get(
                "Messages"
            ):
                bodies += [item["Body"] for item in batch]
    return bodies


def has_come_to_its_end(stack: Stack, case: Case) -> bool:
    """Whether there is an end message, or, where none is to be expected, a dead letter."""
    case.told = [item["outcome"] for item in stack.messages(case.dataset) if item["outcome"] in ENDS]
    return bool(case.told) if case.ends else case.put_aside > 0


def look(stack: Stack, some: list[Case], every: list[Case]) -> bool:
    """Read what came of the runs so far; whether all of these have ended."""
    for body in dead_letters(stack):
        for case in every:
            case.put_aside += case.dataset in body
    return all(has_come_to_its_end(stack, case) for case in some)


def read(stack: Stack, every: list[Case]) -> list[str]:
    """Fill in how each execution stands and how often its function was tried; the states of the executions."""
    look(stack, [], every)
    left = {
        (item["function"], item["containing"][0]): item.get("times", 1)
        for item in stack.cloud.faults().get("functions", [])
    }
    pages = stack.sfn.get_paginator("list_executions").paginate(stateMachineArn=stack.machine)
    items = {item["name"].rsplit("-", 2)[0]: item for page in pages for item in page["executions"]}
    for case in every:
        has_come_to_its_end(stack, case)
        case.left = left.get((case.function, case.dataset), 0)
        if item := items.get(case.dataset):
            case.arn = item["executionArn"]
            case.error = stack.sfn.describe_execution(executionArn=case.arn).get("error", "")
    return [item["status"] for item in items.values()]


def redriven(stack: Stack, some: list[Case]) -> int:
    """How many of the failed runs a redrive completes."""
    before = {case.dataset: len(case.told) for case in some}
    for case in some:
        stack.sfn.redrive_execution(executionArn=case.arn)
    for case in some:
        eventually(
            lambda case=case: has_come_to_its_end(stack, case) and len(case.told) > before[case.dataset],  # type: ignore[misc]
            within=120,
            what=f"{case}: the end after a redrive",
        )
    return sum(case.told[before[case.dataset] :] == ["Completed"] for case in some)


@pytest.mark.long
def test_a_function_that_fails_at_any_state(stack: Stack, row: Rows) -> None:
    every = cases()
    steps = [case for case in every if case.function in STEPS]
    targets = [case for case in every if case.function in TARGETS]
    of_steps = row(
        11,
        fault="any function of a state throws, times out, is throttled, before its work or after it",
        injected=f"{len(steps)} runs: {len(STEPS)} functions, once and for ever or a while",
        promise="retried if transient, else Failed with notification",
    )
    of_targets = row(
        11,
        fault="any function that takes events throws, times out, is throttled",
        injected=f"{len(targets)} runs: {len(TARGETS)} functions, once and for ever",
        promise="retried, else put aside; nothing hangs",
    )
    stack.cloud.inject({"functions": [fault for case in every for fault in case.faults()]})
    lasting = [case for case in every if case.times > 1]
    passing = [case for case in every if case.times == 1]
    for case in lasting:
        stack.drop_zip(case.dataset)
    for start in range(0, len(passing), TOGETHER):
        some = passing[start : start + TOGETHER]
        for case in some:
            stack.drop_zip(case.dataset)
        eventually(lambda some=some: look(stack, some, every), within=180, every=0.5, what=f"{some}: ends")  # type: ignore[misc]
    eventually(lambda: look(stack, lasting, every), within=180, every=0.5, what=f"{lasting}: ends")
    time.sleep(3)  # for what might come late: a second message
    statuses = Counter(read(stack, every))
    silent = [str(case) for case in every if not case.told and not case.put_aside]
    wrong = [(str(case), case.told) for case in every if case.told != case.ends]
    tries = [
        (str(case), case.times - case.left)
        for case in every
        if case.attempts is not None and case.times - case.left != case.attempts
    ]
    failed = [case for case in steps if case.told == ["Failed"]]
    again = redriven(stack, [case for case in failed if case.fails == "throws"])
    of_steps.figure(
        f"silent ends = {sum(str(case) in silent for case in steps)} of {len(steps)}; retried to the end "
        f"{sum(case.told == ['Completed'] for case in steps)}; Failed, told once {len(failed)}; of these redriven to "
        f"the end {again}"
    )
    of_targets.figure(
        f"silent ends = {sum(str(case) in silent for case in targets)} of {len(targets)}; retried to the end "
        f"{sum(case.times == 1 and case.told == case.ends for case in targets)}; put aside "
        f"{sum(case.put_aside > 0 for case in targets)}; executions hung = {statuses['RUNNING']}"
    )
    assert (silent, wrong, tries, statuses["RUNNING"]) == ([], [], [], 0)
    assert [(str(case), case.error) for case in failed if case.error != NAMES[case.fails]] == []
    assert [str(case) for case in targets if (case.put_aside > 0) != (case.times == FOR_EVER)] == []
    assert again == len(STEPS)
