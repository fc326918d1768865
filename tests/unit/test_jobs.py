"""The request that starts a job, and what a job's end means."""

from datetime import UTC, datetime
from typing import Any

import pytest

from traindrop.jobs import Places, Rung, end_of, ladder, quota_end, record_of, training_job_request, volume_gigabytes
from traindrop.pricing import PRICES, receipt, runtime_cap_seconds
from traindrop.settings import TrainingSettings

PLACES = Places("data", "art", "arn:aws:iam::123456789012:role/training", "image:1")
RUN = {
    "run_id": "rooms-20261112T000000-1a2b3c4d",
    "dataset": "rooms",
    "slug": "rooms",
    "prefix": "datasets/rooms.zip",
    "dataset_bytes": 3_000_000_000,
}


CHANGED = "DatasetChanged"
NO_DATA = "ClientError: Data download failed:No S3 objects found under S3 URL "


def request(rung: Rung, **settings: Any) -> dict[str, Any]:
    run = {**RUN, "settings": TrainingSettings(**settings).model_dump(mode="json", exclude_none=True)}
    return training_job_request(
        name="n-1", run=run, rung=rung, places=PLACES, code_prefix="code/x/", weights_uri=None, stack_max_cost_usd=10
    )


def job(status: str, secondary: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "n-1",
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary or status,
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"},
        "EnableManagedSpotTraining": True,
        "InputDataConfig": [
            {"ChannelName": "dataset", "DataSource": {"S3DataSource": {"S3Uri": "s3://data/datasets/rooms/"}}}
        ],
        **fields,
    }


def test_a_spot_job_waits_at_least_as_long_as_it_may_run_and_an_on_demand_one_has_no_wait() -> None:
    spot = request(Rung("ml.g4dn.xlarge", True))
    assert spot["EnableManagedSpotTraining"] is True
    assert spot["StoppingCondition"]["MaxWaitTimeInSeconds"] >= spot["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert "MaxWaitTimeInSeconds" not in request(Rung("ml.g4dn.xlarge", False))["StoppingCondition"]


def test_dollars_cap_the_runtime_by_the_dearest_type_and_the_stacks_ceiling_caps_the_dollars() -> None:
    capped = request(Rung("ml.g4dn.xlarge", True), max_cost_usd=1, max_runtime_hours=6)
    assert capped["StoppingCondition"]["MaxRuntimeInSeconds"] == int(3600 / PRICES["ml.g5.xlarge"])
    assert request(Rung("ml.g4dn.xlarge", True), max_cost_usd=5000, instance_types=["ml.p5.48xlarge"])[
        "StoppingCondition"
    ]["MaxRuntimeInSeconds"] == int(10 / PRICES["ml.p5.48xlarge"] * 3600)
    assert runtime_cap_seconds(["ml.g4dn.xlarge"], 2, 1000) == 7200


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
            job("Stopped", "MaxWaitTimeExceeded", TrainingStartTime=1, FinalMetricDataList=[{}]),
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


def test_a_quota_of_zero_is_named_and_one_in_use_is_waited_for() -> None:
    text = (
        "The account-level service limit 'ml.g4dn.xlarge for spot training job usage' is {} Instances, with "
        "current utilization of {} Instances and a request delta of 1 Instances."
    )
    end = quota_end(text.format(0, 0), Rung("ml.g4dn.xlarge", True), more_rungs=False)
    assert end is not None
    assert end.error == "QuotaExhausted"
    assert "'ml.g4dn.xlarge for spot training job usage'" in end.cause
    assert quota_end(text.format(1, 1), Rung("ml.g4dn.xlarge", True), more_rungs=False) is None


def test_interruptions_and_seconds_are_taken_from_sagemakers_own_account() -> None:
    at = datetime(2026, 11, 12, tzinfo=UTC)
    record = record_of(
        job(
            "Completed",
            TrainingTimeInSeconds=100,
            BillableTimeInSeconds=35,
            CreationTime=at,
            SecondaryStatusTransitions=[
                {"Status": name} for name in ("Training", "Interrupted", "Training", "Interrupted")
            ],
        )
    )
    assert (record["seconds_trained"], record["seconds_billed"], record["interruptions"]) == (100, 35, 2)
    assert record["created_at"] == at.isoformat()


def test_a_receipt_bills_billable_seconds_at_the_on_demand_price() -> None:
    bill = receipt("ml.g4dn.xlarge", spot=True, seconds_trained=9000, seconds_billed=3150)
    assert bill.cost_usd == pytest.approx(0.6444, abs=1e-4)
    assert bill.saved_usd == pytest.approx(1.841 - 0.6444, abs=1e-3)
