"""Starting, stopping, describing and listing executions, their histories and their events, as on AWS."""

from __future__ import annotations

import datetime
import itertools
import json
from typing import Any

import pytest
from botocore.config import Config

from local_cloud.process import ACCOUNT, REGION, LocalCloud
from tests.contract.lambdas import Queue, eventually, role, rule, unique
from tests.contract.state_machines import INVOKE, Machines, jsonata, refusal

PASS = jsonata({"A": {"Type": "Pass", "End": True}})
LONG = jsonata({"A": {"Type": "Wait", "Seconds": 300, "End": True}})


@pytest.fixture(scope="module")
def machines(cloud: LocalCloud) -> Machines:
    return Machines(cloud)


@pytest.mark.parametrize("name", ["with space", "a/b", "a:b", "ä" * 81, "x" * 81, "a#b", "tab\t", 'quote"', "a&b"])
def test_a_name_that_aws_refuses_is_refused(machines: Machines, name: str) -> None:
    machine = machines.create(PASS)
    assert refusal(machines.api.start_execution, stateMachineArn=machine, name=name) == "InvalidName"


def test_names_that_aws_takes_and_none(machines: Machines) -> None:
    machine = machines.create(PASS)
    for name in ("x" * 80, "rooms-20261124T031500-0a1b2c3d", "Räume_1.2+3='!@()"):
        arn = machines.start(machine, name=name)
        assert arn == machine.replace(":stateMachine:", ":execution:") + f":{name}"
    execution = machines.start(machine)
    assert len(execution.rsplit(":", 1)[1]) == 36


def test_the_same_start_again_is_the_same_execution_while_it_runs(machines: Machines) -> None:
    machine, name = machines.create(LONG), unique("run")
    first = machines.api.start_execution(stateMachineArn=machine, name=name, input='{"a": 1}')
    again = machines.api.start_execution(stateMachineArn=machine, name=name, input='{"a":1}')
    assert (first["executionArn"], first["startDate"]) == (again["executionArn"], again["startDate"])
    assert refusal(machines.api.start_execution, stateMachineArn=machine, name=name, input="{}") == (
        "ExecutionAlreadyExists"
    )
    machines.api.stop_execution(executionArn=first["executionArn"])
    assert refusal(machines.api.start_execution, stateMachineArn=machine, name=name, input='{"a": 1}') == (
        "ExecutionAlreadyExists"
    )
    assert machines.kinds(first["executionArn"]).count("ExecutionStarted") == 1


def test_inputs_are_validated(machines: Machines) -> None:
    machine = machines.create(PASS)
    start = machines.api.start_execution
    assert refusal(start, stateMachineArn=machine, input="{") == "InvalidExecutionInput"
    assert refusal(start, stateMachineArn=machine, input=json.dumps("x" * 262_144)) == "ValidationException"
    assert refusal(start, stateMachineArn=machine, input='"' + "ü" * 140_000 + '"') == "InvalidExecutionInput"
    assert refusal(start, stateMachineArn=f"{machine}-none") == "StateMachineDoesNotExist"
    assert machines.run(machine, "x" * 262_000)["status"] == "SUCCEEDED"


def test_a_stopped_execution_is_aborted_wherever_it_is(machines: Machines) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60}]
    task = {
        "Type": "Task",
        "Resource": INVOKE,
        "End": True,
        "Arguments": {"FunctionName": machines.worker, "Payload": {"mode": "sleep", "seconds": 3}},
    }
    pausing = {**task, "Retry": retry, "Arguments": {"FunctionName": "nobody"}}
    branch = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 300, "End": True}}}
    places = {
        "WaitStateEntered": LONG,
        "TaskStarted": jsonata({"A": task}),
        "TaskFailed": jsonata({"A": pausing}),
        "TaskSubmitted": jsonata({"A": machines.waiting_task("a")}),
        "ParallelStateStarted": jsonata({"A": {"Type": "Parallel", "Branches": [branch, branch], "End": True}}),
    }
    executions = {place: machines.start(definition) for place, definition in places.items()}
    for place, execution in executions.items():
        eventually(lambda here=place, at=execution: here in machines.kinds(at), what=place)  # type: ignore[misc]
        stopped = machines.api.stop_execution(executionArn=execution, error="E", cause="C")
        found = machines.ended(execution, within=1)
        assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "E", "C")
        assert found["stopDate"] == stopped["stopDate"]
        last = machines.history(execution)[-1]
        assert (last["type"], last["details"]) == ("ExecutionAborted", {"error": "E", "cause": "C"})
        again = machines.api.stop_execution(executionArn=execution)
        assert again["stopDate"] == stopped["stopDate"]
    lengths = {execution: len(machines.history(execution)) for execution in executions.values()}
    machines.run(jsonata({"A": {"Type": "Wait", "Seconds": 4, "End": True}}))
    assert lengths == {execution: len(machines.history(execution)) for execution in executions.values()}


def test_an_execution_runs_out_of_time(machines: Machines) -> None:
    waiting = machines.start({**LONG, "TimeoutSeconds": 1})
    task = machines.start(jsonata({"A": machines.waiting_task("a")}, TimeoutSeconds=1))
    for execution in (waiting, task):
        found = machines.ended(execution)
        assert (found["status"], found["error"]) == ("TIMED_OUT", "States.Timeout")
        assert machines.kinds(execution)[-1] == "ExecutionTimedOut"
        assert 0.9 < (found["stopDate"] - found["startDate"]).total_seconds() < 4


def test_an_update_does_not_disturb_a_running_execution(cloud: LocalCloud, machines: Machines) -> None:
    after = {
        "Type": "Task",
        "Resource": INVOKE,
        "End": True,
        "Output": "old",
        "Arguments": {"FunctionName": machines.worker},
    }
    old = jsonata({"A": machines.waiting_task("a", Next="B"), "B": after})
    machine = machines.create(old)
    execution = machines.start(machine)
    token = machines.token(execution)
    powerless = role(cloud, "states.amazonaws.com")
    machines.api.update_state_machine(
        stateMachineArn=machine,
        roleArn=powerless,
        definition=json.dumps(jsonata({"New": {"Type": "Succeed", "Output": "new"}})),
    )
    described = machines.api.describe_state_machine_for_execution(executionArn=execution)
    assert (json.loads(described["definition"]), described["roleArn"]) == (old, machines.role)
    assert (described["stateMachineArn"], described["name"]) == (machine, machine.rsplit(":", 1)[1])
    machines.api.send_task_success(taskToken=token, output="1")
    assert machines.ended(execution)["output"] == "old"
    later = machines.start(machine)
    assert machines.ended(later)["output"] == "new"
    assert machines.api.describe_state_machine_for_execution(executionArn=later)["roleArn"] == powerless


def test_a_history_has_the_shape_of_aws(machines: Machines) -> None:
    task = {
        "Type": "Task",
        "Resource": INVOKE,
        "End": True,
        "TimeoutSeconds": 30,
        "Assign": {"z": "text", "n": 1},
        "Arguments": {"FunctionName": machines.worker, "Payload": {"ü": 1}},
        "Output": "done",
    }
    execution = machines.start(jsonata({"A": task}), {"v": 1})
    machines.ended(execution)
    history = machines.api.get_execution_history(executionArn=execution)["events"]
    for event in history:
        assert isinstance(event.pop("timestamp"), datetime.datetime)
    output = json.loads(history[4]["taskSucceededEventDetails"].pop("output"))
    assert output.keys() == {"ExecutedVersion", "Payload", "StatusCode", "SdkHttpMetadata", "SdkResponseMetadata"}
    assert output["SdkHttpMetadata"].keys() == {"AllHttpHeaders", "HttpHeaders", "HttpStatusCode"}
    assert output["SdkResponseMetadata"].keys() == {"RequestId"}
    assert output["Payload"] == {"echo": {"ü": 1}}
    place = {"resourceType": "lambda", "resource": "invoke"}
    whole = {"truncated": False}
    assert history == [
        {
            "id": 1,
            "previousEventId": 0,
            "type": "ExecutionStarted",
            "executionStartedEventDetails": {"input": '{"v": 1}', "inputDetails": whole, "roleArn": machines.role},
        },
        {
            "id": 2,
            "previousEventId": 1,
            "type": "TaskStateEntered",
            "stateEnteredEventDetails": {"name": "A", "input": '{"v":1}', "inputDetails": whole},
        },
        {
            "id": 3,
            "previousEventId": 2,
            "type": "TaskScheduled",
            "taskScheduledEventDetails": {
                **place,
                "region": REGION,
                "timeoutInSeconds": 30,
                "parameters": f'{{"FunctionName":"{machines.worker}","Payload":{{"ü":1}}}}',
            },
        },
        {"id": 4, "previousEventId": 3, "type": "TaskStarted", "taskStartedEventDetails": place},
        {
            "id": 5,
            "previousEventId": 4,
            "type": "TaskSucceeded",
            "taskSucceededEventDetails": {**place, "outputDetails": whole},
        },
        {
            "id": 6,
            "previousEventId": 5,
            "type": "TaskStateExited",
            "stateExitedEventDetails": {
                "name": "A",
                "output": '"done"',
                "outputDetails": whole,
                "assignedVariables": {"z": '"text"', "n": "1"},
                "assignedVariablesDetails": whole,
            },
        },
        {
            "id": 7,
            "previousEventId": 6,
            "type": "ExecutionSucceeded",
            "executionSucceededEventDetails": {"output": '"done"', "outputDetails": whole},
        },
    ]


def test_a_history_comes_in_pages_in_both_directions_with_and_without_data(machines: Machines) -> None:
    states = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "End": True}}
    execution = machines.start(jsonata(states), {"v": 1})
    machines.ended(execution)

    def pages(**options: Any) -> list[list[int]]:
        paginator = machines.api.get_paginator("get_execution_history")
        found = paginator.paginate(executionArn=execution, **options)
        return [[event["id"] for event in page["events"]] for page in found]

    assert pages(PaginationConfig={"PageSize": 4}) == [[1, 2, 3, 4], [5, 6]]
    assert pages(reverseOrder=True, PaginationConfig={"PageSize": 4}) == [[6, 5, 4, 3], [2, 1]]
    bare = machines.api.get_execution_history(executionArn=execution, includeExecutionData=False)["events"]
    assert not any(
        "input" in details or "output" in details
        for event in bare
        for details in event.values()
        if isinstance(details, dict)
    )
    assert refusal(machines.api.get_execution_history, executionArn=f"{execution}x") == "ExecutionDoesNotExist"
    assert refusal(machines.api.describe_execution, executionArn=f"{execution}x") == "ExecutionDoesNotExist"


def test_executions_are_listed_newest_first_by_status_in_pages(machines: Machines) -> None:
    machine = machines.create(
        jsonata(
            {
                "A": {
                    "Type": "Choice",
                    "Default": "F",
                    "Choices": [
                        {"Condition": "{% $states.input = 's' %}", "Next": "S"},
                        {"Condition": "{% $states.input = 'w' %}", "Next": "W"},
                    ],
                },
                "S": {"Type": "Succeed"},
                "F": {"Type": "Fail"},
                "W": {"Type": "Wait", "Seconds": 300, "End": True},
            }
        )
    )
    executions = [machines.start(machine, given) for given in ("s", "f", "s", "w")]
    for execution in executions[:3]:
        machines.ended(execution)

    def listed(**options: Any) -> list[list[str]]:
        paginator = machines.api.get_paginator("list_executions")
        return [
            [item["executionArn"] for item in page["executions"]]
            for page in paginator.paginate(stateMachineArn=machine, **options)
        ]

    assert sorted(itertools.chain(*listed())) == sorted(executions)
    assert listed(statusFilter="RUNNING") == [[executions[3]]]
    assert listed(statusFilter="FAILED") == [[executions[1]]]
    assert sorted(itertools.chain(*listed(statusFilter="SUCCEEDED"))) == sorted([executions[0], executions[2]])
    paged = listed(PaginationConfig={"PageSize": 3})
    assert [len(page) for page in paged] == [3, 1]
    assert len(set(itertools.chain(*paged))) == 4
    dates = [
        item.get("stopDate") or item["startDate"]
        for item in machines.api.list_executions(stateMachineArn=machine)["executions"]
    ]
    assert dates == sorted(dates, reverse=True)
    assert refusal(machines.api.list_executions, stateMachineArn=f"{machine}x") == "StateMachineDoesNotExist"
    machines.api.stop_execution(executionArn=executions[3])


@pytest.fixture(scope="module")
def status_events(cloud: LocalCloud) -> Queue:
    queue = Queue(cloud, "events.amazonaws.com")
    rule(
        cloud,
        {
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"name": [{"prefix": "told-"}]},
        },
        Arn=queue.arn,
    )
    return queue


@pytest.mark.parametrize(
    ("status", "definition", "expected"),
    [
        ("SUCCEEDED", PASS, {"output": '{"v":1}', "outputDetails": {"included": True}}),
        ("FAILED", jsonata({"A": {"Type": "Fail", "Error": "E", "Cause": "C"}}), {"error": "E", "cause": "C"}),
        ("TIMED_OUT", {**LONG, "TimeoutSeconds": 1}, {"error": "States.Timeout"}),
        ("ABORTED", LONG, {"error": "stopped", "cause": "by a test"}),
    ],
)
def test_every_change_of_status_is_told(
    machines: Machines, status_events: Queue, status: str, definition: dict[str, Any], expected: dict[str, Any]
) -> None:
    execution = machines.start(definition, {"v": 1}, name=unique(f"told-{status}"))
    if status == "ABORTED":
        machines.api.stop_execution(executionArn=execution, error="stopped", cause="by a test")
    found = machines.ended(execution)
    messages = [message["body"] for message in status_events.receive(2)]
    messages.sort(key=lambda body: body["detail"]["status"] != "RUNNING")
    for body in messages:
        assert (body["source"], body["detail-type"]) == ("aws.states", "Step Functions Execution Status Change")
        assert (body["account"], body["region"], body["resources"]) == (ACCOUNT, REGION, [execution])
    running, ended = (body["detail"] for body in messages)
    common = {
        "executionArn": execution,
        "stateMachineArn": found["stateMachineArn"],
        "name": found["name"],
        "startDate": round(found["startDate"].timestamp() * 1000),
        "input": '{"v": 1}',
        "inputDetails": {"included": True},
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "output": None,
        "outputDetails": None,
        "error": None,
        "cause": None,
    }
    assert running == {
        **common,
        "status": "RUNNING",
        "stopDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
    }
    final = status == "SUCCEEDED"
    assert ended == {
        **common,
        "status": status,
        "stopDate": round(found["stopDate"].timestamp() * 1000),
        "redriveStatus": "NOT_REDRIVABLE" if final else "REDRIVABLE",
        "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven" if final else None,
        **expected,
    }


@pytest.mark.parametrize(
    ("days", "status", "reason", "free"),
    [
        (1, "REDRIVABLE", None, False),
        (13.9, "REDRIVABLE", None, False),
        (14.1, "NOT_REDRIVABLE", "Execution redrivable period exceeded", False),
        (89.9, "NOT_REDRIVABLE", "Execution redrivable period exceeded", False),
        (90.1, "NOT_REDRIVABLE", "Execution redrivable period exceeded", True),
    ],
)
def test_time_ends_redrives_and_frees_names(days: float, status: str, reason: str | None, free: bool) -> None:
    from local_cloud.state_machines.api import may_reuse_name
    from local_cloud.state_machines.status_events import redrive_status

    stopped = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    record = {"status": "FAILED", "machine": {"type": "STANDARD"}, "events": [], "stopDate": stopped.isoformat()}
    assert redrive_status(record) == (status, reason)
    assert may_reuse_name(record) is free


def test_an_express_machine_answers_synchronously(machines: Machines) -> None:
    machine = machines.create(
        jsonata(
            {
                "A": {
                    "Type": "Task",
                    "Resource": INVOKE,
                    "End": True,
                    "Arguments": {"FunctionName": machines.worker, "Payload": "{% $states.input %}"},
                    "Output": "{% $states.result.Payload %}",
                }
            }
        ),
        type="EXPRESS",
    )
    client = machines.cloud.client("stepfunctions", config=Config(inject_host_prefix=False))
    answer = client.start_sync_execution(stateMachineArn=machine, input='{"v": 1}')
    assert (answer["status"], json.loads(answer["output"])) == ("SUCCEEDED", {"echo": {"v": 1}})


def test_an_execution_beyond_the_longest_history_fails(machines: Machines) -> None:
    execution = machines.start(
        jsonata(
            {
                "A": {"Type": "Pass", "Output": "{% 1 %}", "Next": "B"},
                "B": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "C"}], "Default": "A"},
                "C": {"Type": "Succeed"},
            }
        )
    )
    found = machines.ended(execution, within=60)
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert "maximum number of history events (25000)" in found["cause"]
    last = machines.api.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=1)["events"][0]
    assert (last["id"], last["type"]) == (25_000, "ExecutionFailed")
    assert refusal(machines.api.redrive_execution, executionArn=execution) == "ExecutionNotRedrivable"
