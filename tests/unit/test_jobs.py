"""The request that starts a job, and what a job's end means."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from traindrop.jobs import (
    METRICS,
    Places,
    end_of,
    ladder,
    leaves_model,
    record_of,
    training_job_request,
    volume_gigabytes,
)
from traindrop.rungs import Rung
from traindrop.settings import TrainingSettings

PLACES = Places("data", "art", "arn:aws:iam::123456789012:role/training", "image:1")
RUN = {
    "run_id": "rooms-20261112T000000-1a2b3c4d",
    "dataset": "rooms",
    "slug": "rooms",
    "prefix": "datasets/rooms.zip",
    "dataset_bytes": 3_000_000_000,
}


AT = datetime(2026, 11, 12, tzinfo=UTC)
CHANGED = "DatasetChanged"
NO_DATA = "ClientError: Data download failed:No S3 objects found under S3 URL "


def request(rung: Rung, *, weights_uri: str | None = None, wait_seconds: int = 9000, **settings: Any) -> dict[str, Any]:
    run = {**RUN, "settings": TrainingSettings(**settings).model_dump(mode="json", exclude_none=True)}
    return training_job_request(
        name="n-1",
        run=run,
        rung=rung,
        places=PLACES,
        code_prefix="code/x/",
        weights_uri=weights_uri,
        runtime_seconds=5000,
        wait_seconds=wait_seconds,
    )


def job(status: str, secondary: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "n-1",
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary or status,
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"},
        "EnableManagedSpotTraining": True,
        "CreationTime": AT,
        "TrainingEndTime": AT + timedelta(hours=2, minutes=30),
        "InputDataConfig": [
            {"ChannelName": "dataset", "DataSource": {"S3DataSource": {"S3Uri": "s3://data/datasets/rooms/"}}}
        ],
        **fields,
    }


def channel(name: str, uri: str) -> dict[str, Any]:
    where = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": where}}


def test_the_request_is_what_sagemaker_the_entry_and_the_bill_are_told() -> None:
    assert request(Rung("ml.g5.xlarge", True), weights_uri="s3://art/w.pt", epochs=7) == {
        "TrainingJobName": "n-1",
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {
            "TrainingImage": "image:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "/opt/ml/input/data/code/entry.sh"],
            "MetricDefinitions": [{"Name": name, "Regex": rf"METRIC .*?\b{name}=([0-9.eE+-]+);"} for name in METRICS],
        },
        "InputDataConfig": [
            channel("code", "s3://art/code/x/"),
            channel("config", f"s3://art/training-input/{RUN['run_id']}/"),
            channel("dataset", "s3://data/datasets/rooms.zip"),
            channel("weights", "s3://art/w.pt"),
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://art/training-output"},
        "CheckpointConfig": {"S3Uri": f"s3://art/checkpoints/{RUN['run_id']}", "LocalPath": "/opt/ml/checkpoints"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 39},
        "StoppingCondition": {
            "MaxRuntimeInSeconds": 5000,
            "MaxWaitTimeInSeconds": 9000,
        },
        "EnableManagedSpotTraining": True,
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "HyperParameters": {
            "run_id": RUN["run_id"],
            "dataset": "rooms",
            "model": "yolov8n-seg.pt",
            "epochs": "7",
            "imgsz": "1024",
            "batch": "8",
        },
        "Tags": [{"Key": "traindrop:run", "Value": RUN["run_id"]}, {"Key": "traindrop:dataset", "Value": "rooms"}],
    }


def test_without_weights_there_is_no_channel_for_them() -> None:
    channels = [item["ChannelName"] for item in request(Rung("ml.g5.xlarge", True))["InputDataConfig"]]
    assert channels == ["code", "config", "dataset"]


def test_a_run_whose_size_nobody_knows_gets_the_smallest_volume() -> None:
    settings = TrainingSettings().model_dump(mode="json", exclude_none=True)
    run = {**{key: value for key, value in RUN.items() if key != "dataset_bytes"}, "settings": settings}
    made = training_job_request(
        name="n",
        run=run,
        rung=Rung("ml.g5.xlarge", False),
        places=PLACES,
        code_prefix="c",
        weights_uri=None,
        runtime_seconds=3600,
        wait_seconds=7200,
    )
    assert made["ResourceConfig"]["VolumeSizeInGB"] == 30


def test_a_spot_job_waits_at_least_as_long_as_it_may_run_and_an_on_demand_one_has_no_wait() -> None:
    spot = request(Rung("ml.g4dn.xlarge", True))
    assert spot["EnableManagedSpotTraining"] is True
    assert spot["StoppingCondition"]["MaxWaitTimeInSeconds"] >= spot["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert "MaxWaitTimeInSeconds" not in request(Rung("ml.g4dn.xlarge", False))["StoppingCondition"]


def test_the_volume_follows_the_dataset() -> None:
    assert volume_gigabytes(0) == 30
    assert volume_gigabytes(3_000_000_000) == 39


def test_the_ladder_is_every_type_on_spot_and_then_if_allowed_on_demand() -> None:
    types = ["ml.g4dn.xlarge", "ml.g5.xlarge"]
    assert ladder(TrainingSettings()) == [Rung(name, True) for name in types]
    assert ladder(TrainingSettings(on_demand_fallback=True))[2:] == [Rung(name, False) for name in types]
    assert ladder(TrainingSettings(spot=False)) == [Rung(name, False) for name in types]


@pytest.mark.parametrize(
    ("ended", "more", "expected"),
    [
        (job("Completed"), False, "completed"),
        (job("Stopped", FinalMetricDataList=[{}]), False, "stopped"),
        (job("Stopped"), False, "StoppedByUser"),
        (job("Stopped", "MaxRuntimeExceeded", FinalMetricDataList=[{}]), False, "runtime_exceeded"),
        (job("Stopped", "MaxRuntimeExceeded"), False, "RuntimeExceeded"),
        (job("Stopped", "MaxWaitTimeExceeded"), True, "SpotNeverArrived"),
        (job("Stopped", "MaxWaitTimeExceeded"), False, "CapacityExhausted"),
        (
            job("Stopped", "MaxWaitTimeExceeded", TrainingStartTime=AT, FinalMetricDataList=[{}]),
            True,
            "runtime_exceeded",
        ),
        (
            job("Failed", FailureReason="CapacityError: Unable to provision requested ML compute capacity."),
            True,
            "CapacityError",
        ),
        (job("Failed", FailureReason="... InsufficientInstanceCapacity ..."), False, "CapacityExhausted"),
        (job("Failed", FailureReason="InternalServerError: try again"), False, "InternalError"),
        (job("Failed", FailureReason="AlgorithmError: CUDA out of memory, exit code: 1"), True, "TrainingCodeError"),
        (job("Failed", FailureReason="AlgorithmError: DatasetChanged: a was added., exit code: 16"), True, CHANGED),
        (job("Failed", FailureReason=f"{NO_DATA}s3://data/datasets/rooms/"), True, CHANGED),
        (job("Failed", FailureReason=f"{NO_DATA}s3://artifacts/code/"), True, "TrainingCodeError"),
    ],
)
def test_each_end_has_its_class_and_stopped_is_never_success(ended: dict[str, Any], more: bool, expected: str) -> None:
    end = end_of(ended, more_rungs=more)
    assert (end.ended or end.error) == expected
    assert end.ended or end.cause


CURE = "; try again later, list more instance_types in training.yaml, or set on_demand_fallback: true"


@pytest.mark.parametrize(
    ("ended", "more", "cause"),
    [
        (
            job("Stopped", "MaxWaitTimeExceeded"),
            False,
            f"AWS had no spot capacity for ml.g4dn.xlarge within max_wait_hours{CURE}",
        ),
        (
            job("Failed", FailureReason="CapacityError: x"),
            True,
            "AWS had no spot capacity for ml.g4dn.xlarge in 2 h 30 min",
        ),
        (
            job("Failed", FailureReason="Insufficient capacity", EnableManagedSpotTraining=False),
            False,
            f"AWS had no on-demand capacity for ml.g4dn.xlarge in 2 h 30 min{CURE}",
        ),
        (job("Stopped"), False, "the training job was stopped before its first epoch was done"),
        (
            job("Stopped", "MaxRuntimeExceeded"),
            False,
            "the time or cost cap was reached before the first epoch was done; raise max_runtime_hours, max_wait_hours "
            "or max_cost_usd in training.yaml",
        ),
        (
            job("Failed", FailureReason="InternalServerError: y"),
            False,
            "SageMaker failed inside, more than once: InternalServerError: y. Redrive the execution, or drop the "
            "dataset again; training goes on from the last checkpoint when redriven",
        ),
        (job("Failed"), False, "the training job failed without a reason"),
        (job("Failed", FailureReason="exit code: 1", InputDataConfig=[]), False, "exit code: 1"),
        (
            job("Failed", FailureReason="AlgorithmError: DatasetChanged: a  was\nadded., exit code: 16"),
            False,
            "a was added.",
        ),
        (
            job("Failed", FailureReason=f"{NO_DATA}s3://data/datasets/rooms/"),
            False,
            "s3://data/datasets/rooms/ was deleted or made unreadable after it was checked. Drop the dataset again; or "
            "bring back what was there (the bucket keeps old versions) and redrive the execution. SageMaker says: "
            f"{NO_DATA}s3://data/datasets/rooms/",
        ),
    ],
)
def test_each_end_says_what_happened_and_what_to_do(ended: dict[str, Any], more: bool, cause: str) -> None:
    assert end_of(ended, more_rungs=more).cause == cause


def test_a_job_of_which_sagemaker_tells_little_has_an_end_all_the_same() -> None:
    least = {"TrainingJobStatus": "Failed", "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"}}
    assert end_of(least, more_rungs=True).error == "TrainingCodeError"
    assert end_of({**least, "TrainingJobStatus": "Stopped"}, more_rungs=True).error == "StoppedByUser"
    elsewhere = {**least, "InputDataConfig": [{"ChannelName": "code", "DataSource": {}}]}
    assert end_of({**elsewhere, "FailureReason": NO_DATA}, more_rungs=True).error == "TrainingCodeError"


def test_only_a_job_with_an_epoch_leaves_a_model() -> None:
    assert leaves_model(job("Completed"))
    assert leaves_model(job("Stopped", FinalMetricDataList=[{}]))
    assert not leaves_model(job("Stopped"))


def test_interruptions_and_seconds_are_taken_from_sagemakers_own_account() -> None:
    at = datetime(2026, 11, 12, tzinfo=UTC)
    statuses = ("Training", "Interrupted", "Training", "Interrupted", "Training")
    assert record_of(
        job(
            "Stopped",
            "MaxRuntimeExceeded",
            TrainingTimeInSeconds=100,
            BillableTimeInSeconds=35,
            CreationTime=at,
            TrainingStartTime=at + timedelta(minutes=1),
            TrainingEndTime=at + timedelta(minutes=2),
            SecondaryStatusTransitions=[{"Status": name} for name in statuses],
            StoppingCondition={"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 900},
            FinalMetricDataList=[{"MetricName": "box_loss", "Value": 0.5}, {"MetricName": "epoch", "Value": 7.0}],
        )
    ) == {
        "name": "n-1",
        "instance_type": "ml.g4dn.xlarge",
        "spot": True,
        "status": "Stopped",
        "secondary_status": "MaxRuntimeExceeded",
        "seconds_trained": 100,
        "seconds_billed": 35,
        "interruptions": 2,
        "epochs": 7,
        "max_runtime_seconds": 100,
        "created_at": "2026-11-12T00:00:00+00:00",
        "started_at": "2026-11-12T00:01:00+00:00",
        "ended_at": "2026-11-12T00:02:00+00:00",
    }


def test_a_job_that_never_began_is_recorded_with_nothing_trained() -> None:
    began = {key: job("Failed")[key] for key in ("TrainingJobName", "TrainingJobStatus", "ResourceConfig")}
    assert record_of(began) == {
        "name": "n-1",
        "instance_type": "ml.g4dn.xlarge",
        "spot": False,
        "status": "Failed",
        "secondary_status": "",
        "seconds_trained": 0,
        "seconds_billed": 0,
        "interruptions": 0,
        "epochs": 0,
    }
