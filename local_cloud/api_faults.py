"""Injected faults of API calls: held, answered with an error, or cut off, before the service works or after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypercorn.events import Closed
from hypercorn.protocol.http_stream import HTTPStream
from ministack import app
from ministack.core import iam_actions
from ministack.core.router import extract_access_key_id

from local_cloud import faults, hooks
from local_cloud.operations import client_name, operation_of

RESET = "reset"
_STATUS = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "ServiceException": 500,
    "TooManyRequestsException": 429,
    "Throttled": 429,
}
"""HTTP status of an injected error; 400 where none is given."""


class _CutOff(Exception):
    """The caller of this request gets no answer."""


def install() -> None:
    """Meet every call on its way to the services and back; MiniStack has no injection of faults of its own."""
    hooks.replace(app, "_dispatch_service_request", "method path headers body query_params request_id", _with_errors)
    hooks.replace(app, "app", "scope receive send", _with_cut_offs)
    hooks.require(iam_actions, "access_denied_response")
    hooks.require(app, "detect_service", "_routing_params")
    hooks.require(HTTPStream, "app_send")


def _with_errors(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dispatch(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
    ) -> Any:
        if not faults.current().api:
            return await original(method, path, headers, body, query_params, request_id)
        service = app.detect_service(
            method, path, headers, app._routing_params(method, path, headers, body, query_params)
        )
        fault = faults.take_api_fault(
            client_name(service),
            operation_of(service, method, path, headers, query_params, body),
            lambda: f"{path} {body.decode(errors='replace')}",
            by_role=extract_access_key_id(headers, query_params).startswith("ASIA"),
        )
        if fault:
            await asyncio.sleep(fault.delay_seconds)
        if fault is None or not fault.error:
            return await original(method, path, headers, body, query_params, request_id)
        if fault.after_work:
            await original(method, path, headers, body, query_params, request_id)
        if fault.error == RESET:
            raise _CutOff
        return error_response(service, fault.error, headers, request_id, head=method == "HEAD")

    return dispatch


def _with_cut_offs(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def app_with_cut_offs(scope: Any, receive: Any, send: Any) -> None:
        try:
            await original(scope, receive, send)
        except _CutOff:
            stream = send.__self__
            stream.closed = True
            await stream.send.__self__.send(Closed())

    return app_with_cut_offs


def error_response(
    service: str, error: str, headers: dict[str, str], request_id: str, *, head: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """The injected error in the service's protocol."""
    _, answer_headers, body = iam_actions.access_denied_response(
        service, "", "", request_id, error_code=error, message="Injected by /_traindrop/faults.", headers=headers
    )
    return _STATUS.get(error, 400), answer_headers, b"" if head else body
