"""The smallest thing that the stack does with each permission of a function or of the state machine.

A deed can be done again and again on the same ground; it answers what went wrong, or nothing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.faults.ground import Ground
from tests.stack import eventually
from traindrop.runs import Runs
from traindrop.training import Trainer
from traindrop.waiting import WaitingNotice
from traindrop.watch import Watch

Deed = Callable[[Ground], str]
DEEDS: dict[Deed, tuple[str, ...]] = {}
"""Every deed, with the permissions that it fails without."""


def needs(holder: str, *permissions: str) -> Callable[[Deed], Deed]:
    """Register a deed with the permissions of one role or policy that it needs."""

    def register(deed: Deed) -> Deed:
        DEEDS[deed] = tuple(f"{holder}/{permission}" for permission in permissions)
        return deed

    return register


def _arrival(ground: Ground, key: str, sequencer: int) -> dict[str, Any]:
    item = {"key": key, "sequencer": str(sequencer), "etag": "0"}
    bucket = {"name": ground.stack.dataset_bucket}
    return {"time": "2026-01-01T00:00:00Z", "detail": {"bucket": bucket, "object": item}}


@needs("AcceptDropFunctionRole", "StartRuns states:StartExecution TrainingStateMachine")
def start_an_execution(ground: Ground) -> str:
    """A zip arrives; always the same, so that there is one execution."""
    return ground.call("AcceptDrop", _arrival(ground, "datasets/needs-nothing.zip", 1))[0]


@needs(
    "AcceptDropFunctionRole",
    "ClaimUploads dynamodb:PutItem ClaimsTable",
    "ClaimUploads dynamodb:GetItem ClaimsTable",
)
def leave_an_upload_to_its_run(ground: Ground) -> str:
    """A yaml file arrives in a folder for which a run waits already."""
    lapses = int(time.time()) + 3600
    ground.claims.put_item(Item={"claim": "upload#needs-held", "owner": "another", "expires_at": lapses})
    return ground.call("AcceptDrop", _arrival(ground, "datasets/needs-held/data.yaml", 1))[0]


@needs("AcceptDropFunctionRole", "TellOfMisplacedDrops sns:Publish NotificationTopic")
def tell_of_a_misplaced_drop(ground: Ground) -> str:
    """A zip arrives at the wrong place."""
    return ground.call("AcceptDrop", _arrival(ground, "needs-misplaced.zip", ground.number()))[0]


@needs("AcceptDropFunctionRole", "ClaimUploads dynamodb:DeleteItem ClaimsTable")
def tell_at_the_second_try(ground: Ground) -> str:
    """A zip arrives at the wrong place, its message cannot be sent, and its event is delivered again."""
    event = _arrival(ground, "needs-untold.zip", ground.number())
    refused = {"service": "sns", "operation": "Publish", "error": "InvalidParameter", "containing": ["needs-untold"]}
    ground.cloud.inject({"api": [refused]})
    first, _ = ground.call("AcceptDrop", event)
    assert first
    _, answer = ground.call("AcceptDrop", event)
    return "" if answer == {"done": "told"} else f"nobody is told: {first}"


@needs(
    "ValidateDatasetFunctionRole",
    "ListDatasets s3:ListBucket DatasetBucket",
    "ReadDatasets s3:GetObject DatasetBucket/datasets/*",
    "WriteVerdicts s3:PutObject ArtifactBucket/verdicts/*",
    "WriteVerdicts s3:PutObject ArtifactBucket/training-input/*",
    "RecordRun dynamodb:GetItem RunsTable",
    "RecordRun dynamodb:UpdateItem RunsTable",
    "ClaimFingerprints dynamodb:PutItem ClaimsTable",
)
def judge_a_zip(ground: Ground) -> str:
    """A dataset is found right, in a bucket that has no settings of its own."""
    return ground.judge("judged", "needs-judged-20260101T000000-00000000")


@needs("ValidateDatasetFunctionRole", "ClaimFingerprints dynamodb:GetItem ClaimsTable")
def judge_what_is_being_trained(ground: Ground) -> str:
    """Another run holds the claim on this very data."""
    return judge_a_zip(ground) or ground.judge("judged", "needs-judged-20260101T000000-11111111", "unchanged")


@needs("ValidateDatasetFunctionRole", "ClaimFingerprints dynamodb:DeleteItem ClaimsTable")
def judge_a_run_that_is_stopped_meanwhile(ground: Ground) -> str:
    """The run's execution was stopped while its dataset was being judged."""
    run_id = "needs-started-20260101T000000-ffffffff"
    ground.set(run_id, "stop_requested", 0)
    return ground.judge("started", run_id)


@needs("ValidateDatasetFunctionRole", "FindModels s3:GetObject ArtifactBucket/models/*")
def judge_a_run_from_the_best(ground: Ground) -> str:
    """`model: best`."""
    model = f"s3://{ground.stack.artifact_bucket}/models/needs-best/run/best.pt"
    ground.put_artifact("models/needs-best/run/best.pt", b"weights")
    ground.put_artifact("models/needs-best/best.json", json.dumps({"run_id": "run", "model_uri": model}).encode())
    return ground.judge("best", "needs-best-20260101T000000-00000000")


@needs("ValidateDatasetFunctionRole", "SeeMissingModels s3:ListBucket ArtifactBucket")
def judge_a_run_from_a_missing_model(ground: Ground) -> str:
    """`model: s3://…` that is not there."""
    return ground.judge("missing", "needs-missing-20260101T000000-00000000", "rejected")


@needs(
    "StartTrainingFunctionRole",
    "RunTrainingJobs sagemaker:CreateTrainingJob training-job/*",
    "RunTrainingJobs sagemaker:AddTags training-job/*",
    "RunTrainingJobs sagemaker:DescribeTrainingJob training-job/*",
    "PassTrainingRole iam:PassRole TrainingRole",
    "UploadCode s3:PutObject ArtifactBucket/code/*",
    "UploadCode s3:GetObject ArtifactBucket/code/*",
    "FindWeights s3:GetObject ArtifactBucket/weights/*",
    "SeeMissingObjects s3:ListBucket ArtifactBucket",
    "RecordRun dynamodb:GetItem RunsTable",
    "RecordRun dynamodb:UpdateItem RunsTable",
    "FindEarlierRuns dynamodb:Query RunsTable/index/RunsOfDataset",
    "TellOfStart sns:Publish NotificationTopic",
)
def start_a_job(ground: Ground) -> str:
    """The first job with this training code, from weights that nobody has fetched yet."""
    run_id = ground.judged("started")
    ground.remove_artifacts("code/", "entry.sh")
    return ground.start(run_id)


@needs("StartTrainingFunctionRole", "FindWeights s3:GetObject ArtifactBucket/models/*")
def start_a_job_from_the_best(ground: Ground) -> str:
    """`model: best`."""
    assert judge_a_run_from_the_best(ground) == ""
    return ground.start(ground.judged("best"))


@needs("StartTrainingFunctionRole", "RunTrainingJobs sagemaker:StopTrainingJob training-job/*")
def start_a_job_that_is_stopped_meanwhile(ground: Ground) -> str:
    """The run is stopped after its flag was read and before its job is there."""
    run_id = ground.judged("halted")
    held = {"service": "sagemaker", "operation": "CreateTrainingJob", "delay_seconds": 2.0, "containing": [run_id]}
    ground.cloud.inject({"api": [held]})
    errors: list[str] = []
    starting = threading.Thread(target=lambda: errors.append(ground.start(run_id)))
    starting.start()
    eventually(lambda: not ground.cloud.faults().get("api"), within=60, what="CreateTrainingJob")
    ground.set(run_id, "stop_requested", 0)
    starting.join()
    return errors[0]


@needs("StartTrainingFunctionRole", "AnswerTrainModel states:SendTaskSuccess TrainingStateMachine")
def adopt_a_completed_job(ground: Ground) -> str:
    """TrainModel is entered anew after its job has ended."""
    return ground.start(ground.trained)


@needs(
    "StartTrainingFunctionRole",
    "AnswerTrainModel states:SendTaskFailure TrainingStateMachine",
    "ReadJobLogs logs:DescribeLogStreams log-group:/aws/sagemaker/TrainingJobs",
    "ReadJobLogs logs:GetLogEvents log-group:/aws/sagemaker/TrainingJobs",
)
def adopt_a_failed_job(ground: Ground) -> str:
    """TrainModel is entered anew after its job has failed."""
    return ground.start(ground.failed)


def _report(ground: Ground, run_id: str) -> str:
    return ground.call("ReportJobEnd", {"detail": {"TrainingJobName": f"{run_id}-1"}})[0]


@needs(
    "ReportJobEndFunctionRole",
    "DescribeJobs sagemaker:DescribeTrainingJob training-job/*",
    "RecordRun dynamodb:GetItem RunsTable",
    "RecordRun dynamodb:UpdateItem RunsTable",
    "AnswerTrainModel states:SendTaskSuccess TrainingStateMachine",
)
def report_a_completed_job(ground: Ground) -> str:
    """The event of a job's end."""
    return _report(ground, ground.trained)


@needs(
    "ReportJobEndFunctionRole",
    "AnswerTrainModel states:SendTaskFailure TrainingStateMachine",
    "ReadJobLogs logs:DescribeLogStreams log-group:/aws/sagemaker/TrainingJobs",
    "ReadJobLogs logs:GetLogEvents log-group:/aws/sagemaker/TrainingJobs",
)
def report_a_failed_job(ground: Ground) -> str:
    """The event of a failed job's end."""
    return _report(ground, ground.failed)


@needs(
    "ReconcileJobFunctionRole",
    "LookAtTrainingJobs sagemaker:DescribeTrainingJob training-job/*",
    "RecordRun dynamodb:GetItem RunsTable",
)
def look_at_a_job(ground: Ground) -> str:
    """No report came."""
    return ground.call("ReconcileJob", {"run_id": ground.trained})[0]


def _look_later(ground: Ground, run_id: str, later: timedelta) -> tuple[str, str]:
    """What is denied when no report came for so long, and why the job was stopped.

    No test can wait for that: the function's code runs here, as the function's role and by a clock that is ahead.
    """
    client = ground.clients_of("ReconcileJobFunctionRole")
    runs = Runs(client("dynamodb"), ground.runs.name)
    trainer = Trainer(client("sagemaker"), client("stepfunctions"), runs, client("logs"))
    notice = WaitingNotice(runs, client("sns"), ground.stack.outputs["NotificationTopicArn"], 1800)
    try:
        return "", Watch(trainer, notice).look(run_id, datetime.now(UTC) + later)["stopped"]
    except ClientError as error:
        return str(error), ""


@needs("ReconcileJobFunctionRole", "LookAtTrainingJobs sagemaker:StopTrainingJob training-job/*")
def stop_an_overdue_job(ground: Ground) -> str:
    """No report came of a job that should have ended long ago."""
    run_id = ground.judged("overdue")
    assert ground.start(run_id) == ""
    job = f"{run_id}-1"
    eventually(
        lambda: ground.stack.sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatus"] == "Training",
        within=60,
        what=f"{job} in Training",
    )
    denied, stopped = _look_later(ground, run_id, timedelta(days=30))
    if denied:
        ground.stack.sagemaker.stop_training_job(TrainingJobName=job)
    return denied or ("" if stopped == "overdue" else "not overdue")


@needs(
    "ReconcileJobFunctionRole",
    "RecordRun dynamodb:UpdateItem RunsTable",
    "TellOfWaiting sns:Publish NotificationTopic",
)
def tell_of_a_job_that_waits(ground: Ground) -> str:
    """No instance came for the job in 31 minutes."""
    ground.cloud.inject({"training": {"spot_never_arrives": True}})
    run_id = ground.judged("started")
    try:
        assert ground.start(run_id) == ""
        denied, _ = _look_later(ground, run_id, timedelta(minutes=31))
        told = "waiting_told" in ground.stack.run(run_id)
    finally:
        ground.cloud.clear_faults()
        ground.stack.sagemaker.stop_training_job(TrainingJobName=f"{run_id}-1")
    return denied or ("" if told else "nobody is told")


@needs(
    "StartTrainingFunctionRole",
    "ReadQuotas servicequotas:ListServiceQuotas *",
    "ReadQuotas servicequotas:GetServiceQuota *",
    "KeepQuotas dynamodb:GetItem ClaimsTable",
    "KeepQuotas dynamodb:PutItem ClaimsTable",
)
def skip_an_instance_type_of_which_the_account_may_have_none(ground: Ground) -> str:
    """The quota of the first rung is known to be 0, for the first time on that day."""
    ground.claims.delete_item(Key={"claim": "quotas#sagemaker"})
    ground.cloud.inject({"training": {"zero_quotas": ["ml.g4dn.xlarge for spot training job usage"]}})
    run_id = ground.judged("started")
    error = ground.start(run_id)
    ground.cloud.clear_faults()
    ground.claims.delete_item(Key={"claim": "quotas#sagemaker"})
    result = ground.stack.run(run_id)["climb"][0]["result"]
    return error or ("" if result == "quota 0, skipped" else f"AccessDenied, and so it was tried: {result}")
