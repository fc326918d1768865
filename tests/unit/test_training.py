"""A job is started with what its run may still spend, or not at all; and its start says what it will cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.unit.test_runs import make_runs_table
from traindrop.jobs import Places
from traindrop.runs import Runs
from traindrop.training import Starter, Trainer

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
RUN = "rooms-20261112T000000-1a2b3c4d"
ARN = f"arn:aws:states:us-east-1:123456789012:execution:machine:{RUN}"


class SageMaker:
    """Knows the jobs that were put into it, and those that it was asked to create."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        if TrainingJobName not in self.jobs:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": ""}}, "DescribeTrainingJob")
        return self.jobs[TrainingJobName]

    def create_training_job(self, **request: Any) -> None:
        self.jobs[request["TrainingJobName"]] = {"TrainingJobStatus": "InProgress", **request}


class Told:
    """Keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda **request: self.calls.append((name, request))


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        make_runs_table(dynamodb, "runs")
        anything: Any = Told()
        sagemaker: Any = SageMaker()
        trainer = Trainer(sagemaker, anything, Runs(dynamodb, "runs"), anything)
        places = Places("datasets", "artifacts", "role", "image")
        yield Starter(trainer, s3, anything, places, "topic", 10, NOW.timestamp)


def record(starter: Starter, *jobs: dict[str, Any]) -> None:
    starter.trainer.runs.update(
        RUN,
        dataset="rooms",
        slug="rooms",
        execution_arn=ARN,
        prefix="datasets/rooms.zip",
        images={"train": 1000, "val": 200},
        settings={"model": "yolov8n-seg.yaml", "imgsz": 640, "epochs": 50},
        jobs=list(jobs),
    )


def job(**fields: Any) -> dict[str, Any]:
    """An earlier job that trained an hour on spot, of which 1,260 s were billed: $0.25774."""
    return {
        "name": f"{RUN}-1",
        "instance_type": "ml.g4dn.xlarge",
        "spot": True,
        "status": "Failed",
        "seconds_trained": 3600,
        "seconds_billed": 1260,
        "interruptions": 1,
        **fields,
    }


def start(starter: Starter, attempt: int) -> str:
    return starter.start(RUN, attempt=attempt, redrives=0, task_token="token")


def test_the_second_job_of_a_run_gets_what_the_first_has_left(starter: Starter) -> None:
    record(starter, job())
    assert start(starter, 2) == "started"
    made = starter.trainer.describe(f"{RUN}-2")
    assert made is not None
    # 4.74226 / 1.408 x 3600 = 12,125.1 s.
    assert made["StoppingCondition"]["MaxRuntimeInSeconds"] == 12_125
    first, second = starter.trainer.runs.get(RUN)["jobs"]
    assert first == job()
    assert (second["max_runtime_seconds"], second["status"]) == (12_125, "InProgress")


def test_a_job_that_the_record_has_running_counts_with_what_sagemaker_says_of_it(starter: Starter) -> None:
    record(starter, job(status="InProgress", seconds_trained=0, seconds_billed=0, max_runtime_seconds=24_000))
    sagemaker: Any = starter.trainer.sagemaker
    sagemaker.jobs[f"{RUN}-1"] = {
        "TrainingJobName": f"{RUN}-1",
        "TrainingJobStatus": "Stopped",
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"},
        "EnableManagedSpotTraining": True,
        "TrainingTimeInSeconds": 3600,
        "BillableTimeInSeconds": 1260,
    }
    assert start(starter, 2) == "started"
    assert starter.trainer.runs.get(RUN)["jobs"][1]["max_runtime_seconds"] == 12_125


@pytest.mark.parametrize(("epochs", "answer"), [(0, "send_task_failure"), (3, "send_task_success")])
def test_a_run_that_has_spent_its_money_starts_no_job(starter: Starter, epochs: int, answer: str) -> None:
    record(starter, job(epochs=epochs, seconds_billed=24_400))
    assert start(starter, 2) == "reported"
    assert starter.trainer.describe(f"{RUN}-2") is None
    told: Any = starter.trainer.sfn
    ((name, request),) = told.calls
    assert name == answer
    if epochs:
        assert json.loads(request["output"])["ended"] == "runtime_exceeded"
        assert starter.trainer.runs.get(RUN)["ended"] == "runtime_exceeded"
    else:
        assert request["error"] == "RuntimeExceeded"
        assert "raise max_runtime_hours or max_cost_usd" in request["cause"]


def test_the_start_is_told_with_an_estimate_that_the_record_keeps(starter: Starter) -> None:
    record(starter)
    assert start(starter, 1) == "started"
    told: Any = starter.sns
    ((_, message),) = told.calls
    assert "Estimate: $0.02 to $0.18 for " in message["Message"]
    assert "It costs at most $5.00 and 3.6 hours of training, all attempts together." in message["Message"]
    # The range of tests/unit/test_estimate.py, 0.0232 to 0.175.
    assert starter.trainer.runs.get(RUN)["estimate"] == {"low_usd": 0.0232, "high_usd": 0.175}


def test_earlier_runs_of_the_dataset_make_the_estimate_one_figure(starter: Starter) -> None:
    pace = {
        "instance_type": "ml.g4dn.xlarge",
        "spot": True,
        "epoch_seconds": 50,
        "overhead_seconds": 100,
        "billed_share": 0.35,
    }
    record(starter)
    mine = starter.trainer.runs.get(RUN)
    for day in (1, 2, 3):
        told = {"images": mine["images"], "settings": mine["settings"], "pace": pace, "slug": "rooms"}
        starter.trainer.runs.update(f"rooms-2026100{day}T000000-00000000", **told)
    assert start(starter, 1) == "started"
    # 2,600 s, of which 910 are billed: 0.1861.
    assert starter.trainer.runs.get(RUN)["estimate"]["usd"] == 0.1861
