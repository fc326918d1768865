"""Runs that wait: what is sent once to whoever wonders where the run is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop.climb import Ladder
from traindrop.figures import moment
from traindrop.mail import Message, compose
from traindrop.messages import following
from traindrop.notifying import publish_once
from traindrop.rungs import Rung
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

    def send(
        self, run: Mapping[str, Any], ladder: Ladder, *, reason: str, since: float, until: float, cure: str = ""
    ) -> None:
        """Tell what a run waits for, since when and until when, what comes then, and what would end the waiting."""
        attempt = int(run["attempt"])
        message = _message(
            run,
            rung=ladder.rung(attempt),
            reason=reason,
            cure=cure,
            since=datetime.fromtimestamp(since, UTC),
            until=datetime.fromtimestamp(until, UTC),
            higher=ladder.higher(attempt),
            ends=datetime.fromtimestamp(ladder.began + ladder.max_wait_seconds, UTC),
        )
        publish_once(self.sns, self.topic_arn, message, runs=self.runs, run_id=run["run_id"], flag=_FLAG)


def _message(
    run: Mapping[str, Any],
    *,
    rung: Rung,
    reason: str,
    cure: str,
    since: datetime,
    until: datetime,
    higher: Sequence[Rung],
    ends: datetime,
) -> Message:
    """A run has had no instance for a while: what it waits for, until when, what comes then, how to end it."""
    then = (
        f"If none comes until {moment(until)}, it tries {', then '.join(map(str, higher))}."
        if higher
        else "It is the last one on the run's list."
    )
    return compose(
        "Waiting",
        f"waiting for {rung} since {moment(since)}",
        [
            "Nothing is charged while it waits, and there is nothing to do: training begins, or goes on from the last "
            "checkpoint, by itself.",
            cure,
            f"{then} It waits until {moment(ends)} at most (max_wait_hours).",
            "To wait less, stop it, list other instance_types or set on_demand_fallback: true or a shorter "
            "capacity_patience_hours in training.yaml, and start the dataset again.",
            following(run),
        ],
        run,
        lead=f"waits for {rung} since {moment(since)}: {reason}.",
    )
