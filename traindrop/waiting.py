"""Runs that wait: what is sent once to whoever wonders where the run is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop import messages
from traindrop.climb import Ladder
from traindrop.notifying import publish_once
from traindrop.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_FLAG = "waiting_told"


@dataclass(frozen=True)
class WaitingNotice:
    """The message `Waiting`, sent once a run when it has been without an instance for so many seconds."""

    runs: Runs
    sns: SNSClient
    topic_arn: str
    after_seconds: float

    def due_at(self, run: Mapping[str, Any], since: float) -> float:
        """When to send it to a run that waits since then; never a second time."""
        return math.inf if run.get(_FLAG) else since + self.after_seconds

    def send(self, run: Mapping[str, Any], ladder: Ladder, *, reason: str, since: float, until: float) -> None:
        """Tell what a run waits for, since when and until when, and what comes then."""
        attempt = int(run["attempt"])
        message = messages.waiting(
            run,
            rung=ladder.rung(attempt),
            reason=reason,
            since=datetime.fromtimestamp(since, UTC),
            until=datetime.fromtimestamp(until, UTC),
            higher=ladder.higher(attempt),
            ends=datetime.fromtimestamp(ladder.began + ladder.max_wait_seconds, UTC),
        )
        publish_once(self.sns, self.topic_arn, message, runs=self.runs, run_id=run["run_id"], flag=_FLAG)
