"""A training job as SageMaker and the run record have it: described, stopped, recorded, reported."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from traindrop import climb, jobs, receipt
from traindrop.console import JOB_LOGS
from traindrop.exhaustion import with_model_so_far
from traindrop.jobs import JobEnd
from traindrop.runs import Runs
from traindrop.settings import TrainingSettings

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

logger = logging.getLogger(__name__)
_DEAD_TOKEN = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
_LOG_LINES = 15


@dataclass(frozen=True)
class Trainer:
    """Describes, stops, records and reports training jobs."""

    sagemaker: SageMakerClient
    sfn: SFNClient
    runs: Runs
    logs: CloudWatchLogsClient

    def describe(self, name: str) -> dict[str, Any] | None:
        """DescribeTrainingJob's answer, or None if there is no such job, or no name yet."""
        if not name:
            return None
        try:
            return dict(self.sagemaker.describe_training_job(TrainingJobName=name))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
                return None
            raise

    def stop(self, name: str) -> bool:
        """Stop a job; False when it is not running."""
        try:
            self.sagemaker.stop_training_job(TrainingJobName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
                return False
            raise
        return True

    def report(self, run: Mapping[str, Any], job: Mapping[str, Any]) -> str:
        """Record an ended job and answer the run's task token; say in a word what became of it.

        A token that is late, already answered or unknown is final: whoever holds a newer one finds the job ended.
        """
        more = int(run.get("attempt", 1)) < len(jobs.ladder(TrainingSettings.model_validate(run["settings"])))
        given_up = run.get("given_up") == job["TrainingJobName"]
        end = jobs.end_of(job, more_rungs=more, given_up=given_up)
        end = with_model_so_far(end, [*run.get("jobs", []), jobs.record_of(job)])
        self.record(run, job, end)
        return self.answer(run, end, job["TrainingJobName"])

    def answer(self, run: Mapping[str, Any], end: JobEnd, job_name: str) -> str:
        """Tell the waiting state machine how the job ended, or why there is none."""
        token = run.get("task_token")
        if not token:
            return "nobody waits"
        try:
            if end.ended:
                self.sfn.send_task_success(
                    taskToken=token, output=json.dumps({"run_id": run["run_id"], "job": job_name, "ended": end.ended})
                )
            else:
                cause = end.cause + self._last_lines(job_name, end)
                self.sfn.send_task_failure(taskToken=token, error=end.error, cause=cause[:30_000])
        except ClientError as error:
            if error.response["Error"]["Code"] not in _DEAD_TOKEN:
                raise
            logger.info("the task token is dead (%s): nothing waits for this report", error.response["Error"]["Code"])
            return "too late"
        return "reported"

    def record(self, run: Mapping[str, Any], job: Mapping[str, Any], end: JobEnd) -> None:
        """Replace the job's entry in the run record and add up seconds, interruptions and dollars over all jobs."""
        entry = jobs.record_of(job)
        entries = [*(old for old in run.get("jobs", []) if old["name"] != entry["name"]), entry]
        bill = receipt.of_jobs(entries)
        self.runs.update(
            run["run_id"],
            jobs=entries,
            climb=climb.left(run, end, jobs.ended_at(job), job.get("TrainingStartTime")),
            ended=end.ended or None,
            training_seconds=bill["seconds_trained"],
            billable_seconds=bill["seconds_billed"],
            interruptions=bill["interruptions"],
            cost_usd=bill["cost_usd"],
            saved_usd=bill["saved_usd"],
            receipt={**(run.get("receipt") or {}), **bill},
        )

    def earlier_jobs(self, run: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """What the run's other jobs took; of those that had not ended, as SageMaker has it now."""
        entries = []
        for entry in run.get("jobs", []):
            if entry["name"] == name:
                continue
            job = None if entry["status"] in jobs.ENDED else self.describe(entry["name"])
            entries.append(jobs.record_of(job) if job else entry)
        return entries

    def _last_lines(self, job_name: str, end: JobEnd) -> str:
        """The last lines of the job's log, where code failed; nothing where there is no log to read."""
        if end.error != "TrainingCodeError":
            return ""
        try:
            streams = self.logs.describe_log_streams(logGroupName=JOB_LOGS, logStreamNamePrefix=f"{job_name}/")
            last = max((stream["logStreamName"] for stream in streams["logStreams"]), default="")
            if not last:
                return ""
            events = self.logs.get_log_events(logGroupName=JOB_LOGS, logStreamName=last, limit=_LOG_LINES)["events"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return ""
            raise
        lines = [event["message"].rstrip() for event in events if not event["message"].startswith("METRIC ")]
        return "\n\nThe last lines of its log:\n" + "\n".join(lines) if lines else ""
