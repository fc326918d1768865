"""Task tokens: one for each attempt, answered once, refused as on AWS when they are late, double or made up."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud
from tests.contract.lambdas import allow, eventually, function, invoke
from tests.contract.state_machines import CALLBACK, Machines, jsonata, refusal

RETRY = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 2}]


@pytest.fixture(scope="module")
def machines(cloud: LocalCloud) -> Machines:
    return Machines(cloud)


def test_a_token_is_answered_with_an_output(machines: Machines) -> None:
    task = machines.waiting_task("a", Output="{% {'r': $states.result} %}")
    execution = machines.start(jsonata({"A": task}))
    token = machines.token(execution)
    assert 256 < len(token) <= 1024
    machines.api.send_task_success(taskToken=token, output='{"ok": 1}')
    assert machines.ended(execution)["output"] == {"r": {"ok": 1}}
    assert machines.kinds(execution) == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_a_failure_is_caught_by_its_error(machines: Machines) -> None:
    catch = [{"ErrorEquals": ["CapacityError"], "Next": "C", "Output": "{% $states.errorOutput %}"}]
    execution = machines.start(jsonata({"A": machines.waiting_task("a", Catch=catch), "C": {"Type": "Succeed"}}))
    machines.api.send_task_failure(taskToken=machines.token(execution), error="CapacityError", cause="none left")
    assert machines.ended(execution)["output"] == {"Error": "CapacityError", "Cause": "none left"}


def test_a_failure_needs_no_error_and_no_cause(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a")}))
    machines.api.send_task_failure(taskToken=machines.token(execution))
    found = machines.ended(execution)
    assert (found["status"], found.get("error"), found.get("cause")) == ("FAILED", None, None)


def test_every_attempt_has_a_token_of_its_own_and_the_earlier_ones_are_closed(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a", Retry=RETRY)}))
    first = machines.token(execution)
    machines.api.send_task_failure(taskToken=first, error="Again")
    second = machines.token(execution, 2)
    assert second != first
    assert refusal(machines.api.send_task_success, taskToken=first, output="1") == "TaskTimedOut"
    assert machines.api.describe_execution(executionArn=execution)["status"] == "RUNNING"
    machines.api.send_task_success(taskToken=second, output="2")
    assert machines.ended(execution)["output"] == 2


def test_a_second_answer_and_one_after_the_end_are_timed_out(machines: Machines) -> None:
    execution = machines.start(
        jsonata({"A": machines.waiting_task("a", Next="W"), "W": {"Type": "Wait", "Seconds": 1, "End": True}})
    )
    token = machines.token(execution)
    machines.api.send_task_success(taskToken=token, output="1")
    assert refusal(machines.api.send_task_success, taskToken=token, output="2") == "TaskTimedOut"
    machines.ended(execution)
    assert refusal(machines.api.send_task_failure, taskToken=token) == "TaskTimedOut"
    assert refusal(machines.api.send_task_heartbeat, taskToken=token) == "TaskTimedOut"


def test_of_many_answers_at_once_one_is_taken(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a")}))
    token = machines.token(execution)

    def answer(number: int) -> str:
        try:
            machines.api.send_task_success(taskToken=token, output=str(number))
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return str(number)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, range(8)))
    assert answers.count("TaskTimedOut") == 7
    assert str(machines.ended(execution)["output"]) in answers


@pytest.mark.parametrize("token", ["made-up", "AAAA" * 150, "ü"])
def test_a_token_that_nobody_gave_out_is_invalid(machines: Machines, token: str) -> None:
    assert refusal(machines.api.send_task_success, taskToken=token, output="{}") == "InvalidToken"
    assert refusal(machines.api.send_task_failure, taskToken=token) == "InvalidToken"
    assert refusal(machines.api.send_task_heartbeat, taskToken=token) == "InvalidToken"


def test_answers_are_validated_and_leave_the_task_waiting(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a")}))
    token, api = machines.token(execution), machines.api
    assert refusal(api.send_task_success, taskToken=token, output="{") == "InvalidOutput"
    assert refusal(api.send_task_success, taskToken=token, output=json.dumps("x" * 262_144)) == "ValidationException"
    assert refusal(api.send_task_failure, taskToken=token, error="E" * 257) == "ValidationException"
    assert refusal(api.send_task_failure, taskToken=token, cause="c" * 32_769) == "ValidationException"
    api.send_task_failure(taskToken=token, error="E" * 256, cause="c" * 32_768)
    found = machines.ended(execution)
    assert (found["error"], found["cause"]) == ("E" * 256, "c" * 32_768)


def test_time_runs_out_and_the_token_with_it(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a", TimeoutSeconds=2)}))
    token = machines.token(execution)
    found = machines.ended(execution)
    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")
    assert refusal(machines.api.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"
    assert machines.kinds(execution)[-3:] == ["TaskSubmitted", "TaskTimedOut", "ExecutionFailed"]


def test_heartbeats_keep_a_task_and_their_absence_ends_it(machines: Machines) -> None:
    kept = machines.start(jsonata({"A": machines.waiting_task("a", TimeoutSeconds=60, HeartbeatSeconds=2)}))
    lost = machines.start(jsonata({"A": machines.waiting_task("a", TimeoutSeconds=60, HeartbeatSeconds=2)}))
    token = machines.token(kept)
    for _ in range(4):
        machines.api.send_task_heartbeat(taskToken=token)
        time.sleep(0.9)
    machines.api.send_task_success(taskToken=token, output='"kept"')
    assert machines.ended(kept)["output"] == "kept"
    found = machines.ended(lost)
    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")


def test_a_heartbeat_without_a_heartbeat_interval_is_taken(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a")}))
    token = machines.token(execution)
    machines.api.send_task_heartbeat(taskToken=token)
    machines.api.send_task_success(taskToken=token, output="1")
    assert machines.ended(execution)["output"] == 1


def test_an_answer_before_the_function_returns_is_taken(cloud: LocalCloud, machines: Machines) -> None:
    code = """
        import boto3, time
        def handler(event, context):
            boto3.client("stepfunctions").send_task_success(taskToken=event["token"], output='"early"')
            time.sleep(0.3)
    """
    name = function(cloud, code, allow("states:SendTaskSuccess"))
    execution = machines.start(
        jsonata(
            {
                "A": {
                    "Type": "Task",
                    "Resource": CALLBACK,
                    "End": True,
                    "Arguments": {"FunctionName": name, "Payload": {"token": "{% $states.context.Task.Token %}"}},
                }
            }
        )
    )
    assert machines.ended(execution)["output"] == "early"


def test_answering_needs_permission_on_the_state_machine_of_the_token(cloud: LocalCloud, machines: Machines) -> None:
    machine = machines.create(jsonata({"A": machines.waiting_task("a")}))
    code = """
        import boto3
        from botocore.exceptions import ClientError
        def handler(event, context):
            try:
                boto3.client("stepfunctions").send_task_success(taskToken=event, output="1")
            except ClientError as error:
                return error.response["Error"]["Code"]
    """
    may = function(cloud, code, allow("states:SendTaskSuccess", machine))
    may_not = function(cloud, code, allow("states:SendTaskSuccess", f"{machine}-other"))
    execution = machines.start(machine)
    token = machines.token(execution)
    assert invoke(cloud, may_not, token) == ("AccessDeniedException", None)
    assert invoke(cloud, may, token) == (None, None)
    assert machines.ended(execution)["output"] == 1
    assert invoke(cloud, may, token) == ("TaskTimedOut", None)


def test_a_stopped_execution_closes_its_token_at_once(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a")}))
    token = machines.token(execution)
    machines.api.stop_execution(executionArn=execution)
    eventually(lambda: closed(machines, token), what="the end of the token")
    assert refusal(machines.api.send_task_success, taskToken=token, output="{}") == "TaskTimedOut"


def closed(machines: Machines, token: str) -> bool:
    try:
        machines.api.send_task_heartbeat(taskToken=token)
    except ClientError:
        return True
    return False
