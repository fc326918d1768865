"""Which API operation a request is, by AWS's own service models."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import botocore.session

_CLIENTS = {"states": "stepfunctions", "monitoring": "cloudwatch", "email": "ses", "servicequotas": "service-quotas"}
"""MiniStack's name of a service → the name of its client, where they differ."""


@dataclass(frozen=True)
class _Route:
    operation: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str | None]
    headers: frozenset[str]

    def fits(self, method: str, path: str, headers: Mapping[str, str], query: Mapping[str, list[str]]) -> bool:
        return (
            method == self.method
            and self.path.fullmatch(path) is not None
            and all(name in query and wanted in (None, query[name][0]) for name, wanted in self.query.items())
            and all(name in headers for name in self.headers)
        )


def client_name(service: str) -> str:
    """The service as boto3 calls it."""
    return _CLIENTS.get(service, service)


def operation_of(
    service: str, method: str, path: str, headers: Mapping[str, str], query: Mapping[str, Any], body: bytes
) -> str | None:
    """The operation's name as in the API reference (`GetObject`, `StartExecution`); None if it cannot be told."""
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if "/operation/" in path and headers.get("smithy-protocol"):
        return path.rpartition("/operation/")[2]
    for parameters in (query, _form(headers, body)):
        if action := parameters.get("Action"):
            return str(action[0] if isinstance(action, list) else action)
    values = {name: value if isinstance(value, list) else [value] for name, value in query.items()}
    fitting = [route for route in _routes(service) if route.fits(method, path, headers, values)]
    return max(fitting, key=lambda route: len(route.query) + len(route.headers)).operation if fitting else None


def _form(headers: Mapping[str, str], body: bytes) -> dict[str, list[str]]:
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return parse_qs(body.decode(errors="replace"))


@functools.cache
def _routes(service: str) -> list[_Route]:
    """The routes of a REST service; none for the others and for services that botocore does not know."""
    try:
        model = botocore.session.get_session().get_service_model(client_name(service))
    except botocore.exceptions.UnknownServiceError:
        return []
    return [
        _route(model.operation_model(name))
        for name in model.operation_names
        if model.metadata["protocol"][:4] == "rest"
    ]


def _route(operation: Any) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    pattern = re.sub(r"\\\{[^{}]+?\\\+\\\}", "(?:.+)", re.escape(path))
    pattern = re.sub(r"\\\{[^{}]+?\\\}", "[^/]+", pattern)
    literal = {name: value[0] or None for name, value in parse_qs(query, keep_blank_values=True).items()}
    shape = operation.input_shape
    required = [shape.members[name].serialization for name in shape.required_members] if shape else []
    named = {
        place: {item["name"] for item in required if item.get("location") == place}
        for place in ("querystring", "header")
    }
    return _Route(
        operation.name,
        operation.http["method"],
        re.compile(pattern.removesuffix("/") + "/?"),
        {**dict.fromkeys(named["querystring"]), **literal},
        frozenset(name.lower() for name in named["header"]),
    )
