"""The ladder as a user sees it: patience, quotas of 0, and what the record and the message tell of the climb."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.ends import physical_id
from tests.stack import FAST, Stack, dataset_files

IMPATIENT = f"{FAST}capacity_patience_hours: 0.001\n"
"""3.6 seconds."""
FIRST = "ml.g4dn.xlarge"


@pytest.fixture(autouse=True)
def no_faults_left(stack: Stack) -> Iterator[None]:
    yield
    stack.cloud.clear_faults()


def test_a_type_whose_spot_does_not_come_is_given_up_for_the_next_one(stack: Stack) -> None:
    stack.cloud.inject({"training": {"spot_never_arrives_for": [FIRST]}})
    stack.drop_zip("patience", dataset_files(marker="patience", settings=IMPATIENT))
    execution = stack.ended("patience", within=90)
    assert execution["status"] == "SUCCEEDED"
    first, second = stack.run(execution["name"])["climb"]
    assert (first["instance_type"], first["result"].split(" in ")[0]) == (FIRST, "no capacity")
    assert first["waited_seconds"] >= 3
    assert (second["instance_type"], second["spot"], second["result"]) == ("ml.g5.xlarge", True, "trained")
    body = stack.message("patience", "Completed")["body"]
    assert f"Instances tried: {FIRST} spot: no capacity in " in body
    assert "; ml.g5.xlarge spot: trained." in body
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in stack.history(execution["executionArn"])
        if "stateEnteredEventDetails" in event
    ]
    climbing = entered[entered.index("TrainModel") : entered.index("ExtractModel")]
    assert climbing[:2] == ["TrainModel", "ReconcileJob"]
    assert climbing[-2:] == ["ClimbLadder", "TrainModel"]


def test_a_type_of_which_the_account_may_have_none_is_not_tried(stack: Stack) -> None:
    quota = f"{FIRST} for spot training job usage"
    stack.cloud.inject({"training": {"zero_quotas": [quota]}})
    # What Service Quotas said is kept for a day.
    claims = stack.cloud.resource("dynamodb").Table(physical_id(stack, "ClaimsTable"))
    claims.delete_item(Key={"claim": "quotas#sagemaker"})
    stack.drop_zip("skipped")
    execution = stack.ended("skipped")
    claims.delete_item(Key={"claim": "quotas#sagemaker"})
    assert execution["status"] == "SUCCEEDED"
    assert [job["ResourceConfig"]["InstanceType"] for job in stack.jobs(execution["name"])] == ["ml.g5.xlarge"]
    results = [entry["result"] for entry in stack.run(execution["name"])["climb"]]
    assert results == ["quota 0, skipped", "trained"]
    assert (
        f"{FIRST} spot: quota 0, skipped; ml.g5.xlarge spot: trained" in stack.message("skipped", "Completed")["body"]
    )
