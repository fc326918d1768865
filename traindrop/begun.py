"""The run that a drop began, found from outside: its name ends in what only the event knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from traindrop.drops import RUN_ID, slug_of, slug_of_run

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_NEWEST = 50
"""Executions that are looked through, newest first."""


def run_of_drop(
    sfn: SFNClient,
    machine_arn: str,
    dataset: str,
    modified: datetime,
    *,
    within_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """The first run of a dataset since an object of it came; empty if none is to be seen in time.

    Asks once a second.

    Args:
        sfn: lists executions.
        machine_arn: whose.
        dataset: its name as it was dropped.
        modified: when the object came, by S3, which gives whole seconds.
        within_seconds: how long to look.
        sleep: waits.
        clock: monotonic seconds.
    """
    since = modified.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    ends = clock() + within_seconds
    while True:
        found = sfn.list_executions(stateMachineArn=machine_arn, maxResults=_NEWEST)["executions"]
        names = [item["name"] for item in found if RUN_ID.fullmatch(item["name"])]
        of_this = [name for name in names if slug_of_run(name) == slug_of(dataset) and name.split("-")[-2] >= since]
        if of_this:
            return min(of_this)
        if clock() >= ends:
            return ""
        sleep(1)
