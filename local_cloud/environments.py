"""Execution environments of Python functions: how many the account runs at once, and how many start at once.

On AWS a burst starts as many environments as it has invocations, each on hardware of its own. Here they share a few
processors, and ten that start together take longer than one that handles ten. So only as many start at once as there
are processors; an invocation that waits for its turn takes an environment that has become free meanwhile.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local_cloud import hooks

STARTS_AT_ONCE = max(2, os.cpu_count() or 2)
_changed = threading.Condition()
_starting: set[int] = set()


def install() -> None:
    """Bound both numbers, and word a refusal as Lambda does."""
    hooks.require(lambda_svc, "_ACCOUNT_CONCURRENCY_CAP")
    hooks.require(lambda_runtime, "_workers", "_worker_key")
    lambda_svc._ACCOUNT_CONCURRENCY_CAP = int(os.environ.get("TRAINDROP_LAMBDA_CONCURRENCY", "10"))
    hooks.replace(lambda_svc, "_throttle_response", "reason_code msg retry_after", lambda _: _refusal)
    hooks.replace(
        lambda_svc, "acquire_worker", "func_name config code_zip qualifier max_concurrency", _with_orderly_starts
    )
    hooks.replace(lambda_svc, "release_worker", "worker", _with_notice)
    hooks.replace(lambda_runtime.ProvidedWorker, "_spawn", "self init_timeout", _with_end_of_start)


def _refusal(reason_code: str, msg: str, retry_after: int = 1) -> dict[str, Any]:  # noqa: ARG001 - MiniStack's own words
    """What Lambda answers above a limit; an event that nobody waits for goes back into its queue."""
    body = {"Reason": reason_code, "Type": "User", "message": "Rate Exceeded.", "__type": "TooManyRequestsException"}
    return {"throttle": True, "error": True, "log": "", "body": body}


def _with_orderly_starts(original: Any) -> Any:
    def acquire_worker(
        func_name: str, config: dict[str, Any], code_zip: bytes, qualifier: str = "$LATEST", max_concurrency: Any = None
    ) -> tuple[Any, str]:
        key = lambda_runtime._worker_key(func_name, config, qualifier)
        with _changed:
            _changed.wait_for(lambda: len(_starting) < STARTS_AT_ONCE or _has_idle(key))
            worker, how = original(func_name, config, code_zip, qualifier, max_concurrency)
            if how == "spawn" and isinstance(worker, lambda_runtime.ProvidedWorker):
                _starting.add(id(worker))
        return worker, how

    return acquire_worker


def _has_idle(key: str) -> bool:
    return any(not worker.in_use for worker in lambda_runtime._workers.get(key, []))


def _with_notice(original: Any) -> Any:
    def release_worker(worker: Any) -> None:
        original(worker)
        _no_longer_starting(worker)

    return release_worker


def _with_end_of_start(original: Any) -> Any:
    def spawn(self: Any, init_timeout: float | None = None) -> None:
        try:
            original(self, init_timeout)
        finally:
            _no_longer_starting(self)

    return spawn


def _no_longer_starting(worker: Any) -> None:
    with _changed:
        _starting.discard(id(worker))
        _changed.notify_all()
