"""EventBridge on the local cloud: who may deliver, what happens when it fails, what injected faults do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local_cloud.process import ACCOUNT, REGION, LocalCloud
from tests.contract.lambdas import Queue, allow, function, put_event, role, rule, unique

EVENTS = "events.amazonaws.com"
KEEP = """
import boto3, json
def handler(event, context):
    print("delivered")
    if event["detail"].get("fail"): raise ValueError("never")
"""


@pytest.fixture(autouse=True)
def no_faults_left(cloud: LocalCloud) -> Iterator[None]:
    yield
    cloud.clear_faults()


def source() -> str:
    return unique("contract.source")


def permit(cloud: LocalCloud, name: str, rule_arn: str) -> None:
    cloud.client("lambda").add_permission(
        FunctionName=name,
        StatementId=unique("events"),
        SourceArn=rule_arn,
        Action="lambda:InvokeFunction",
        Principal=EVENTS,
    )


def function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def test_a_queue_gets_an_event_in_awss_shape(cloud: LocalCloud) -> None:
    queue, name = Queue(cloud, EVENTS), source()
    rule(cloud, {"source": [name]}, Arn=queue.arn)
    put_event(cloud, name, {"a": 1})
    event = queue.receive()[0]["body"]
    assert event["detail"] == {"a": 1}
    assert set(event) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert event["time"].endswith("Z")


def test_a_queue_whose_policy_does_not_name_eventbridge_gets_nothing(cloud: LocalCloud) -> None:
    queue, letters, name = Queue(cloud), Queue(cloud, EVENTS), source()
    arn = rule(cloud, {"source": [name]}, Arn=queue.arn, DeadLetterConfig={"Arn": letters.arn})
    put_event(cloud, name, {"a": 1})
    (letter,) = letters.receive()
    assert letter["body"]["detail"] == {"a": 1}
    assert letter["attributes"]["ERROR_CODE"] == "NO_PERMISSIONS"
    assert letter["attributes"]["RULE_ARN"] == arn
    assert letter["attributes"]["TARGET_ARN"] == queue.arn
    assert queue.stays_empty(0)


def test_a_function_needs_a_permission_for_the_very_rule(cloud: LocalCloud) -> None:
    letters, name = Queue(cloud, EVENTS), source()
    target = function(cloud, KEEP)
    arn = rule(cloud, {"source": [name]}, Arn=function_arn(target), DeadLetterConfig={"Arn": letters.arn})
    permit(cloud, target, arn + "-another")
    put_event(cloud, name, {})
    assert letters.receive()[0]["attributes"]["ERROR_CODE"] == "NO_PERMISSIONS"


def test_a_failing_function_is_retried_and_its_event_ends_in_the_functions_own_queue(cloud: LocalCloud) -> None:
    rules_letters, functions_letters, name = Queue(cloud, EVENTS), Queue(cloud), source()
    target = function(
        cloud,
        KEEP,
        allow("sqs:SendMessage", functions_letters.arn),
        DeadLetterConfig={"TargetArn": functions_letters.arn},
    )
    arn = rule(cloud, {"source": [name]}, Arn=function_arn(target), DeadLetterConfig={"Arn": rules_letters.arn})
    permit(cloud, target, arn)
    put_event(cloud, name, {"fail": True})
    assert functions_letters.receive()[0]["body"]["detail"] == {"fail": True}
    assert rules_letters.stays_empty(0)


def test_a_throttled_target_is_retried_as_its_retry_policy_says(cloud: LocalCloud) -> None:
    letters, name = Queue(cloud, EVENTS), source()
    target = function(cloud, KEEP)
    arn = rule(
        cloud,
        {"source": [name]},
        Arn=function_arn(target),
        DeadLetterConfig={"Arn": letters.arn},
        RetryPolicy={"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600},
    )
    permit(cloud, target, arn)
    fault = {"service": "lambda", "operation": "Invoke", "error": "TooManyRequestsException"}
    cloud.inject({"api": [{**fault, "times": 3}]})
    put_event(cloud, name, {})
    attributes = letters.receive()[0]["attributes"]
    assert attributes["ERROR_CODE"] == "TooManyRequestsException"
    assert attributes["RETRY_ATTEMPTS"] == "2"
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert cloud.faults() == {}


def test_a_target_that_is_gone_is_a_dead_letter_at_once(cloud: LocalCloud) -> None:
    letters, name = Queue(cloud, EVENTS), source()
    rule(cloud, {"source": [name]}, Arn=function_arn("gone"), DeadLetterConfig={"Arn": letters.arn})
    put_event(cloud, name, {})
    assert letters.receive(within=3)[0]["attributes"]["ERROR_CODE"] == "RESOURCE_NOT_FOUND"


def machine(cloud: LocalCloud) -> str:
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    arn: str = cloud.client("stepfunctions").create_state_machine(
        name=unique("machine"), definition=json.dumps(definition), roleArn=role(cloud, "states.amazonaws.com")
    )["stateMachineArn"]
    return arn


@pytest.mark.parametrize(
    ("service", "action", "starts"),
    [
        (EVENTS, "states:StartExecution", True),
        (EVENTS, "states:StopExecution", False),
        ("lambda.amazonaws.com", "states:StartExecution", False),
    ],
)
def test_an_execution_starts_only_with_the_targets_role(
    cloud: LocalCloud, service: str, action: str, starts: bool
) -> None:
    letters, name, arn = Queue(cloud, EVENTS), source(), machine(cloud)
    rule(
        cloud,
        {"source": [name]},
        Arn=arn,
        RoleArn=role(cloud, service, allow(action, arn)),
        DeadLetterConfig={"Arn": letters.arn},
    )
    put_event(cloud, name, {"a": 1})
    client = cloud.client("stepfunctions")
    if not starts:
        assert letters.receive()[0]["attributes"]["ERROR_CODE"] == "NO_PERMISSIONS"
        assert client.list_executions(stateMachineArn=arn)["executions"] == []
        return
    deadline = time.monotonic() + 10
    while not (found := client.list_executions(stateMachineArn=arn)["executions"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    execution = client.describe_execution(executionArn=found[0]["executionArn"])
    assert json.loads(execution["input"])["detail"] == {"a": 1}


def received(cloud: LocalCloud, faults: dict[str, Any], details: list[dict[str, Any]], count: int) -> list[Any]:
    queue, name = Queue(cloud, EVENTS), source()
    rule(cloud, {"source": [name]}, Arn=queue.arn)
    cloud.inject({"events": faults})
    for detail in details:
        put_event(cloud, name, detail)
    return [message["body"] for message in queue.receive(count)]


def test_a_duplicated_event_arrives_with_the_same_id(cloud: LocalCloud) -> None:
    found = received(cloud, {"duplicate": 3}, [{"a": 1}], 3)
    assert len({event["id"] for event in found}) == 1


def test_events_of_a_dropped_status_do_not_arrive(cloud: LocalCloud) -> None:
    found = received(cloud, {"drop": ["Completed"]}, [{"TrainingJobStatus": "Completed"}, {"status": "FAILED"}], 1)
    assert found[0]["detail"] == {"status": "FAILED"}


def test_reordered_events_arrive_newest_first_and_a_single_one_all_the_same(cloud: LocalCloud) -> None:
    found = received(cloud, {"reorder": True}, [{"n": 1}, {"n": 2}, {"n": 3}], 3)
    assert [event["detail"]["n"] for event in found] == [2, 1, 3]


def test_a_delayed_event_arrives_late(cloud: LocalCloud) -> None:
    started = time.monotonic()
    received(cloud, {"delay_seconds": 1.0}, [{}], 1)
    assert 1.0 <= time.monotonic() - started < 5


def test_jitter_holds_every_delivery_on_its_own_and_so_mixes_their_order(cloud: LocalCloud) -> None:
    faults = {"jitter_seconds": 2.0, "jitter_seed": 1, "duplicate": 2}
    found = received(cloud, faults, [{"n": number} for number in range(8)], 16)
    order = [event["detail"]["n"] for event in found]
    assert sorted(order) == sorted(2 * list(range(8)))
    assert order != sorted(order)
