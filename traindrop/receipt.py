"""The receipt of a run: what its jobs were billed, what interruptions cost, what it keeps and what ran around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from traindrop import pricing

_GB_SECONDS_OF_A_CALL = 2.0
"""Memory times duration of a function's call, more than an ordinary dataset takes."""
_OTHER_STATES = 6
"""States of a run that it enters once, from its turn to its end."""
_WRITES_OF_AN_EPOCH = 5
_READS_OF_A_START = 60
"""Files of the training code and configuration, and of a checkpoint."""
_WRITES_OF_A_RUN = 60
_EVENTS_OF_A_JOB = 10
"""Changes of a job's state, each of which calls a function."""


@dataclass(frozen=True)
class Bill:
    """One job: seconds as SageMaker counts them, dollars with four decimals."""

    name: str
    instance_type: str
    spot: bool
    seconds_trained: int
    seconds_billed: int
    interruptions: int
    price_per_hour: float
    cost_usd: float
    on_demand_usd: float
    saved_usd: float


def bill(job: Mapping[str, Any]) -> Bill:
    """Bill a job of the run record: billable seconds at the on-demand price, which is how managed spot is charged.

    The saving is what the seconds trained would have cost on demand, less that.
    """
    kind = str(job["instance_type"])
    cost, whole = (pricing.billed(int(job[key]), kind) for key in ("seconds_billed", "seconds_trained"))
    return Bill(
        name=str(job["name"]),
        instance_type=kind,
        spot=bool(job["spot"]),
        seconds_trained=int(job["seconds_trained"]),
        seconds_billed=int(job["seconds_billed"]),
        interruptions=int(job["interruptions"]),
        price_per_hour=pricing.PRICES.get(kind, 0.0),
        cost_usd=cost,
        on_demand_usd=whole,
        saved_usd=pricing.rounded(max(0.0, whole - cost)),
    )


def of_jobs(jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The receipt as far as SageMaker alone tells it, as the run record keeps it; sums are those of the lines."""
    bills = [bill(job) for job in jobs]
    whole = {
        key: pricing.rounded(sum(getattr(line, key) for line in bills))
        for key in ("cost_usd", "on_demand_usd", "saved_usd")
    }
    counts = {
        key: sum(getattr(line, key) for line in bills) for key in ("seconds_trained", "seconds_billed", "interruptions")
    }
    return {
        "price_date": pricing.PRICE_DATE,
        "price_region": pricing.PRICE_REGION,
        "jobs": [asdict(line) for line in bills],
        **counts,
        **whole,
    }


def kept_epochs(rows: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """Seconds of each epoch that was kept, start by start of the training, from the rows of results.csv.

    Its column `time` counts the seconds of one start, so where it falls, training had begun again. Ultralytics.
    """
    starts: list[list[float]] = []
    before = float("inf")
    for row in rows:
        at = row.get("time")
        if at is None:
            return []
        if at < before:
            starts.append([])
            before = 0.0
        starts[-1].append(at - before)
        before = at
    return starts


def seconds_lost(jobs: Sequence[Mapping[str, Any]], kept: Sequence[Sequence[float]]) -> int | None:
    """Seconds trained that a run without interruptions would not have taken; None where that cannot be known.

    Of the starts before the last one only their kept epochs count for something: the rest is data brought again,
    Python started again, and epochs that were cut off or whose checkpoint was. What the last start took beside its
    epochs would have been paid in any case.

    Args:
        jobs: the run's jobs, with `starts` and `seconds_of_last_start` as SageMaker tells them.
        kept: of `kept_epochs`.
    """
    begun = [job for job in jobs if job["seconds_trained"]]
    if sum(job.get("starts", 1) for job in begun) <= 1:
        return 0
    last = begun[-1].get("seconds_of_last_start")
    if last is None or not kept:
        return None
    # A last start that only delivered what was trained has no epochs of its own.
    before = kept[:-1] if sum(kept[-1]) <= last else kept
    earlier = sum(int(job["seconds_trained"]) for job in begun) - int(last)
    return max(0, round(earlier - sum(map(sum, before))))


def lost_usd(lost_seconds: int, paid: Mapping[str, Any]) -> float:
    """What lost seconds cost, at what the run paid for a second on the average."""
    trained = int(paid["seconds_trained"])
    return pricing.rounded(float(paid["cost_usd"]) * lost_seconds / trained) if trained else 0.0


def storage(*, model: int, dataset: int, temporary: int) -> dict[str, Any]:
    """What a run leaves in S3: bytes, and dollars a month; what is temporary lies there for one month at most."""
    sizes = {"model": model, "dataset": dataset, "temporary": temporary}
    return {f"{name}_bytes": size for name, size in sizes.items()} | {
        f"{name}_usd_month": pricing.stored(size) for name, size in sizes.items()
    }


def orchestration(
    *, validations: int, starts: int, jobs: int, host_starts: int, epochs: int, files: int, left: int
) -> dict[str, Any]:
    """What the run cost beside its training, from how often its steps ran and how much they read and wrote.

    Args:
        validations: how often the drop was looked at; each look is two states, and a wait between two.
        starts: how often a training job was asked for; each is a state, with one between two.
        jobs: training jobs.
        host_starts: how often an instance read the data.
        epochs: epochs that left a checkpoint.
        files: objects of the dataset.
        left: objects of the model's folder.
    """
    transitions = (3 * validations - 1) + (2 * starts - 1) + _OTHER_STATES
    calls = validations + 2 * starts + _EVENTS_OF_A_JOB * jobs + 4
    reads = files * (1 + host_starts) + _READS_OF_A_START * host_starts
    writes = _WRITES_OF_AN_EPOCH * epochs + left + _WRITES_OF_A_RUN
    counts = {
        "state_transitions": transitions,
        "function_requests": calls,
        "s3_reads": reads,
        "s3_writes": writes,
        "table_writes": 4 * calls,
        "table_reads": 4 * calls,
        "mails": 2,
    }
    dollars = sum(pricing.PER_MILLION[name] * count / 1e6 for name, count in counts.items())
    dollars += calls * _GB_SECONDS_OF_A_CALL * pricing.PER_GB_SECOND
    return {**counts, "usd": pricing.rounded(dollars)}
