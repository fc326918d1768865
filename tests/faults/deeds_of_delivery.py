"""Deeds, continued: from the ended job to the message, the end of an execution, whole executions, dead letters."""

from __future__ import annotations

import os
from typing import Any

from tests.faults.deeds import needs
from tests.faults.ground import Ground
from tests.stack import eventually

NINE_MEGABYTES = 9 * 1024**2
"""More than one part of an upload."""


def _extract(ground: Ground, run_id: str) -> str:
    return ground.call("ExtractModel", {"run_id": run_id})[0]


@needs(
    "ExtractModelFunctionRole",
    "ReadWhatTheJobLeft s3:GetObject ArtifactBucket/training-output/*",
    "WriteModels s3:PutObject ArtifactBucket/models/*",
    "RecordRun dynamodb:GetItem RunsTable",
    "RecordRun dynamodb:UpdateItem RunsTable",
)
def extract_a_model(ground: Ground) -> str:
    """The archive of a job."""
    return _extract(ground, ground.trained)


@needs("ExtractModelFunctionRole", "WriteModels s3:PutObject ArtifactBucket/weights/*/*")
def keep_pretrained_weights(ground: Ground) -> str:
    """The archive of a job that had to fetch its first weights."""
    with ground.archive(ground.trained, {"best.pt": b"best", "pretrained/yolov8n-seg.pt": b"weights"}):
        error = _extract(ground, ground.trained)
    ground.remove_artifacts("weights/")
    return error


@needs(
    "ExtractModelFunctionRole",
    "ReadWhatTheJobLeft s3:GetObject ArtifactBucket/checkpoints/*",
    "FindCheckpoints s3:ListBucket ArtifactBucket",
)
def extract_the_newest_checkpoint(ground: Ground) -> str:
    """A job that left no archive."""
    return _extract(ground, ground.unarchived)


def _break_off(ground: Ground, name: str, prefix: str) -> str:
    """Extract a large file whose second part is refused; say what stays behind."""
    refused = {"service": "s3", "operation": "UploadPart", "error": "InvalidPart", "containing": [prefix], "times": 2}
    with ground.archive(ground.trained, {name: os.urandom(NINE_MEGABYTES)}):
        ground.cloud.inject({"api": [refused]})
        error = _extract(ground, ground.trained)
        ground.cloud.clear_faults()
    assert "Injected" in error, error
    s3, bucket = ground.stack.s3, ground.stack.artifact_bucket
    left = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    for upload in left:
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return f"{len(left)} broken uploads are left behind" if left else ""


@needs("ExtractModelFunctionRole", "WriteModels s3:AbortMultipartUpload ArtifactBucket/models/*")
def clean_up_a_broken_upload(ground: Ground) -> str:
    """A model whose upload breaks off."""
    return _break_off(ground, "best.pt", "models/")


@needs("ExtractModelFunctionRole", "WriteModels s3:AbortMultipartUpload ArtifactBucket/weights/*/*")
def clean_up_a_broken_upload_of_weights(ground: Ground) -> str:
    """Pretrained weights whose upload breaks off."""
    return _break_off(ground, "pretrained/yolov8n-seg.pt", "weights/")


@needs(
    "PublishMetricsFunctionRole",
    "ReadMetrics s3:GetObject ArtifactBucket/models/*",
    "SeeMissingBest s3:ListBucket ArtifactBucket",
    "PromoteModel s3:PutObject ArtifactBucket/models/*/best.json",
    "RecordRun dynamodb:GetItem RunsTable",
    "RecordRun dynamodb:UpdateItem RunsTable",
    "KeepClaim dynamodb:PutItem ClaimsTable",
)
def promote_the_first_model(ground: Ground) -> str:
    """A dataset that has no best model yet."""
    ground.remove_artifacts("models/needs-trained/", "best.json")
    return ground.call("PublishMetrics", {"run_id": ground.trained})[0]


@needs("PublishMetricsFunctionRole", "KeepClaim dynamodb:GetItem ClaimsTable")
def leave_a_claim_to_its_run(ground: Ground) -> str:
    """Another run, a forced one, has taken the claim on this data over."""
    claim = f"fingerprint#needs-trained#{ground.stack.run(ground.trained)['fingerprint']}"
    held = ground.claims.get_item(Key={"claim": claim})["Item"]
    ground.claims.put_item(Item={**held, "owner": "another"})
    error = ground.call("PublishMetrics", {"run_id": ground.trained})[0]
    ground.claims.put_item(Item=held)
    return error


@needs(
    "WriteReportFunctionRole",
    "ReadModel s3:GetObject ArtifactBucket/models/*",
    "FindSamples s3:ListBucket ArtifactBucket",
    "WriteReport s3:PutObject ArtifactBucket/models/*/report.html",
    "RecordRun dynamodb:GetItem RunsTable",
    "RecordRun dynamodb:UpdateItem RunsTable",
)
def write_a_report(ground: Ground) -> str:
    """A run with metrics, curves and samples."""
    return ground.call("WriteReport", {"run_id": ground.trained})[0]


@needs(
    "StopTrainingFunctionRole",
    "StopJobs sagemaker:StopTrainingJob training-job/*",
    "StopJobs sagemaker:DescribeTrainingJob training-job/*",
    "RecordRun dynamodb:GetItem RunsTable",
    "RecordRun dynamodb:UpdateItem RunsTable",
    "ReleaseClaims dynamodb:DeleteItem ClaimsTable",
    "TellOfEnd sns:Publish NotificationTopic",
    "ReadExecutions states:DescribeExecution execution:${Name}:*",
    "ReadExecutions states:GetExecutionHistory execution:${Name}:*",
    "DeliverStoppedRuns lambda:InvokeFunction ExtractModelFunction",
)
def conclude_a_stopped_execution(ground: Ground) -> str:
    """The event of an execution that was stopped while it waited for its upload, as if its job had ended."""
    if not ground.stack.executions("needs-aborted"):
        ground.stack.put("datasets/needs-aborted/data.yaml", b"train: images/train\n")
        arn = ground.stack.execution("needs-aborted", within=60)["executionArn"]
        ground.stack.sfn.stop_execution(executionArn=arn)
        ground.stack.message("needs-aborted", "Stopped", within=60)
    execution = ground.stack.execution("needs-aborted")
    eventually(lambda: ground.stack.run(execution["name"]).get("ended_at"), within=60, what="the end's record")
    ground.unset(execution["name"], "notified_0")
    ground.unset(execution["name"], "delivered_0")
    ground.set(execution["name"], "job_name", f"{ground.trained}-1")
    moment = int(execution["startDate"].timestamp() * 1000)
    detail = {"executionArn": execution["executionArn"], "name": execution["name"], "startDate": moment}
    return ground.call("StopTraining", {"detail": {**detail, "status": "ABORTED", "input": execution["input"]}})[0]


def _end_of(ground: Ground, dataset: str) -> str:
    """Wait for the end of an execution; stop one that tries again and again what its role may not do, and say what."""
    arn = ground.stack.execution(dataset, within=60)["executionArn"]

    def look() -> str | None:
        status = ground.stack.sfn.describe_execution(executionArn=arn)["status"]  # first: the history then is whole
        for event in ground.stack.history(arn):
            cause = str(event.get("taskFailedEventDetails", {}).get("cause"))
            if "is not authorized to perform" in cause:
                ground.stack.sfn.stop_execution(executionArn=arn)
                return cause
        return "ended" if status != "RUNNING" else None

    found = eventually(look, within=120, what=f"the end of {dataset}'s execution")
    return "" if found == "ended" else found


def _run_a_zip(ground: Ground) -> str:
    name = f"needs-whole-{ground.number():04}"
    ground.stack.drop_zip(name)
    error = _end_of(ground, name)
    if not error:
        ground.stack.message(name, "Completed", within=60)
    return error


@needs(
    "TrainingStateMachineRole",
    "InvokeSteps lambda:InvokeFunction StartTrainingFunction",
    "InvokeSteps lambda:InvokeFunction ExtractModelFunction",
    "InvokeSteps lambda:InvokeFunction PublishMetricsFunction",
    "InvokeSteps lambda:InvokeFunction WriteReportFunction",
)
def run_a_zip(ground: Ground) -> str:
    """An execution from its drop to its message."""
    return _run_a_zip(ground)


@needs("TrainingStateMachineRole", "InvokeSteps lambda:InvokeFunction ReconcileJobFunction")
def run_a_zip_whose_job_is_not_reported(ground: Ground) -> str:
    """An execution whose job ends without an event."""
    ground.cloud.inject({"events": {"drop": ["Completed"]}})
    error = _run_a_zip(ground)
    ground.cloud.clear_faults()
    return error


@needs(
    "TrainingStateMachineRole",
    "InvokeSteps lambda:InvokeFunction ValidateDatasetFunction",
    "PublishEnd sns:Publish NotificationTopic",
)
def reject_a_zip(ground: Ground) -> str:
    """An execution that ends with a rejection."""
    name = f"needs-rejected-{ground.number():04}"
    ground.stack.put(f"datasets/{name}.zip", b"no zip")
    error = _end_of(ground, name)
    if not error:
        ground.stack.message(name, "Rejected", within=60)
    return error


def _put_aside(ground: Ground, function: str, queue: str) -> str:
    """Give a function an event that it cannot handle; say where the event is not."""
    word = f"nonsense {ground.number()}"
    refused = (ground.physical(f"{function}Function"), "could not write to its destination")
    before = ground.log_lines(*refused)
    ground.cloud.client("lambda").invoke(
        FunctionName=refused[0], InvocationType="Event", Payload=f'{{"nothing": "{word}"}}'
    )
    return ground.arrives(queue, word, unless=lambda: ground.log_lines(*refused) > before)


@needs("AcceptDropFunctionRole", "- sqs:SendMessage AcceptDropDeadLetters")
def put_aside_a_drop(ground: Ground) -> str:
    """An event that AcceptDrop cannot handle."""
    return _put_aside(ground, "AcceptDrop", "AcceptDropDeadLetters")


@needs("ReportJobEndFunctionRole", "- sqs:SendMessage ReportJobEndDeadLetters")
def put_aside_a_jobs_end(ground: Ground) -> str:
    """An event that ReportJobEnd cannot handle."""
    return _put_aside(ground, "ReportJobEnd", "ReportJobEndDeadLetters")


@needs("ExtractModelFunctionRole", "- sqs:SendMessage StopTrainingDeadLetters")
def put_aside_a_delivery(ground: Ground) -> str:
    """The delivery of a stopped run that fails."""
    return _put_aside(ground, "ExtractModel", "StopTrainingDeadLetters")


@needs("StopTrainingFunctionRole", "- sqs:SendMessage StopTrainingDeadLetters")
def put_aside_an_executions_end(ground: Ground) -> str:
    """An event that StopTraining cannot handle."""
    return _put_aside(ground, "StopTraining", "StopTrainingDeadLetters")


def _undelivered(ground: Ground, function: str, queue: str, word: str, cause: Any) -> str:
    """Have a rule's target refuse an event for good; say where the event is not."""
    refused = {"service": "lambda", "operation": "Invoke", "error": "InvalidRequest"}
    target = (ground.physical(f"{function}Function"), "did not take an event of")
    before = ground.log_lines(*target)
    ground.cloud.inject({"api": [{**refused, "containing": [target[0], word]}]})
    cause()
    answer = ground.arrives(queue, word, unless=lambda: ground.log_lines(*target) > before)
    ground.cloud.clear_faults()
    return answer


@needs("AcceptDropDeadLettersPolicy", "Rule sqs:SendMessage AcceptDropDeadLetters")
def keep_an_undelivered_drop(ground: Ground) -> str:
    """The rule of drops cannot reach its function."""
    word = f"needs-undelivered-{ground.number():04}"
    return _undelivered(
        ground, "AcceptDrop", "AcceptDropDeadLetters", word, lambda: ground.stack.put(f"{word}.zip", b"misplaced")
    )


@needs("ReportJobEndDeadLettersPolicy", "Rule sqs:SendMessage ReportJobEndDeadLetters")
def keep_an_undelivered_end_of_a_job(ground: Ground) -> str:
    """The rule of jobs cannot reach its function."""
    run_id = ground.judged("started")
    return _undelivered(ground, "ReportJobEnd", "ReportJobEndDeadLetters", run_id, lambda: ground.start(run_id))


@needs("StopTrainingDeadLettersPolicy", "Rule sqs:SendMessage StopTrainingDeadLetters")
def keep_an_undelivered_end_of_an_execution(ground: Ground) -> str:
    """The rule of executions cannot reach its function."""
    word = f"needs-undelivered-{ground.number():04}"
    return _undelivered(
        ground,
        "StopTraining",
        "StopTrainingDeadLetters",
        word,
        lambda: ground.stack.put(f"datasets/{word}.zip", b"no zip"),
    )
