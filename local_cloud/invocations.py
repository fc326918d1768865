"""Lambda's asynchronous invocations: retries, then the OnFailure destination or the dead-letter queue.

MiniStack sends one envelope to either and needs no permission to do so. Here a destination gets the invocation
record, a dead-letter queue the event itself with the error in its attributes, as on AWS, and both are written with
the function's own role.
"""

from __future__ import annotations

import contextvars
import itertools
import json
import logging
import os
import threading
import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import new_uuid
from ministack.services import lambda_svc

from local_cloud import hooks, iam

logger = logging.getLogger(__name__)
DEFAULT_RETRIES = 2
DEFAULT_AGE_SECONDS = 21_600


def install() -> None:
    """Replace MiniStack's asynchronous invocation, which the API and every event source use."""
    hooks.require(lambda_svc, "_execute_function", "_run_with_function_config_scope")
    hooks.replace(lambda_svc, "invoke_async_with_retry", "func event", lambda _: invoke_async)


def retry_delay(attempt: int) -> float:
    """Seconds before a retry (1, 2, …): one minute, then two on AWS; here from TRAINDROP_LAMBDA_RETRY_SECONDS."""
    return _pace() * 60 * min(attempt, 2)


def throttle_delay(throttles: int) -> float:
    """Seconds before a throttled event is tried again: 1, 2, 4, …, at most 300 on AWS; the same pace here."""
    return _pace() * min(2.0**throttles, 300.0)


def _pace() -> float:
    return float(os.environ.get("TRAINDROP_LAMBDA_RETRY_SECONDS", "60")) / 60


def invoke_async(func: dict[str, Any], event: Any) -> None:
    """Accept the event and return; its function runs in a thread until it succeeds or its attempts are used up."""
    config = func.get("config") or func

    def run() -> None:
        try:
            lambda_svc._run_with_function_config_scope(config, _run, func, config, event)
        except Exception:
            logger.exception("asynchronous invocation of %s", config.get("FunctionName"))

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True, name="lambda-async").start()


def _run(func: dict[str, Any], config: dict[str, Any], event: Any) -> None:
    settings = func.get("event_invoke_config") or (func.get("event_invoke_configs") or {}).get("$LATEST") or {}
    retries = settings.get("MaximumRetryAttempts")
    retries = DEFAULT_RETRIES if retries is None else int(retries)
    deadline = time.monotonic() + float(settings.get("MaximumEventAgeInSeconds") or DEFAULT_AGE_SECONDS)
    result: dict[str, Any] = {}
    attempt = 0
    while attempt <= retries:
        if attempt:
            if time.monotonic() + retry_delay(attempt) > deadline:
                break
            time.sleep(retry_delay(attempt))
        result = _attempt(func, event, deadline)
        attempt += 1
        if result.get("throttle") or not result.get("error"):
            break
    failed = bool(result.get("error"))
    condition = "Success"
    if failed:
        condition = "RetriesExhausted" if attempt > retries and not result.get("throttle") else "EventAgeExceeded"
    destination = (settings.get("DestinationConfig") or {}).get("OnFailure" if failed else "OnSuccess") or {}
    request_id = new_uuid()
    if arn := destination.get("Destination"):
        _send(config, arn, json.dumps(_record(config, event, result, request_id, condition, attempt)), {})
    if failed and (arn := (config.get("DeadLetterConfig") or {}).get("TargetArn")):
        _send(
            config,
            arn,
            json.dumps(event),
            {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": _error_message(result)[:1024] or "unknown"},
        )


def _attempt(func: dict[str, Any], event: Any, deadline: float) -> dict[str, Any]:
    """One attempt; a throttled event goes back into its queue, as often as its age allows, and uses up no attempt."""
    for throttles in itertools.count():
        result: dict[str, Any] = lambda_svc._execute_function(func, event)
        if not result.get("throttle") or time.monotonic() + throttle_delay(throttles) > deadline:
            return result
        time.sleep(throttle_delay(throttles))
    raise AssertionError("unreachable")


def _record(
    config: dict[str, Any], event: Any, result: dict[str, Any], request_id: str, condition: str, attempts: int
) -> dict[str, Any]:
    context: dict[str, Any] = {"statusCode": 200, "executedVersion": config.get("Version", "$LATEST")}
    if result.get("error"):
        context["functionError"] = result.get("function_error") or "Unhandled"
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{config['FunctionArn']}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": context,
        "responsePayload": result.get("body"),
    }


def _error_message(result: dict[str, Any]) -> str:
    body = result.get("body")
    return str(body.get("errorMessage", "")) if isinstance(body, dict) else ""


def _send(config: dict[str, Any], arn: str, body: str, attributes: dict[str, str]) -> None:
    """Write to the destination with the function's role; what it may not do is lost, as on AWS."""
    typed = {
        name: {"DataType": "Number" if value.isdigit() else "String", "StringValue": value}
        for name, value in attributes.items()
    }
    service = arn.split(":")[2]
    try:
        client = iam.client_as(config["Role"], service, session=config["FunctionName"])
        if service == "sqs":
            client.send_message(QueueUrl=iam.queue_url(arn), MessageBody=body, MessageAttributes=typed)
        elif service == "sns":
            client.publish(TopicArn=arn, Message=body, MessageAttributes=typed)
        elif service == "lambda":
            client.invoke(FunctionName=arn, InvocationType="Event", Payload=body)
        elif service == "events":
            client.put_events(
                Entries=[
                    {
                        "Source": "lambda",
                        "DetailType": "Lambda Function Invocation Result",
                        "Detail": body,
                        "EventBusName": arn,
                    }
                ]
            )
    except (ClientError, BotoCoreError):
        logger.exception("%s could not write to its destination %s", config.get("FunctionName"), arn)
