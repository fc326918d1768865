"""No report came in time: look at the job itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import aws_errors_named, trainer, waiting_notice
from events import OfRun, received

from traindrop.watch import Watch

logger = Logger()


@logger.inject_lambda_context
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Answer how the job stands and when to look again; the state machine then adopts a running or an ended job."""
    seen = Watch(trainer(), waiting_notice()).look(received(OfRun, event).run_id, datetime.now(UTC))
    logger.info("training job reconciled", extra=seen)
    return seen
