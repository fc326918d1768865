"""Who may start jobs, and that a job can do no more than its role."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud
from tests.contract.training_jobs import ACCOUNT, REGION, Account, channel, request

JOBS = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/run-*"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/training"
ALLOWED: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": ["sagemaker:CreateTrainingJob", "sagemaker:AddTags"], "Resource": JOBS},
    {"Effect": "Allow", "Action": ["sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], "Resource": JOBS},
    {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": ROLE,
        "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    },
]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with LocalCloud.start(trainer="real", provision_seconds=0.0) as cloud:
        account = Account(cloud)
        account.put("code/entry.sh", "echo ran")
        account.put("private/secret.txt", "secret")
        yield account


def caller(account: Account, name: str, statements: list[dict[str, Any]]) -> Any:
    """A SageMaker client of a user with these statements."""
    account.iam.create_user(UserName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    account.iam.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=policy)
    key = account.iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.client(
        "sagemaker",
        endpoint_url=account.cloud.endpoint,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def denial(call: Any, **arguments: Any) -> str:
    """The message of the AccessDeniedException that answers this call."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(caught.value.response["Error"]["Message"])


def test_a_caller_with_the_three_permissions_starts_a_job(account: Account) -> None:
    client = caller(account, "starter", ALLOWED)
    client.create_training_job(**request(TrainingJobName="Run-1"))
    assert account.ended("Run-1")["TrainingJobStatus"] == "Completed"
    described = client.describe_training_job(TrainingJobName="Run-1")
    assert described["TrainingJobArn"].endswith(":training-job/run-1")


@pytest.mark.parametrize(
    ("name", "missing", "resource"),
    [
        ("sagemaker:CreateTrainingJob", 0, JOBS.replace("*", "2")),
        ("iam:PassRole", 2, ROLE),
    ],
)
def test_each_permission_is_needed(account: Account, name: str, missing: int, resource: str) -> None:
    user = f"no-{name.split(':')[1]}"
    client = caller(account, user, [item for number, item in enumerate(ALLOWED) if number != missing])
    message = denial(client.create_training_job, **request(TrainingJobName="run-2"))
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: {name} on resource: {resource}"
        f" because no identity-based policy allows the {name} action"
    )


def test_tags_need_a_permission_of_their_own(account: Account) -> None:
    statements = [{**ALLOWED[0], "Action": "sagemaker:CreateTrainingJob"}, *ALLOWED[1:]]
    client = caller(account, "no-tags", statements)
    assert "sagemaker:AddTags" in denial(client.create_training_job, **request(TrainingJobName="run-3"))
    client.create_training_job(**request(TrainingJobName="run-3", Tags=None))


def test_a_role_may_be_passed_to_sagemaker_only_where_the_policy_says_so(account: Account) -> None:
    elsewhere = {**ALLOWED[2], "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}
    client = caller(account, "passes-elsewhere", [*ALLOWED[:2], elsewhere])
    assert "iam:PassRole" in denial(client.create_training_job, **request(TrainingJobName="run-4"))


def test_jobs_out_of_the_policys_reach_are_out_of_reach(account: Account) -> None:
    client = caller(account, "reader", ALLOWED)
    assert "training-job/other" in denial(client.describe_training_job, TrainingJobName="other")
    assert "sagemaker:ListTrainingJobs on resource: *" in denial(client.list_training_jobs)


def refused(account: Account, **changes: Any) -> str:
    """The ValidationException that answers this request."""
    with pytest.raises(ClientError) as caught:
        account.sagemaker.create_training_job(**request(**changes))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def test_the_role_must_exist_and_trust_sagemaker(account: Account) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    for role in (account.role("untrusting", ["s3:*"], trust=trust), f"arn:aws:iam::{ACCOUNT}:role/absent"):
        assert refused(account, TrainingJobName="run-5", RoleArn=role) == (
            f"Could not assume role {role}. Please ensure that the role exists and allows principal"
            " 'sagemaker.amazonaws.com' to assume the role."
        )


def test_inputs_that_the_role_cannot_list_are_refused_at_once(account: Account) -> None:
    role = account.role("cannot-list", ["s3:GetObject", "s3:PutObject"])
    message = refused(account, TrainingJobName="run-6", RoleArn=role)
    assert message.startswith('No S3 objects found under S3 URL "s3://artifacts/code/" given in input data source.')
    assert f'that the role "{role}" has "s3:ListBucket" permissions on bucket "artifacts"' in message


def test_inputs_that_are_not_there_are_refused_at_once(account: Account) -> None:
    nowhere = [channel("code", "s3://artifacts/nowhere/")]
    assert "No S3 objects found" in refused(account, TrainingJobName="run-7", InputDataConfig=nowhere)


def test_inputs_that_the_role_cannot_read_fail_the_job(account: Account) -> None:
    role = account.role("cannot-read", ["s3:ListBucket", "s3:PutObject", "logs:*"])
    account.sagemaker.create_training_job(**request(TrainingJobName="run-8", RoleArn=role))
    failed = account.ended("run-8")
    assert failed["TrainingJobStatus"] == "Failed"
    assert failed["FailureReason"].startswith(
        "ClientError: Data download failed:Unable to download object s3://artifacts/code/entry.sh (AccessDenied:"
    )


def test_outputs_that_the_role_cannot_write_fail_the_job(account: Account) -> None:
    role = account.role("cannot-write", ["s3:ListBucket", "s3:GetObject", "logs:*"])
    account.put("writes/entry.sh", 'cd "$(dirname "$0")/../../.."; echo best > model/best.pt')
    inputs = [channel("code", "s3://artifacts/writes/")]
    changes: dict[str, Any] = {"RoleArn": role, "InputDataConfig": inputs, "CheckpointConfig": None}
    account.sagemaker.create_training_job(**request(TrainingJobName="run-9", **changes))
    failed = account.ended("run-9")
    assert failed["FailureReason"].startswith("ClientError: Artifact upload failed:Unable to upload object s3://")
    assert "AccessDenied" in failed["FailureReason"]


def test_a_job_whose_role_may_not_write_logs_has_none(account: Account) -> None:
    role = account.role("no-logs", ["s3:*"])
    account.sagemaker.create_training_job(**request(TrainingJobName="run-10", RoleArn=role))
    assert account.ended("run-10")["TrainingJobStatus"] == "Completed"
    assert account.log("run-10") == []


def test_the_entry_itself_acts_as_the_role(account: Account) -> None:
    role = account.role("narrow", ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "logs:*"], [
        "arn:aws:s3:::artifacts", "arn:aws:s3:::artifacts/code/*", "arn:aws:s3:::artifacts/training-output/*",
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/*",
    ])  # fmt: skip
    account.put(
        "code/own/entry.sh",
        f"""exec '{PYTHON}' - <<'END'
import os
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
print(boto3.client("sts", region_name=os.environ["AWS_REGION"]).get_caller_identity()["Arn"])
s3 = boto3.client("s3", region_name=os.environ["AWS_REGION"], config=Config(s3={{"addressing_style": "path"}}))
print(s3.get_object(Bucket="artifacts", Key="code/own/entry.sh")["ContentLength"] > 0)
try:
    s3.get_object(Bucket="artifacts", Key="private/secret.txt")
except ClientError as error:
    print(error.response["Error"]["Code"])
END""",
    )
    inputs = [channel("code", "s3://artifacts/code/own/")]
    account.sagemaker.create_training_job(**request(TrainingJobName="run-11", RoleArn=role, InputDataConfig=inputs))
    account.ended("run-11")
    assert account.log("run-11") == [f"arn:aws:sts::{ACCOUNT}:assumed-role/narrow/SageMaker", "True", "AccessDenied"]


PYTHON = sys.executable
