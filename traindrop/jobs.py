"""A training job: the request that starts it and what its end means."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
_QUOTA_ZERO = re.compile(r"limit '(?P<name>[^']+)' is 0 ")


@dataclass(frozen=True)
class Rung:
    """One way to get an instance: its type, on spot or on demand."""

    instance_type: str
    spot: bool

    @property
    def market(self) -> str:
        """In words."""
        return "spot" if self.spot else "on demand"


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
) -> dict[str, Any]:
    """CreateTrainingJob's request for one rung of a run's ladder.

    `champion` is the run of the same dataset whose model the new one is measured against, empty where there is none.
    `runtime_seconds` is what the run's caps leave; MaxWait (spot only; SageMaker demands that it be at least
    MaxRuntime) covers waiting and running.
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
    stopping = {"MaxRuntimeInSeconds": runtime_seconds}
    if rung.spot:
        stopping["MaxWaitTimeInSeconds"] = max(runtime_seconds, int(settings.max_wait_hours * 3600))
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
    """What a job's end means: `ended` for one that leaves a model, else an error name with its cause."""

    ended: str = ""
    error: str = ""
    cause: str = ""


def end_of(job: Mapping[str, Any], *, more_rungs: bool) -> JobEnd:
    """Classify an ended job from DescribeTrainingJob's answer.

    `Stopped` is never taken for success: with at least one epoch's metrics it leaves the best model so far, without
    it is an error. The wording of FailureReason is all that AWS gives to tell a lack of capacity from broken code.
    """
    status, secondary = job["TrainingJobStatus"], job.get("SecondaryStatus", "")
    reason = str(job.get("FailureReason", ""))
    instance = job["ResourceConfig"]["InstanceType"]
    market = "spot" if job.get("EnableManagedSpotTraining") else "on-demand"
    no_capacity = f"AWS had no {market} capacity for {instance}"
    cure = (
        ""
        if more_rungs
        else ("; try again later, list more instance_types in training.yaml, or set on_demand_fallback: true")
    )
    if status == "Completed":
        return JobEnd(ended="completed")
    if status == "Stopped":
        if secondary == "MaxWaitTimeExceeded" and "TrainingStartTime" not in job:
            return JobEnd(
                error="SpotNeverArrived" if more_rungs else "CapacityExhausted",
                cause=f"{no_capacity} within max_wait_hours{cure}",
            )
        by_time = secondary in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
        if job.get("FinalMetricDataList"):
            return JobEnd(ended="runtime_exceeded" if by_time else "stopped")
        if by_time:
            return JobEnd(
                error="RuntimeExceeded",
                cause="the time or cost cap was reached before the first epoch was "
                "done; raise max_runtime_hours, max_wait_hours or max_cost_usd in training.yaml",
            )
        return JobEnd(error="StoppedByUser", cause="the training job was stopped before its first epoch was done")
    if re.search(r"CapacityError|InsufficientInstanceCapacity|insufficient capacity", reason, re.IGNORECASE):
        return JobEnd(error="CapacityError" if more_rungs else "CapacityExhausted", cause=no_capacity + cure)
    if "InternalServerError" in reason:
        return JobEnd(
            error="InternalError",
            cause=f"SageMaker failed inside, more than once: {reason}. Redrive the "
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


def _dataset_uri(job: Mapping[str, Any]) -> str:
    """Where the job's dataset lies; in its FailureReason SageMaker names what it could not download."""
    channels = {channel["ChannelName"]: channel["DataSource"] for channel in job.get("InputDataConfig", [])}
    return str(channels.get("dataset", {}).get("S3DataSource", {}).get("S3Uri", "its dataset"))


def leaves_model(job: Mapping[str, Any]) -> bool:
    """Whether an ended job has trained at least one epoch, and so left a best model so far."""
    return bool(end_of(job, more_rungs=False).ended)


def quota_end(message: str, rung: Rung, *, more_rungs: bool) -> JobEnd | None:
    """What ResourceLimitExceeded means: a quota of 0 (an end), or one in use (None: worth waiting for).

    AWS tells the two apart only in the text.
    """
    found = _QUOTA_ZERO.search(message)
    if not found:
        return None
    return JobEnd(
        error="QuotaError" if more_rungs else "QuotaExhausted",
        cause=f"your account's quota '{found['name']}' is 0; ask for 1 in the Service Quotas console, "
        f"service Amazon SageMaker, quota '{found['name']}', or choose other instance_types than "
        f"{rung.instance_type} in training.yaml",
    )


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
