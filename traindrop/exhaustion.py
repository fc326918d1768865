"""Ends of a climb that no job tells: a quota of 0 or in use for too long, no time left; what a climb in vain leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from traindrop.jobs import JobEnd
from traindrop.rungs import Rung

QUOTA_IN_USE = "QuotaInUse"
"""Above a quota that is in use the state machine waits and asks again; no end of anything."""
_LEAVES_MODEL = {
    "CapacityExhausted": "capacity_exhausted",
    "QuotaExhausted": "capacity_exhausted",
    "StoppedByUser": "stopped",
}
"""What ends a run without a word of its job, and what it is called where an earlier job has trained an epoch."""
_QUOTA_ZERO = re.compile(r"limit '[^']+' is 0 ")
_REFUSED, _SKIPPED = "quota 0", "quota 0, skipped"


def is_quota_of_zero(message: str) -> bool:
    """Whether ResourceLimitExceeded means a quota of 0, and not one in use, which is worth waiting for.

    AWS tells the two apart only in the text.
    """
    return _QUOTA_ZERO.search(message) is not None


def quota_of_zero(rung: Rung, run: Mapping[str, Any], *, more_rungs: bool, known: bool) -> JobEnd:
    """The account may have no such instance, `known` before it was tried; every quota of the climb with 0 is named."""
    zeros = [
        Rung(entry["instance_type"], entry["spot"]).quota
        for entry in run["climb"]
        if entry.get("result") in (_REFUSED, _SKIPPED)
    ]
    names = " and ".join(f"'{name}'" for name in dict.fromkeys([*zeros, rung.quota]))
    return JobEnd(
        error="QuotaError" if more_rungs else "QuotaExhausted",
        cause=f"your account has a quota of 0 for {names}; ask for 1 in the Service Quotas console, service Amazon "
        "SageMaker, or choose other instance_types in training.yaml",
        result=_SKIPPED if known else _REFUSED,
    )


def quota_in_use(rung: Rung, waited: str) -> JobEnd:
    """Every instance that the account's quota allows was in use for longer than the run waits for one rung."""
    return JobEnd(
        error="QuotaError",
        cause=f"every instance that your account's quota '{rung.quota}' allows was in use for {waited}",
        result=f"quota in use for {waited}",
    )


def no_time_left(max_wait_hours: float) -> JobEnd:
    """The run has waited and trained for as long as it may."""
    return JobEnd(
        error="CapacityExhausted",
        cause=f"max_wait_hours ({max_wait_hours:g}) are over, waiting and training over every attempt, and no instance "
        "is left to be had; try again later, raise max_wait_hours or list more instance_types in training.yaml, or set "
        "on_demand_fallback: true",
        result="no time left",
    )


def with_model_so_far(end: JobEnd, jobs: Iterable[Mapping[str, Any]]) -> JobEnd:
    """The end of a run: a climb in vain or a stop after an epoch was trained leaves that model, which was paid for."""
    if end.error in _LEAVES_MODEL and any(job.get("epochs") for job in jobs):
        return JobEnd(ended=_LEAVES_MODEL[end.error], result=end.result)
    return end
