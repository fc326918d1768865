"""Task tokens: given out by tasks that wait for an answer, answered once.

MiniStack knows no late or double answers and no heartbeats; moto keeps one token for all attempts of a state, so a
retried task would see the answer of the attempt before. Here each attempt has a token of its own. It names its
execution and is signed, so that one that is closed is told from one that nobody gave out, and none need be remembered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackConsumerTimeout,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
)

from local_cloud import hooks
from local_cloud.state_machines.limits import too_long

TOKEN_CHARACTERS = 640
"""AWS gives out tokens of several hundred characters: more than fits a tag or an environment variable of a job."""
_secret = secrets.token_bytes(32)
_lock = threading.Lock()
_open: dict[str, Any] = {}


def install() -> None:
    """Answer the three operations."""
    hooks.replace(stepfunctions, "_send_task_success", "data", lambda _: _success)
    hooks.replace(stepfunctions, "_send_task_failure", "data", lambda _: _failure)
    hooks.replace(stepfunctions, "_send_task_heartbeat", "data", lambda _: _heartbeat)


@contextmanager
def token_for(environment: Any) -> Iterator[None]:
    """A token for one attempt of a task, in the context object of the environment for as long."""
    context = environment.states.context_object.context_object_data
    token = _new_token(context["Execution"]["Id"], context["StateMachine"]["Id"])
    endpoint = environment.callback_pool_manager.add(token)
    context["Task"] = {"Token": token}
    with _lock:
        _open[token] = endpoint
    try:
        yield
    finally:
        with _lock:
            _open.pop(token, None)
        context.pop("Task", None)
        environment.callback_pool_manager._pool.pop(token, None)
        endpoint.report(CallbackConsumerTimeout())
        endpoint.interrupt_all()


def state_machine_of(token: str) -> str | None:
    """The ARN of the state machine that gave the token out, also after it was answered; None if none did."""
    content = _content(token)
    return content["machine"] if content else None


def open_tokens() -> int:
    """How many tasks wait for an answer."""
    return len(_open)


def _new_token(execution: str, machine: str) -> str:
    content = {"execution": execution, "machine": machine, "nonce": secrets.token_hex(16)}
    text = json.dumps(content, separators=(",", ":")).encode()
    body = hmac.digest(_secret, text, hashlib.sha256) + text.ljust(TOKEN_CHARACTERS * 3 // 4 - 32)
    return base64.urlsafe_b64encode(body).decode()


def _content(token: str) -> dict[str, str] | None:
    try:
        body = base64.urlsafe_b64decode(token)
        signature, text = body[:32], body[32:].rstrip()
        if not hmac.compare_digest(signature, hmac.digest(_secret, text, hashlib.sha256)):
            return None
        content: dict[str, str] = json.loads(text)
    except ValueError:
        return None
    return content


def _success(data: dict[str, Any]) -> Any:
    token, output = data.get("taskToken", ""), data.get("output", "")
    if problem := too_long(data, taskToken=2048, output=262_144):
        return problem
    try:
        json.loads(output)
    except ValueError:
        return error_response_json("InvalidOutput", f"Invalid Output: '{output[:200]}'", 400)
    return _answer(token, CallbackOutcomeSuccess(callback_id=token, output=output))


def _failure(data: dict[str, Any]) -> Any:
    if problem := too_long(data, taskToken=2048, error=256, cause=32_768):
        return problem
    token = data.get("taskToken", "")
    return _answer(token, CallbackOutcomeFailure(token, data.get("error"), data.get("cause")))


def _answer(token: str, outcome: Any) -> Any:
    with _lock:
        endpoint = _open.pop(token, None)
        if endpoint is not None:
            endpoint.notify(outcome)
    return json_response({}) if endpoint is not None else _not_open(token)


def _heartbeat(data: dict[str, Any]) -> Any:
    if problem := too_long(data, taskToken=2048):
        return problem
    token = data.get("taskToken", "")
    with _lock:
        endpoint = _open.get(token)
        if endpoint is not None:
            endpoint.notify_heartbeat()
    return json_response({}) if endpoint is not None else _not_open(token)


def _not_open(token: str) -> Any:
    content = _content(token)
    if content is None:
        return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
    if stepfunctions._executions.get(content["execution"]) is None:
        return error_response_json("TaskDoesNotExist", "Task does not exist", 400)
    return error_response_json("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", 400)
