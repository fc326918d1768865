"""An execution of the state machine as its history tells it: which states, for how long, what failed, what was caught.

Prints the history of an execution, cut down to names, times and errors, as docs/histories/ keeps it. Profile, region
and endpoint are taken as by every AWS tool:

    python -m docs.execution_history EXECUTION_ARN > docs/histories/completed.json
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import boto3

_OF_TASKS = ("TaskSucceeded", "TaskFailed", "TaskTimedOut")


@dataclass(frozen=True)
class Visit:
    """A state from its entering to its leaving; `ended` is how: succeeded, caught, failed, or aborted."""

    state: str
    seconds: float
    ended: str
    error: str = ""
    tries: int = 1


@dataclass(frozen=True)
class Execution:
    """Name, status, error and cause as the console shows them; visits in their order."""

    name: str
    status: str
    error: str
    cause: str
    seconds: float
    visits: tuple[Visit, ...]

    def ways(self) -> Counter[tuple[str, str]]:
        """How often each way from one state to another was taken."""
        return Counter((one.state, two.state) for one, two in pairwise(self.visits))

    def errors(self) -> Counter[tuple[str, str, str]]:
        """How often each error was caught, with the way that it led."""
        return Counter((one.state, two.state, one.error) for one, two in pairwise(self.visits) if one.ended == "caught")


def cut(described: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is kept of DescribeExecution's and GetExecutionHistory's answers."""
    kept = []
    for event in events:
        kind = event["type"]
        if not (kind.endswith(("StateEntered", "StateExited")) or kind.startswith("Execution") or kind in _OF_TASKS):
            continue
        details: Mapping[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
        known = {key: details[source] for key, source in (("state", "name"), ("error", "error")) if details.get(source)}
        kept.append({"type": kind, "at": event["timestamp"].isoformat(timespec="milliseconds"), **known})
    told = {key: str(described.get(key) or "") for key in ("name", "status", "error", "cause")}
    return {**told, "events": kept}


def read(document: Mapping[str, Any]) -> Execution:
    """An execution from what `cut` kept of it."""
    events: list[dict[str, Any]] = [
        {**event, "at": datetime.fromisoformat(event["at"])} for event in document["events"]
    ]
    visits: list[Visit] = []
    entered = events[0]["at"]
    for event in events:
        kind = event["type"]
        if kind.endswith("StateEntered"):
            entered = event["at"]
            visits.append(Visit(event["state"], 0.0, "aborted", tries=0))
        elif kind in _OF_TASKS:
            visits[-1] = replace(visits[-1], error=event.get("error", ""), tries=visits[-1].tries + 1)
        if visits:
            visits[-1] = replace(visits[-1], seconds=(event["at"] - entered).total_seconds())
        if kind.endswith("StateExited"):
            visits[-1] = replace(visits[-1], ended="caught" if visits[-1].error else "succeeded")
    if document["status"] == "FAILED":
        visits[-1] = replace(visits[-1], ended="failed", error=document["error"])
    return Execution(
        name=document["name"],
        status=document["status"],
        error=document["error"],
        cause=document["cause"],
        seconds=(events[-1]["at"] - events[0]["at"]).total_seconds(),
        visits=tuple(visits),
    )


def main(arguments: Sequence[str]) -> int:
    """Print what is kept of an execution's history."""
    (arn,) = arguments
    client = boto3.client("stepfunctions")
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    events = [event for page in pages for event in page["events"]]
    json.dump(cut(client.describe_execution(executionArn=arn), events), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
