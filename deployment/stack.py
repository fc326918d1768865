"""The stack in CloudFormation: how it stands, what a deployment does to it, and why one failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deployment import CannotDeploy

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_LOOK_SECONDS = 1.0
_ENDED = ("_COMPLETE", "_FAILED")
_CONSEQUENCE = "cancelled"
"""CloudFormation says so of whatever it gave up because something else had failed."""


@dataclass(frozen=True)
class Present:
    """A stack as it stands."""

    id: str
    status: str
    since: datetime
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    change_set: str | None


@dataclass(frozen=True)
class Event:
    """Something that happened to one resource."""

    id: str
    resource: str
    kind: str
    status: str
    reason: str

    @property
    def ended(self) -> bool:
        """Whether something was done, or failed, with this."""
        return self.status.endswith(_ENDED)

    def __str__(self) -> str:
        """What happened to what, such as `RunsTable: create complete`."""
        return f"{self.resource}: {self.status.lower().replace('_', ' ')}"


@dataclass(frozen=True)
class Stack:
    """One stack by its name."""

    client: CloudFormationClient
    name: str

    def present(self) -> Present | None:
        """How it stands; None where there is none, or no more of it than a list of intended changes."""
        try:
            (found,) = self.client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):  # CloudFormation has no code of its own for it
                return None
            raise
        if found["StackStatus"] == "REVIEW_IN_PROGRESS":
            return None
        return Present(
            found["StackId"],
            found["StackStatus"],
            found.get("LastUpdatedTime") or found["CreationTime"],
            {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", [])},
            {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])},
            found.get("ChangeSetId"),
        )

    def deployable(self) -> Present | None:
        """How it stands if it can be deployed to; what a failed creation left behind is removed first.

        Raises:
            CannotDeploy: something else has to happen before; says what.
        """
        present = self.present()
        if present is None:
            return None
        status, delete = present.status, f"aws cloudformation delete-stack --stack-name {self.name}"
        if status == "ROLLBACK_COMPLETE":
            print(f"Removing what the failed creation of {self.name} left behind: it holds nothing …", flush=True)
            self.client.delete_stack(StackName=present.id)
            self.client.get_waiter("stack_delete_complete").wait(StackName=present.id, WaiterConfig={"Delay": 2})
            return None
        if status.endswith("_IN_PROGRESS"):
            raise CannotDeploy(f"the stack {self.name} is being changed ({status}); wait until that has ended")
        if status == "UPDATE_ROLLBACK_FAILED":
            cure = f"aws cloudformation continue-update-rollback --stack-name {self.name}"
            raise CannotDeploy(f"an upgrade of {self.name} could not be taken back ({status}); run `{cure}` first")
        if status in ("ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED"):
            raise CannotDeploy(
                f"the stack {self.name} is half there ({status}); look at its events in the console, then `{delete}`"
            )
        if "DatasetBucketName" not in present.outputs:
            raise CannotDeploy(
                f"the stack {self.name} is none of Traindrop's, and deploying would replace all that it has; "
                "name another by STACK="
            )
        return present

    def events(self, after: frozenset[str] = frozenset()) -> list[Event]:
        """What has happened to its resources, oldest first, but what is known already."""
        found: list[Event] = []
        try:
            for page in self.client.get_paginator("describe_stack_events").paginate(StackName=self.name):
                for item in page["StackEvents"]:
                    if item["EventId"] in after:
                        return found[::-1]
                    if item["ResourceType"] != "AWS::CloudFormation::Stack":
                        found.append(_event(item))
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
        return found[::-1]

    def changes(self) -> int | None:
        """How many resources the deployment that has begun is about, if CloudFormation tells."""
        present = self.present()
        if present is None or not present.change_set:
            return None
        try:
            pages = self.client.get_paginator("describe_change_set").paginate(
                ChangeSetName=present.change_set, StackName=present.id
            )
            return sum(len(page["Changes"]) for page in pages)
        except ClientError:
            return None


def _event(item: Any) -> Event:
    return Event(
        item["EventId"],
        item["LogicalResourceId"],
        item["ResourceType"],
        item["ResourceStatus"],
        item.get("ResourceStatusReason", ""),
    )


def follow(stack: Stack, known: frozenset[str], running: Callable[[], bool]) -> Iterator[Event]:
    """Every event of a deployment as it comes, until it is over."""
    seen = known
    while True:
        over = not running()
        for event in stack.events(seen):
            seen |= {event.id}
            yield event
        if over:
            return
        time.sleep(_LOOK_SECONDS)


def failures(events: list[Event]) -> list[Event]:
    """What failed by itself, first things first; what was given up because of that is left out."""
    return [event for event in events if event.status.endswith("_FAILED") and _CONSEQUENCE not in event.reason.lower()]


_CURES = {
    "not authorized": "Give whoever deploys the permissions of docs/deployer_policy.json.",
    "accessdenied": "Give whoever deploys the permissions of docs/deployer_policy.json.",
    "access denied": "Give whoever deploys the permissions of docs/deployer_policy.json.",
    "service control policy": "Your organisation forbids it: ask who manages it.",
    "limit": "A quota of your account is used up: raise it in the console, under Service Quotas.",
    "too many buckets": "Your account has as many buckets as it may: delete some, or raise that quota.",
    "expired": "Log in again.",
}


def cure(reasons: str) -> str:
    """What to do about a deployment that failed for these reasons; and that it can be tried again."""
    found = dict.fromkeys(text for words, text in _CURES.items() if words in reasons.lower())
    return " ".join([*found, "Then run `make deploy` again." if found else "Mend it and run `make deploy` again."])
