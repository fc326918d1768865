"""Each failure as AWS or the training words it is recognised, and the message says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from traindrop import end_messages
from traindrop.cli import checks_of_runs
from traindrop.cures import _TELL_THEMSELVES, CURES, cure_of
from traindrop.ending import explain
from traindrop.errors import AccessDenied

ROOT = Path(__file__).resolve().parents[2]
ARN = "arn:aws:states:us-east-1:123456789012:execution:m:rooms-20261112T093000-1a2b3c4d"
RUN = {"dataset": "rooms", "run_id": "r", "bucket": "b", "key": "datasets/rooms.zip", "execution_arn": ARN}
WHO = "User: arn:aws:sts::123456789012:assumed-role/traindrop-Role/traindrop-Function is not authorized to perform: "
CREATE = "An error occurred (ValidationException) when calling the CreateTrainingJob operation: "


def denied(said: str) -> str:
    """As the function raises it and Lambda words it."""
    error = AccessDenied(f"An error occurred (AccessDenied) when calling the PutObject operation: {WHO}{said}")
    return json.dumps({"errorMessage": str(error), "errorType": "AccessDenied", "stackTrace": []})


FAILURES = {
    # Access denied: by the role's policy, the organisation, a bucket's policy, a key, to the job, of the role itself.
    "role": (
        "AccessDenied",
        denied("s3:PutObject on resource: x because no identity-based policy allows the s3:PutObject action"),
        "a role of the stack may not do s3:PutObject",
        "Deploy the stack again",
    ),
    "organisation": (
        "AccessDenied",
        denied("sagemaker:CreateTrainingJob on resource: x with an explicit deny in a service control policy"),
        "your organisation forbids sagemaker:CreateTrainingJob",
        "to allow sagemaker:CreateTrainingJob in this account",
    ),
    "bucket policy": (
        "AccessDenied",
        denied("s3:GetObject on resource: x with an explicit deny in a resource-based policy"),
        "a policy of the resource forbids s3:GetObject",
        "take it out",
    ),
    "key": (
        "AccessDenied",
        denied("kms:Decrypt on resource: arn:aws:kms:us-east-1:1:key/k because no identity-based policy allows it"),
        "a KMS key cannot be used",
        "without `--sse aws:kms`",
    ),
    "job": (
        "TrainingCodeError",
        "ClientError: Data download failed:Unable to download object s3://b/x (AccessDenied: Access Denied)",
        "the training job may not read its data",
        "deploy the stack again",
    ),
    "trust": (
        "ClientError",
        f"{CREATE}Could not assume role arn:aws:iam::1:role/r. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role.",
        "SageMaker may not use the training role",
        "Deploy the stack again",
    ),
    "image": (
        "TrainingCodeError",
        "ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions are "
        "incorrect.",
        "the training image cannot be had",
        "TrainingImage empty",
    ),
    "repository": (
        "ClientError",
        f"{CREATE}Access denied for repository: spark in registry ID: 314815235551.",
        "the training image cannot be had",
        "ecr:BatchGetImage",
    ),
    # Bucket not found.
    "bucket": (
        "NoSuchBucket",
        "An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation: The specified bucket does not "
        "exist",
        "a bucket of the stack was deleted",
        "deploy it anew",
    ),
    "data": (
        "ClientError",
        f'{CREATE}No S3 objects found under S3 URL "s3://b/datasets/rooms.zip" given in input data source. Please '
        "ensure that the bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, "
        'and that the role "arn" has "s3:ListBucket" permissions on bucket "b".',
        "nothing that the training role may list lies at s3://b/datasets/rooms.zip",
        "drop the dataset again",
    ),
    # Training job failed.
    "killed": (
        "TrainingCodeError",
        "AlgorithmError: , exit code: 137",
        "the training was killed, mostly for want of memory",
        "Set a smaller batch",
    ),
    "silent": (
        "TrainingCodeError",
        "AlgorithmError: , exit code: 1",
        "the training ended with exit code 1 and gave no reason",
        "The job's log ends with what it did last",
    ),
    "unforeseen": (
        "TrainingCodeError",
        "AlgorithmError: The training failed with KeyError: 'x'; the job's log has the rest., exit code: 1",
        "the training failed with KeyError",
        "mend them and start the dataset again",
    ),
    "memory": (
        "TrainingCodeError",
        "AlgorithmError: The GPU ran out of memory with batch 8 and imgsz 1024; set a smaller batch or imgsz in "
        "training.yaml, or an instance type with more GPU memory., exit code: 15",
        "The GPU ran out of memory with batch 8 and imgsz 1024",
        "set a smaller batch or imgsz in training.yaml",
    ),
    "upload": (
        "TrainingCodeError",
        "ClientError: Artifact upload failed:Insufficient permissions to upload s3://b/model.tar.gz",
        "SageMaker could not store what was trained",
        "allowed to write to the artifact bucket",
    ),
    "no type": (
        "ClientError",
        f"{CREATE}The requested resource training-job/ml.p4d.24xlarge is not available in this region",
        "the region has no such instance type",
        "List other instance_types",
    ),
    "no model": (
        "NoModel",
        "the training left no model and no checkpoint below s3://b/checkpoints/r/",
        "the training left no model",
        "to train anew",
    ),
    # The functions and the state machine.
    "timeout": (
        "Sandbox.Timedout",
        json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out after 900 s"}),
        "a step took longer than a function may",
        "Redrive the execution",
    ),
    "function's memory": (
        "Runtime.ExitError",
        json.dumps(
            {
                "errorType": "Runtime.ExitError",
                "errorMessage": "RequestId: 1 Error: Runtime exited with error: signal: killed",
            }
        ),
        "a function ran out of memory",
        "Raise the MemorySize",
    ),
    "concurrency": (
        "Lambda.TooManyRequestsException",
        "Rate Exceeded. (Service: Lambda, Status Code: 429, Request ID: 1)",
        "too many functions of the account run at once",
        "'Concurrent executions'",
    ),
    "no function": (
        "Lambda.ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:1:function:f (Service: Lambda, Status Code: 404)",
        "a function of the stack is not there",
        "Deploy the stack again",
    ),
    "busy": (
        "TransientError",
        "An error occurred (ThrottlingException) when calling the DescribeTrainingJob operation: Rate exceeded",
        "AWS was busy or broken for too long",
        "Redrive the execution in a while",
    ),
    "state data": (
        "States.DataLimitExceeded",
        "The state/task 'ValidateDataset' returned a result with a size exceeding the maximum",
        "the state machine met what it cannot handle",
        "Start the dataset again",
    ),
    "unknown": ("Whatever", "it broke", "it broke", "links to the log of its function"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_recognised_by_its_wording_and_its_cure_is_told(name: str) -> None:
    error, cause, what, todo = FAILURES[name]
    message = end_messages.ended_early("Failed", RUN, error, explain(cause), "")
    assert message.subject.startswith(f"Failed: rooms - {what}"[:97])
    assert message.body.startswith(f"rooms: {what}")
    assert message.body.count(todo) == 1, "told, and not told twice"


def test_no_cure_is_there_that_no_failure_asks_for() -> None:
    texts = [f"{error}: {explain(cause)}" for error, cause, _, _ in FAILURES.values()]
    firsts = [next((row for row, (pattern, _) in enumerate(CURES) if pattern.search(text)), None) for text in texts]
    assert set(firsts) == {None, *range(len(CURES))}


def test_every_failure_of_the_docs_is_one_with_a_cure() -> None:
    names = re.findall(r"\| `Failed: ([^|]+) \|", (ROOT / "docs/failures.md").read_text())
    told = {name for found in names for name in re.findall(r"[A-Z][A-Za-z.]+", found)} - {"Lambda."}
    assert {"CapacityExhausted", "QuotaExhausted", "AccessDenied", "NoModel", "Sandbox.Timedout"} <= told
    for name in told:
        known = cure_of(name, "as it was worded")
        assert known is None or known.todo


def test_the_doctor_has_a_cure_in_short_for_every_error_whose_cause_tells_its_own() -> None:
    assert set(checks_of_runs.CURES) == _TELL_THEMSELVES
