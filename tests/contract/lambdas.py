"""Small functions, queues and rules for the contract tests, each under a name of its own."""

from __future__ import annotations

import io
import itertools
import json
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar

from local_cloud.process import ACCOUNT, REGION, LocalCloud

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
_numbers = itertools.count()
T = TypeVar("T")


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{next(_numbers)}"


def eventually(look: Callable[[], T | None], *, within: float = 15, what: str) -> T:
    """What `look` answers as soon as it is true."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {within} s")


def archive(**files: str) -> bytes:
    """A deployment package; `__` in a name stands for the dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, content in files.items():
            package.writestr(name.replace("__", "."), textwrap.dedent(content))
    return buffer.getvalue()


def role(cloud: LocalCloud, service: str, *statements: dict[str, Any]) -> str:
    """A role that the service may assume, with these permissions; its ARN."""
    iam, name = cloud.client("iam"), unique("role")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    if statements:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=json.dumps(document))
    return arn


def allow(action: str | list[str], resource: str = "*", **condition: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {
        "Effect": "Allow",
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def function(cloud: LocalCloud, code: str, *statements: dict[str, Any], **options: Any) -> str:
    """A function whose module `app` has `handler`; its name."""
    name = unique("function")
    package = options.pop("package", None) or archive(app__py=code)
    cloud.client("lambda").create_function(
        **{
            "FunctionName": name,
            "Runtime": RUNTIME,
            "Handler": "app.handler",
            "Code": {"ZipFile": package},
            "Role": role(cloud, "lambda.amazonaws.com", *statements),
            "Timeout": 10,
            **options,
        }
    )
    return name


def invoke(cloud: LocalCloud, name: str, event: Any = None) -> tuple[Any, str | None]:
    """What a function answers, and the kind of its error if it failed."""
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def logs(cloud: LocalCloud, name: str) -> list[str]:
    """The log lines of a function."""
    client = cloud.client("logs")
    found = client.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    return [event["message"] for event in found]


class Queue:
    """A queue that may be written to by the services named."""

    def __init__(self, cloud: LocalCloud, *services: str) -> None:
        self._client = cloud.client("sqs")
        name = unique("queue")
        self.url: str = self._client.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        for service in services:
            self._client.set_queue_attributes(
                QueueUrl=self.url,
                Attributes={
                    "Policy": json.dumps(
                        {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Principal": {"Service": service},
                                    "Action": "sqs:SendMessage",
                                    "Resource": self.arn,
                                }
                            ],
                        }
                    )
                },
            )

    def receive(self, count: int = 1, *, within: float = 15) -> list[dict[str, Any]]:
        """Exactly so many messages: `body` parsed, `attributes` as plain values."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + within
        while len(found) < count and time.monotonic() < deadline:
            found += self.batch()
            time.sleep(0.05)
        assert len(found) == count, found
        return found

    def receive_some(self, *, within: float = 15) -> list[dict[str, Any]]:
        """At least one message."""
        return eventually(self.batch, within=within, what="a message")

    def batch(self) -> list[dict[str, Any]]:
        """Whatever lies there, ten at most."""
        found = []
        batch = self._client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for item in batch.get("Messages", []):
            attributes = {key: value["StringValue"] for key, value in item.get("MessageAttributes", {}).items()}
            found.append({"body": json.loads(item["Body"]), "attributes": attributes})
            self._client.delete_message(QueueUrl=self.url, ReceiptHandle=item["ReceiptHandle"])
        return found

    def stays_empty(self, seconds: float) -> bool:
        """Whether nothing arrives for so long."""
        time.sleep(seconds)
        return not self._client.receive_message(QueueUrl=self.url).get("Messages")


def rule(cloud: LocalCloud, pattern: dict[str, Any], **target: Any) -> str:
    """A rule with one target; its ARN."""
    events, name = cloud.client("events"), unique("rule")
    arn: str = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "target", **target}])
    return arn


def put_event(cloud: LocalCloud, source: str, detail: dict[str, Any]) -> None:
    """Put an event of a custom source on the default bus."""
    entry = {"Source": source, "DetailType": "Something Happened", "Detail": json.dumps(detail)}
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
