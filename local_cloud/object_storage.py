"""S3's events as EventBridge delivers them on AWS.

MiniStack leaves out the version of the object, gives the event the id of the request and its time in milliseconds;
the rest of the detail is put in AWS's order and shape.
"""

from __future__ import annotations

import contextvars
import json
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import eventbridge, s3

from local_cloud import hooks

_version: contextvars.ContextVar[str | None] = contextvars.ContextVar("version", default=None)


def install() -> None:
    """Correct the events between the bucket and the bus."""
    hooks.replace(
        s3,
        "_fire_s3_event",
        "bucket_name key event_name size etag deletion_type restore_event_data version_id sequencer object_extra"
        " record_extra",
        _with_version,
    )
    hooks.replace(eventbridge, "_dispatch_event", "event view", _as_on_aws)


def _with_version(original: Any) -> Any:
    def fire(*positional: Any, version_id: str | None = None, **named: Any) -> None:
        _version.set(version_id)
        original(*positional, version_id=version_id, **named)

    return fire


def _as_on_aws(original: Any) -> Any:
    def dispatch(event: dict[str, Any], view: Any = None) -> None:
        if event.get("Source") != "aws.s3" or event.get("_DispatchPath"):
            original(event, view)
            return
        original(
            {
                **event,
                "EventId": new_uuid(),
                "Time": event["Time"][:19] + "Z",
                "Detail": json.dumps(detail(json.loads(event["Detail"]))),
            }
        )

    return dispatch


def detail(found: dict[str, Any]) -> dict[str, Any]:
    """The detail of an S3 event with AWS's keys in AWS's order."""
    version = _version.get()
    stored = {name: value for name, value in found["object"].items() if name != "sequencer"}
    fixed = {
        "version": "0",
        "bucket": found["bucket"],
        "object": {**stored, **({"version-id": version} if version else {}), "sequencer": found["object"]["sequencer"]},
        "request-id": found["request-id"].replace("-", "")[:16].upper(),
        "requester": found["requester"],
        "source-ip-address": found["source-ip-address"],
    }
    return fixed | {name: value for name, value in found.items() if name not in fixed and name != "event-version"}
