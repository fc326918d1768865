"""When an execution ends badly: nothing keeps billing, and nobody stays unaware."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop import messages
from traindrop.drops import run_id_of_execution, slug_of
from traindrop.errors import InvalidInput
from traindrop.gate import fingerprint_claim
from traindrop.intake import drop_of, upload_claim
from traindrop.notifying import publish
from traindrop.plain_text import printable
from traindrop.runs import Claims, Runs
from traindrop.training import Trainer

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient


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

    def conclude(self, detail: Mapping[str, Any]) -> str:
        """Stop the job, give claims back and send the end message unless the execution did; say what was done.

        Args:
            detail: of a `Step Functions Execution Status Change` with FAILED, TIMED_OUT or ABORTED.

        Returns:
            The outcome that was published, or why none was.
        """
        redrives = int(detail.get("redriveCount") or 0)
        run = self._run(detail)
        run_id = run["run_id"]
        self.runs.update(run_id, stop_requested=redrives, dataset=run["dataset"], execution_arn=run["execution_arn"])
        run = {**run, **self.runs.get(run_id)}
        job = str(run.get("job_name") or "")
        stopped = bool(job) and self.trainer.stop(job)
        self._give_back(run)
        if self._has_published(str(detail["executionArn"])):
            return "the execution had published its end"
        outcome, error, cause = self._diagnose({**self._ended(detail), **_known(detail)}, stopped=stopped)
        flag = f"notified_{redrives}"
        if stopped and run.get("slug"):
            place = f"s3://{self.artifact_bucket}/models/{run['slug']}/{run_id}/best.pt"
            cause += f" If it has finished an epoch, its best model so far will lie at {place} in a few minutes."
        if not self.runs.mark_once(run_id, flag):
            return "published before"
        try:
            publish(self.sns, self.topic_arn, messages.ended_without_model(outcome, run, error, cause))
        except Exception:
            self.runs.update(run_id, **{flag: None})
            raise
        self.runs.update(
            run_id,
            status=outcome,
            error=error,
            reason=cause[:1000],
            task_token=None,
            ended_at=datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds"),
        )
        return outcome

    def _run(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        """The run of an execution, as far as its input tells; one started with nonsense has a run too."""
        given = self._input(detail)
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

    def _input(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        """The execution's input; the event leaves out a long one."""
        text = detail.get("input") or self.sfn.describe_execution(executionArn=detail["executionArn"]).get("input")
        try:
            given = json.loads(text or "{}")
        except (ValueError, RecursionError):
            given = {}
        return given if isinstance(given, dict) else {}

    def _ended(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        """Error and cause as the execution keeps them; the event of a stopped one may leave them out."""
        found = self.sfn.describe_execution(executionArn=detail["executionArn"])
        return {key: found[key] for key in ("error", "cause") if found.get(key)}

    def _give_back(self, run: Mapping[str, Any]) -> None:
        """Release what the run claimed, so that the same dataset can start again."""
        self.claims.release(upload_claim(run["dataset"]), run["run_id"])
        if run.get("fingerprint") and run.get("status") != "Completed":
            self.claims.release(fingerprint_claim(run["slug"], run["fingerprint"]), run["run_id"])

    def _has_published(self, execution_arn: str) -> bool:
        """Whether this life of the execution (since its last redrive) sent its end message itself."""
        pages = self.sfn.get_paginator("get_execution_history").paginate(
            executionArn=execution_arn, reverseOrder=True, includeExecutionData=False
        )
        for page in pages:
            for event in page["events"]:
                if event["type"] == "ExecutionRedriven":
                    return False
                if event["type"] == "TaskSucceeded" and event["taskSucceededEventDetails"]["resourceType"] == "sns":
                    return True
        return False

    @staticmethod
    def _diagnose(detail: Mapping[str, Any], *, stopped: bool) -> tuple[messages.Outcome, str, str]:
        error = str(
            detail.get("error")
            or {"TIMED_OUT": "States.Timeout", "ABORTED": "Aborted"}.get(detail["status"], "Unknown")
        )
        cause = explain(str(detail.get("cause") or ""))
        if detail["status"] == "ABORTED" or error == "StoppedByUser":
            was = "Its training job is being stopped." if stopped else "No training job of it is running."
            return "Stopped", error, f"{cause or 'Somebody stopped the execution.'} {was}"
        if detail["status"] == "TIMED_OUT":
            return "Failed", error, f"{cause or 'The run took longer than any run may.'} Start it again."
        return "Failed", error, cause or "The execution failed without a cause; its history in the console tells more."


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
