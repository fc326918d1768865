"""What lies in a dead-letter queue, whom it was meant for, and what is said when it cannot be replayed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import ROOT
from traindrop.aws_words import in_words
from traindrop.replay import CannotReplay, Letter, NotAnEvent, Replay, unwrap

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:s-AcceptDropFunction-1"
EVENT = {
    "time": "2026-11-25T05:00:00Z",
    "detail-type": "Object Created",
    "detail": {"object": {"key": "datasets/rooms.zip"}},
}


def record(event: Any, function: str = f"{ARN}:$LATEST") -> str:
    return json.dumps({"version": "1.0", "requestContext": {"functionArn": function}, "requestPayload": event})


def test_a_rule_leaves_the_event_and_a_function_the_record_of_its_invocation() -> None:
    letter = Letter("s-AcceptDropFunction-1", EVENT)
    assert unwrap(json.dumps(EVENT), {"TARGET_ARN": ARN, "RULE_ARN": "…", "ERROR_CODE": "NO_PERMISSIONS"}) == letter
    assert unwrap(record(EVENT), {}) == letter
    assert str(letter) == "2026-11-25T05:00:00Z Object Created datasets/rooms.zip"


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", "null", '{"requestContext": {"functionArn": "x"}}', "[" * 9999])
def test_anything_else_is_no_event(body: str) -> None:
    with pytest.raises(NotAnEvent, match="SQS console"):
        unwrap(body, {})


@pytest.mark.parametrize("event", [None, 7, [], {}, {"detail": []}, {"detail": {"object": "x"}}, {"run_id": "r"}])
def test_whatever_an_event_is_it_can_be_named(event: Any) -> None:
    assert str(Letter("f", event))


class Aws:
    """The three clients: a stack with one queue, and a function that answers what the test says."""

    def __init__(self, bodies: list[str], answer: Any = None, *, hidden: int = 0, stack: bool = True) -> None:
        self.waiting = [
            {"MessageId": str(number), "ReceiptHandle": f"r{number}", "Body": body}
            for number, body in enumerate(bodies)
        ]
        self.answer, self.hidden, self.stack = answer or {}, hidden, stack
        self.invoked: list[Any] = []
        self.visible: list[str] = []

    def get_paginator(self, name: str) -> Aws:
        assert name == "list_stack_resources"
        return self

    def paginate(self, **_: Any) -> list[Any]:
        found = [
            {
                "ResourceType": "AWS::SQS::Queue",
                "LogicalResourceId": "AcceptDropDeadLetters",
                "PhysicalResourceId": "https://queue",
            },
            {
                "ResourceType": "AWS::Lambda::Function",
                "LogicalResourceId": "AcceptDropFunction",
                "PhysicalResourceId": ARN.rsplit(":", 1)[-1],
            },
        ]
        return [{"StackResourceSummaries": found if self.stack else []}]

    def receive_message(self, **_: Any) -> Any:
        return {"Messages": [self.waiting.pop(0)]} if self.waiting else {}

    def delete_message(self, **_: Any) -> None:
        self.hidden -= 1

    def change_message_visibility(self, *, ReceiptHandle: str, VisibilityTimeout: int, **_: Any) -> None:  # noqa: N803
        assert VisibilityTimeout == 0
        self.visible.append(ReceiptHandle)

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessagesNotVisible": str(self.hidden)}}

    def invoke(self, **request: Any) -> Any:
        self.invoked.append(json.loads(request["Payload"]))
        return self.answer


def replayed(aws: Aws) -> tuple[bool, list[str], Replay]:
    lines: list[str] = []
    client: Any = aws
    replay = Replay(client, client, client, "s", lines.append)
    return replay.run(), lines, replay


def test_a_message_goes_when_its_function_has_succeeded_with_it() -> None:
    aws = Aws([record(EVENT)], hidden=1)
    done, lines, _ = replayed(aws)
    assert (done, aws.invoked, aws.visible) == (True, [EVENT], [])
    assert lines == ["replayed: 2026-11-25T05:00:00Z Object Created datasets/rooms.zip (AcceptDropFunction)"]


def test_a_message_whose_function_fails_again_stays_and_the_reason_is_said() -> None:
    payload = BytesIO(b'{"errorType": "AccessDenied", "errorMessage": "no"}')
    aws = Aws([record(EVENT)], {"FunctionError": "Unhandled", "Payload": payload}, hidden=1)
    done, lines, _ = replayed(aws)
    assert not done
    assert aws.visible == ["r0"]
    assert lines[0].endswith("(AcceptDropFunction): AccessDenied: no")


def test_no_function_of_another_stack_is_called() -> None:
    aws = Aws([record(EVENT, "arn:aws:lambda:eu-west-1:1:function:other")], hidden=1)
    done, lines, _ = replayed(aws)
    assert (done, aws.invoked, aws.visible) == (False, [], ["r0"])
    assert "no function of s any more" in lines[0]


def test_what_is_no_event_stays_and_the_others_go() -> None:
    aws = Aws(["hello", record(EVENT)], hidden=2)
    done, lines, replay = replayed(aws)
    assert (done, replay.replayed, replay.left, aws.visible) == (False, 1, 1, ["r0"])
    assert lines[0].startswith("left:     message 0")


def test_messages_that_somebody_else_has_in_hand_are_left() -> None:
    done, lines, _ = replayed(Aws([], hidden=2))
    assert not done
    assert lines == [
        "AcceptDropDeadLetters: empty",
        "left:     2 of AcceptDropDeadLetters: in other hands right now; replay again in 16 minutes",
    ]


def test_a_stack_without_dead_letter_queues_is_said_to_be_none_of_ours() -> None:
    with pytest.raises(CannotReplay, match="is it a stack of Traindrop"):
        replayed(Aws([], stack=False))


def test_a_stack_that_is_not_there_is_named_with_the_cure() -> None:
    error = ClientError({"Error": {"Code": "ValidationError", "Message": "Stack with id s does not exist"}}, "List")
    said = in_words(error, "s", named_by="STACK=", permissions="")
    assert said == "there is no stack s here; name yours by STACK=, and its region by AWS_REGION"


@pytest.mark.parametrize(
    ("environment", "arguments", "code", "said"),
    [
        (
            {"AWS_REGION": "eu-west-1"},
            [],
            1,
            "Cannot replay traindrop: Unable to locate credentials. Log in, the first time by `aws configure sso`",
        ),
        ({}, ["other"], 1, "Cannot replay other: You must specify a region. Set AWS_REGION"),
        ({}, ["--help"], 2, "usage: make replay STACK=traindrop"),
        (
            {
                "AWS_REGION": "eu-west-1",
                "AWS_ACCESS_KEY_ID": "a",
                "AWS_SECRET_ACCESS_KEY": "b",
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                "AWS_MAX_ATTEMPTS": "1",
            },
            [],
            1,
            "Look at the network; the local cloud runs while `make local` does",
        ),
    ],
)
def test_a_user_sees_a_cure_and_no_traceback(
    environment: dict[str, str], arguments: list[str], code: int, said: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "HOME": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "traindrop.replay", *arguments],
        cwd=ROOT,
        env={**kept, **nowhere, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
