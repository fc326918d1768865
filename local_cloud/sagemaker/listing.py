"""ListTrainingJobs: filters, order and pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import Any

from local_cloud.sagemaker.errors import ValidationError
from local_cloud.sagemaker.job import Job

_SORT_KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Name": lambda entry: entry["TrainingJobName"],
    "CreationTime": lambda entry: entry["CreationTime"],
    "Status": lambda entry: entry["TrainingJobStatus"],
    "FinalObjectiveMetricValue": lambda entry: entry["CreationTime"],
}


def list_jobs(request: dict[str, Any], jobs: Iterable[Job]) -> dict[str, Any]:
    """One page. By default by creation time, ascending, ten at a time."""
    entries = [entry for job in jobs if _matches(request, entry := job.summary())]
    key = _SORT_KEYS[request.get("SortBy", "CreationTime")]
    entries.sort(
        key=lambda entry: (key(entry), entry["CreationTime"], entry["TrainingJobName"]),
        reverse=request.get("SortOrder") == "Descending",
    )
    filters = {name: value for name, value in request.items() if name not in ("NextToken", "MaxResults")}
    start = _start(request.get("NextToken"), filters)
    end = start + request.get("MaxResults", 10)
    page: dict[str, Any] = {"TrainingJobSummaries": entries[start:end]}
    if end < len(entries):
        page["NextToken"] = _token(end, filters)
    return page


def _matches(request: dict[str, Any], entry: dict[str, Any]) -> bool:
    modified = entry["LastModifiedTime"]
    return (
        request.get("NameContains", "").lower() in entry["TrainingJobName"].lower()
        and request.get("StatusEquals", entry["TrainingJobStatus"]) == entry["TrainingJobStatus"]
        and _within(entry["CreationTime"], request.get("CreationTimeAfter"), request.get("CreationTimeBefore"))
        and _within(modified, request.get("LastModifiedTimeAfter"), request.get("LastModifiedTimeBefore"))
        and "WarmPoolStatusEquals" not in request
        and "TrainingPlanArnEquals" not in request
    )


def _within(moment: float, after: float | None, before: float | None) -> bool:
    """Whether a time lies between two, both included, to the millisecond."""
    return (after is None or moment >= round(after, 3)) and (before is None or moment <= round(before, 3))


def _token(start: int, filters: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, filters], sort_keys=True).encode()).decode()


def _start(token: str | None, filters: dict[str, Any]) -> int:
    if token is None:
        return 0
    try:
        start, given = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise ValidationError("Invalid pagination token.") from error
    if given != filters:
        raise ValidationError("Invalid pagination token.")
    return int(start)
