"""When an execution ends badly: nothing keeps billing, and nobody stays unaware."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop import end_messages
from traindrop.console import folder_link
from traindrop.drops import run_id_of_execution, slug_of
from traindrop.errors import InvalidInput
from traindrop.intake import drop_of, upload_claim
from traindrop.jobs import ENDED, leaves_model
from traindrop.mail import Outcome, on_its_own_line, on_the_execution
from traindrop.notifying import publish_once
from traindrop.plain_text import printable
from traindrop.runs import Claims, Runs, fingerprint_claim
from traindrop.training import Trainer

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

_FINAL = frozenset({"InvalidInput", "NoSuchBucket", "RuntimeExceeded"})
"""Errors after which a redrive can only fail again."""


@dataclass(frozen=True)
class Conclusion:
    """What was published, or why nothing was; and the job that is to be seen to its end, if there is one."""

    done: str
    run_id: str = ""
    job: str = ""


@dataclass(frozen=True)
class Ending:
    """Clients of the step that follows an execution's bad end."""

    sfn: SFNClient
    sns: SNSClient
    runs: Runs
    claims: Claims
    trainer: Trainer
    topic_arn: str
    artifact_bucket: str
    clock: Callable[[], float]

    def conclude(self, detail: Mapping[str, Any]) -> Conclusion:
        """Stop the job, give claims back and send the end message unless the execution did; say what was done.

        An execution that has been redriven since is left alone: job, claims and end are those of its new life.

        Args:
            detail: of a `Step Functions Execution Status Change` with FAILED, TIMED_OUT or ABORTED.
        """
        redrives = int(detail.get("redriveCount") or 0)
        execution: dict[str, Any] = dict(self.sfn.describe_execution(executionArn=detail["executionArn"]))
        if int(execution.get("redriveCount") or 0) > redrives:
            return Conclusion("redriven since")
        run = self._run(detail, str(execution.get("input") or ""))
        run_id = run["run_id"]
        self.runs.update(run_id, stop_requested=redrives, dataset=run["dataset"], execution_arn=run["execution_arn"])
        run = {**run, **self.runs.get(run_id)}
        job = self._stop_job(str(run.get("job_name") or ""))
        self._give_back(run)
        if self._has_published(str(detail["executionArn"])):
            return Conclusion("the execution had published its end")
        outcome, error, cause = self._diagnose({**_known(execution), **_known(detail)})
        failed = detail["status"] == "FAILED"
        left = self._left(run, job, failed_with=error if failed else "")
        to_see_off = str(run["job_name"]) if job and not (failed and job["TrainingJobStatus"] in ENDED) else ""
        message = end_messages.ended_early(outcome, run, error, cause, left)
        if not publish_once(
            self.sns, self.topic_arn, message, runs=self.runs, run_id=run_id, flag=f"notified_{redrives}"
        ):
            return Conclusion("published before", run_id, to_see_off)
        self.runs.update(
            run_id,
            status=outcome,
            error=error,
            reason=cause[:1000],
            task_token=None,
            ended_at=datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds"),
        )
        return Conclusion(outcome, run_id, to_see_off)

    def _stop_job(self, name: str) -> dict[str, Any] | None:
        """Stop the run's job if it has one; answer how it then stands."""
        if name:
            self.trainer.stop(name)
        return self.trainer.describe(name)

    def _left(self, run: Mapping[str, Any], job: Mapping[str, Any] | None, *, failed_with: str) -> str:
        """What is left of job and model: that of an ended job is delivered, or left to a redrive that can do it."""
        folder = f"s3://{self.artifact_bucket}/models/{run['slug']}/{run['run_id']}/"
        place, page = f"{folder}best.pt", folder_link(run["execution_arn"], folder)
        if job and job["TrainingJobStatus"] not in ENDED:
            kept = _redrive(run, "Checkpoints are kept: a redrive goes on from the last one")
            there = "If it has finished an epoch, its best model so far will lie there in a few minutes"
            return f"Its training job is being stopped. {on_its_own_line(there, place, page)}\n{kept}"
        model = job is not None and leaves_model(job)
        if not failed_with:
            if model:
                return on_its_own_line(
                    "Its training job had ended; its model will lie there in a few minutes", place, page
                )
            return "No training job of it is running." if run.get("jobs") else ""
        if failed_with in _FINAL:
            return ""
        if model:
            return _redrive(run, f"The training is done and its model is kept: a redrive brings it to {place}")
        if any(entry.get("epochs") for entry in run.get("jobs") or ()):
            return _redrive(run, "Checkpoints are kept: a redrive goes on from the last one, with the same settings")
        return _redrive(run, "A redrive takes the run up where it failed, with the same settings")

    @staticmethod
    def _run(detail: Mapping[str, Any], text: str) -> dict[str, Any]:
        """The run of an execution, as far as its input tells; one started with nonsense has a run too."""
        given = _input(text)
        try:
            drop = drop_of(given)
        except InvalidInput:
            drop = {"dataset": printable(str(given.get("dataset") or ""))[:128].strip() or "unknown"}
        started_at = datetime.fromtimestamp(int(detail["startDate"]) / 1000, UTC)
        return {
            **drop,
            "run_id": run_id_of_execution(detail["name"], started_at, drop["dataset"]),
            "slug": slug_of(drop["dataset"]),
            "execution_arn": detail["executionArn"],
        }

    def _give_back(self, run: Mapping[str, Any]) -> None:
        """Release what the run claimed, so that the same dataset can start again."""
        self.claims.release(upload_claim(run["dataset"]), run["run_id"])
        if run.get("fingerprint") and run.get("status") != "Completed":
            self.claims.release(fingerprint_claim(run["slug"], run["fingerprint"]), run["run_id"])

    def _has_published(self, execution_arn: str) -> bool:
        """Whether this life of the execution (since its last redrive) sent its end message itself.

        A call that was under way when the execution was aborted counts: nothing calls it back.
        """
        pages = self.sfn.get_paginator("get_execution_history").paginate(
            executionArn=execution_arn, reverseOrder=True, includeExecutionData=False
        )
        for page in pages:
            for event in page["events"]:
                if event["type"] == "ExecutionRedriven":
                    return False
                details: Any = event.get(f"{event['type'][0].lower()}{event['type'][1:]}EventDetails") or {}
                if details.get("resourceType") == "sns":
                    return event["type"] in ("TaskScheduled", "TaskStarted", "TaskSucceeded")
        return False

    @staticmethod
    def _diagnose(detail: Mapping[str, Any]) -> tuple[Outcome, str, str]:
        error = str(
            detail.get("error")
            or {"TIMED_OUT": "States.Timeout", "ABORTED": "Aborted"}.get(detail["status"], "Unknown")
        )
        cause = explain(str(detail.get("cause") or ""))
        if detail["status"] == "ABORTED" or error == "StoppedByUser":
            return "Stopped", error, cause or "somebody stopped the execution"
        if detail["status"] == "TIMED_OUT":
            return "Failed", error, f"{cause or 'The run took longer than any run may.'} Start it again."
        return "Failed", error, cause or "The execution failed without a cause; its history in the console tells more."


def _redrive(run: Mapping[str, Any], why: str) -> str:
    """What a redrive does, and its command; Step Functions takes it for 14 days."""
    command = on_the_execution("redrive-execution", run["execution_arn"])
    return on_its_own_line(f"{why} (for 14 days, here or in the console)", command)


def _input(text: str) -> dict[str, Any]:
    """The execution's input, whatever it was started with."""
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError):
        given = {}
    return given if isinstance(given, dict) else {}


def _known(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if value is not None}


def explain(cause: str) -> str:
    """A cause as people read it: Lambda's JSON of an exception becomes its message."""
    try:
        details = json.loads(cause)
    except (ValueError, RecursionError):
        return cause
    if isinstance(details, dict) and "errorMessage" in details:
        return f"{details.get('errorType', 'Error')}: {details['errorMessage']}"
    return cause
