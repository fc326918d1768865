"""What a run may still spend: its caps in hours and dollars, less what its earlier jobs took or still can take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from traindrop.jobs import ENDED, JobEnd
from traindrop.pricing import dearest, seconds_for, usd
from traindrop.settings import SHORTEST_SECONDS, TrainingSettings

_SECONDS_TO_STOP = 600
"""What a job that is told to stop may still take: two minutes to end, and the upload of what it leaves."""


@dataclass(frozen=True)
class Budget:
    """What is left for the next job: seconds of training that fit into hours and dollars, and the dollars."""

    seconds: int
    dollars: float


def cap_usd(settings: TrainingSettings, stack_max_cost_usd: float) -> float:
    """Dollars that a run may cost at most: the user's cap, never above the stack's ceiling."""
    return min(settings.max_cost_usd, stack_max_cost_usd)


def left(
    settings: TrainingSettings, stack_max_cost_usd: float, earlier: Sequence[Mapping[str, Any]], now: datetime
) -> Budget:
    """What the run's earlier jobs have left of its caps.

    A job whose bill is not known yet counts with the most that it can be. Dollars become seconds at the on-demand price
    of the dearest type of the list, which no rung's bill exceeds, spot or not: so a run gets the same hours on every
    rung, and one that has to climb to a dearer type half-way finds its share of the money there.
    """
    dollars = cap_usd(settings, stack_max_cost_usd)
    seconds = settings.max_runtime_hours * 3600
    for job in earlier:
        trained, billed = _taken(job, seconds_at_most=settings.max_runtime_hours * 3600, now=now)
        seconds -= trained
        dollars -= usd(billed, job["instance_type"])
    dollars = max(0.0, dollars)
    fitting = min(seconds, seconds_for(dollars, dearest(settings.instance_types)))
    return Budget(max(0, math.floor(fitting)), dollars)


def _taken(job: Mapping[str, Any], *, seconds_at_most: float, now: datetime) -> tuple[float, float]:
    """Seconds that a job trained and was billed; the most that they can become where it has not ended."""
    if job["status"] in ENDED:
        return float(job["seconds_trained"]), float(job["seconds_billed"])
    most = float(job.get("max_runtime_seconds", seconds_at_most))
    if job["status"] == "Stopping":
        most = min(most, (now - datetime.fromisoformat(job["created_at"])).total_seconds() + _SECONDS_TO_STOP)
    return most, most


def nothing_left(
    settings: TrainingSettings, stack_max_cost_usd: float, earlier: Sequence[Mapping[str, Any]], budget: Budget
) -> JobEnd | None:
    """How a run ends whose caps leave no time for another job; None where they do.

    What an earlier job has trained is delivered, as at the end of any job that reaches its cap.
    """
    if budget.seconds >= SHORTEST_SECONDS:
        return None
    if any(job.get("epochs") for job in earlier):
        return JobEnd(ended="runtime_exceeded")
    return JobEnd(
        error="RuntimeExceeded",
        cause=f"of the caps, {settings.max_runtime_hours:g} hours and ${cap_usd(settings, stack_max_cost_usd):.2f}, "
        f"{budget.seconds} s are left, less than the {SHORTEST_SECONDS} s that a training job is worth, and no epoch "
        "is done; raise max_runtime_hours or max_cost_usd in training.yaml (dollars count up to the stack's "
        "MaxCostPerRunUsd), or list cheaper instance_types, and drop the dataset again",
    )
