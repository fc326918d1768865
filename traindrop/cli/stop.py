"""`traindrop stop`: a run is ended before its time, and the best model so far is delivered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from traindrop.cli import Answer, CannotDo
from traindrop.cli.stack import Stack
from traindrop.drops import RUN_ID, slug_of, slug_of_run
from traindrop.jobs import ENDED, leaves_model
from traindrop.plain_text import printable
from traindrop.running import execution_arn, running
from traindrop.runs import ACTIVE, Runs
from traindrop.training import Trainer

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_PERMISSIONS = (
    "cloudformation:DescribeStacks; dynamodb:GetItem and dynamodb:UpdateItem of the RunsTable; "
    "states:ListExecutions, states:DescribeExecution and states:StopExecution; "
    "sagemaker:DescribeTrainingJob and sagemaker:StopTrainingJob"
)


def stop(wanted: str, *, stack: Stack, as_json: bool) -> Answer:
    """Stop a run, at the point that loses least: its job, if it has one, else the execution.

    A job that is stopped lets the run go on to deliver what it has; without a job, and without an epoch trained by an
    earlier one, there is nothing to deliver, and the execution ends at once.

    Args:
        wanted: a run, or a dataset of which one run is on.
        stack: where it is.
        as_json: whether the answer is a document instead of text for people.

    Raises:
        CannotDo: there is no such run, it is over, or AWS does not let us.
    """
    with stack.needing(_PERMISSIONS):
        sfn, runs = stack.client("stepfunctions"), Runs(stack.client("dynamodb"), stack.output("RunsTableName"))
        run_id = _run_on(sfn, stack.output("StateMachineArn"), wanted)
        record = runs.find(run_id) or {}
        named = execution_arn(stack.output("StateMachineArn"), run_id)
        execution = _running(sfn, str(record.get("execution_arn") or named), run_id, record)
        trainer = Trainer(stack.client("sagemaker"), sfn, runs, stack.client("logs"))
        stopped, words = _stop(trainer, run_id, record, execution)
    if as_json:
        return Answer(json.dumps({"run_id": run_id, "stopped": stopped, "words": words}, indent=2))
    return Answer(f"{run_id}: {words}\nSee it to its end with: traindrop watch {run_id}")


def _run_on(sfn: SFNClient, machine: str, wanted: str) -> str:
    if RUN_ID.fullmatch(wanted):
        return wanted
    slug = slug_of(wanted)
    on = [run.run_id for run in running(sfn, machine) if slug_of_run(run.run_id) == slug]
    if not on:
        raise CannotDo(f"no run of {printable(wanted)} is on; `traindrop runs` lists them")
    if len(on) > 1:
        raise CannotDo(f"{len(on)} runs of {printable(wanted)} are on; name the one to stop: {', '.join(on)}")
    return on[0]


def _running(sfn: SFNClient, arn: str, run_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The run's execution, which has not ended."""
    try:
        execution = dict(sfn.describe_execution(executionArn=arn))
    except (sfn.exceptions.ExecutionDoesNotExist, sfn.exceptions.InvalidArn) as error:
        raise CannotDo(f"there is no run {run_id}; `traindrop runs` lists them") from error
    if execution["status"] != "RUNNING":
        became = record.get("status") if record.get("status") not in ACTIVE else None
        raise CannotDo(f"the run {run_id} has ended already: {became or execution['status']}")
    return execution


def _stop(trainer: Trainer, run_id: str, record: Mapping[str, Any], execution: Mapping[str, Any]) -> tuple[str, str]:
    """What was stopped, `job`, `execution` or, with the next thing that the run does, `run`; and what comes of it."""
    in_this_life = int(execution.get("redriveCount") or 0)
    name = str(record.get("job_name") or "")
    job = trainer.describe(name)
    has_model = any(entry.get("epochs") for entry in record.get("jobs") or []) or bool(
        job and job.get("FinalMetricDataList")
    )
    if job and job["TrainingJobStatus"] not in ENDED:
        trainer.runs.update(run_id, stop_requested=in_this_life)
        trainer.stop(name)
        left = (
            "its best model so far is delivered in a few minutes."
            if has_model
            else "if it finishes an epoch before it ends, that model is delivered; else there is none."
        )
        return "job", f"its training job {name} is being stopped; {left}"
    if job and leaves_model(job):
        raise CannotDo(f"the training of {run_id} has ended and its model is being delivered: nothing is left to stop")
    if has_model:
        trainer.runs.update(run_id, stop_requested=in_this_life)
        return "run", "it waits for an instance and ends when it next asks for one, with its best model so far."
    trainer.sfn.stop_execution(
        executionArn=execution["executionArn"], error="StoppedByUser", cause="Stopped by `traindrop stop`."
    )
    return "execution", "it is stopped before anything was trained; no training job of it is running."
