"""A job is started with what its run may still spend, or not at all; and its start says what it will cost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from traindrop.jobs import Places
from traindrop.quotas import Quotas
from traindrop.runs import Claims, Runs
from traindrop.starting import Starter
from traindrop.training import Trainer
from traindrop.waiting import WaitingNotice

NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
RUN = "rooms-20261112T000000-1a2b3c4d"
ZERO = frozenset({"ml.p5.48xlarge for spot training job usage"})
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
def starter(monkeypatch: pytest.MonkeyPatch, s3: Any, dynamodb: Any) -> Starter:
    anything: Any = Told()
    sagemaker: Any = SageMaker()
    runs, clock = Runs(dynamodb, "runs"), NOW.timestamp
    trainer = Trainer(sagemaker, anything, runs, anything)
    places = Places("datasets", "artifacts", "role", "image")
    quotas, notice = (
        Quotas(anything, Claims(dynamodb, "claims"), clock),
        WaitingNotice(runs, anything, "topic", 1800),
    )
    monkeypatch.setattr(Quotas, "is_zero", lambda _, name: name in ZERO)
    return Starter(trainer, s3, anything, places, "topic", 10, clock, quotas, notice)


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


def test_a_job_that_is_gone_and_made_again_under_its_name_is_not_an_earlier_one(starter: Starter) -> None:
    record(starter, job(name=f"{RUN}-2"))
    assert start(starter, 2) == "started"
    (made,) = starter.trainer.runs.get(RUN)["jobs"]
    # $5 / 1.408 x 3600 = 12,784.1 s.
    assert made["max_runtime_seconds"] == 12_784


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


def at(starter: Starter, hours: float) -> Starter:
    """The starter so many hours later."""
    return replace(starter, clock=lambda: NOW.timestamp() + hours * 3600)


def answers(starter: Starter) -> list[tuple[str, str]]:
    """What the state machine was answered: the error, or the end, and what came of the present rung."""
    told: Any = starter.trainer.sfn
    result = starter.trainer.runs.get(RUN)["climb"][-1].get("result", "")
    sent = [request for name, request in told.calls if name.startswith("send_task")]
    return [(request.get("error") or json.loads(request["output"])["ended"], result) for request in sent]


def messages(starter: Starter) -> list[dict[str, Any]]:
    """What was published."""
    told: Any = starter.sns
    return [request for name, request in told.calls if name == "publish"]


def above_quota(starter: Starter, quota: int) -> None:
    """Have SageMaker refuse every job."""

    def refuse(**request: Any) -> None:
        name = f"{request['ResourceConfig']['InstanceType']} for spot training job usage"
        text = f"The account-level service limit '{name}' is {quota} Instances, with current utilization of {quota}"
        raise ClientError({"Error": {"Code": "ResourceLimitExceeded", "Message": text}}, "CreateTrainingJob")

    sagemaker: Any = starter.trainer.sagemaker
    sagemaker.create_training_job = refuse


def test_waiting_and_running_count_over_every_attempt(starter: Starter) -> None:
    record(starter)
    limits = []
    for attempt, hours in ((1, 0), (2, 2.5), (3, 11)):
        start(at(starter, hours), attempt)
        made = starter.trainer.describe(f"{RUN}-{attempt}")
        assert made is not None
        limits.append(made["StoppingCondition"])
        starter.trainer.runs.update(RUN, jobs=[])
    # $5 buy 12,784 s of the dearer type, which end within the time; of the last attempt's hour they would not.
    assert limits == [
        {"MaxRuntimeInSeconds": 12_784, "MaxWaitTimeInSeconds": 12 * 3600},
        {"MaxRuntimeInSeconds": 12_784, "MaxWaitTimeInSeconds": 34_200},
        {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600},
    ]


@pytest.mark.parametrize(("epochs", "answer"), [(0, "CapacityExhausted"), (3, "capacity_exhausted")])
def test_a_run_whose_time_is_over_starts_no_job_and_delivers_what_it_has(
    starter: Starter, epochs: int, answer: str
) -> None:
    record(starter)
    start(starter, 1)
    starter.trainer.runs.update(RUN, jobs=[job(epochs=epochs)])
    assert start(at(starter, 11.999), 2) == "reported"
    assert answers(starter) == [(answer, "no time left")]
    assert starter.trainer.describe(f"{RUN}-2") is None


def test_a_redrive_has_all_the_time_again(starter: Starter) -> None:
    record(starter)
    start(starter, 1)
    later = at(starter, 50)
    assert later.start(RUN, attempt=1, redrives=1, task_token="token") == "started"
    made = starter.trainer.describe(f"{RUN}-2")
    assert made is not None
    assert made["StoppingCondition"]["MaxWaitTimeInSeconds"] == 12 * 3600


def test_above_a_quota_in_use_a_run_asks_again_is_told_of_once_and_climbs_in_time(starter: Starter) -> None:
    record(starter)
    above_quota(starter, 2)
    for hours in (0, 0.4):
        start(at(starter, hours), 1)
    assert (answers(starter), messages(starter)) == ([("QuotaInUse", "")] * 2, [])
    for hours in (0.6, 1.9):
        start(at(starter, hours), 1)
    (message,) = messages(starter)
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "Waiting"
    assert "your account's quota 'ml.g4dn.xlarge for spot training job usage' allows is in use" in message["Message"]
    start(at(starter, 2), 1)
    assert answers(starter)[-1] == ("QuotaError", "quota in use for 2 h 00 min")
    start(at(starter, 2), 2)
    assert answers(starter)[-1] == ("QuotaInUse", "")
    start(at(starter, 12), 2)
    assert answers(starter)[-1] == ("CapacityExhausted", "no time left")
    assert len(messages(starter)) == 1


def test_a_quota_of_zero_is_left_for_the_next_rung_known_or_refused(starter: Starter) -> None:
    record(starter)
    above_quota(starter, 0)
    start(starter, 1)
    start(starter, 2)
    assert answers(starter)[-1] == ("QuotaExhausted", "quota 0")
    settings = {"model": "yolov8n-seg.yaml", "instance_types": ["ml.p5.48xlarge", "ml.g5.xlarge"]}
    starter.trainer.runs.update(RUN, settings=settings, climb=None)
    start(starter, 1)
    assert answers(starter)[-1] == ("QuotaError", "quota 0, skipped")
