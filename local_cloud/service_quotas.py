"""Service Quotas for SageMaker's training instances, which MiniStack does not have: reading them, page by page.

The quotas are those that the local SageMaker keeps jobs to. Their codes are ours: AWS's are on no public list.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.concurrency import run_reentrant
from ministack.core.responses import get_account_id, get_region

from local_cloud import hooks
from local_cloud.sagemaker import authorisation, quotas
from local_cloud.sagemaker.errors import ApiError
from local_cloud.sagemaker.settings import Settings

Response = tuple[int, dict[str, str], bytes]
_PAGE = 100
_everywhere: int | None = None


def code_of(name: str) -> str:
    """A quota's code, in the shape of AWS's."""
    return f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"


def _listed(request: dict[str, Any]) -> dict[str, Any]:
    """ListServiceQuotas."""
    _check_service(request)
    first, size = int(request.get("NextToken") or 0), min(_PAGE, int(request.get("MaxResults") or _PAGE))
    page = quotas.names()[first : first + size]
    more = {"NextToken": str(first + size)} if first + size < len(quotas.names()) else {}
    return {"Quotas": [_quota(name) for name in page], **more}


def _found(request: dict[str, Any]) -> dict[str, Any]:
    """GetServiceQuota."""
    _check_service(request)
    name = next((name for name in quotas.names() if code_of(name) == request.get("QuotaCode")), None)
    if name is None:
        raise ApiError("NoSuchResourceException", "The request failed because the specified quota does not exist.")
    return {"Quota": _quota(name)}


def _check_service(request: dict[str, Any]) -> None:
    if request.get("ServiceCode") != "sagemaker":
        raise ApiError("NoSuchResourceException", "The local cloud knows the quotas of the service sagemaker only.")


def _quota(name: str) -> dict[str, Any]:
    arn = f"arn:aws:servicequotas:{get_region()}:{get_account_id()}:sagemaker/{code_of(name)}"
    return {
        "ServiceCode": "sagemaker",
        "ServiceName": "Amazon SageMaker",
        "QuotaArn": arn,
        "QuotaCode": code_of(name),
        "QuotaName": name,
        "Value": float(quotas.value_of(name, _everywhere)),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


_OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "ListServiceQuotas": _listed,
    "GetServiceQuota": _found,
}


async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Response:  # noqa: ARG001
    """MiniStack's entry to the service: one JSON 1.1 request."""
    return await run_reentrant(_answer, headers, body, thread_name="service-quotas-api")  # type: ignore[no-any-return]


def _answer(headers: dict[str, str], body: bytes) -> Response:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        if operation not in _OPERATIONS:
            raise ApiError("UnknownOperationException", f"The local cloud does not have Service Quotas' {operation}.")
        authorisation.check(headers, f"servicequotas:{operation}", "*")
        return _response(200, _OPERATIONS[operation](json.loads(body or b"{}")))
    except ApiError as error:
        return _response(error.status, {"__type": error.code, "message": error.message})


def _response(status: int, content: dict[str, Any]) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()


def reset() -> None:
    """What MiniStack calls for `/_ministack/reset`: quotas are no state of this service."""


def install() -> None:
    """Register the service in MiniStack; called once, before the server starts."""
    global _everywhere
    hooks.require(app, "SERVICE_REGISTRY", "SERVICE_HANDLERS", "_loaded_modules", "_lazy_handler")
    hooks.require(router, "SERVICE_PATTERNS")
    _everywhere = Settings.from_environment().instance_quota
    app.SERVICE_REGISTRY["servicequotas"] = {"module": "servicequotas"}
    app._loaded_modules["servicequotas"] = sys.modules[__name__]
    app.SERVICE_HANDLERS["servicequotas"] = app._lazy_handler("servicequotas")
    router.SERVICE_PATTERNS["servicequotas"] = {
        "target_prefixes": ["ServiceQuotasV20190624."],
        "host_patterns": [r"servicequotas\."],
    }
