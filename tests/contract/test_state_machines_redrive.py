"""RedriveExecution goes on from the state that did not succeed, by AWS's rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_cloud.process import LocalCloud
from tests.contract.lambdas import Queue, eventually, rule
from tests.contract.state_machines import INVOKE, Machines, jsonata, refusal


@pytest.fixture(scope="module")
def machines(cloud: LocalCloud) -> Machines:
    return Machines(cloud)


def redriven(machines: Machines, execution: str, times: int = 1) -> dict[str, Any]:
    """The description of an execution that ended after so many redrives."""
    return eventually(
        lambda: found if (found := machines.ended(execution))["redriveCount"] == times else None,
        what="the end after the redrive",
    )


def failing_at_second(machines: Machines, **fields: Any) -> dict[str, Any]:
    """A definition whose second task waits for an answer, with a variable from the first."""
    return jsonata(
        {
            "First": {
                "Type": "Pass",
                "Assign": {"kept": "{% $states.input.v %}"},
                "Output": {"from": "first"},
                "Next": "Second",
            },
            "Second": machines.waiting_task("b", Next="Last", Assign={"answer": "{% $states.result %}"}, **fields),
            "Last": {
                "Type": "Pass",
                "End": True,
                "Output": {
                    "kept": "{% $kept %}",
                    "answer": "{% $answer %}",
                    "input": "{% $states.input %}",
                    "redrives": "{% $states.context.Execution.RedriveCount %}",
                },
            },
        }
    )


def test_a_failed_task_is_scheduled_again_with_its_input_and_variables_and_a_new_token(machines: Machines) -> None:
    execution = machines.start(failing_at_second(machines, Output="{% $states.input %}"), {"v": 7})
    first = machines.token(execution)
    machines.api.send_task_failure(taskToken=first, error="Broken", cause="why")
    found = machines.ended(execution)
    assert (found["redriveStatus"], found["redriveCount"]) == ("REDRIVABLE", 0)
    assert "redriveDate" not in found
    before = machines.history(execution)

    date = machines.api.redrive_execution(executionArn=execution)["redriveDate"]
    second = machines.token(execution, 2)
    assert second != first
    assert refusal(machines.api.send_task_success, taskToken=first, output="{}") == "TaskTimedOut"
    running = machines.api.describe_execution(executionArn=execution)
    assert (running["status"], running["redriveCount"], running["redriveDate"]) == ("RUNNING", 1, date)
    assert (running["redriveStatus"], running["redriveStatusReason"]) == (
        "NOT_REDRIVABLE",
        "Execution is RUNNING and cannot be redriven",
    )
    assert not running.keys() & {"stopDate", "error", "cause", "output"}
    machines.api.send_task_success(taskToken=second, output='"good"')

    found = redriven(machines, execution)
    assert found["output"] == {"kept": 7, "answer": "good", "input": {"from": "first"}, "redrives": 1}
    assert found["startDate"] == running["startDate"]
    history = machines.history(execution)
    assert history[: len(before)] == before
    assert [event["type"] for event in history[len(before) :]] == [
        "ExecutionRedriven",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))
    assert history[len(before)]["details"] == {"redriveCount": 1}
    assert refusal(machines.api.redrive_execution, executionArn=execution) == "ExecutionNotRedrivable"


def test_the_redrive_count_is_in_the_context_only_after_a_redrive(machines: Machines) -> None:
    payload = {
        "redrives": "{% $exists($states.context.Execution.RedriveCount) ? $states.context.Execution.RedriveCount : 0 %}"
    }
    definition = jsonata(
        {
            "A": {
                "Type": "Task",
                "Resource": INVOKE,
                "End": True,
                "Output": "{% $nothing %}",
                "Arguments": {"FunctionName": machines.worker, "Payload": payload},
            }
        }
    )
    execution = machines.start(definition)
    machines.ended(execution)
    for number in (1, 2):
        machines.api.redrive_execution(executionArn=execution)
        redriven(machines, execution, number)
    seen = [
        json.loads(event["details"]["parameters"])["Payload"]["redrives"]
        for event in machines.history(execution)
        if event["type"] == "TaskScheduled"
    ]
    assert seen == [0, 1, 2]


def test_a_stopped_wait_is_entered_again_and_a_timeout_of_the_machine_counts_anew(machines: Machines) -> None:
    definition = jsonata({"A": {"Type": "Wait", "Seconds": 2, "Output": "waited", "End": True}}, TimeoutSeconds=3)
    execution = machines.start(definition)
    eventually(lambda: "WaitStateEntered" in machines.kinds(execution), what="the wait")
    machines.api.stop_execution(executionArn=execution, error="E", cause="C")
    machines.api.redrive_execution(executionArn=execution)
    found = redriven(machines, execution)
    assert (found["status"], found["output"]) == ("SUCCEEDED", "waited")
    assert machines.kinds(execution) == [
        "ExecutionStarted",
        "WaitStateEntered",
        "ExecutionAborted",
        "ExecutionRedriven",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ]


def test_a_timed_out_task_can_be_redriven_and_its_time_counts_anew(machines: Machines) -> None:
    execution = machines.start(failing_at_second(machines, TimeoutSeconds=2), {"v": 1})
    assert machines.ended(execution)["error"] == "States.Timeout"
    machines.api.redrive_execution(executionArn=execution)
    machines.api.send_task_success(taskToken=machines.token(execution, 2), output="1")
    assert redriven(machines, execution)["status"] == "SUCCEEDED"


def test_an_execution_that_ran_out_of_time_can_be_redriven(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a")}, TimeoutSeconds=1))
    assert machines.ended(execution)["status"] == "TIMED_OUT"
    machines.api.redrive_execution(executionArn=execution)
    assert redriven(machines, execution)["status"] == "TIMED_OUT"
    assert machines.kinds(execution).count("ExecutionTimedOut") == 2


def test_a_fail_state_fails_again_and_a_choice_chooses_again(machines: Machines) -> None:
    failed = machines.start(jsonata({"A": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Fail", "Error": "E"}}))
    stuck = machines.start(
        jsonata(
            {"A": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "B"}]}, "B": {"Type": "Succeed"}}
        )
    )
    for execution, error, state in ((failed, "E", "Fail"), (stuck, "States.NoChoiceMatched", "Choice")):
        machines.ended(execution)
        machines.api.redrive_execution(executionArn=execution)
        assert redriven(machines, execution)["error"] == error
        kinds = machines.kinds(execution)
        assert kinds.count(f"{state}StateEntered") == 2
        assert kinds.count("PassStateEntered") == (error == "E")


def test_a_redrive_uses_the_definition_and_the_role_of_the_start(machines: Machines) -> None:
    machine = machines.create(jsonata({"A": machines.waiting_task("a", Output="old")}))
    execution = machines.start(machine)
    machines.api.send_task_failure(taskToken=machines.token(execution))
    machines.ended(execution)
    machines.api.update_state_machine(
        stateMachineArn=machine, definition=json.dumps(jsonata({"B": {"Type": "Succeed", "Output": "new"}}))
    )
    machines.api.redrive_execution(executionArn=execution)
    machines.api.send_task_success(taskToken=machines.token(execution, 2), output="1")
    assert redriven(machines, execution)["output"] == "old"
    assert machines.run(machine)["output"] == "new"


def test_retries_count_anew(machines: Machines) -> None:
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = machines.start(jsonata({"A": machines.waiting_task("a", Retry=retry)}))
    for number in (1, 2):
        machines.api.send_task_failure(taskToken=machines.token(execution, number), error="Again")
    assert machines.ended(execution)["status"] == "FAILED"
    machines.api.redrive_execution(executionArn=execution)
    machines.api.send_task_failure(taskToken=machines.token(execution, 3), error="Again")
    machines.api.send_task_success(taskToken=machines.token(execution, 4), output="4")
    assert redriven(machines, execution)["output"] == 4


def test_what_cannot_be_redriven_is_refused(machines: Machines) -> None:
    succeeded = machines.start(jsonata({"A": {"Type": "Succeed"}}))
    running = machines.start(jsonata({"A": {"Type": "Wait", "Seconds": 60, "End": True}}))
    machines.ended(succeeded)
    assert refusal(machines.api.redrive_execution, executionArn=succeeded) == "ExecutionNotRedrivable"
    assert refusal(machines.api.redrive_execution, executionArn=running) == "ExecutionNotRedrivable"
    assert refusal(machines.api.redrive_execution, executionArn=f"{running}-none") == "ExecutionDoesNotExist"
    machines.api.stop_execution(executionArn=running)


def test_the_same_client_token_redrives_once(machines: Machines) -> None:
    execution = machines.start(jsonata({"A": machines.waiting_task("a")}))
    machines.api.send_task_failure(taskToken=machines.token(execution))
    machines.ended(execution)
    dates = {
        machines.api.redrive_execution(executionArn=execution, clientToken="once")["redriveDate"] for _ in range(2)
    }
    assert len(dates) == 1
    assert machines.kinds(execution).count("ExecutionRedriven") == 1
    machines.api.stop_execution(executionArn=execution)


def test_a_redrive_is_told_as_an_event_and_listed(cloud: LocalCloud, machines: Machines) -> None:
    machine = machines.create(jsonata({"A": machines.waiting_task("a")}))
    queue = Queue(cloud, "events.amazonaws.com")
    rule(cloud, {"source": ["aws.states"], "detail": {"stateMachineArn": [machine]}}, Arn=queue.arn)
    execution = machines.start(machine)
    machines.api.send_task_failure(taskToken=machines.token(execution), error="E", cause="C")
    machines.ended(execution)
    machines.api.redrive_execution(executionArn=execution)
    machines.api.send_task_success(taskToken=machines.token(execution, 2), output="1")
    redriven(machines, execution)
    told = [message["body"]["detail"] for message in queue.receive(4)]
    told.sort(key=lambda detail: (detail["redriveCount"], detail["status"] != "RUNNING"))
    assert [(detail["status"], detail["redriveCount"], detail["redriveStatus"]) for detail in told] == [
        ("RUNNING", 0, "NOT_REDRIVABLE"),
        ("FAILED", 0, "REDRIVABLE"),
        ("RUNNING", 1, "NOT_REDRIVABLE"),
        ("SUCCEEDED", 1, "NOT_REDRIVABLE"),
    ]
    assert told[1]["redriveStatusReason"] is None
    assert isinstance(told[3]["redriveDate"], int)
    assert told[2]["stopDate"] is None
    for wanted, count in (("REDRIVEN", 1), ("NOT_REDRIVEN", 0)):
        found = machines.api.list_executions(stateMachineArn=machine, redriveFilter=wanted)["executions"]
        assert [item["redriveCount"] for item in found] == [1] * count
