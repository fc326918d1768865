"""`Step Functions Execution Status Change` events in AWS's shape.

MiniStack's tell of no redrives, of no error of an execution that was stopped or ran out of time, and call only failed
executions redrivable.
"""

from __future__ import annotations

import datetime
from typing import Any

from local_cloud import events

LARGEST_PAYLOAD = 248 * 1024
"""A longer input or output is left out."""
REDRIVABLE_DAYS = 14


def emit(record: dict[str, Any]) -> None:
    """Tell the status that the record has now; executions that run synchronously tell nothing."""
    if record.get("sync") or record["machine"]["type"] == "EXPRESS":
        return
    arn = record["executionArn"]
    region, account = arn.split(":")[3:5]
    detail = status_detail(record)
    events.emit("aws.states", "Step Functions Execution Status Change", detail, [arn], region, account)


def status_detail(record: dict[str, Any]) -> dict[str, Any]:
    """The `detail` of the event."""
    given, output = record["input"], record["output"]
    status, reason = redrive_status(record)
    return {
        "executionArn": record["executionArn"],
        "stateMachineArn": record["stateMachineArn"],
        "name": record["name"],
        "status": record["status"],
        "startDate": _milliseconds(record["startDate"]),
        "stopDate": _milliseconds(record["stopDate"]),
        "input": given if _fits(given) else None,
        "inputDetails": {"included": _fits(given)},
        "output": output if _fits(output) else None,
        "outputDetails": None if output is None else {"included": _fits(output)},
        "stateMachineVersionArn": record.get("stateMachineVersionArn"),
        "stateMachineAliasArn": record.get("stateMachineAliasArn"),
        "redriveCount": record["redriveCount"],
        "redriveDate": _milliseconds(record["redriveDate"]),
        "redriveStatus": status,
        "redriveStatusReason": reason,
        "error": record.get("error"),
        "cause": record.get("cause"),
    }


def redrive_status(record: dict[str, Any]) -> tuple[str, str | None]:
    """Whether an execution can be redriven, and why not."""
    reason = None
    if record["status"] in ("RUNNING", "SUCCEEDED"):
        reason = f"Execution is {record['status']} and cannot be redriven"
    elif record["machine"]["type"] == "EXPRESS":
        reason = "Execution of type EXPRESS cannot be redriven"
    elif len(record["events"]) >= 24_999:
        reason = "Execution history event limit exceeded"
    elif _age(record["stopDate"]) > datetime.timedelta(days=REDRIVABLE_DAYS):
        reason = "Execution redrivable period exceeded"
    return ("NOT_REDRIVABLE" if reason else "REDRIVABLE"), reason


def _age(moment: str) -> datetime.timedelta:
    return datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)


def _fits(payload: str | None) -> bool:
    return payload is not None and len(payload.encode()) <= LARGEST_PAYLOAD


def _milliseconds(moment: str | None) -> int | None:
    return moment and round(datetime.datetime.fromisoformat(moment).timestamp() * 1000)  # type: ignore[return-value]
