"""Whoever may write the dataset bucket can have his data trained; neither his keys nor his job reach further."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_cloud.deploy import deploy
from local_cloud.process import REGION, LocalCloud
from tests.faults import hijacker
from tests.faults.conftest import Rows
from tests.faults.jobs import findings
from tests.stack import Stack, dataset_files, eventually, zipped
from traindrop.jobs import Places
from traindrop.starting import Starter

pytestmark = pytest.mark.long
PROMISE = "can start trainings of his data, nothing else"
ENTRY = f"""cd "$(dirname "$0")/../../.."
exec '{sys.executable}' input/data/code/hijacker.py "$PWD"
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own, whose jobs run real entries."""
    with LocalCloud.start(trainer="real", provision_seconds=0.0, checkpoint_sync_seconds=0.2) as cloud:
        yield Stack(cloud, deploy(cloud))


class Target:
    """What there is to be had in a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        pages = (
            stack.cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName="traindrop")
        )
        found = [item for page in pages for item in page["StackResourceSummaries"]]
        self.of_type: dict[str, list[str]] = {}
        for item in found:
            self.of_type.setdefault(item["ResourceType"], []).append(item["PhysicalResourceId"])
        self.roles = [
            stack.cloud.client("iam").get_role(RoleName=name)["Role"]["Arn"] for name in self.of_type["AWS::IAM::Role"]
        ]
        self._lay()

    def _lay(self) -> None:
        """Put an object of another run at every place of the artifact bucket, and a private one beside the datasets."""
        for key in ARTIFACTS:
            self.stack.s3.put_object(Bucket=self.stack.artifact_bucket, Key=key, Body=b"another's")
        self.stack.put("private.txt", b"private")

    def artifacts(self, methods: dict[str, tuple[str, ...]]) -> list[list[Any]]:
        """Probes of the artifact bucket's objects."""
        bucket = self.stack.artifact_bucket
        bodies = {"put_object": {"Body": "mine"}}
        return [
            ["s3", method, {"Bucket": bucket, "Key": key, **bodies.get(method, {})}]
            for method, keys in methods.items()
            for key in keys
        ]

    def everything_else(self) -> list[list[Any]]:
        """Probes of all that is no object."""
        stack, function = self.stack, self.of_type["AWS::Lambda::Function"][0]
        execution = stack.sfn.list_executions(stateMachineArn=stack.machine)["executions"]
        arn = execution[0]["executionArn"] if execution else stack.machine.replace("stateMachine", "execution") + ":x"
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        runs, topic, role = stack.outputs["RunsTableName"], stack.outputs["NotificationTopicArn"], self.roles[0]
        role_name = role.rsplit("/", 1)[-1]
        buckets = [stack.dataset_bucket, stack.artifact_bucket]
        return [
            *(["sts", "assume_role", {"RoleArn": role, "RoleSessionName": "me"}] for role in self.roles),
            *(["lambda", "invoke", {"FunctionName": name}] for name in self.of_type["AWS::Lambda::Function"]),
            ["lambda", "list_functions", {}],
            ["lambda", "get_function", {"FunctionName": function}],
            ["lambda", "update_function_configuration", {"FunctionName": function, "Timeout": 1}],
            ["lambda", "add_permission", {"FunctionName": function, "StatementId": "me",
             "Action": "lambda:InvokeFunction", "Principal": "*"}],
            *(["sqs", method, {"QueueUrl": url, **more}]
              for url in self.of_type["AWS::SQS::Queue"]
              for method, more in (("send_message", {"MessageBody": "x"}), ("receive_message", {}),
                                   ("purge_queue", {}))),
            ["sns", "publish", {"TopicArn": topic, "Message": "x"}],
            ["sns", "subscribe", {"TopicArn": topic, "Protocol": "email", "Endpoint": "me@example.org"}],
            ["sns", "set_topic_attributes", {"TopicArn": topic, "AttributeName": "DisplayName",
             "AttributeValue": "x"}],
            ["sns", "list_topics", {}],
            *(["dynamodb", "scan", {"TableName": name}] for name in self.of_type["AWS::DynamoDB::Table"]),
            ["dynamodb", "get_item", {"TableName": runs, "Key": {"run_id": {"S": "x"}}}],
            ["dynamodb", "put_item", {"TableName": runs, "Item": {"run_id": {"S": "x"}}}],
            ["dynamodb", "update_item", {"TableName": runs, "Key": {"run_id": {"S": "x"}}}],
            ["dynamodb", "delete_item", {"TableName": runs, "Key": {"run_id": {"S": "x"}}}],
            ["stepfunctions", "start_execution", {"stateMachineArn": stack.machine}],
            ["stepfunctions", "list_executions", {"stateMachineArn": stack.machine}],
            ["stepfunctions", "describe_state_machine", {"stateMachineArn": stack.machine}],
            ["stepfunctions", "update_state_machine", {"stateMachineArn": stack.machine, "definition": "{}"}],
            ["stepfunctions", "describe_execution", {"executionArn": arn}],
            ["stepfunctions", "stop_execution", {"executionArn": arn}],
            ["stepfunctions", "send_task_success", {"taskToken": "x", "output": "{}"}],
            ["sagemaker", "list_training_jobs", {}],
            ["sagemaker", "describe_training_job", {"TrainingJobName": "x"}],
            ["sagemaker", "stop_training_job", {"TrainingJobName": "x"}],
            ["sagemaker", "create_training_job", self._job()],
            ["iam", "list_roles", {}],
            ["iam", "list_users", {}],
            ["iam", "create_user", {"UserName": "me-too"}],
            ["iam", "create_access_key", {"UserName": "intruder"}],
            ["iam", "put_user_policy", {"UserName": "intruder", "PolicyName": "more", "PolicyDocument": trust}],
            ["iam", "put_role_policy", {"RoleName": role_name, "PolicyName": "more", "PolicyDocument": trust}],
            ["iam", "update_assume_role_policy", {"RoleName": role_name, "PolicyDocument": trust}],
            ["iam", "get_role", {"RoleName": role_name}],
            ["events", "list_rules", {}],
            ["events", "put_rule", {"Name": "mine", "EventPattern": json.dumps({"source": ["aws.s3"]})}],
            *(["events", "disable_rule", {"Name": name.rsplit("|", 1)[-1]}]
              for name in self.of_type["AWS::Events::Rule"]),
            *(["logs", "describe_log_streams", {"logGroupName": name}]
              for name in self.of_type["AWS::Logs::LogGroup"]),
            ["logs", "describe_log_groups", {}],
            ["logs", "delete_log_group", {"logGroupName": self.of_type["AWS::Logs::LogGroup"][0]}],
            ["cloudformation", "describe_stacks", {"StackName": "traindrop"}],
            ["cloudformation", "get_template", {"StackName": "traindrop"}],
            ["cloudformation", "delete_stack", {"StackName": "traindrop"}],
            ["cloudwatch", "put_metric_data", {"Namespace": "Traindrop", "MetricData": [{"MetricName": "RunsFailed",
             "Value": 1.0}]}],
            ["cloudwatch", "delete_alarms", {"AlarmNames": self.of_type["AWS::CloudWatch::Alarm"]}],
            ["s3", "list_buckets", {}],
            *(["s3", method, {"Bucket": bucket, **more}]
              for bucket in buckets
              for method, more in (("delete_bucket_policy", {}), ("delete_bucket", {}),
                                   ("put_bucket_policy", {"Policy": trust}), ("get_bucket_policy", {}),
                                   ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
                                   ("delete_public_access_block", {}),
                                   ("list_object_versions", {}))),
        ]  # fmt: skip

    def _job(self) -> dict[str, Any]:
        """A job of the user's own, as the training role."""
        role = next(role for role in self.roles if "TrainingRole" in role)
        return {
            "TrainingJobName": "mine",
            "RoleArn": role,
            "AlgorithmSpecification": {"TrainingImage": "mine:1", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.stack.dataset_bucket}/"},
            "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }


READABLE = ("code/other/entry.sh", "training-input/other/job.json", "weights/other/yolov8n-seg.pt",
            "weights/yolov8n-seg.pt", "models/other/run/best.pt", "models/other/best.json")  # fmt: skip
"""What a job must read to begin: for SageMaker to bring it, the role must."""
SHARED = ("checkpoints/other/a.zip",)
"""What the jobs of all runs share because they share a role: accepted, see docs/threat_model.md."""
SEALED = ("verdicts/other.json",)
WRITE_ONLY = ("training-output/other-1/output/model.tar.gz",)
ARTIFACTS = READABLE + SHARED + SEALED + WRITE_ONLY
KEPT = "weights/poisoner/"


def beyond(answers: list[dict[str, Any]]) -> list[str]:
    """What was not denied."""
    return [f"{item['call']} {item['arguments']}: {item['answer']}" for item in answers if item["answer"] != "denied"]


def test_a_user_with_the_dataset_bucket_only_trains_and_reaches_nothing_else(stack: Stack, row: Rows) -> None:
    line = row(
        21,
        fault="a malicious user of the dataset bucket",
        injected="his keys, used on every API that the stack has",
        promise=PROMISE,
    )
    target, iam = Target(stack), stack.cloud.client("iam")
    iam.create_user(UserName="intruder")
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    allowed = [
        {"Effect": "Allow", "Action": objects, "Resource": f"arn:aws:s3:::{stack.dataset_bucket}/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{stack.dataset_bucket}"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_user_policy(UserName="intruder", PolicyName="datasets", PolicyDocument=document)
    key = iam.create_access_key(UserName="intruder")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    options = {"endpoint_url": stack.cloud.endpoint, "region_name": REGION, **keys}
    boto3.client("s3", **options).put_object(
        Bucket=stack.dataset_bucket, Key="datasets/intruder.zip", Body=b"no zip, but a drop"
    )
    assert stack.ended("intruder", within=60)["error"] == "DatasetRejected"
    probes = target.everything_else() + target.artifacts(
        dict.fromkeys(("get_object", "head_object", "put_object", "delete_object"), ARTIFACTS)
    )
    probes.append(["s3", "list_objects_v2", {"Bucket": stack.artifact_bucket}])
    answers = hijacker.probe(probes, **options)
    reached = beyond(answers)
    line.figure(f"actions beyond = {len(reached)} of {len(answers)} probes; his drop started a run")
    assert not reached


def _hijack(stack: Stack, probes: list[list[Any]]) -> None:
    """Have every job run the hijacker, as if an image of its dataset had taken the training over."""
    places = Places(stack.dataset_bucket, stack.artifact_bucket, "", "")
    none: Any = None
    starter = Starter(none, stack.s3, none, places, "", 0, lambda: 0, none, none)
    prefix = starter._upload_code()
    for name, content in (
        ("entry.sh", ENTRY.encode()),
        ("hijacker.py", Path(hijacker.__file__).read_bytes()),
        ("probes.json", json.dumps(probes).encode()),
    ):
        stack.s3.put_object(Bucket=stack.artifact_bucket, Key=prefix + name, Body=content)


def test_a_hijacked_job_reads_what_a_training_needs_and_writes_where_a_training_writes(stack: Stack, row: Rows) -> None:
    line = row(
        21,
        fault="a dataset whose images take its training job over",
        injected="a real job whose code tries everything, as the training role",
        promise=PROMISE,
    )
    target = Target(stack)
    closed = target.everything_else() + target.artifacts(
        {
            "get_object": SEALED + WRITE_ONLY,
            "put_object": READABLE + SEALED,
            "delete_object": READABLE + SEALED + WRITE_ONLY,
        }
    )
    closed.append(["s3", "get_object", {"Bucket": stack.dataset_bucket, "Key": "private.txt"}])
    for method, more in (("put_object", {"Body": "mine"}), ("delete_object", {})):
        closed.append(["s3", method, {"Bucket": stack.dataset_bucket, "Key": "datasets/other.zip", **more}])
    shared = target.artifacts({"get_object": SHARED, "put_object": SHARED + WRITE_ONLY})
    _hijack(stack, closed + shared)
    stack.put("datasets/hijacker.zip", zipped(dataset_files(marker="hijacker")))
    execution = stack.ended("hijacker", within=120)
    assert execution["status"] == "SUCCEEDED", execution
    answers = findings(stack, f"{execution['name']}-1")
    assert len(answers) == len(closed) + len(shared)
    reached = beyond(answers[: len(closed)])
    accepted = len(beyond(answers[len(closed) :]))
    code = stack.s3.get_object(Bucket=stack.artifact_bucket, Key="code/other/entry.sh")["Body"].read()
    line.figure(
        f"actions beyond = {len(reached)} of {len(closed)} probes; {accepted} of {len(shared)} on other runs' "
        "checkpoints and output, which the threat model accepts"
    )
    assert code == b"another's"
    assert not reached


def test_what_a_hijacked_job_leaves_is_loaded_by_no_run_of_another_dataset(stack: Stack, row: Rows) -> None:
    line = row(
        21,
        fault="a hijacked job leaves poisoned weights to be kept for later runs",
        injected="model.tar.gz with pretrained/yolov8n-seg.pt, then runs of both datasets from that model",
        promise=PROMISE,
    )
    for key in stack.artifacts("weights/"):
        stack.s3.delete_object(Bucket=stack.artifact_bucket, Key=key)
    _hijack(stack, [])
    weights, champions = {}, {}
    for name in ("poisoner", "neighbour", "poisoner-again"):
        dataset = name.removesuffix("-again")
        before = len(stack.executions(dataset))
        stack.put(
            f"datasets/{dataset}.zip", zipped(dataset_files(marker=name, settings="epochs: 1\nmodel: yolov8n-seg.pt\n"))
        )
        channels = _channels_of(stack, dataset, before)
        weights[name], champions[name] = (channels.get(channel, "none") for channel in ("weights", "champion"))
    loaded = sum(channel["neighbour"] != "none" for channel in (weights, champions))
    line.figure(f"runs of others that load them, or its model = {loaded} of 2; what it left lies below {KEPT}")
    assert champions["neighbour"] == "none"
    assert champions["poisoner-again"].startswith(f"s3://{stack.artifact_bucket}/models/poisoner/poisoner-")
    assert weights == {
        "poisoner": "none",
        "neighbour": "none",
        "poisoner-again": f"s3://{stack.artifact_bucket}/{KEPT}yolov8n-seg.pt",
    }
    assert not stack.artifacts("weights/yolov8n-seg.pt")


def _channels_of(stack: Stack, dataset: str, before: int) -> dict[str, str]:
    """What the job of a dataset's newest run was given, when it has ended."""

    def look() -> list[dict[str, Any]]:
        found = stack.executions(dataset)
        over = len(found) > before and all(item["status"] != "RUNNING" for item in found)
        return found if over else []

    found = eventually(look, within=120, what=f"the end of {dataset}'s run")
    newest = max(found, key=lambda item: item["startDate"])
    assert newest["status"] == "SUCCEEDED", newest
    (job,) = stack.jobs(newest["name"])
    return {item["ChannelName"]: item["DataSource"]["S3DataSource"]["S3Uri"] for item in job["InputDataConfig"]}
