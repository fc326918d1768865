"""An execution failed, timed out or was aborted: stop its job, send the end message, see the job to its end."""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import ENVIRONMENT, aws_errors_named, claims, client, runs, trainer
from events import ExecutionStatusChange, received

from traindrop.aftermath import Aftermath
from traindrop.ending import Ending
from traindrop.spending import untold

logger = Logger()
metrics = Metrics()


@logger.inject_lambda_context
@metrics.log_metrics
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:  # noqa: ARG001
    """Take a `Step Functions Execution Status Change` with FAILED, TIMED_OUT or ABORTED."""
    ended = received(ExecutionStatusChange, event).detail
    ending = Ending(
        sfn=client("stepfunctions"),
        sns=client("sns"),
        runs=runs(),
        claims=claims(),
        trainer=trainer(),
        topic_arn=ENVIRONMENT.TOPIC_ARN,
        artifact_bucket=ENVIRONMENT.ARTIFACT_BUCKET,
        clock=time.time,
    )
    conclusion = ending.conclude(ended.model_dump(by_alias=True, exclude_none=True))
    done = conclusion.done
    if done in ("Failed", "Stopped"):
        metrics.add_metric(f"Runs{done}", MetricUnit.Count, 1)
    elif ended.error == "DatasetRejected":
        metrics.add_metric("RunsRejected", MetricUnit.Count, 1)
    logger.info("execution concluded", extra={"execution": ended.name, "done": done})
    if conclusion.job:
        aftermath = Aftermath(trainer(), client("lambda"), ENVIRONMENT.EXTRACT_MODEL_FUNCTION, time.sleep)
        aftermath.see_off(conclusion.run_id, conclusion.job)
    if conclusion.run_id:
        for name, unit, value in untold(runs(), conclusion.run_id):
            metrics.add_metric(name, unit, value)
    return {"done": done}
