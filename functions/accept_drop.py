"""A new object in the dataset bucket: start a run for a drop, tell of a misplaced one."""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import ENVIRONMENT, aws_errors_named, claims, client
from events import ObjectCreated, received

from traindrop.intake import Arrival, Reception

logger = Logger()


@logger.inject_lambda_context
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:  # noqa: ARG001
    """Take an EventBridge `Object Created`; its key is raw and is never unquoted."""
    created = received(ObjectCreated, event)
    item = created.detail.object
    arrival = Arrival(
        bucket=created.detail.bucket.name,
        key=item.key,
        identity=f"{item.sequencer}#{item.etag}",
        moment=created.time,
    )
    reception = Reception(
        sfn=client("stepfunctions"),
        sns=client("sns"),
        claims=claims(),
        clock=time.time,
        state_machine_arn=ENVIRONMENT.STATE_MACHINE_ARN,
        topic_arn=ENVIRONMENT.TOPIC_ARN,
        upload_window_seconds=ENVIRONMENT.UPLOAD_WINDOW_SECONDS,
        seconds_between_runs=ENVIRONMENT.SECONDS_BETWEEN_RUNS,
    )
    done = reception.receive(arrival)
    logger.info("object received", extra={"key": arrival.key, "done": done})
    return {"done": done}
