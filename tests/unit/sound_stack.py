"""A sound stack, as AWS's answers to whoever looks at it, and parts of answers that are otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from botocore.exceptions import ClientError

from traindrop.runs import _item  # the shape in which DynamoDB answers

TOPIC, MACHINE = "arn:aws:sns:eu-west-1:1:topic", "arn:aws:states:eu-west-1:1:stateMachine:machine"
STACK_ID = "arn:aws:cloudformation:eu-west-1:1:stack/traindrop/0"
RUN = "rooms-20261101T000000-0000000a"
NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
OUTPUTS = {
    "DatasetBucketName": "data",
    "ArtifactBucketName": "artifacts",
    "NotificationTopicArn": TOPIC,
    "StateMachineArn": MACHINE,
    "RunsTableName": "runs",
}
RESOURCES = {
    "AcceptDropFunctionObjectCreated": "AWS::Events::Rule",
    "AcceptDropDeadLetters": "AWS::SQS::Queue",
    "RunsFailedAlarm": "AWS::CloudWatch::Alarm",
}
Answers = dict[str, Any]


def fails(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Some")


def stack(status: str = "CREATE_COMPLETE", email: str = "", outputs: Mapping[str, str] = OUTPUTS) -> Answers:
    return {
        "Stacks": [
            {
                "StackStatus": status,
                "Parameters": [{"ParameterKey": "NotificationEmail", "ParameterValue": email}],
                "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
            }
        ]
    }


def identity(partition: str = "aws", at: datetime = NOW) -> Answers:
    return {
        "Account": "1",
        "Arn": f"arn:{partition}:iam::1:user/me",
        "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(at, usegmt=True)}},
    }


def subscribed(*arns: str) -> Answers:
    return {"Subscriptions": [{"SubscriptionArn": arn, "Endpoint": f"me{n}@here.de"} for n, arn in enumerate(arns)]}


def quotas(**zero: float) -> Answers:
    return {
        "Quotas": [
            {
                "QuotaName": f"ml.{size}.xlarge for {spot}training job usage",
                "QuotaCode": f"L-{size}{spot}".strip(),
                "Value": zero.get(size + spot.strip(), 1.0),
            }
            for size in ("g4dn", "g5")
            for spot in ("", "spot ")
        ]
    }


def records(*items: Mapping[str, Any]) -> Answers:
    known = {"run_id": RUN, "slug": "rooms", "dataset": "rooms", "created_at": (NOW - timedelta(hours=3)).isoformat()}
    return {"Items": [{key: _item(value) for key, value in {**known, **item}.items()} for item in items]}


def on(hours: float = 3) -> Answers:
    return {"executions": [{"executionArn": "arn", "name": RUN, "startDate": NOW - timedelta(hours=hours)}]}


STARTED = {"TrainingJobStatus": "InProgress", "TrainingStartTime": NOW, "LastModifiedTime": NOW}
SOUND: Answers = {
    "get_caller_identity": identity(),
    "describe_stacks": stack(),
    "describe_stack_events": {"StackEvents": []},
    "list_stack_resources": {
        "StackResourceSummaries": [
            {"LogicalResourceId": name, "PhysicalResourceId": f"its-{name}", "ResourceType": kind}
            for name, kind in RESOURCES.items()
        ]
    },
    "head_bucket": {},
    "get_bucket_notification_configuration": {"EventBridgeConfiguration": {}},
    "describe_rule": {"State": "ENABLED"},
    "describe_state_machine": {"status": "ACTIVE"},
    "list_subscriptions_by_topic": subscribed("arn:aws:sns:x"),
    "get_queue_attributes": {"Attributes": {"ApproximateNumberOfMessages": "0"}},
    "describe_alarms": {"MetricAlarms": [{"AlarmName": "its-RunsFailedAlarm", "StateValue": "OK"}]},
    "get_object": fails("NoSuchKey"),
    "list_service_quotas": quotas(),
    "list_executions": {"executions": []},
    "describe_training_job": STARTED,
    "scan": {"Items": []},
    "list_multipart_uploads": {},
    "list_parts": {"Parts": [{"Size": 2**30}]},
}
