"""The record of one training job: what DescribeTrainingJob answers, and the event for every change of it."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from local_cloud.sagemaker.archive import output_uri
from local_cloud.sagemaker.errors import ValidationError
from local_cloud.sagemaker.metrics import Observation, final_metrics

logger = logging.getLogger(__name__)

# What SageMaker says on entering each secondary status, where the caller has nothing better to say.
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted",
    "Restarting": "Restarting the training job",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}
TERMINAL = ("Completed", "Failed", "Stopped")
FAILURE_REASON_LENGTH = 1024
_TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime", "StartTime", "EndTime")
_IN_EVENT = (
    "TrainingJobName",
    "TrainingJobArn",
    "ModelArtifacts",
    "TrainingJobStatus",
    "SecondaryStatus",
    "FailureReason",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "CheckpointConfig",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "SecondaryStatusTransitions",
)

Publish = Callable[[dict[str, Any]], None]


def now_in_milliseconds() -> float:
    """Epoch seconds, to the millisecond as AWS keeps times."""
    return round(time.time(), 3)


class Job:
    """Safe to use from several threads. `publish` gets the detail of each state-change event, in order."""

    def __init__(self, request: dict[str, Any], *, arn: str, publish: Publish):
        now = now_in_milliseconds()
        self.request = request
        self.arn = arn
        self.tags: dict[str, str] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        self.wake = threading.Event()
        self._publish = publish
        self._state = threading.Lock()
        self._order = threading.RLock()
        self._stop_requested = False
        self._latest: dict[str, Observation] = {}
        self._fields: dict[str, Any] = {
            **{key: copy.deepcopy(value) for key, value in request.items() if key != "Tags"},
            "TrainingJobArn": arn,
            "ModelArtifacts": {"S3ModelArtifacts": output_uri(request, "model.tar.gz")},
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "CreationTime": now,
            "LastModifiedTime": now,
            "SecondaryStatusTransitions": [],
        }
        for flag in ("EnableManagedSpotTraining", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"):
            self._fields.setdefault(flag, False)
        self._fields["OutputDataConfig"] = {"KmsKeyId": "", **request["OutputDataConfig"]}

    @property
    def name(self) -> str:
        """TrainingJobName."""
        return str(self.request["TrainingJobName"])

    @property
    def spot(self) -> bool:
        """Whether it runs on managed spot capacity."""
        return bool(self._fields["EnableManagedSpotTraining"])

    @property
    def status(self) -> str:
        """TrainingJobStatus."""
        return str(self._fields["TrainingJobStatus"])

    @property
    def created(self) -> float:
        """CreationTime in epoch seconds."""
        return float(self._fields["CreationTime"])

    @property
    def stop_requested(self) -> bool:
        """Whether StopTrainingJob was called."""
        return self._stop_requested

    def advance(self, secondary: str, message: str | None = None, **fields: Any) -> None:
        """Enter a secondary status on the job's way; a stopping job keeps its status and only uploads."""
        with self._order:
            with self._state:
                stopping = self._fields["TrainingJobStatus"] == "Stopping"
                if self._fields["TrainingJobStatus"] in TERMINAL or (stopping and secondary != "Uploading"):
                    return
                self._enter(secondary, message, fields)
            self._emit()

    def stopping(self) -> None:
        """Enter Stopping, for whatever reason; nothing happens to a job that is there already or has ended."""
        with self._order:
            with self._state:
                if self._fields["TrainingJobStatus"] != "InProgress":
                    return
                self._enter("Stopping", None, {"TrainingJobStatus": "Stopping"})
            self._emit()

    def request_stop(self) -> None:
        """StopTrainingJob: ValidationException unless the job is in progress (a stopping one stays so)."""
        with self._order:
            if self.status not in ("InProgress", "Stopping"):
                raise ValidationError(f"The request was rejected because the training job is in status {self.status}.")
            self._stop_requested = True
            self.stopping()
            self.wake.set()

    def finish(self, status: str, secondary: str, *, reason: str | None = None, **fields: Any) -> None:
        """Enter a final status; `reason` is the FailureReason of a failed job."""
        with self._order:
            with self._state:
                now = now_in_milliseconds()
                if status == "Completed" and self._stop_requested:
                    status = secondary = "Stopped"
                if reason is not None:
                    fields["FailureReason"] = reason[:FAILURE_REASON_LENGTH]
                if self._latest:
                    fields["FinalMetricDataList"] = final_metrics(self._latest)
                fields |= {"TrainingJobStatus": status, "TrainingEndTime": now}
                self._enter(secondary, None, fields, now)
                self._fields["SecondaryStatusTransitions"][-1]["EndTime"] = now
            self._emit()

    def observed(self, values: list[Observation]) -> None:
        """Keep the latest value of each metric."""
        with self._state:
            self._latest |= {value.name: value for value in values}

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeTrainingJob, times in epoch seconds."""
        with self._state:
            described = copy.deepcopy(self._fields)
            if self._latest:
                described["FinalMetricDataList"] = final_metrics(self._latest)
        return described

    def summary(self) -> dict[str, Any]:
        """The entry of ListTrainingJobs."""
        names = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime")
        with self._state:
            fields = {name: self._fields[name] for name in (*names, "TrainingJobStatus") if name in self._fields}
            return fields | {"SecondaryStatus": self._fields["SecondaryStatus"]}

    def event_detail(self) -> dict[str, Any]:
        """The detail of `SageMaker Training Job State Change`: times in epoch milliseconds, no billable seconds."""
        described = self.describe()
        detail = {name: _in_milliseconds(described[name], name) for name in _IN_EVENT if name in described}
        return detail | {"Tags": dict(self.tags)}

    def _enter(self, secondary: str, message: str | None, fields: dict[str, Any], now: float | None = None) -> None:
        now = now_in_milliseconds() if now is None else now
        transitions = self._fields["SecondaryStatusTransitions"]
        if transitions and "EndTime" not in transitions[-1]:
            transitions[-1]["EndTime"] = now
        transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message or MESSAGES[secondary]})
        self._fields |= {"SecondaryStatus": secondary, "LastModifiedTime": now, **fields}

    def _emit(self) -> None:
        """Tell of the change; a job does not fail because nobody could be told."""
        try:
            self._publish(self.event_detail())
        except Exception:
            logger.exception("no event for %s", self.name)


def _in_milliseconds(value: Any, name: str) -> Any:
    if name in _TIMES:
        return round(value * 1000)
    if isinstance(value, list) and name == "SecondaryStatusTransitions":
        return [{key: _in_milliseconds(item, key) for key, item in entry.items()} for entry in value]
    return value
