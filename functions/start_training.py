"""Start the training job of a run, or adopt the one that has its name."""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from environment import ENVIRONMENT, aws_errors_named, claims, client, places, trainer, waiting_notice
from events import Start, received

from traindrop.quotas import Quotas
from traindrop.starting import Starter

logger = Logger()


@logger.inject_lambda_context
@aws_errors_named
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:  # noqa: ARG001
    """Leave the task token with the run; `report_job_end` answers it when the job has ended."""
    asked = received(Start, event)
    starter = Starter(
        trainer=trainer(),
        s3=client("s3"),
        sns=client("sns"),
        places=places(),
        clock=time.time,
        topic_arn=ENVIRONMENT.TOPIC_ARN,
        stack_max_cost_usd=ENVIRONMENT.MAX_COST_PER_RUN_USD,
        quotas=Quotas(client("service-quotas"), claims(), time.time),
        notice=waiting_notice(),
    )
    done = starter.start(asked.run_id, attempt=asked.attempt, redrives=asked.redrives, task_token=asked.task_token)
    logger.info("training job asked for", extra={"run_id": asked.run_id, "done": done})
    return {"done": done}
