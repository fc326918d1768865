"""What the tests of SageMaker share: a good request, and an account of the local cloud in which it can run."""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from local_cloud.process import LocalCloud

ACCOUNT = "000000000000"
REGION = "us-east-1"
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
REQUEST: dict[str, Any] = {
    "TrainingJobName": "rooms-20261112T010203-1a2b3c4d-1",
    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/training",
    "HyperParameters": {"run_id": "rooms-20261112T010203-1a2b3c4d", "epochs": "3"},
    "AlgorithmSpecification": {
        "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10.0-gpu-py313",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/sh", "/opt/ml/input/data/code/entry.sh"],
        "MetricDefinitions": [{"Name": "map50_mask", "Regex": r"METRIC .*?\bmap50_mask=([0-9.eE+-]+);"}],
    },
    "InputDataConfig": [
        {
            "ChannelName": "code",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": "s3://artifacts/code/",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://artifacts/training-output"},
    "CheckpointConfig": {"S3Uri": "s3://artifacts/checkpoints/run", "LocalPath": "/opt/ml/checkpoints"},
    "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
    "RetryStrategy": {"MaximumRetryAttempts": 2},
    "Environment": {"ULTRALYTICS_SAFE_LOAD": "1"},
    "Tags": [{"Key": "traindrop:dataset", "Value": "Büro 1+2"}],
}


def request(**changes: Any) -> dict[str, Any]:
    """A copy of the good request with other members; None takes one away."""
    changed = copy.deepcopy(REQUEST) | changes
    return {name: value for name, value in changed.items() if value is not None}


Answer = TypeVar("Answer")


def until(answer: Callable[[], Answer | None], seconds: float = 20.0, what: str = "it") -> Answer:
    """The first answer that is neither None nor False, asked for until the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = answer()
        if found is not None and found is not False:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Account:
    """Bucket, role, event queue and jobs in a running local cloud."""

    def __init__(self, cloud: LocalCloud):
        self.cloud = cloud
        self.s3: Any = cloud.client("s3")
        self.iam: Any = cloud.client("iam")
        self.sagemaker: Any = cloud.client("sagemaker")
        self.logs: Any = cloud.client("logs")
        self.sqs: Any = cloud.client("sqs")
        self.s3.create_bucket(Bucket="artifacts")
        self.role("training", ["s3:*", "logs:*", "cloudwatch:PutMetricData"])
        self.queue = self.sqs.create_queue(QueueName="changes")["QueueUrl"]
        events: Any = cloud.client("events")
        events.put_rule(Name="changes", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
        target = f"arn:aws:sqs:{REGION}:{ACCOUNT}:changes"
        policy = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": target,
                }
            ]
        }
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": json.dumps(policy)})
        events.put_targets(Rule="changes", Targets=[{"Id": "queue", "Arn": target}])

    def role(self, name: str, actions: list[str], resource: str | list[str] = "*", *, trust: Any = None) -> str:
        """Create a role that may do this; its ARN."""
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust or TRUST]})
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]}
        arn: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=json.dumps(policy))
        return arn

    def put(self, key: str, body: str | bytes) -> None:
        """An object of the bucket."""
        self.s3.put_object(Bucket="artifacts", Key=key, Body=body.encode() if isinstance(body, str) else body)

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix."""
        found = self.s3.list_objects_v2(Bucket="artifacts", Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def body(self, key: str) -> bytes:
        """An object's content."""
        content: bytes = self.s3.get_object(Bucket="artifacts", Key=key)["Body"].read()
        return content

    def submit(self, script: str, *, job: dict[str, Any] | None = None, **changes: Any) -> str:
        """Create a job whose entry is this shell script (or the stub with this job.json); its name."""
        name = f"job-{uuid.uuid4().hex[:12]}"
        self.put(f"code/{name}/entry.sh", script)
        self.put(f"config/{name}/job.json", json.dumps(job or {}))
        given = {
            "TrainingJobName": name,
            "InputDataConfig": [
                channel("code", f"s3://artifacts/code/{name}/"),
                channel("config", f"s3://artifacts/config/{name}/"),
            ],
            "CheckpointConfig": {"S3Uri": f"s3://artifacts/checkpoints/{name}"},
        }
        self.sagemaker.create_training_job(**request(**given | changes))
        return name

    def describe(self, name: str) -> dict[str, Any]:
        """DescribeTrainingJob's answer."""
        described: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return described

    def ended(self, name: str, seconds: float = 20.0) -> dict[str, Any]:
        """The description of a job once it has ended."""

        def final() -> dict[str, Any] | None:
            described = self.describe(name)
            return described if described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return until(final, seconds, f"the end of {name}")

    def at(self, name: str, secondary: str) -> dict[str, Any]:
        """The description of a job once it has this secondary status."""
        return until(lambda: d if (d := self.describe(name))["SecondaryStatus"] == secondary else None, what=secondary)

    def log(self, name: str) -> list[str]:
        """What the job printed, over all its hosts."""
        group = "/aws/sagemaker/TrainingJobs"
        streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in self.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]

    def changes(self, name: str, number: int) -> list[dict[str, Any]]:
        """That many state-change events of a job, by their time; EventBridge promises no order."""
        found: list[dict[str, Any]] = []

        def all_seen() -> bool:
            answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            for message in answer.get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                event = json.loads(message["Body"])
                if event["detail"]["TrainingJobName"] == name:
                    found.append(event)
            return len(found) >= number

        until(all_seen, what=f"{number} events of {name}")
        return sorted(found, key=lambda event: len(event["detail"]["SecondaryStatusTransitions"]))


def channel(name: str, uri: str) -> dict[str, Any]:
    """An S3Prefix channel."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def statuses(described: dict[str, Any]) -> list[str]:
    """The secondary statuses that the job went through."""
    return [item["Status"] for item in described["SecondaryStatusTransitions"]]
