"""Training jobs whose code is a test's: run by the local SageMaker as the stack's own training role."""

from __future__ import annotations

import json
import sys
from typing import Any

from botocore.exceptions import ClientError

from tests.stack import Stack, eventually

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
TRAIN = """cd "$(dirname "$0")/../../.."
echo "METRIC epoch=1; map50_mask=0.5;"
echo best > model/best.pt
echo kept > checkpoints/kept
echo draft > checkpoints/draft
sleep 1
rm checkpoints/draft
"""
"""What every training does: it prints, leaves a model, keeps a checkpoint and removes the draft of it."""


def python(script: str) -> str:
    """A Python program as the entry of a job."""
    return f"exec '{sys.executable}' - <<'END'\n{script}\nEND\n"


class Jobs:
    """Starts jobs in a stack whose local cloud runs real entries."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self._count = stack, 0
        described = stack.cloud.client("cloudformation").describe_stack_resource(
            StackName="traindrop", LogicalResourceId="TrainingRole"
        )
        role = described["StackResourceDetail"]["PhysicalResourceId"]
        self.role = stack.cloud.client("iam").get_role(RoleName=role)["Role"]["Arn"]

    def train(self) -> str:
        """Run a job that uses every channel and leaves everything that a training leaves; say what went wrong."""
        self._count += 1
        name, s3, bucket = f"deed-{self._count:04}", self.stack.s3, self.stack.artifact_bucket
        logs = self.stack.cloud.client("logs")
        if logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
            logs.delete_log_group(logGroupName=LOG_GROUP)
        channels = {
            "code": (bucket, f"code/{name}/entry.sh", TRAIN),
            "config": (bucket, f"training-input/{name}/job.json", "{}"),
            "dataset": (self.stack.dataset_bucket, f"datasets/{name}/data.yaml", ""),
            "weights": (bucket, f"weights/{name}/yolov8n-seg.pt", "weights"),
            "best": (bucket, f"models/{name}/best.pt", "weights"),
        }
        self.stack.cloud.inject({"events": {"drop": ["Object Created"]}})
        for place, key, content in channels.values():
            s3.put_object(Bucket=place, Key=key, Body=content.encode())
        s3.put_object(Bucket=bucket, Key=f"checkpoints/{name}/earlier", Body=b"a checkpoint to go on from")
        uris = {channel: f"s3://{place}/{key.rsplit('/', 1)[0]}/" for channel, (place, key, _) in channels.items()}
        try:
            job = self._ended(name, uris)
        except ClientError as error:
            return str(error)
        return str(job.get("FailureReason", "")) or self._missing(name)

    def _ended(self, name: str, channels: dict[str, str]) -> dict[str, Any]:
        """The job when it has ended."""
        bucket = self.stack.artifact_bucket
        self.stack.sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=self.role,
            AlgorithmSpecification={
                "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10.0-gpu-py313",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["/bin/sh", "/opt/ml/input/data/code/entry.sh"],
                "MetricDefinitions": [{"Name": "map50_mask", "Regex": r"METRIC .*?\bmap50_mask=([0-9.]+);"}],
            },
            InputDataConfig=[
                {
                    "ChannelName": channel,
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": uri,
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
                for channel, uri in channels.items()
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/training-output"},
            CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints/{name}", "LocalPath": "/opt/ml/checkpoints"},
            ResourceConfig={"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
            StoppingCondition={"MaxRuntimeInSeconds": 3600},
        )

        def look() -> dict[str, Any] | None:
            described: dict[str, Any] = self.stack.sagemaker.describe_training_job(TrainingJobName=name)
            return described if described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return eventually(look, within=120, what=f"the end of {name}")

    def _missing(self, name: str) -> str:
        """What a completed job should have left and has not."""
        checkpoints = {key.rsplit("/", 1)[-1] for key in self.stack.artifacts(f"checkpoints/{name}/")}
        metrics = self.stack.cloud.client("cloudwatch").list_metrics(
            Namespace=LOG_GROUP, Dimensions=[{"Name": "TrainingJobName", "Value": name}]
        )["Metrics"]
        left = {
            "an archive": self.stack.artifacts(f"training-output/{name}/"),
            "a checkpoint": "kept" in checkpoints,
            "a tidy checkpoint folder": "draft" not in checkpoints,
            "a log": log_of(self.stack, name),
            "metrics": metrics,
        }
        missing = [what for what, there in left.items() if not there]
        return f"the job ended without {' and without '.join(missing)}" if missing else ""


def log_of(stack: Stack, job: str) -> list[str]:
    """What a job printed."""
    logs = stack.cloud.client("logs")
    try:
        streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]
    except logs.exceptions.ResourceNotFoundException:
        return []


def findings(stack: Stack, job: str) -> list[dict[str, Any]]:
    """The JSON lines among what a job printed."""
    return [json.loads(line) for line in log_of(stack, job) if line.startswith("{")]


JOB_NEEDS = (
    "TrainingRole/Trust sts:AssumeRole TrainingRole",
    "TrainingRole/ListChannels s3:ListBucket DatasetBucket",
    "TrainingRole/ListChannels s3:ListBucket ArtifactBucket",
    "TrainingRole/ReadDataset s3:GetObject DatasetBucket/datasets/*",
    "TrainingRole/ReadInput s3:GetObject ArtifactBucket/code/*",
    "TrainingRole/ReadInput s3:GetObject ArtifactBucket/training-input/*",
    "TrainingRole/ReadInput s3:GetObject ArtifactBucket/weights/*",
    "TrainingRole/ReadInput s3:GetObject ArtifactBucket/models/*",
    "TrainingRole/KeepCheckpoints s3:GetObject ArtifactBucket/checkpoints/*",
    "TrainingRole/KeepCheckpoints s3:PutObject ArtifactBucket/checkpoints/*",
    "TrainingRole/KeepCheckpoints s3:DeleteObject ArtifactBucket/checkpoints/*",
    "TrainingRole/WriteOutput s3:PutObject ArtifactBucket/training-output/*",
    "TrainingRole/WriteLog logs:CreateLogGroup log-group:/aws/sagemaker/TrainingJobs",
    "TrainingRole/WriteLog logs:CreateLogStream log-group:/aws/sagemaker/TrainingJobs",
    "TrainingRole/WriteLog logs:PutLogEvents log-group:/aws/sagemaker/TrainingJobs",
    "TrainingRole/PublishMetrics cloudwatch:PutMetricData *",
)
"""The permissions without which `Jobs.train` has something to complain of."""
