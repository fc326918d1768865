"""Injected faults of functions: an invocation is held, throttled, or ends as one that threw or ran out of time."""

from __future__ import annotations

import time
from typing import Any

from ministack.services import lambda_svc

from local_cloud import faults, hooks

_WHY = "Injected by /_traindrop/faults."


def install() -> None:
    """Meet every invocation, synchronous or not, on its way to the function's process and back."""
    hooks.require(lambda_svc, "_throttle_response", "_emit_lambda_metrics")
    hooks.replace(lambda_svc, "_execute_function_dispatch", "func config event request_id started", _with_throttling)
    hooks.replace(lambda_svc, "_execute_function_warm", "func event request_id", _with_failures)


def _with_throttling(original: Any) -> Any:
    """A throttled invocation reaches no process and leaves no line in the log."""

    def dispatch(func: dict[str, Any], config: dict[str, Any], event: Any, request_id: str, started: float) -> Any:
        name = config.get("FunctionName", "")
        fault = faults.take_function_fault(name, event, throttled=True)
        if fault is None:
            return original(func, config, event, request_id, started)
        time.sleep(fault.delay_seconds)
        lambda_svc._emit_lambda_metrics(name, duration_ms=0.0, error=False, throttle=True)
        return lambda_svc._throttle_response("ConcurrentInvocationLimitExceeded", f"Rate Exceeded. {_WHY}")

    return dispatch


def _with_failures(original: Any) -> Any:
    def execute(func: dict[str, Any], event: Any, request_id: str) -> Any:
        config = func.get("config") or func
        fault = faults.take_function_fault(config.get("FunctionName", ""), event, throttled=False)
        if fault is None:
            return original(func, event, request_id)
        time.sleep(fault.delay_seconds)
        done = original(func, event, request_id) if fault.after_work or not fault.fails else {}
        if not fault.fails:
            return done
        document, line = _failure(fault, config, request_id)
        return {"body": document, "error": True, "log": f"{done.get('log', '')}{line}\n"}

    return execute


def _failure(fault: faults.FunctionFault, config: dict[str, Any], request_id: str) -> tuple[dict[str, Any], str]:
    """The error document as Lambda words it, and the line in the log."""
    if fault.fails == "times_out":
        text = f"Task timed out after {float(config.get('Timeout') or 3):.2f} seconds"
        message = f"RequestId: {request_id} Error: {text}"
        return {"errorType": "Sandbox.Timedout", "errorMessage": message}, f"{request_id} {text}"
    document = {"errorMessage": _WHY, "errorType": "InjectedError", "requestId": request_id, "stackTrace": []}
    return document, f"[ERROR] InjectedError: {_WHY}"
