"""Metrics that a job prints: the definitions' regular expressions over its log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_EPOCH = re.compile(r"^METRIC .*?\bepoch=(\d+)\b")


@dataclass(frozen=True)
class Observation:
    """One value of one metric; time is in epoch seconds."""

    name: str
    value: float
    time: float


class MetricDefinitions:
    """The MetricDefinitions of one job."""

    def __init__(self, definitions: list[dict[str, str]]):
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]

    def observe(self, line: str, time: float) -> list[Observation]:
        """The values that this line reports; a match that is no number counts for nothing, as on AWS."""
        found = []
        for name, pattern in self._patterns:
            match = pattern.search(line)
            if match is None:
                continue
            try:
                found.append(Observation(name, float(match[1]), time))
            except (TypeError, ValueError):
                continue
        return found


def final_metrics(latest: dict[str, Observation]) -> list[dict[str, Any]]:
    """FinalMetricDataList: the latest value of each metric."""
    return [{"MetricName": item.name, "Value": item.value, "Timestamp": item.time} for item in latest.values()]


def finished_epoch(line: str) -> int | None:
    """The epoch that a `METRIC epoch=N; …` line reports as finished."""
    match = _EPOCH.match(line)
    return int(match[1]) if match else None
