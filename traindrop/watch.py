"""Jobs of which nothing was heard: those that wait too long for an instance are given up, overdue ones stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from traindrop import climb, jobs
from traindrop.training import Trainer
from traindrop.waiting import WaitingNotice

_OVERDUE = timedelta(minutes=30)
_SOON_SECONDS = 60
"""How soon to look again at a job that is about to end, or that nobody knows."""
_LONGEST_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Watch:
    """Looks at a job of which nothing was heard; the state machine then adopts it, or learns that it has ended."""

    trainer: Trainer
    notice: WaitingNotice

    def look(self, run_id: str, now: datetime) -> dict[str, Any]:
        """Stop a job that waited for too long or is past its limits; say how it stands and when to look again."""
        run = self.trainer.runs.get(run_id)
        job = self.trainer.describe(str(run.get("job_name", "")))
        if job is None:
            return {"job": run.get("job_name"), "status": "absent", "stopped": "", "look_after_seconds": _SOON_SECONDS}
        stopped, next_look = "", _SOON_SECONDS
        if job["TrainingJobStatus"] == "InProgress":
            since = jobs.waiting_since(job)
            stopped, next_look = self._wait(run, job, since, now) if since else ("", _LONGEST_SECONDS)
            if not stopped and _is_overdue(job, now):
                stopped, next_look = "overdue", _SOON_SECONDS
        if stopped:
            self.trainer.stop(job["TrainingJobName"])
        return {
            "job": job["TrainingJobName"],
            "status": job["TrainingJobStatus"],
            "stopped": stopped,
            "look_after_seconds": next_look,
        }

    def _wait(self, run: Mapping[str, Any], job: Mapping[str, Any], since: datetime, at: datetime) -> tuple[str, int]:
        """Why to stop a job that has no instance, or in how many seconds to look at it again.

        On the last rung SageMaker itself ends a spot job in time, with what it had trained.
        """
        now, attempt = at.timestamp(), int(run["attempt"])
        ladder = climb.ladder_of_run(run, now)
        gives_up = ladder.gives_up(attempt, since.timestamp())
        started = "TrainingStartTime" in job
        if now >= gives_up and (ladder.higher(attempt) or not started):
            self.trainer.runs.update(run["run_id"], given_up=job["TrainingJobName"])
            return "no capacity", _SOON_SECONDS
        idle = since.timestamp() if started else climb.idle_since(run, ladder)
        due = self.notice.due_at(run, idle)
        if now >= due:
            reason = "AWS has no capacity for it" + (" since it took the instance back" if started else "")
            self.notice.send(run, ladder, reason=reason, since=idle, until=gives_up)
        next_looks = [moment - now for moment in (due, gives_up) if moment > now]
        return "", math.ceil(min(next_looks, default=_SOON_SECONDS))


def _is_overdue(job: Mapping[str, Any], now: datetime) -> bool:
    """Whether a job is past every limit it was given: MaxWait counts from its creation, MaxRuntime from its start."""
    stopping = job["StoppingCondition"]
    if "MaxWaitTimeInSeconds" in stopping:
        return bool(now - job["CreationTime"] > timedelta(seconds=stopping["MaxWaitTimeInSeconds"]) + _OVERDUE)
    began = job.get("TrainingStartTime")
    return bool(began and now - began > timedelta(seconds=stopping["MaxRuntimeInSeconds"]) + _OVERDUE)
