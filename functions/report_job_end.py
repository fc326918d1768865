"""A training job ended: tell the state machine that waits for it."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import aws_errors_named, runs, trainer
from events import TrainingJobStateChange, received

from traindrop.jobs import ENDED

logger = Logger()


@logger.inject_lambda_context
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:  # noqa: ARG001
    """Take a `SageMaker Training Job State Change`; describe the job, since the event knows no billable seconds."""
    name = received(TrainingJobStateChange, event).detail.name
    run = runs().find(name.rpartition("-")[0])
    worker = trainer()
    job = worker.describe(name)
    if run is None or job is None:
        done = "not a job of ours"
    elif run.get("job_name") != name:
        done = "a job that its run has left behind"
    elif job["TrainingJobStatus"] not in ENDED:
        done = "not ended"
    else:
        done = worker.report(run, job)
    logger.info("training job reported", extra={"job": name, "done": done})
    return {"done": done}
