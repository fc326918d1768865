"""Follows a run from outside, as a user could: execution history, training job, log stream, messages, run record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError

from demo.screen import Screen
from traindrop.job_log import LOG_GROUP, Begun, Epoch, read


class Cloud(Protocol):
    """Where the run happens."""

    def client(self, service: str) -> Any:
        """A boto3 client."""
        ...


@dataclass(frozen=True)
class Notification:
    """A message as it arrived: when it reached the queue (epoch seconds), what it says."""

    at: float
    outcome: str
    subject: str
    body: str


@dataclass(frozen=True)
class _Event:
    at: float
    kind: str
    words: str
    values: dict[str, Any] = field(default_factory=dict)


class Run:
    """One run, seen through polls; every poll shows on the screen what is new, in the order in which it happened."""

    def __init__(self, cloud: Cloud, outputs: dict[str, str], queue_url: str, screen: Screen) -> None:
        self._states, self._sagemaker = cloud.client("stepfunctions"), cloud.client("sagemaker")
        self._logs, self._sqs, self._dynamodb = cloud.client("logs"), cloud.client("sqs"), cloud.client("dynamodb")
        self._outputs, self._queue_url, self._screen = outputs, queue_url, screen
        self._seen_history = self._seen_transitions = 0
        self._log_positions: dict[str, str] = {}
        self.execution_arn = ""
        self.status = "NOT STARTED"
        self.state = ""
        self.job: dict[str, Any] = {}
        self.messages: list[Notification] = []
        self.log: list[str] = []
        self.finished_epochs: list[int] = []
        self.resumed_from: list[int] = []
        self.epochs_lost: list[int] = []

    @property
    def run_id(self) -> str:
        """Name of the execution; empty until there is one."""
        return self.execution_arn.rpartition(":")[2]

    def poll(self) -> None:
        """Look at everything once."""
        events = [*self._history(), *self._transitions(), *self._log_lines(), *self._inbox()]
        for event in sorted(events, key=lambda event: event.at):
            self._show(event)

    def record(self) -> dict[str, Any]:
        """The run's record in DynamoDB as plain values; empty while there is none."""
        from boto3.dynamodb.types import TypeDeserializer

        item = self._dynamodb.get_item(
            TableName=self._outputs["RunsTableName"], Key={"run_id": {"S": self.run_id}}, ConsistentRead=True
        ).get("Item", {})
        deserialize = TypeDeserializer().deserialize
        plain: dict[str, Any] = json.loads(json.dumps({k: deserialize(v) for k, v in item.items()}, default=float))
        return plain

    def why_it_ended(self) -> str:
        """Status, error and cause of the execution, in words."""
        answer = self._states.describe_execution(executionArn=self.execution_arn)
        reason = ": ".join(answer[key] for key in ("error", "cause") if answer.get(key))
        return f"{answer['status']}{f' ({reason})' if reason else ''}"

    def _history(self) -> list[_Event]:
        if not self.execution_arn:
            found = self._states.list_executions(stateMachineArn=self._outputs["StateMachineArn"])["executions"]
            if not found:
                return []
            self.execution_arn = found[0]["executionArn"]
        self.status = self._states.describe_execution(executionArn=self.execution_arn)["status"]
        pages = self._states.get_paginator("get_execution_history").paginate(executionArn=self.execution_arn)
        history = [event for page in pages for event in page["events"]]
        new, self._seen_history = history[self._seen_history :], len(history)
        return [
            _Event(_seconds(event["timestamp"]), "state", event["stateEnteredEventDetails"]["name"])
            for event in new
            if "stateEnteredEventDetails" in event
        ]

    def _transitions(self) -> list[_Event]:
        name = self.job.get("TrainingJobName") or (self.record().get("job_name") if self.execution_arn else None)
        if not name:
            return []
        try:
            self.job = self._sagemaker.describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if "not found" in str(error) or error.response["Error"]["Code"] == "ValidationException":
                return []  # The record names the job just before it is created.
            raise
        transitions = self.job.get("SecondaryStatusTransitions", [])
        new, self._seen_transitions = transitions[self._seen_transitions :], len(transitions)
        return [
            _Event(_seconds(item["StartTime"]), "job", item["Status"], {"message": item.get("StatusMessage", "")})
            for item in new
        ]

    def _log_lines(self) -> list[_Event]:
        if not self.job:
            return []
        try:
            streams = self._logs.describe_log_streams(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.job['TrainingJobName']}/"
            )["logStreams"]
        except self._logs.exceptions.ResourceNotFoundException:
            return []
        events = []
        for stream in sorted(item["logStreamName"] for item in streams):
            more = {"nextToken": self._log_positions[stream]} if stream in self._log_positions else {}
            page = self._logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True, **more)
            self._log_positions[stream] = page["nextForwardToken"]
            for item in page["events"]:
                self.log.append(item["message"])
                events += self._read_line(item["timestamp"] / 1000, item["message"])
        return events

    def _read_line(self, at: float, line: str) -> list[_Event]:
        found = read(line)
        if isinstance(found, Epoch):
            self.finished_epochs.append(found.number)
            return [_Event(at, "epoch", line, dict(found.values))]
        if isinstance(found, Begun):
            if self.finished_epochs:
                self.epochs_lost.append(max(0, max(self.finished_epochs) - found.after))
            if found.after:
                self.resumed_from.append(found.after)
                return [_Event(at, "resume", f"went on from its checkpoint: {found.after} epochs were already done")]
        return []

    def _inbox(self) -> list[_Event]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0, AttributeNames=["SentTimestamp"]
        )
        events = []
        for message in answer.get("Messages", []):
            envelope = json.loads(message["Body"])
            outcome = envelope.get("MessageAttributes", {}).get("outcome", {}).get("Value", "")
            at = int(message["Attributes"]["SentTimestamp"]) / 1000
            self.messages.append(Notification(at, outcome, envelope.get("Subject", ""), envelope["Message"]))
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
            events.append(_Event(at, "message", f"message: {envelope.get('Subject', '')}"))
        return events

    def _show(self, event: _Event) -> None:
        if event.kind == "state":
            self.state = event.words
            self._screen.line(f"state {event.words}", style="bold blue", at=event.at)
        elif event.kind == "job":
            interrupted = event.words == "Interrupted"
            words = "spot interruption: the job's host is taken away" if interrupted else event.values["message"]
            self._screen.line(f"job {event.words}: {words}", style="bold yellow" if interrupted else "", at=event.at)
        elif event.kind == "epoch":
            values = event.values
            figures = [f"{label} {values[name]:.3f}" for name, label in _SHOWN if name in values]
            number, of = int(values.get("epoch", 0)), int(values.get("epochs", 0))
            self._screen.epoch(number, of, "  ".join(figures), at=event.at)
        else:
            self._screen.line(event.words, style="bold green", at=event.at)


_SHOWN = (
    ("box_loss", "box loss"),
    ("seg_loss", "mask loss"),
    ("cls_loss", "class loss"),
    ("map50_box", "box mAP50"),
    ("map50_mask", "mask mAP50"),
)


def _seconds(moment: Any) -> float:
    return float(moment.timestamp())
