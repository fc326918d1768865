"""Write report.html and the message that goes out."""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import ENVIRONMENT, aws_errors_named, claims, client, runs
from events import OfRun, received

from traindrop.delivery import Delivery

logger = Logger()


@logger.inject_lambda_context
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Answer the end message, which the state machine publishes."""
    run_id = received(OfRun, event).run_id
    delivery = Delivery(client("s3"), runs(), claims(), ENVIRONMENT.ARTIFACT_BUCKET, time.time)
    done = delivery.report(run_id)
    logger.info("report written", extra={"run_id": run_id, "report_uri": done["report_uri"]})
    return done
