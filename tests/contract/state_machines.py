"""State machines for the contract tests: made, started, waited for, looked into."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud
from tests.contract.lambdas import allow, eventually, function, role, unique

INVOKE = "arn:aws:states:::lambda:invoke"
CALLBACK = f"{INVOKE}.waitForTaskToken"
WORKER = """
import time
class TrainingFailed(Exception): pass
def handler(event, context):
    mode = event.get("mode") if isinstance(event, dict) else None
    if mode == "raise":
        raise TrainingFailed("boom")
    if mode == "sleep":
        time.sleep(event["seconds"])
    if mode == "flaky":
        if event["retries"] < event["fails"]:
            raise TrainingFailed("not yet")
        return {"retries": event["retries"]}
    if mode == "large":
        return "x" * event["size"]
    return {"echo": event}
"""


def jsonata(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A definition in JSONata that starts at its first state."""
    return {"QueryLanguage": "JSONata", **jsonpath(states, **fields)}


def jsonpath(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A definition in JSONPath that starts at its first state."""
    return {"StartAt": next(iter(states)), "States": states, **fields}


class Machines:
    """State machines of one role, and what they need."""

    def __init__(self, cloud: LocalCloud, *statements: dict[str, Any]) -> None:
        self.cloud = cloud
        self.api = cloud.client("stepfunctions")
        self.role = role(cloud, "states.amazonaws.com", *(statements or (allow("*"),)))
        self.worker = function(cloud, WORKER)

    def create(self, definition: dict[str, Any], **options: Any) -> str:
        """A state machine; its ARN."""
        arn: str = self.api.create_state_machine(
            **{
                "name": unique("machine"),
                "definition": json.dumps(definition),
                "roleArn": self.role,
                **options,
            }
        )["stateMachineArn"]
        return arn

    def start(self, machine: str | dict[str, Any], given: Any = None, **options: Any) -> str:
        """An execution of a state machine, or of a new one with this definition; its ARN."""
        arn = machine if isinstance(machine, str) else self.create(machine)
        answer = self.api.start_execution(
            stateMachineArn=arn, input=json.dumps({} if given is None else given), **options
        )
        execution: str = answer["executionArn"]
        return execution

    def ended(self, execution: str, *, within: float = 20) -> dict[str, Any]:
        """The description of an execution that has ended, its output parsed."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.api.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        description = eventually(look, within=within, what=f"the end of {execution}")
        if "output" in description:
            description["output"] = json.loads(description["output"])
        return description

    def run(self, machine: str | dict[str, Any], given: Any = None, *, within: float = 20) -> dict[str, Any]:
        """Start and wait."""
        return self.ended(self.start(machine, given), within=within)

    def history(self, execution: str) -> list[dict[str, Any]]:
        """All events, the details of each under `details`."""
        pages = self.api.get_paginator("get_execution_history").paginate(executionArn=execution)
        found = []
        for event in (event for page in pages for event in page["events"]):
            details: dict[str, Any] = next((event[name] for name in event if name.endswith("EventDetails")), {})
            found.append({**event, "details": details})
        return found

    def kinds(self, execution: str) -> list[str]:
        """The types of all events."""
        return [event["type"] for event in self.history(execution)]

    def waiting_task(self, argument: str, **fields: Any) -> dict[str, Any]:
        """A task that gives its token to the worker and waits."""
        payload = {"argument": argument, "token": "{% $states.context.Task.Token %}"}
        ending = {} if "Next" in fields else {"End": True}
        return {
            "Type": "Task",
            "Resource": CALLBACK,
            **ending,
            **fields,
            "Arguments": {"FunctionName": self.worker, "Payload": payload},
        }

    def token(self, execution: str, number: int = 1, *, submitted: bool = True) -> str:
        """The token of the n-th attempt of a waiting task, when its function has returned."""

        def look() -> str | None:
            history = self.history(execution)
            if submitted and sum(event["type"] == "TaskSubmitted" for event in history) < number:
                return None
            tokens = [
                json.loads(event["details"]["parameters"])["Payload"]["token"]
                for event in history
                if event["type"] == "TaskScheduled" and event["details"]["resource"].endswith("Token")
            ]
            return tokens[number - 1] if len(tokens) >= number else None

        return eventually(look, what=f"token {number} of {execution}")


def refusal(operation: Any, **arguments: Any) -> str:
    """The code with which an operation is refused."""
    with pytest.raises(ClientError) as caught:
        operation(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code
