"""A training job: the request that starts it and what its end means."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from traindrop.figures import duration
from traindrop.rungs import Rung
from traindrop.settings import TrainingSettings

ENDED = frozenset({"Completed", "Failed", "Stopped"})
METRICS = (
    "epoch",
    "box_loss",
    "seg_loss",
    "cls_loss",
    "dfl_loss",
    "val_box_loss",
    "val_seg_loss",
    "precision_mask",
    "recall_mask",
    "map50_mask",
    "map50_95_mask",
    "map50_box",
    "map50_95_box",
)
_CHANGED = re.compile(r"DatasetChanged: (?P<cause>.*?)(, exit code: \d+)?$", re.DOTALL)
_WAITS = frozenset({"Starting", "Pending", "Interrupted"})
"""Secondary statuses of a job without an instance."""
_OVER = frozenset({"Stopping", "MaxWaitTimeExceeded", "MaxRuntimeExceeded", *ENDED})


def ladder(settings: TrainingSettings) -> list[Rung]:
    """The rungs in the order of trying: every type on spot, then, if allowed, on demand."""
    spot = [Rung(name, True) for name in settings.instance_types] if settings.spot else []
    on_demand = [Rung(name, False) for name in settings.instance_types]
    return spot + (on_demand if settings.on_demand_fallback or not settings.spot else [])


@dataclass(frozen=True)
class Places:
    """Where a stack keeps things, and what its jobs run as."""

    dataset_bucket: str
    artifact_bucket: str
    role_arn: str
    image: str


def training_job_request(
    *,
    name: str,
    run: Mapping[str, Any],
    rung: Rung,
    places: Places,
    code_prefix: str,
    weights_uri: str | None,
    champion: str = "",
    runtime_seconds: int,
    wait_seconds: int,
) -> dict[str, Any]:
    """CreateTrainingJob's request for one rung of a run's ladder.

    `champion` is the run of the same dataset whose model the new one is measured against, empty where there is none.
    `runtime_seconds` is what the run's caps leave for training, `wait_seconds` what is left of its `max_wait_hours` for
    waiting and running: MaxWait, which SageMaker knows for spot only, where it demands at least MaxRuntime.
    """
    settings = TrainingSettings.model_validate(run["settings"])
    artifacts = f"s3://{places.artifact_bucket}"
    channels = {
        "code": f"{artifacts}/{code_prefix}",
        "config": f"{artifacts}/training-input/{run['run_id']}/",
        "dataset": f"s3://{places.dataset_bucket}/{run['prefix']}",
    }
    if weights_uri:
        channels["weights"] = weights_uri
    if champion:
        channels["champion"] = f"{artifacts}/models/{run['slug']}/{champion}/best.pt"
    stopping = {"MaxRuntimeInSeconds": min(runtime_seconds, wait_seconds)}
    if rung.spot:
        stopping["MaxWaitTimeInSeconds"] = wait_seconds
    return {
        "TrainingJobName": name,
        "RoleArn": places.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": places.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "/opt/ml/input/data/code/entry.sh"],
            "MetricDefinitions": [
                {"Name": metric, "Regex": rf"METRIC .*?\b{metric}=([0-9.eE+-]+);"} for metric in METRICS
            ],
        },
        "InputDataConfig": [
            {
                "ChannelName": channel,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for channel, uri in channels.items()
        ],
        "OutputDataConfig": {"S3OutputPath": f"{artifacts}/training-output"},
        "CheckpointConfig": {"S3Uri": f"{artifacts}/checkpoints/{run['run_id']}", "LocalPath": "/opt/ml/checkpoints"},
        "ResourceConfig": {
            "InstanceType": rung.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": volume_gigabytes(run.get("dataset_bytes", 0)),
        },
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": rung.spot,
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "HyperParameters": {
            "run_id": run["run_id"],
            "dataset": run["dataset"],
            "model": settings.model[:256],
            "epochs": str(settings.epochs),
            "imgsz": str(settings.imgsz),
            "batch": str(settings.batch),
            **({"champion": champion} if champion else {}),
        },
        "Tags": [{"Key": "traindrop:run", "Value": run["run_id"]}, {"Key": "traindrop:dataset", "Value": run["slug"]}],
    }


def volume_gigabytes(dataset_bytes: int) -> int:
    """Size of the job's volume: the dataset as dropped and unpacked, with room for the image cache and checkpoints."""
    return 30 + math.ceil(3 * dataset_bytes / 1e9)


@dataclass(frozen=True)
class JobEnd:
    """What a job's end means: `ended` for one that leaves a model, else an error name with its cause.

    `result` says in a few words what came of the rung.
    """

    ended: str = ""
    error: str = ""
    cause: str = ""
    result: str = ""


def waiting_since(job: Mapping[str, Any]) -> datetime | None:
    """Since when a job has no instance, for the first time or after an interruption, as it stands or as it ended."""
    if "TrainingStartTime" not in job:
        since: datetime = job["CreationTime"]
        return since
    waiting = None
    for item in reversed(job.get("SecondaryStatusTransitions", [])):
        if item["Status"] in _WAITS:
            waiting = item["StartTime"]
        elif waiting or item["Status"] not in _OVER:
            break
    return waiting


def ended_at(job: Mapping[str, Any]) -> datetime:
    """When a job ended; one that never began may have no end of training."""
    ended: datetime = job.get("TrainingEndTime") or job["LastModifiedTime"]
    return ended


def end_of(job: Mapping[str, Any], *, more_rungs: bool, given_up: bool = False) -> JobEnd:
    """Classify an ended job from DescribeTrainingJob's answer; `given_up` for one that waited too long for us.

    `Stopped` is never taken for success: with at least one epoch's metrics it leaves the best model so far, without
    it is an error. The wording of FailureReason is all that AWS gives to tell a lack of capacity from broken code.
    """
    status, secondary = job["TrainingJobStatus"], job.get("SecondaryStatus", "")
    reason = str(job.get("FailureReason", ""))
    if status == "Completed":
        return JobEnd(ended="completed")
    if status == "Stopped":
        by_time = secondary in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
        if given_up or (secondary == "MaxWaitTimeExceeded" and "TrainingStartTime" not in job):
            return _no_capacity(job, "SpotNeverArrived", more_rungs=more_rungs)
        if job.get("FinalMetricDataList"):
            return JobEnd(ended="runtime_exceeded" if by_time else "stopped")
        if by_time:
            return JobEnd(
                error="RuntimeExceeded",
                cause="the time or cost cap was reached before the first epoch was "
                "done; raise max_runtime_hours, max_wait_hours or max_cost_usd in training.yaml",
            )
        return JobEnd(
            error="StoppedByUser",
            cause="the training job was stopped before its first epoch was done",
            result="stopped",
        )
    if re.search(r"CapacityError|InsufficientInstanceCapacity|insufficient capacity", reason, re.IGNORECASE):
        return _no_capacity(job, "CapacityError", more_rungs=more_rungs)
    if "InternalServerError" in reason:
        return JobEnd(
            error="InternalError",
            cause=f"SageMaker failed inside, more than once: {reason.rstrip('.')}. Redrive the "
            "execution, or drop the dataset again; training goes on from the last checkpoint when redriven",
        )
    changed = _CHANGED.search(reason)
    if changed:
        return JobEnd(error="DatasetChanged", cause=" ".join(changed["cause"].split()))
    dataset = _dataset_uri(job)
    if "Data download failed" in reason and dataset in reason:
        return JobEnd(
            error="DatasetChanged",
            cause=f"{dataset} was deleted or made unreadable after it was checked. Drop the dataset again; or bring "
            f"back what was there (the bucket keeps old versions) and redrive the execution. SageMaker says: {reason}",
        )
    return JobEnd(error="TrainingCodeError", cause=reason or "the training job failed without a reason")


def _no_capacity(job: Mapping[str, Any], error: str, *, more_rungs: bool) -> JobEnd:
    """No instance came, or none came back: with `error` the next rung is tried; without one this is the end."""
    market = "spot" if job.get("EnableManagedSpotTraining") else "on-demand"
    since = waiting_since(job)
    waited = f" in {duration((ended_at(job) - since).total_seconds())}" if since else ""
    before = f"trained {_epochs_done(job)} epochs, then " if "TrainingStartTime" in job else ""
    within = " within max_wait_hours" if not more_rungs and job["TrainingJobStatus"] == "Stopped" else waited
    cure = "; try again later, list more instance_types in training.yaml, or set on_demand_fallback: true"
    return JobEnd(
        error=error if more_rungs else "CapacityExhausted",
        cause=f"AWS had no {market} capacity for {job['ResourceConfig']['InstanceType']}{within}"
        + ("" if more_rungs else cure),
        result=f"{before}no capacity{waited}",
    )


def _dataset_uri(job: Mapping[str, Any]) -> str:
    """Where the job's dataset lies; in its FailureReason SageMaker names what it could not download."""
    channels = {channel["ChannelName"]: channel["DataSource"] for channel in job.get("InputDataConfig", [])}
    return str(channels.get("dataset", {}).get("S3DataSource", {}).get("S3Uri", "its dataset"))


def leaves_model(job: Mapping[str, Any]) -> bool:
    """Whether an ended job has trained at least one epoch, and so left a best model so far."""
    return bool(end_of(job, more_rungs=False).ended)


def record_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """The job as the run record keeps it: seconds and interruptions as SageMaker counts them."""
    transitions = job.get("SecondaryStatusTransitions", [])
    record = {
        "name": job["TrainingJobName"],
        "instance_type": job["ResourceConfig"]["InstanceType"],
        "spot": bool(job.get("EnableManagedSpotTraining")),
        "status": job["TrainingJobStatus"],
        "secondary_status": job.get("SecondaryStatus", ""),
        "seconds_trained": int(job.get("TrainingTimeInSeconds", 0)),
        "seconds_billed": int(job.get("BillableTimeInSeconds", 0)),
        "interruptions": sum(1 for item in transitions if item["Status"] == "Interrupted"),
        "epochs": _epochs_done(job),
    }
    begun = [item["StartTime"] for item in transitions if item["Status"] == "Downloading"]
    if begun:
        record["starts"] = len(begun)
        if "TrainingEndTime" in job:
            record["seconds_of_last_start"] = round((job["TrainingEndTime"] - begun[-1]).total_seconds())
    if "StoppingCondition" in job:
        record["max_runtime_seconds"] = job["StoppingCondition"]["MaxRuntimeInSeconds"]
    for key, source in (
        ("created_at", "CreationTime"),
        ("started_at", "TrainingStartTime"),
        ("ended_at", "TrainingEndTime"),
    ):
        if source in job:
            record[key] = job[source].isoformat()
    return record


def _epochs_done(job: Mapping[str, Any]) -> int:
    """The last epoch whose metrics SageMaker has seen."""
    return next((int(item["Value"]) for item in job.get("FinalMetricDataList", []) if item["MetricName"] == "epoch"), 0)
