"""Record and publish what a run achieved and what it cost."""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import ENVIRONMENT, aws_errors_named, claims, client, runs
from events import OfRun, received

from traindrop.delivery import Delivery
from traindrop.spending import untold

logger = Logger()
metrics = Metrics()


@logger.inject_lambda_context
@metrics.log_metrics
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Metrics have no run as a dimension: each would cost its own custom metric."""
    delivery = Delivery(client("s3"), runs(), claims(), ENVIRONMENT.ARTIFACT_BUCKET, time.time)
    done = delivery.measure(received(OfRun, event).run_id)
    metrics.add_metric(f"Runs{done['outcome']}", MetricUnit.Count, 1)
    for name, unit, value in untold(runs(), done["run_id"]):
        metrics.add_metric(name, unit, value)
    if done["score"] is not None:
        metrics.add_metric("MeanAveragePrecision", MetricUnit.NoUnit, done["score"])
    logger.info("metrics published", extra=done)
    return done
