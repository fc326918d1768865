"""What `traindrop doctor` is made of: checks, what they find, and the deployment that they look at."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from traindrop.aws_words import in_words, is_denied
from traindrop.cli import CannotDo
from traindrop.cli.stack import Stack
from traindrop.running import Running, running
from traindrop.runs import Runs

_RECORDS, _PAGES = 1000, 20
"""Records that are looked at, and pages of 1 MB that are read for them."""

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """How something stands, what was found, and what to do where that is not well: a command, a link, a sentence."""

    state: State
    found: str
    cure: str = ""


def ok(found: str) -> Finding:
    """All is well."""
    return Finding("ok", found)


def warning(found: str, cure: str) -> Finding:
    """It works, but somebody should know."""
    return Finding("warning", found, cure)


def problem(found: str, cure: str) -> Finding:
    """Something does not work."""
    return Finding("problem", found, cure)


@dataclass(frozen=True)
class Deployment:
    """The stack that is looked at, and what several checks want to know of it, asked once."""

    stack: Stack
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def client(self, service: str) -> Any:
        """A client that does not wait long for what does not answer."""
        return self.stack.client(service, connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 4})

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.stack.name

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """Who asks: `Account`, `Arn`, and with them the head of AWS's answer."""
        found: dict[str, Any] = self.client("sts").get_caller_identity()
        return found

    @functools.cached_property
    def place(self) -> str:
        """An ARN of the partition and region, for links into the console."""
        partition = self.identity["Arn"].split(":")[1]
        return f"arn:{partition}:states:{self.client('sagemaker').meta.region_name}:{self.identity['Account']}:"

    @functools.cached_property
    def description(self) -> dict[str, Any]:
        """The stack as CloudFormation describes it."""
        (found,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return dict(found)

    @functools.cached_property
    def resources(self) -> list[dict[str, str]]:
        """The stack's resources, as CloudFormation lists them."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [item for page in pages for item in page["StackResourceSummaries"]]

    def of_type(self, resource_type: str) -> dict[str, str]:
        """The physical ids of the stack's resources of a type, by their names in template.yaml."""
        return {
            item["LogicalResourceId"]: item["PhysicalResourceId"]
            for item in self.resources
            if item["ResourceType"] == resource_type
        }

    @functools.cached_property
    def running(self) -> list[Running]:
        """The runs that are on."""
        return list(running(self.client("stepfunctions"), self.stack.output("StateMachineArn")))

    @functools.cached_property
    def records(self) -> list[dict[str, Any]]:
        """The records of the newest runs; those that are on are looked up before."""
        _ = self.running  # a run that ends meanwhile has then ended in both, or in the record alone
        runs = Runs(self.client("dynamodb"), self.stack.output("RunsTableName"))
        return runs.newest(_RECORDS, most_pages=_PAGES)[0]


@dataclass(frozen=True)
class Check:
    """One thing that is looked at.

    Args:
        name: in a word or two.
        look: yields how it stands.
        permissions: what has to be allowed for it.
        needs: the check without whose success this one can say nothing.
    """

    name: str
    look: Callable[[Deployment], Iterable[Finding]]
    permissions: str
    needs: str = ""


def examine(checks: Sequence[Check], deployment: Deployment) -> Iterator[tuple[str, Finding]]:
    """The findings of every check, with its name; what one cannot look at does not end the others."""
    failed: set[str] = set()
    for check in checks:
        if check.needs in failed:
            failed.add(check.name)
            continue
        for finding in _findings(check, deployment):
            if finding.state == "problem":
                failed.add(check.name)
            yield check.name, finding


def _findings(check: Check, deployment: Deployment) -> Iterator[Finding]:
    try:
        yield from check.look(deployment)
    except CannotDo as error:
        yield problem(str(error), "make deploy")
    except (ClientError, BotoCoreError) as error:
        name, needs = deployment.name, check.permissions
        said = in_words(error, name, named_by="--stack", permissions=needs)
        if is_denied(error):
            # Nothing can be judged without the stack; another check that one may not do leaves the others.
            found, _, _ = said.partition(". It needs ")
            yield Finding(
                "problem" if check.name == "stack" else "warning", f"not looked at: {found}", f"allow {needs}"
            )
            return
        found, _, cure = said.partition(". ")
        yield problem(found, cure or "make deploy brings back what the stack lacks")
