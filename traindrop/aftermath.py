"""After a run was stopped from outside: its job is seen to its end, its bill recorded, its best model delivered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traindrop import jobs
from traindrop.errors import StillRunning
from traindrop.runs import stop_wanted
from traindrop.training import Trainer

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_PAUSES = (1, 2, 4, 8, *[15] * 48)
"""Seconds between looks, 12 minutes in all: a stopped job has two minutes to end, and then uploads what it left."""


@dataclass(frozen=True)
class Aftermath:
    """Clients of what follows a stop. It does not rely on the event of the job's end, which AWS delivers at best."""

    trainer: Trainer
    functions: LambdaClient
    extract_model_function: str
    sleep: Callable[[float], None]

    def see_off(self, run_id: str, job_name: str) -> None:
        """Wait until the job has ended, record what it cost, and have its best model so far delivered, once.

        Raises:
            StillRunning: it has not; Lambda asks again, and at last the event is put aside and an alarm tells of it.
        """
        job = self._ended(job_name)
        runs = self.trainer.runs
        run = runs.get(run_id)
        redrives = int(run.get("redrives", 0))
        if job is None or run.get("job_name") != job_name or not stop_wanted(run, redrives):
            return
        self.trainer.record(run, job, jobs.end_of(job, more_rungs=False))
        flag = f"delivered_{redrives}"
        if not jobs.leaves_model(job) or not runs.mark_once(run_id, flag):
            return
        try:
            self.functions.invoke(
                FunctionName=self.extract_model_function,
                InvocationType="Event",
                Payload=json.dumps({"run_id": run_id}),
            )
        except Exception:
            runs.update(run_id, **{flag: None})
            raise

    def _ended(self, job_name: str) -> dict[str, Any] | None:
        for pause in (*_PAUSES, 0):
            job = self.trainer.describe(job_name)
            if job is None or job["TrainingJobStatus"] in jobs.ENDED:
                return job
            self.sleep(pause)
        raise StillRunning(
            f"{job_name} was stopped {sum(_PAUSES) // 60} minutes ago and has not ended; if it still runs, stop it in "
            "the SageMaker console"
        )
