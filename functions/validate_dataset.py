"""The first state of a run: is the dataset complete, right, and not trained already?"""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import ENVIRONMENT, aws_errors_named, claims, client, object_reads, runs
from events import Validate, received

from traindrop.gate import Gate

logger = Logger()
metrics = Metrics()


@logger.inject_lambda_context
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Answer `ready`, `uploading`, `rejected` or `unchanged` for the drop in `event`."""
    asked = received(Validate, event)
    gate = Gate(
        s3=client("s3"),
        reads=object_reads,
        runs=runs(),
        claims=claims(),
        artifact_bucket=ENVIRONMENT.ARTIFACT_BUCKET,
        quiet_period_seconds=ENVIRONMENT.QUIET_PERIOD_SECONDS,
        upload_window_seconds=ENVIRONMENT.UPLOAD_WINDOW_SECONDS,
        clock=time.time,
    )
    answer = gate.judge(asked.drop, asked.execution.model_dump(mode="json"))
    logger.info("dataset judged", extra={"run_id": answer["run_id"], "verdict": answer["verdict"]})
    if answer["verdict"] == "unchanged":
        metrics.add_metric("RunsUnchanged", MetricUnit.Count, 1)
        metrics.flush_metrics()
    return answer
