"""Faults that a user or a test injects: what is to go wrong with training jobs, events, functions and API calls.

The state lives in the server's process. What is to happen a number of times is taken one by one, whoever comes first.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Self

from ministack import app
from ministack.core import iam_actions
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from local_cloud import hooks
from local_cloud.operations import client_name, operation_of

_STATUS = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "ServiceException": 500,
    "TooManyRequestsException": 429,
}
"""HTTP status of an injected error; 400 where none is given."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TrainingFaults(_Part):
    """What goes wrong with training jobs."""

    interrupt_after_epochs: list[PositiveInt] = []
    capacity_errors: NonNegativeInt = 0
    quota_errors: NonNegativeInt = 0
    spot_never_arrives: bool = False
    internal_errors: NonNegativeInt = 0
    stub_fails_with: str = ""


class EventFaults(_Part):
    """What goes wrong with every event on its way to the rules."""

    duplicate: PositiveInt = 1
    drop: list[str] = []
    delay_seconds: float = 0
    reorder: bool = False


class ApiFault(_Part):
    """What happens to calls of an operation a number of times, before its service sees them.

    A call is held for `delay_seconds`; then it answers `error`, or goes on where none is given. With `containing` only
    calls are meant that have all these texts in their path or body.
    """

    service: str
    operation: str
    error: str = ""
    delay_seconds: NonNegativeFloat = 0
    containing: list[str] = []
    times: PositiveInt = 1

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.error or self.delay_seconds):
            raise ValueError("give error, delay_seconds or both")
        return self


class FunctionFault(_Part):
    """What happens to invocations of a function a number of times.

    `function` is a part of its name. An invocation is held for `delay_seconds`; then it fails, before its handler runs
    or, with `after_work`, after it: the work is done and the answer lost. With `containing` only invocations are meant
    that have all these texts in their event.
    """

    function: str
    fails: Literal["throws", "times_out", "throttled"] | None = None
    after_work: bool = False
    delay_seconds: NonNegativeFloat = 0
    containing: list[str] = []
    times: PositiveInt = 1

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.fails or self.delay_seconds):
            raise ValueError("give fails, delay_seconds or both")
        if self.after_work and self.fails not in ("throws", "times_out"):
            raise ValueError("after_work goes with throws and times_out only")
        return self


class Faults(_Part):
    """Everything injected."""

    training: TrainingFaults = TrainingFaults()
    events: EventFaults = EventFaults()
    functions: list[FunctionFault] = []
    api: list[ApiFault] = []


_lock = threading.Lock()
_current = Faults()


def current() -> Faults:
    """The faults as they stand."""
    return _current


def put(faults: Faults) -> None:
    """Set the faults in place of the present ones."""
    global _current
    with _lock:
        _current = faults


def take_capacity_error() -> bool:
    """Whether the next job finds no capacity."""
    return _take("capacity_errors")


def take_quota_error() -> bool:
    """Whether the next CreateTrainingJob is above its quota."""
    return _take("quota_errors")


def take_internal_error() -> bool:
    """Whether the next job fails with an internal error of the service."""
    return _take("internal_errors")


def spot_never_arrives() -> bool:
    """Whether spot jobs stay without a host."""
    return _current.training.spot_never_arrives


def stub_failure() -> str:
    """The reason that the stub trainer fails with; empty while it does not."""
    return _current.training.stub_fails_with


def interruption_for(host: int) -> int | None:
    """After which epoch the n-th host of a job (1, 2, …) is taken away; None if it is not."""
    epochs = _current.training.interrupt_after_epochs
    return epochs[host - 1] if 1 <= host <= len(epochs) else None


def take_api_fault(service: str, operation: str | None, request: Callable[[], str]) -> ApiFault | None:
    """What happens to this call, or None; `request` answers its path and body."""
    found: ApiFault | None = _take_first(
        "api",
        lambda fault: (fault.service, fault.operation) == (service, operation) and _has(request, fault.containing),
    )
    return found


def take_function_fault(name: str, event: Any, *, throttled: bool) -> FunctionFault | None:
    """What happens to this invocation, or None: to be throttled, or whatever else."""
    found: FunctionFault | None = _take_first(
        "functions",
        lambda fault: (
            fault.function in name
            and (fault.fails == "throttled") == throttled
            and _has(lambda: json.dumps(event, ensure_ascii=False), fault.containing)
        ),
    )
    return found


def _has(text: Callable[[], str], wanted: list[str]) -> bool:
    return not wanted or all(part in text() for part in wanted)


def _take_first(part: str, fits: Callable[[Any], bool]) -> Any:
    """The first of these faults that fits, once."""
    if not getattr(_current, part):
        return None
    with _lock:
        faults = getattr(_current, part)
        for index, fault in enumerate(faults):
            if fits(fault):
                left = [fault.model_copy(update={"times": fault.times - 1})] if fault.times > 1 else []
                _replace(**{part: [*faults[:index], *left, *faults[index + 1 :]]})
                return fault
    return None


def _take(name: str) -> bool:
    with _lock:
        left: int = getattr(_current.training, name)
        if left:
            _replace(training=_current.training.model_copy(update={name: left - 1}))
        return left > 0


def _replace(**parts: Any) -> None:
    global _current
    _current = _current.model_copy(update=parts)


def install() -> None:
    """Answer injected errors before the services; MiniStack has no injection of faults of its own."""
    hooks.replace(app, "_dispatch_service_request", "method path headers body query_params request_id", _with_errors)
    hooks.require(iam_actions, "access_denied_response")
    hooks.require(app, "detect_service", "_routing_params")


def _with_errors(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dispatch(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
    ) -> Any:
        if _current.api:
            service = app.detect_service(
                method, path, headers, app._routing_params(method, path, headers, body, query_params)
            )
            operation = operation_of(service, method, path, headers, query_params, body)
            fault = take_api_fault(client_name(service), operation, lambda: f"{path} {body.decode(errors='replace')}")
            if fault:
                await asyncio.sleep(fault.delay_seconds)
            if fault and fault.error:
                return error_response(service, fault.error, headers, request_id, head=method == "HEAD")
        return await original(method, path, headers, body, query_params, request_id)

    return dispatch


def error_response(
    service: str, error: str, headers: dict[str, str], request_id: str, *, head: bool = False
) -> tuple[int, dict[str, str], bytes]:
    """The injected error in the service's protocol."""
    _, answer_headers, body = iam_actions.access_denied_response(
        service, "", "", request_id, error_code=error, message="Injected by /_traindrop/faults.", headers=headers
    )
    return _STATUS.get(error, 400), answer_headers, b"" if head else body
