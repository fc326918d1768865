"""EventBridge on its way to the targets: faults, permissions, retries, dead-letter queues.

MiniStack delivers every event once, at once, without asking whether the rule may, and what cannot be delivered is a
line in its log. Here a target needs what it needs on AWS (its resource policy, or the target's role); what fails is
retried by the target's RetryPolicy and then goes to its dead-letter queue, without permission at once.
"""

from __future__ import annotations

import contextvars
import functools
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import eventbridge, lambda_svc, sns, sqs

from local_cloud import faults, hooks, iam

logger = logging.getLogger(__name__)
PRINCIPAL = "events.amazonaws.com"
REORDER_SECONDS = 1.0
"""How long a reordered event waits for the one that is to overtake it."""
_RETRYABLE = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "InternalServerError",
        "InternalFailure",
        "InternalError",
        "ServiceException",
        "ServiceUnavailable",
        "ThrottledException",
    }
)
_delivery: contextvars.ContextVar[tuple[dict[str, Any], dict[str, Any]]] = contextvars.ContextVar("delivery")


class DeliveryFailed(Exception):
    """A target did not take an event."""

    def __init__(self, code: str, message: str, *, retryable: bool = False):
        super().__init__(message)
        self.code, self.message, self.retryable = code, message, retryable


def emit(
    source: str, detail_type: str, detail: dict[str, Any], resources: list[str], region: str, account: str
) -> None:
    """Put an event of an AWS service on the default bus of an account and region."""

    def put() -> None:
        set_request_account_id(account)
        set_request_region(region)
        eventbridge._put_events(
            {
                "Entries": [
                    {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
                ]
            },
            allow_aws_source=True,
        )

    contextvars.copy_context().run(put)


def install() -> None:
    """Replace MiniStack's dispatch of events and its four kinds of targets."""
    hooks.require(eventbridge, "_put_events")
    hooks.require(sqs, "_queue_by_arn", "_act_send_message")
    hooks.require(sns, "_topic_by_arn_any_scope", "publish_internal", "SnsPublishError")
    hooks.require(lambda_svc, "_get_func_record_for_ref", "_execution_record_for_config", "invoke_async_with_retry")
    hooks.replace(eventbridge, "_dispatch_event", "event view", _with_faults)
    hooks.replace(eventbridge, "_invoke_target", "target event rule view", _with_delivery)
    hooks.replace(eventbridge, "_dispatch_to_lambda", "arn payload", lambda _: _to(_invoke_function))
    hooks.replace(eventbridge, "_dispatch_to_sns", "arn payload", lambda _: _to(_publish))
    hooks.replace(eventbridge, "_dispatch_to_stepfunctions", "arn payload", lambda _: _to(_start_execution))
    hooks.replace(eventbridge, "_dispatch_to_sqs", "spec payload sqs_parameters", _queue_target)


def _with_faults(original: Callable[..., None]) -> Callable[..., None]:
    held: list[tuple[float, Callable[[], None]]] = []
    lock = threading.Lock()

    def release(at_least: float) -> None:
        """Deliver what has been held for so many seconds, the newest first."""
        with lock:
            due = [item for item in held if time.monotonic() - item[0] >= at_least]
            held[:] = [item for item in held if item not in due]
        for _, deliver in reversed(due):
            deliver()

    def dispatch(event: dict[str, Any], view: Any = None) -> None:
        wanted = faults.current().events
        if event.get("_DispatchPath") or wanted == faults.EventFaults():
            original(event, view)
            return
        if status_of(event) in wanted.drop:
            logger.warning("event dropped: %s %s", event.get("DetailType"), status_of(event))
            return
        context = contextvars.copy_context()

        def deliver() -> None:
            for _ in range(wanted.duplicate):
                once = functools.partial(context.copy().run, original, event, view)
                seconds = 0 if wanted.reorder else faults.event_delay()
                if seconds:
                    _later(seconds, once)
                else:
                    once()

        if wanted.reorder:
            with lock:
                waiting = bool(held)
                held.append((time.monotonic(), deliver))
            if waiting:
                release(0)
            else:
                _later(REORDER_SECONDS, lambda: release(REORDER_SECONDS * 0.9))
        else:
            deliver()

    return dispatch


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def status_of(event: dict[str, Any]) -> str:
    """What an event tells, for `drop`: the status in its detail, else its detail type."""
    try:
        detail = json.loads(event.get("Detail") or "{}")
    except ValueError:
        detail = {}
    found = detail.get("TrainingJobStatus") or detail.get("status") if isinstance(detail, dict) else None
    return str(found or event.get("DetailType", ""))


def _with_delivery(original: Callable[..., None]) -> Callable[..., None]:
    def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        contextvars.copy_context().run(run, target, event, rule, view)

    def run(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any) -> None:
        _delivery.set((target, rule))
        original(target, event, rule, view)

    return invoke_target


@dataclass
class _Delivery:
    """One event for one target of one rule."""

    send: Callable[[dict[str, Any], str, str], None]
    target: dict[str, Any]
    rule_arn: str
    payload: str

    def run(self) -> None:
        """Send until it is taken, or the RetryPolicy is used up and the dead-letter queue has it."""
        policy = self.target.get("RetryPolicy") or {}
        attempts = int(policy.get("MaximumRetryAttempts", 185))
        deadline = time.monotonic() + float(policy.get("MaximumEventAgeInSeconds", 86_400))
        for retry in range(attempts + 1):
            try:
                self.send(self.target, self.rule_arn, self.payload)
                return
            except DeliveryFailed as error:
                failure = error
            if not failure.retryable:
                break
            pause = _retry_seconds(retry)
            if retry < attempts and time.monotonic() + pause > deadline:
                self._dead_letter(failure, retry, "MaximumEventAgeInSeconds")
                return
            if retry < attempts:
                time.sleep(pause)
        self._dead_letter(failure, retry, "MaximumRetryAttempts" if failure.retryable else None)

    def _dead_letter(self, failure: DeliveryFailed, retries: int, exhausted: str | None) -> None:
        queue = (self.target.get("DeadLetterConfig") or {}).get("Arn")
        logger.warning(
            "%s did not take an event of %s: %s: %s", self.target["Arn"], self.rule_arn, failure.code, failure.message
        )
        if not queue or not iam.service_may(PRINCIPAL, "sqs:SendMessage", queue, self.rule_arn):
            return
        attributes = {
            "RULE_ARN": self.rule_arn,
            "TARGET_ARN": self.target["Arn"],
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
        }
        if exhausted:
            attributes |= {"EXHAUSTED_RETRY_CONDITION": exhausted, "RETRY_ATTEMPTS": str(retries)}
        send_to_queue(queue, self.payload, attributes)


def _retry_seconds(retry: int) -> float:
    """The pause before a retry: it doubles, to at most a minute times the local pace."""
    return float(os.environ.get("TRAINDROP_LAMBDA_RETRY_SECONDS", "1")) * min(2.0**retry, 60.0)


def _to(send: Callable[[dict[str, Any], str, str], None]) -> Callable[[str, str], None]:
    def dispatch(arn: str, payload: str) -> None:  # noqa: ARG001 - the target carries it
        target, rule = _delivery.get()
        delivery = _Delivery(send, target, rule.get("Arn", ""), payload)
        threading.Thread(
            target=contextvars.copy_context().run, args=(delivery.run,), daemon=True, name="event-delivery"
        ).start()

    return dispatch


def _refuse(principal_action: str, arn: str, rule_arn: str) -> None:
    if not iam.service_may(PRINCIPAL, principal_action, arn, rule_arn):
        raise DeliveryFailed("NO_PERMISSIONS", f"{rule_arn} is not authorized to perform: {principal_action} on {arn}")


def _invoke_function(target: dict[str, Any], rule_arn: str, payload: str) -> None:
    func, config, name = lambda_svc._get_func_record_for_ref(target["Arn"])
    if not func or not config:
        raise DeliveryFailed("RESOURCE_NOT_FOUND", f"Function not found: {name}")
    _refuse("lambda:InvokeFunction", target["Arn"], rule_arn)
    if fault := faults.take_api_fault("lambda", "Invoke", lambda: f"{target['Arn']} {payload}"):
        time.sleep(fault.delay_seconds)
        if fault.error:
            raise DeliveryFailed(fault.error, "Injected by /_traindrop/faults.", retryable=fault.error in _RETRYABLE)
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), json.loads(payload))


def _start_execution(target: dict[str, Any], rule_arn: str, payload: str) -> None:
    role = target.get("RoleArn", "")
    try:
        iam.check_assumable(role, PRINCIPAL, rule_arn)
        client = iam.client_as(role, "stepfunctions", session="events")
        client.start_execution(stateMachineArn=target["Arn"], input=payload)
    except iam.NotAssumable as error:
        raise DeliveryFailed("NO_PERMISSIONS", str(error)) from error
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        known = {"AccessDeniedException": "NO_PERMISSIONS", "StateMachineDoesNotExist": "RESOURCE_NOT_FOUND"}
        raise DeliveryFailed(known.get(code, code), message, retryable=code in _RETRYABLE) from error
    except BotoCoreError as error:
        raise DeliveryFailed("SDK_CLIENT_ERROR", str(error), retryable=True) from error


def _publish(target: dict[str, Any], rule_arn: str, payload: str) -> None:
    if sns._topic_by_arn_any_scope(target["Arn"]) is None:
        raise DeliveryFailed("RESOURCE_NOT_FOUND", "Topic does not exist")
    _refuse("sns:Publish", target["Arn"], rule_arn)
    try:
        sns.publish_internal(target["Arn"], payload)
    except sns.SnsPublishError as error:
        raise DeliveryFailed(error.code, str(error)) from error


def _queue_target(original: Callable[..., None]) -> Callable[..., None]:
    def dispatch(spec: Any, payload: str, sqs_parameters: dict[str, Any] | None = None) -> None:
        def send(target: dict[str, Any], rule_arn: str, body: str) -> None:
            if sqs._queue_by_arn(target["Arn"]) is None:
                raise DeliveryFailed("RESOURCE_NOT_FOUND", "The specified queue does not exist.")
            _refuse("sqs:SendMessage", target["Arn"], rule_arn)
            original(spec, body, sqs_parameters)

        _to(send)(str(spec), payload)

    return dispatch


def send_to_queue(arn: str, body: str, attributes: dict[str, str]) -> None:
    """Put a message with attributes into a queue, as an AWS service does whose permission has been checked."""
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        logger.error("the dead-letter queue %s does not exist", arn)
        return
    typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    sqs._act_send_message({"QueueUrl": queue["url"], "MessageBody": body, "MessageAttributes": typed}, queue["url"])
