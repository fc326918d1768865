"""The history of an execution, kept as the events that GetExecutionHistory answers, and its delivery to a log group.

moto keeps a history only as long as the interpreter's objects and delivers to its own log groups; here it belongs to
MiniStack's record of the execution, goes on after a redrive, and is all that a finished execution keeps.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
from typing import Any

from ministack.services import cloudwatch_logs
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
from moto.stepfunctions.parser.asl.eval.event.logging import is_logging_enabled_for
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from local_cloud import hooks
from local_cloud.state_machines.limits import HISTORY_EVENTS

logger = logging.getLogger(__name__)
_PAYLOADS = ("input", "inputDetails", "output", "outputDetails", "parameters")
"""What a log without execution data leaves out."""


class Closed(Exception):
    """Nothing more is written: the execution, or the attempt that wants to write, has ended."""


def install() -> None:
    """Check what the delivery of logs calls."""
    hooks.require(cloudwatch_logs, "_put_log_events", "_create_log_stream", "_log_groups")


def now() -> str:
    """This moment as AWS writes it."""
    return written(datetime.datetime.now(datetime.UTC))


def written(moment: datetime.datetime) -> str:
    """A moment as AWS writes it, to the millisecond."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class History:
    """The events of one execution, in the order in which they happen; stands where moto has its EventManager."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record
        self._events: list[dict[str, Any]] = record["events"]
        self._lock = threading.Lock()
        self._closed = False
        self._log = _LogDelivery.of(record)

    def add_event(
        self,
        context: Any,
        event_type: str,
        event_details: dict[str, Any] | None = None,
        timestamp: Any = None,
        update_source_event_id: bool = True,
    ) -> int:
        """Write an event down and answer its id; Closed after the end."""
        with self._lock:
            if self._closed:
                raise Closed
            if len(self._events) >= HISTORY_EVENTS - 1:
                raise RuntimeError(f"The execution reached the maximum number of history events ({HISTORY_EVENTS}).")
            return self._add(context, event_type, event_details, timestamp, update_source_event_id)

    def close(self, event_type: str, event_details: dict[str, Any], *, from_start: bool = False) -> None:
        """Write the last event."""
        with self._lock:
            self._closed = True
            context = EventHistoryContext(0 if from_start else self.last_id)
            self._add(context, event_type, event_details, None, True)

    def reopen(self, event_type: str, event_details: dict[str, Any]) -> None:
        """Go on after the last event with this one."""
        with self._lock:
            self._add(EventHistoryContext(self.last_id), event_type, event_details, None, True)

    @property
    def last_id(self) -> int:
        """The id of the newest event, 0 before the first."""
        return self._events[-1]["id"] if self._events else 0

    def get_event_history(self) -> list[dict[str, Any]]:
        """The events so far."""
        return list(self._events)

    def _add(self, context: Any, event_type: str, details: Any, timestamp: Any, source: bool) -> int:
        number = self.last_id + 1
        event = {
            **json.loads(to_json_str(details or {})),
            "id": number,
            "previousEventId": context.source_event_id,
            "type": str(getattr(event_type, "value", event_type)),
            "timestamp": written(timestamp or datetime.datetime.now(datetime.UTC)),
        }
        context.last_published_event_id = number
        if source:
            context.source_event_id = number
        self._events.append(event)
        if self._log:
            self._log.deliver(event)
        return number


class Attempt:
    """The part of a history that one attempt of a state writes; closed when nobody waits for the attempt any more."""

    def __init__(self, history: Any) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._closed = False

    def add_event(self, *arguments: Any, **named: Any) -> int:
        """As History's."""
        with self._lock:
            if self._closed:
                raise Closed
            number: int = self._history.add_event(*arguments, **named)
            return number

    def get_event_history(self) -> Any:
        """As History's."""
        return self._history.get_event_history()

    def close(self) -> None:
        """Refuse what comes late, such as the end of a function whose task has timed out."""
        with self._lock:
            self._closed = True


class _LogDelivery:
    """Events as lines of the log group that the state machine is configured with."""

    def __init__(self, record: dict[str, Any], level: str, group: str, whole: bool) -> None:
        self._record, self._level, self._group, self._whole = record, level, group, whole
        started = datetime.datetime.fromisoformat(record["startDate"])
        self._stream = f"states/{record['machine']['name']}/{started:%Y-%m-%d-%H-%M}/{record['name'][:64]}"

    @classmethod
    def of(cls, record: dict[str, Any]) -> _LogDelivery | None:
        configuration = _camel(record["machine"].get("loggingConfiguration") or {})
        level = configuration.get("level", "OFF")
        destinations = configuration.get("destinations") or []
        if level == "OFF" or not destinations:
            return None
        arn = destinations[0]["cloudWatchLogsLogGroup"]["logGroupArn"]
        group = arn.split(":log-group:")[-1].removesuffix(":*")
        return cls(record, level, group, bool(configuration.get("includeExecutionData")))

    def deliver(self, event: dict[str, Any]) -> None:
        if not is_logging_enabled_for(self._level, event["type"]):
            return
        moment = round(datetime.datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)
        details: dict[str, Any] = next((event[name] for name in event if name.endswith("EventDetails")), {})
        line = {
            "id": str(event["id"]),
            "type": event["type"],
            "details": {name: value for name, value in details.items() if self._whole or name not in _PAYLOADS},
            "redrive_count": str(self._record["redriveCount"]),
            "previous_event_id": str(event["previousEventId"]),
            "event_timestamp": str(moment),
            "execution_arn": self._record["executionArn"],
        }
        target = {"logGroupName": self._group, "logStreamName": self._stream}
        found = cloudwatch_logs._log_groups.get(self._group)
        if found is None:
            logger.warning("%s has no log group %s", self._record["executionArn"], self._group)
            return
        if self._stream not in found["streams"]:
            cloudwatch_logs._create_log_stream(target)
        cloudwatch_logs._put_log_events(
            {**target, "logEvents": [{"timestamp": moment, "message": json.dumps(line, ensure_ascii=False)}]}
        )


def _camel(value: Any) -> Any:
    """CloudFormation's capitals as the API writes them."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _camel(item) for name, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value
