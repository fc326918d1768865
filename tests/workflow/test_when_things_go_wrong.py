"""Faults injected into the running parts; the effect is read where a user would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.policies import stripped
from tests.stack import UNTIL_STOPPED, Stack, dataset_files, eventually

SLOW = "epochs: 60\nimgsz: 64\nbatch: 2\n"
"""With the stub trainer: long enough to be caught in the middle."""


@pytest.fixture(autouse=True)
def no_faults_left(stack: Stack) -> Iterator[None]:
    yield
    stack.cloud.clear_faults()


def training_job(stack: Stack, dataset: str, status: str = "Training") -> dict[str, Any]:
    """The job of a dataset's run when it has reached a secondary status."""
    run_id = stack.execution(dataset)["name"]

    def look() -> dict[str, Any] | None:
        return next((job for job in stack.jobs(run_id) if job["SecondaryStatus"] == status), None)

    return eventually(look, within=30, what=f"{dataset}'s job in {status}")


def test_an_event_delivered_three_times_starts_one_run_and_ends_it_once(stack: Stack) -> None:
    stack.cloud.inject({"events": {"duplicate": 3}})
    stack.drop_zip("thrice")
    execution = stack.ended("thrice")
    assert execution["status"] == "SUCCEEDED"
    stack.message("thrice", "Completed")
    stack.message("thrice", "Started")
    assert len(stack.executions("thrice")) == 1
    assert len(stack.jobs(execution["name"])) == 1


def test_a_misplaced_drop_told_of_three_times_gets_one_message(stack: Stack) -> None:
    stack.cloud.inject({"events": {"duplicate": 3}})
    stack.put("stray.zip", b"x")
    stack.message("stray", "Rejected")


def test_a_lost_completion_event_costs_time_and_no_result(stack: Stack) -> None:
    stack.cloud.inject({"events": {"drop": ["Completed"]}})
    stack.drop_zip("lost")
    execution = stack.ended("lost", within=60)
    assert execution["status"] == "SUCCEEDED"
    assert stack.in_state(execution["executionArn"], "ReconcileJob")
    stack.message("lost", "Completed")
    assert len(stack.jobs(execution["name"])) == 1


@pytest.mark.parametrize("faults", [{"delay_seconds": 2}, {"reorder": True}])
def test_late_and_reordered_events_end_right(stack: Stack, faults: dict[str, Any]) -> None:
    name = next(iter(faults))
    stack.cloud.inject({"events": faults})
    stack.drop_zip(name)
    assert stack.ended(name)["status"] == "SUCCEEDED"
    stack.message(name, "Completed")


def test_stopping_the_execution_stops_the_job_within_five_seconds_and_says_so(stack: Stack) -> None:
    stack.drop_zip("halt", dataset_files(marker="halt", settings=UNTIL_STOPPED))
    job = training_job(stack, "halt")
    eventually(
        lambda: stack.sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"]).get(
            "FinalMetricDataList"
        ),
        within=20,
        what="a first epoch",
    )
    arn = stack.execution("halt")["executionArn"]
    stack.sfn.stop_execution(executionArn=arn, error="Enough", cause="I changed my mind.")
    eventually(
        lambda: (
            stack.sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])["TrainingJobStatus"]
            in ("Stopping", "Stopped")
        ),
        within=5,
        what="the job stopping",
    )
    message = stack.message("halt", "Stopped")
    assert "I changed my mind." in message["body"]
    eventually(
        lambda: stack.jobs(stack.execution("halt")["name"])[0]["TrainingJobStatus"] == "Stopped",
        within=20,
        what="the job stopped",
    )
    time.sleep(1)
    outcomes = [message["outcome"] for message in stack.messages("halt")]
    assert sorted(outcomes) == ["Started", "Stopped"]
    eventually(
        lambda: f"models/halt/{message['run_id']}/best.pt" in stack.artifacts("models/halt/"),
        within=20,
        what="the best model so far",
    )
    assert f"models/halt/{message['run_id']}/best.pt" in message["body"]
    assert stack.run(message["run_id"])["status"] == "Stopped"
    assert len(stack.executions("halt")) == 1


def test_stopping_the_job_itself_delivers_the_best_model_so_far(stack: Stack) -> None:
    stack.drop_zip("enough", dataset_files(marker="enough", settings=UNTIL_STOPPED))
    job = training_job(stack, "enough")
    eventually(
        lambda: stack.sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"]).get(
            "FinalMetricDataList"
        ),
        within=20,
        what="a first epoch",
    )
    stack.sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])
    execution = stack.ended("enough")
    assert execution["status"] == "SUCCEEDED"
    message = stack.message("enough", "Stopped")
    assert "best model so far" in message["body"]
    assert any(key.endswith("best.pt") for key in stack.artifacts(f"models/enough/{execution['name']}/"))


def test_a_spot_interruption_is_survived_and_told(stack: Stack) -> None:
    stack.cloud.inject({"training": {"interrupt_after_epochs": [1]}})
    stack.drop_zip("spot")
    execution = stack.ended("spot")
    assert execution["status"] == "SUCCEEDED"
    run = stack.run(execution["name"])
    assert int(run["interruptions"]) == 1
    assert "1 spot interruption" in stack.message("spot", "Completed")["body"]


def test_without_capacity_the_next_instance_type_is_tried(stack: Stack) -> None:
    stack.cloud.inject({"training": {"capacity_errors": 1}})
    stack.drop_zip("climb")
    execution = stack.ended("climb")
    assert execution["status"] == "SUCCEEDED"
    assert stack.in_state(execution["executionArn"], "ClimbLadder")
    run = stack.run(execution["name"])
    assert [job["instance_type"] for job in run["jobs"]] == ["ml.g4dn.xlarge", "ml.g5.xlarge"]


def test_without_any_capacity_the_run_fails_and_says_what_to_do(stack: Stack) -> None:
    stack.cloud.inject({"training": {"capacity_errors": 9}})
    stack.drop_zip("nowhere")
    execution = stack.ended("nowhere")
    assert (execution["status"], execution["error"]) == ("FAILED", "CapacityExhausted")
    assert "on_demand_fallback: true" in stack.message("nowhere", "Failed")["body"]


def test_a_quota_of_zero_is_named_with_the_way_to_raise_it(stack: Stack) -> None:
    stack.cloud.inject({"training": {"quota_errors": 9}})
    stack.drop_zip("quota")
    execution = stack.ended("quota")
    assert (execution["status"], execution["error"]) == ("FAILED", "QuotaExhausted")
    message = stack.message("quota", "Failed")
    assert "for spot training job usage" in message["body"]
    assert "Service Quotas" in message["body"]
    assert stack.jobs(execution["name"]) == []


def test_a_failing_training_names_its_true_reason(stack: Stack) -> None:
    stack.cloud.inject({"training": {"stub_fails_with": "CUDA out of memory"}})
    stack.drop_zip("oom")
    execution = stack.ended("oom")
    assert (execution["status"], execution["error"]) == ("FAILED", "TrainingCodeError")
    assert "out of memory" in stack.message("oom", "Failed")["body"]


def test_a_redriven_run_trains_on_and_tells_of_its_end_again(stack: Stack) -> None:
    stack.cloud.inject({"training": {"capacity_errors": 2}})
    stack.drop_zip("again")
    execution = stack.ended("again")
    assert execution["status"] == "FAILED"
    arn = execution["executionArn"]
    stack.do_as_told(
        stack.message("again", "Failed")["body"],
        "A redrive takes the run up where it failed, with the same settings (for 14 days, here or in the console)",
    )
    eventually(
        lambda: stack.sfn.describe_execution(executionArn=arn)["status"] == "SUCCEEDED",
        within=40,
        what="the redriven execution's end",
    )
    stack.message("again", "Completed")
    assert len(stack.jobs(execution["name"])) == 3


def test_the_command_of_a_start_message_stops_the_run(stack: Stack) -> None:
    stack.drop_zip("by-command", dataset_files(marker="by-command", settings=UNTIL_STOPPED))
    stack.do_as_told(stack.message("by-command", "Started")["body"], "Stop it without the command line")
    stack.message("by-command", "Stopped")


def test_a_deploy_of_a_changed_stack_does_not_disturb_a_run(stack: Stack) -> None:
    stack.drop_zip("steady", dataset_files(marker="steady", settings=SLOW))
    training_job(stack, "steady")
    stack.redeploy({"UploadWindowSeconds": "21"})
    execution = stack.ended("steady", within=90)
    assert execution["status"] == "SUCCEEDED"
    stack.message("steady", "Completed")


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("ValidateDataset", "s3:GetObject"),
        ("StartTraining", "sagemaker:CreateTrainingJob"),
        ("ExtractModel", "s3:PutObject"),
        ("TrainingStateMachine", "sns:Publish"),
    ],
)
def test_a_policy_stripped_of_one_needed_action_fails_the_run_with_access_denied(
    stack: Stack, role: str, action: str
) -> None:
    name = f"strip-{role.lower()}"
    with stripped(stack, role, action):
        stack.drop_zip(name)
        execution = stack.ended(name)
    assert execution["status"] == "FAILED"
    assert "AccessDenied" in f"{execution['error']} {execution['cause']}" or "not authorized" in execution["cause"]
    assert stack.message(name, "Failed")


def test_busy_services_are_tried_again(stack: Stack) -> None:
    stack.cloud.inject(
        {
            "api": [
                {"service": "s3", "operation": "GetObject", "error": "SlowDown", "times": 5},
                {"service": "sagemaker", "operation": "CreateTrainingJob", "error": "ThrottlingException", "times": 2},
            ]
        }
    )
    stack.drop_zip("busy")
    assert stack.ended("busy")["status"] == "SUCCEEDED"
    stack.message("busy", "Completed")
