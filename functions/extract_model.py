"""Bring the model from the job's archive to its place."""

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
    """Stream the archive from S3 to S3; memory stays bounded and no disk is used."""
    delivery = Delivery(client("s3"), runs(), claims(), ENVIRONMENT.ARTIFACT_BUCKET, time.time)
    done = delivery.extract(received(OfRun, event).run_id)
    logger.info("model extracted", extra=done)
    return done
