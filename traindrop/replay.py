"""Replay what was put aside: every event in a stack's dead-letter queues, by the function that it was meant for.

`make replay STACK=traindrop`, once the cause is mended; with boto3, and credentials of whoever manages the stack.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from traindrop.aws_words import in_words
from traindrop.errors import TraindropError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

HANDLING_SECONDS = 960
"""How long a message is hidden from others while it is replayed; the longest function may take 900 seconds."""
_PERMISSIONS = (
    "cloudformation:ListStackResources, sqs:ReceiveMessage, sqs:GetQueueAttributes, sqs:ChangeMessageVisibility, "
    "sqs:DeleteMessage and lambda:InvokeFunction"
)


class CannotReplay(TraindropError):
    """There is nothing to replay from; the message says why and what to do."""


class NotAnEvent(TraindropError):
    """A message in a dead-letter queue that neither a rule nor a function of the stack put there."""


@dataclass(frozen=True)
class Letter:
    """One event that was put aside: whom it was meant for, and the event as it was sent."""

    function: str
    event: Any

    def __str__(self) -> str:
        """What it tells of, in a few words."""
        event = _object(self.event)
        detail = _object(event.get("detail"))
        about = (
            _object(detail.get("object")).get("key")
            or detail.get("TrainingJobName")
            or detail.get("name")
            or event.get("run_id")
            or "?"
        )
        return " ".join(str(part) for part in (event.get("time"), event.get("detail-type"), about) if part)


def unwrap(body: str, attributes: Mapping[str, str]) -> Letter:
    """The event of a dead letter: a rule leaves the event itself, a function the record of its invocation.

    Raises:
        NotAnEvent: the message is of neither kind.
    """
    try:
        document = json.loads(body)
        if "TARGET_ARN" in attributes:
            return Letter(_name(attributes["TARGET_ARN"]), document)
        return Letter(_name(document["requestContext"]["functionArn"]), document["requestPayload"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise NotAnEvent("neither a rule nor a function put it there; look at it in the SQS console") from error


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _name(function_arn: str) -> str:
    """`arn:aws:lambda:<region>:<account>:function:<name>[:<version>]`."""
    return function_arn.split(":")[6]


@dataclass
class Replay:
    """Clients of one replay; `say` takes a line for each message and for each queue."""

    cloudformation: CloudFormationClient
    sqs: SQSClient
    functions: LambdaClient
    stack: str
    say: Callable[[str], None]
    replayed: int = 0
    left: int = 0
    _known: dict[str, str] = field(default_factory=dict)

    def run(self) -> bool:
        """Replay every message of every dead-letter queue of the stack; say whether none is left.

        A message is deleted only when its function has succeeded with it, and is visible again where it has not.

        Raises:
            CannotReplay: the stack has no dead-letter queues.
        """
        queues: dict[str, str] = {}
        for page in self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.stack):
            for item in page["StackResourceSummaries"]:
                if item["ResourceType"] == "AWS::SQS::Queue" and item["LogicalResourceId"].endswith("DeadLetters"):
                    queues[item["LogicalResourceId"]] = item["PhysicalResourceId"]
                elif item["ResourceType"] == "AWS::Lambda::Function":
                    self._known[item["PhysicalResourceId"]] = item["LogicalResourceId"]
        if not queues:
            raise CannotReplay(f"the stack {self.stack} has no dead-letter queues; is it a stack of Traindrop?")
        for name, url in sorted(queues.items()):
            self._replay(name, url)
        return not self.left

    def _replay(self, name: str, url: str) -> None:
        """Take every message of a queue, each once; those that are left are visible again at the end."""
        seen: set[str] = set()
        kept: dict[str, str] = {}
        try:
            while message := self._next(url):
                if message["MessageId"] in seen:
                    break
                seen.add(message["MessageId"])
                kept[message["MessageId"]] = message["ReceiptHandle"]
                if self._handle(url, message):
                    del kept[message["MessageId"]]
            if not seen:
                self.say(f"{name}: empty")
            self._count_hidden(name, url, len(kept))
        finally:
            for receipt in kept.values():
                self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)

    def _next(self, url: str) -> Any:
        found = self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=1,
            MessageAttributeNames=["All"],
            VisibilityTimeout=HANDLING_SECONDS,
            WaitTimeSeconds=2,  # a short poll does not ask every server
        )
        return next(iter(found.get("Messages", [])), None)

    def _handle(self, url: str, message: Mapping[str, Any]) -> bool:
        """Replay one message and delete it; False where it has to be left."""
        attributes = {name: item.get("StringValue", "") for name, item in message.get("MessageAttributes", {}).items()}
        try:
            letter = unwrap(message["Body"], attributes)
        except NotAnEvent as error:
            return self._leave(f"message {message['MessageId']}", str(error))
        logical = self._known.get(letter.function)
        why = self._invoke(letter) if logical else f"{letter.function} is no function of {self.stack} any more"
        if why:
            return self._leave(f"{letter} ({logical or letter.function})", why)
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        self.replayed += 1
        self.say(f"replayed: {letter} ({logical})")
        return True

    def _invoke(self, letter: Letter) -> str:
        """Why the function did not take the event; empty when it did."""
        try:
            answer = self.functions.invoke(FunctionName=letter.function, Payload=json.dumps(letter.event).encode())
        except (ClientError, BotoCoreError) as error:
            return str(error)
        if not answer.get("FunctionError"):
            return ""
        told = json.loads(answer["Payload"].read() or b"{}")
        return f"{told.get('errorType', answer['FunctionError'])}: {told.get('errorMessage', 'no message')}"

    def _leave(self, what: str, why: str) -> bool:
        self.left += 1
        self.say(f"left:     {what}: {why}")
        return False

    def _count_hidden(self, name: str, url: str, own: int) -> None:
        """Messages that somebody else has in hand, or that a replay that was killed had, are left too."""
        hidden: Literal["ApproximateNumberOfMessagesNotVisible"] = "ApproximateNumberOfMessagesNotVisible"
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[hidden])
        others = int(found["Attributes"][hidden]) - own
        if others > 0:
            self.left += others
            minutes = HANDLING_SECONDS // 60
            self.say(f"left:     {others} of {name}: in other hands right now; replay again in {minutes} minutes")


def main(arguments: list[str]) -> int:
    """Replay a stack's dead letters; answer 0 if none is left, 1 if one is or it could not be done, 2 if misused."""
    if len(arguments) > 1 or any(not item or item.startswith("-") for item in arguments):
        print("usage: make replay STACK=traindrop", file=sys.stderr)
        return 2
    stack = arguments[0] if arguments else "traindrop"
    try:
        import boto3
        from botocore.config import Config

        session = boto3.session.Session(region_name=os.environ.get("AWS_REGION") or None)  # boto3 does not read it
        once = Config(read_timeout=HANDLING_SECONDS, retries={"total_max_attempts": 1})
        replay = Replay(
            session.client("cloudformation"), session.client("sqs"), session.client("lambda", config=once), stack, print
        )
        done = replay.run()
    except (CannotReplay, ClientError, BotoCoreError) as error:
        print(f"Cannot replay {stack}: {_said(error, stack)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What was not replayed is still in its queue.", file=sys.stderr)
        return 130
    print(f"{replay.replayed} replayed, {replay.left} left.")
    if not done:
        print("Mend what is said above, then replay again; a message is kept for 14 days.")
    return 0 if done else 1


def _said(error: Exception, stack: str) -> str:
    return in_words(error, stack, named_by="STACK=", permissions=_PERMISSIONS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
