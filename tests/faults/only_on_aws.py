"""Permissions that nothing on the local cloud uses, so that no test misses them: change them with AWS's docs open."""

from __future__ import annotations

_GROUP = "log-group:/aws/sagemaker/TrainingJobs"
_STREAM = (
    "for CloudWatch Logs on AWS a stream, and a group where streams are meant, ends in `:…`; the local cloud asks for "
    "the bare group"
)
_DELIVERY = "Step Functions has CloudWatch Logs deliver the history; the local cloud writes no history to a log group"
_IMAGE = "the image is pulled from ECR; the local cloud runs the entry without an image"
_BROKEN = "SageMaker uploads large files in parts and cleans up after itself; the local SageMaker uploads at once"

ONLY_ON_AWS = {
    **{
        f"{role}/ReadJobLogs {action} {_GROUP}:*": _STREAM
        for role in ("StartTrainingFunctionRole", "ReportJobEndFunctionRole")
        for action in ("logs:DescribeLogStreams", "logs:GetLogEvents")
    },
    **{
        f"TrainingRole/WriteLog {action} {_GROUP}:*": _STREAM
        for action in ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
    },
    f"TrainingRole/WriteLog logs:DescribeLogStreams {_GROUP}": (
        "SageMaker's log agent looks for its stream before it writes; the local one creates it and goes on"
    ),
    "TrainingRole/KeepCheckpoints s3:AbortMultipartUpload ArtifactBucket/checkpoints/*": _BROKEN,
    "TrainingRole/WriteOutput s3:AbortMultipartUpload ArtifactBucket/training-output/*": _BROKEN,
    "TrainingRole/EnterRegistry ecr:GetAuthorizationToken *": _IMAGE,
    "TrainingRole/PullImage ecr:BatchCheckLayerAvailability repository/*": _IMAGE,
    "TrainingRole/PullImage ecr:BatchGetImage repository/*": _IMAGE,
    "TrainingRole/PullImage ecr:GetDownloadUrlForLayer repository/*": _IMAGE,
    **{
        f"TrainingStateMachineRole/DeliverLogs logs:{action} *": _DELIVERY
        for action in (
            "CreateLogDelivery",
            "DeleteLogDelivery",
            "DescribeLogGroups",
            "DescribeResourcePolicies",
            "GetLogDelivery",
            "ListLogDeliveries",
            "PutResourcePolicy",
            "UpdateLogDelivery",
        )
    },
    "NotificationTopicPolicy/Alarms sns:Publish NotificationTopic": (
        "CloudWatch evaluates the alarms and publishes; the local cloud has no metrics of queues to evaluate"
    ),
}
"""Each with the reason why only AWS exercises it."""
