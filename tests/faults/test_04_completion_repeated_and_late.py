"""An end that is told again and again, and long after: nothing fails, nothing is done twice."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.contract.lambdas import Queue, rule
from tests.faults.conftest import Rows
from tests.faults.ends import END_OUTCOMES, after_an_epoch, function_log, function_sum, physical_id
from tests.stack import UNTIL_STOPPED, Stack, dataset_files, eventually

SLOW = "epochs: 150\nimgsz: 64\nbatch: 2\n"
COMPLETED = [f"told-completed-{number:02}" for number in range(5)]
ABORTED = [f"told-aborted-{number:02}" for number in range(3)]
REDRIVEN = [f"told-redriven-{number:02}" for number in range(2)]
TIMES = 3
FUNCTIONS = {"aws.sagemaker": "ReportJobEndFunction", "aws.states": "StopTrainingFunction"}
WATCHED = ("ReportJobEndFunction", "StopTrainingFunction", "ExtractModelFunction", "StartTrainingFunction")


def _wait_for(stack: Stack, key: str) -> None:
    eventually(lambda: key in stack.artifacts(key), within=90, what=key)


class Tape:
    """Every event of an end that was told of, to be told of again by the road that EventBridge takes."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._queue = stack, Queue(stack.cloud, "events.amazonaws.com")
        self._events: dict[str, dict[str, Any]] = {}
        self._names = {source: physical_id(stack, function) for source, function in FUNCTIONS.items()}
        rule(stack.cloud, {"source": list(FUNCTIONS)}, Arn=self._queue.arn)

    def events(self) -> list[dict[str, Any]]:
        """Those that the stack's rules are for, each once, however often it came."""
        while found := self._queue.batch():
            self._events |= {item["body"]["id"]: item["body"] for item in found}
        ends = ("Completed", "Failed", "Stopped", "FAILED", "TIMED_OUT", "ABORTED")
        return [
            event
            for event in self._events.values()
            if (event["detail"].get("TrainingJobStatus") or event["detail"].get("status")) in ends
        ]

    def tell_again(self, names: list[str]) -> None:
        """Three times each, at once; return when all have been handled."""
        events = [event for event in self.events() if any(name in json.dumps(event["detail"]) for name in names)]
        before = {source: function_sum(self._stack, FUNCTIONS[source], "Invocations") for source in FUNCTIONS}
        client = self._stack.cloud.client("lambda")
        for event in events * TIMES:
            client.invoke(
                FunctionName=self._names[event["source"]], InvocationType="Event", Payload=json.dumps(event).encode()
            )
        wanted = Counter({source: before[source] for source in FUNCTIONS})
        wanted.update(event["source"] for event in events * TIMES)
        eventually(
            lambda: all(
                function_sum(self._stack, FUNCTIONS[source], "Invocations") >= wanted[source] for source in wanted
            ),
            within=120,
            what=f"{len(events)} events handled {TIMES} times",
        )


@pytest.mark.long
def test_a_completion_told_three_times_and_late_does_nothing_twice(stack: Stack, row: Rows) -> None:
    line = row(
        4,
        fault="completion sent 3 times, late, with a dead token",
        injected=f"every event of an end {TIMES} times as it comes and {TIMES} times after the end, of completed, "
        "aborted and redriven runs; those of the first life while the redriven one trains",
        promise="no error, no double work",
    )
    tape = Tape(stack)
    errors = {function: function_sum(stack, function, "Errors") for function in WATCHED}
    repeated: dict[str, Any] = {"events": {"duplicate": TIMES, "jitter_seconds": 2.0, "jitter_seed": 4}}

    stack.cloud.inject({**repeated, "training": {"capacity_errors": 2 * len(REDRIVEN)}})
    for name in REDRIVEN:
        stack.drop_zip(name, dataset_files(marker=name, settings=SLOW))
    redriven = {name: stack.ended(name, within=120)["executionArn"] for name in REDRIVEN}
    for name, arn in redriven.items():
        stack.message(name, "Failed", within=60)
        stack.sfn.redrive_execution(executionArn=arn)
    for name in REDRIVEN:
        after_an_epoch(stack, name)
    tape.tell_again(REDRIVEN)
    running = [stack.sfn.describe_execution(executionArn=arn)["status"] == "RUNNING" for arn in redriven.values()]

    for name in COMPLETED:
        stack.drop_zip(name, dataset_files(marker=name))
    for name in ABORTED:
        stack.drop_zip(name, dataset_files(marker=name, settings=UNTIL_STOPPED))
    for name in ABORTED:
        stack.sfn.stop_execution(executionArn=after_an_epoch(stack, name)[0], cause="enough")
    everyone = COMPLETED + ABORTED + REDRIVEN
    executions = {name: stack.ended(name, within=120) for name in everyone}
    for name in ABORTED:
        _wait_for(stack, f"models/{name}/{executions[name]['name']}/best.pt")
    for name in everyone:
        stack.message(name, "Stopped" if name in ABORTED else "Completed", within=60)
    tape.tell_again(everyone)

    ends = {
        name: sorted(message["outcome"] for message in stack.messages(name) if message["outcome"] in END_OUTCOMES)
        for name in everyone
    }
    lives = {name: ["Completed"] for name in COMPLETED} | {name: ["Stopped"] for name in ABORTED}
    lives |= {name: ["Completed", "Failed"] for name in REDRIVEN}
    jobs = {name: len(stack.jobs(executions[name]["name"])) for name in everyone}
    failed = sum(function_sum(stack, function, "Errors") - errors[function] for function in WATCHED)
    runs = {executions[name]["name"] for name in everyone}
    log = map(json.loads, filter(lambda line: '"model extracted"' in line, function_log(stack, "ExtractModelFunction")))
    extracted = sum(entry["run_id"] in runs for entry in log)
    messages, deserved = sum(map(len, ends.values())), sum(map(len, lives.values()))
    line.figure(
        f"Lambda errors = {failed}, end messages per run and life = {messages / deserved:g}, "
        f"jobs too many = {sum(jobs.values()) - len(COMPLETED + ABORTED) - 3 * len(REDRIVEN)}, "
        f"extractions per model = {extracted / len(everyone):g}"
    )
    assert all(running)
    assert ends == lives
    assert jobs == {name: 3 if name in REDRIVEN else 1 for name in everyone}
    assert failed == 0
    assert extracted == len(everyone)
