"""The account runs so many functions at once: above it callers are turned away, and events wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config

from local_cloud.process import LocalCloud
from tests.contract.lambdas import Queue, allow, eventually, function, invoke
from tests.contract.state_machines import INVOKE, Machines, jsonata

LIMIT, EVENTS = 2, 20
CODE = """
import boto3, json, os, time
def handler(event, context):
    started = time.time()
    time.sleep(event.get("seconds", 0.05))
    seen = {"number": event.get("number"), "from": started, "to": time.time(), "process": os.getpid()}
    boto3.client("sqs").send_message(QueueUrl=event["queue"], MessageBody=json.dumps(seen))
"""
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def small_cloud() -> Iterator[LocalCloud]:
    """A local cloud that runs two functions at once."""
    with LocalCloud.start(lambda_concurrency=LIMIT, lambda_retry_seconds=0.1) as started:
        yield started


def busy(cloud: LocalCloud, name: str, queue: Queue, seconds: float, pool: ThreadPoolExecutor) -> None:
    """Use up what the account may run at once for so long."""
    client = cloud.client("lambda", config=ONCE)
    event = json.dumps({"queue": queue.url, "seconds": seconds}).encode()
    before = running(cloud, name)
    for _ in range(LIMIT):
        pool.submit(client.invoke, FunctionName=name, Payload=event)
    eventually(lambda: running(cloud, name) >= before + LIMIT, what="the functions running")


def running(cloud: LocalCloud, name: str) -> int:
    """How many environments of a function there have been."""
    return len(list((cloud.state_dir / "functions").glob(f"{name}-*")))


def test_a_call_above_the_limit_is_answered_with_429_and_its_reason(small_cloud: LocalCloud) -> None:
    queue = Queue(small_cloud)
    name = function(small_cloud, CODE, allow("sqs:SendMessage", queue.arn))
    client = small_cloud.client("lambda", config=ONCE)
    assert client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"] == LIMIT
    with ThreadPoolExecutor(LIMIT) as pool:
        busy(small_cloud, name, queue, 3, pool)
        with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
            client.invoke(FunctionName=name, Payload=json.dumps({"queue": queue.url}))
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert (answer["Reason"], answer["Type"]) == ("ConcurrentInvocationLimitExceeded", "User")
    assert invoke(small_cloud, name, {"queue": queue.url}) == (None, None)
    queue.receive(LIMIT + 1)


def test_events_above_the_limit_wait_and_all_are_handled_once_by_as_many_environments(small_cloud: LocalCloud) -> None:
    queue = Queue(small_cloud)
    name = function(small_cloud, CODE, allow("sqs:SendMessage", queue.arn))
    client = small_cloud.client("lambda")
    client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    for number in range(EVENTS):
        payload = json.dumps({"queue": queue.url, "number": number})
        assert client.invoke(FunctionName=name, InvocationType="Event", Payload=payload)["StatusCode"] == 202
    seen = [message["body"] for message in queue.receive(EVENTS, within=60)]
    assert {item["number"] for item in seen} == set(range(EVENTS))
    assert len({item["process"] for item in seen}) <= LIMIT
    at_once = [sum(other["from"] <= item["from"] < other["to"] for other in seen) for item in seen]
    assert max(at_once) <= LIMIT


def test_a_burst_does_not_start_an_environment_for_each_of_its_invocations(cloud: LocalCloud) -> None:
    """They share the processors of one machine; those that wait for their turn take one that is free again."""
    name = function(cloud, "import boto3, os\ndef handler(event, context): return os.getpid()")
    with ThreadPoolExecutor(10) as pool:
        processes = {answer for answer, _ in pool.map(lambda _: invoke(cloud, name), range(10))}
    assert len(processes) < 8
    assert {invoke(cloud, name)[0] for _ in range(5)} <= processes


def test_a_state_machine_retries_what_was_turned_away(small_cloud: LocalCloud) -> None:
    queue = Queue(small_cloud)
    machines = Machines(small_cloud)
    name = function(small_cloud, CODE, allow("sqs:SendMessage", queue.arn))
    task: dict[str, Any] = {
        "Type": "Task",
        "Resource": INVOKE,
        "Arguments": {"FunctionName": name, "Payload": {"queue": queue.url}},
        "Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1, "MaxAttempts": 30}],
        "End": True,
    }
    machine = machines.create(jsonata({"A": task}))
    with ThreadPoolExecutor(LIMIT) as pool:
        busy(small_cloud, name, queue, 3, pool)
        found = machines.run(machine, within=60)
    assert found["status"] == "SUCCEEDED"
    failed = [event for event in machines.history(found["executionArn"]) if event["type"] == "TaskFailed"]
    assert {event["details"]["error"] for event in failed} == {"Lambda.TooManyRequestsException"}
