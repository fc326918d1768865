"""The runs that are on, as Step Functions knows them: a record can be behind, an execution cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from traindrop.drops import RUN_ID, run_id_of_execution
from traindrop.errors import InvalidInput
from traindrop.intake import drop_of

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True)
class Running:
    """A run that is on, and since when its execution is."""

    run_id: str
    execution_arn: str
    since: datetime


def execution_arn(state_machine_arn: str, name: str) -> str:
    """The ARN of an execution of a state machine."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def running(sfn: SFNClient, state_machine_arn: str) -> Iterator[Running]:
    """Every run whose execution has not ended, the newest first; one started with nonsense is none."""
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn, statusFilter="RUNNING")
    for page in pages:
        for item in page["executions"]:
            arn, name, since = item["executionArn"], item["name"], item["startDate"]
            if RUN_ID.fullmatch(name):
                yield Running(name, arn, since)
                continue
            try:
                drop = drop_of(json.loads(sfn.describe_execution(executionArn=arn).get("input") or "{}"))
            except (InvalidInput, ValueError):
                continue
            yield Running(run_id_of_execution(name, since, drop["dataset"]), arn, since)
