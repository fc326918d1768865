"""Metrics that functions write into their logs (CloudWatch's embedded metric format) become metrics.

MiniStack keeps the log lines only.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from local_cloud import hooks


def install() -> None:
    """Read the log of every invocation."""
    hooks.require(cloudwatch, "record_metric")
    hooks.replace(lambda_svc, "_emit_lambda_logs", "func request_id log_text error duration_ms log_source", _reading)


def _reading(original: Any) -> Any:
    def emit(func: dict[str, Any], request_id: str, log_text: str, *rest: Any, **named: Any) -> None:
        original(func, request_id, log_text, *rest, **named)
        for line in log_text.splitlines():
            for name, value, unit, namespace, dimensions in embedded(line):
                cloudwatch.record_metric(namespace, name, value, unit, dimensions)

    return emit


def embedded(line: str) -> list[tuple[str, float, str, str, dict[str, str]]]:
    """The metrics of one log line: name, value, unit, namespace, dimensions; none if it is no such line."""
    if '"_aws"' not in line:
        return []
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return []
    found = []
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document[name]) for name in names if name in document}
            for metric in directive["Metrics"]:
                values = document.get(metric["Name"], [])
                found += [
                    (metric["Name"], float(value), metric.get("Unit", "None"), directive["Namespace"], dimensions)
                    for value in (values if isinstance(values, list) else [values])
                ]
    return found
