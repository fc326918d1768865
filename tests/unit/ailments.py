"""Stacks of which one thing is wrong: what `traindrop doctor` has to find, and the cure that it has to tell."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from botocore.exceptions import NoCredentialsError, NoRegionError, ProfileNotFound

from tests.unit.sound_stack import (
    NOW,
    RUN,
    STACK_ID,
    STARTED,
    TOPIC,
    Answers,
    fails,
    identity,
    on,
    quotas,
    records,
    stack,
    subscribed,
)
from traindrop.cli.checks_of_runs import CURES

TRAINING = {"status": "Training", "job_name": f"{RUN}-1", "attempt": 1, "settings": {"max_wait_hours": 12}}
RUNG = {"attempt": 1, "redrives": 0, "instance_type": "ml.g4dn.xlarge", "spot": True}
CLIMBING = {**TRAINING, "climb": [{**RUNG, "since": NOW.isoformat()}]}
BEGUN = (NOW - timedelta(days=2)).isoformat()
OVERDUE = {**TRAINING, "climb": [{**RUNG, "since": BEGUN}]}
UPLOAD = {"Uploads": [{"Key": "datasets/my rooms.zip", "UploadId": "u1", "Initiated": NOW - timedelta(days=2)}]}
BUCKET_SETTINGS = {"Body": SimpleNamespace(read=lambda: b"instance_types: [ml.g5.xlarge]\n")}
BAD_SETTINGS = {"Body": SimpleNamespace(read=lambda: b"epocks: 3\n")}
FAILED_EVENT = [
    {
        "PhysicalResourceId": "d",
        "StackId": STACK_ID,
        "LogicalResourceId": logical,
        "ResourceStatus": status,
        "ResourceStatusReason": why,
    }
    for logical, status, why in (
        ("Other", "CREATE_FAILED", "Resource creation cancelled"),
        ("DatasetBucket", "CREATE_FAILED", "already exists"),
    )
]
ALARMED = {"AlarmName": "its-RunsFailedAlarm", "StateValue": "ALARM", "AlarmDescription": "Its message says more."}
CASES: dict[str, tuple[Answers, str, str, str, str]] = {
    "no region": ({"client": NoRegionError()}, "region", "problem", "specify a region", "AWS_REGION"),
    "wrong profile": (
        {"session": ProfileNotFound(profile="x")},
        "region",
        "problem",
        "(x)",
        "aws configure list-profiles",
    ),
    "no credentials": (
        {"get_caller_identity": NoCredentialsError()},
        "credentials",
        "problem",
        "locate",
        "aws configure",
    ),
    "expired": (
        {"get_caller_identity": fails("ExpiredToken")},
        "credentials",
        "problem",
        "ExpiredToken",
        "Log in again",
    ),
    "signed too long ago": (
        {"get_caller_identity": fails("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2")},
        "credentials",
        "problem",
        "Signature expired",
        "timedatectl set-ntp true",
    ),
    "time too skewed": (
        {"get_caller_identity": fails("RequestTimeTooSkewed")},
        "credentials",
        "problem",
        "TooSkewed",
        "timedatectl set-ntp true",
    ),
    "clock minutes off": (
        {"get_caller_identity": identity(at=NOW - timedelta(minutes=4))},
        "clock",
        "warning",
        "is 2",
        "set-ntp",
    ),
    "clock hours off": (
        {"get_caller_identity": identity(at=NOW + timedelta(hours=2))},
        "clock",
        "problem",
        "is 7",
        "set-ntp",
    ),
    "no stack": (
        {"describe_stacks": fails("ValidationError", "Stack with id traindrop does not exist")},
        "stack",
        "problem",
        "there is no stack traindrop here",
        "",
    ),
    "creation failed": (
        {"describe_stacks": stack("ROLLBACK_COMPLETE"), "describe_stack_events": {"StackEvents": FAILED_EVENT}},
        "stack",
        "problem",
        "creation failed (DatasetBucket: already exists)",
        "sam delete",
    ),
    "update failed": (
        {"describe_stacks": stack("UPDATE_ROLLBACK_COMPLETE")},
        "stack",
        "warning",
        "last update failed",
        "make deploy",
    ),
    "update stuck": (
        {"describe_stacks": stack("UPDATE_ROLLBACK_FAILED")},
        "stack",
        "problem",
        "ROLLBACK_FAILED",
        "CloudFormation",
    ),
    "being deployed": ({"describe_stacks": stack("UPDATE_IN_PROGRESS")}, "stack", "warning", "being changed", "wait"),
    "another stack": (
        {"describe_stacks": stack(outputs={})},
        "stack",
        "problem",
        "no output DatasetBucketName",
        "--stack",
    ),
    "bucket not found": (
        {"head_bucket": fails("404")},
        "buckets",
        "problem",
        "data (DatasetBucketName) is not there",
        "make deploy",
    ),
    "access denied": (
        {"head_bucket": fails("403", "Forbidden")},
        "buckets",
        "warning",
        "not looked at",
        "allow s3:ListBucket",
    ),
    "drops not told": (
        {"get_bucket_notification_configuration": {}},
        "drops",
        "problem",
        "no drop starts a run",
        "put-bucket-notification",
    ),
    "rule off": (
        {"describe_rule": {"State": "DISABLED"}},
        "rules",
        "problem",
        "is DISABLED",
        "aws events enable-rule --name its-",
    ),
    "machine gone": (
        {"describe_state_machine": fails("StateMachineDoesNotExist")},
        "state machine",
        "problem",
        "DoesNotExist",
        "make deploy",
    ),
    "unconfirmed": (
        {"list_subscriptions_by_topic": subscribed("PendingConfirmation")},
        "e-mail",
        "problem",
        "me0@here.de is not confirmed",
        f"aws sns subscribe --topic-arn {TOPIC} --protocol email --notification-endpoint me0@here.de",
    ),
    "one of two unconfirmed": (
        {"list_subscriptions_by_topic": subscribed("arn:x", "PendingConfirmation")},
        "e-mail",
        "warning",
        "me1@here.de is not confirmed",
        "follow the link",
    ),
    "confirmation lapsed": (
        {"describe_stacks": stack(email="you@here.de"), "list_subscriptions_by_topic": subscribed()},
        "e-mail",
        "problem",
        "you@here.de (NotificationEmail) is not subscribed",
        "aws sns subscribe",
    ),
    "nobody told": (
        {"list_subscriptions_by_topic": subscribed()},
        "e-mail",
        "warning",
        "nobody gets messages",
        "aws sns subscribe",
    ),
    "dead letters": (
        {"get_queue_attributes": {"Attributes": {"ApproximateNumberOfMessages": "3"}}},
        "dead letters",
        "problem",
        "AcceptDropDeadLetters holds 3",
        "make replay STACK=traindrop",
    ),
    "alarm": (
        {"describe_alarms": {"MetricAlarms": [ALARMED]}},
        "alarms",
        "problem",
        "is in ALARM",
        "Its message says more.",
    ),
    "one quota 0": (
        {"list_service_quotas": quotas(g4dnspot=0)},
        "quotas",
        "warning",
        "g4dn.xlarge spot: 0, so it is passed over",
        "https://eu-west-1.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas/L-g4dnspot",
    ),
    "all quotas 0": (
        {"list_service_quotas": quotas(g4dnspot=0, g5spot=0)},
        "quotas",
        "problem",
        "and so are all",
        "quotas/L-g5spot",
    ),
    "quota 0 in China": (
        {"list_service_quotas": quotas(g4dnspot=0), "get_caller_identity": identity("aws-cn")},
        "quotas",
        "warning",
        "g4dn",
        "https://eu-west-1.console.amazonaws.cn/servicequotas/",
    ),
    "quota 0 of the bucket's only type": (
        {"list_service_quotas": quotas(g5spot=0), "get_object": BUCKET_SETTINGS},
        "quotas",
        "problem",
        "ml.g5.xlarge spot: 0",
        "L-g5spot",
    ),
    "no such quota": (
        {"list_service_quotas": {"Quotas": []}},
        "quotas",
        "warning",
        "knows no such quota",
        "instance_types",
    ),
    "bucket's settings wrong": (
        {"get_object": BAD_SETTINGS},
        "quotas",
        "problem",
        "'epocks' is not a setting",
        "mend it",
    ),
    "run waits": (
        {
            "list_executions": on(),
            "scan": records(CLIMBING),
            "describe_training_job": {**STARTED, "TrainingStartTime": None},
        },
        "runs",
        "warning",
        "waits for an instance since 3 h",
        f"traindrop stop {RUN}",
    ),
    "run overdue": (
        {"list_executions": on(50), "scan": records(OVERDUE)},
        "runs",
        "problem",
        "max_wait_hours",
        "traindrop stop",
    ),
    "run stuck": (
        {
            "list_executions": on(),
            "scan": records(CLIMBING),
            "describe_training_job": {"TrainingJobStatus": "Failed", "LastModifiedTime": NOW - timedelta(hours=2)},
        },
        "runs",
        "problem",
        "has not gone on since its job ended",
        "traindrop stop",
    ),
    "record left behind": (
        {"scan": records(TRAINING)},
        "runs",
        "warning",
        "record still says that it is on",
        "make replay",
    ),
    "rejected": (
        {"scan": records({"status": "Rejected", "reason": "a.txt:2", "verdict_uri": "s3://a/v.json"})},
        "rejections",
        "warning",
        "the last drop of rooms was rejected: a.txt:2",
        "aws s3 cp s3://a/v.json -",
    ),
    "upload left": (
        {"list_multipart_uploads": UPLOAD},
        "uploads",
        "warning",
        "datasets/my rooms.zip was begun",
        "abort-multipart-upload --bucket data --key 'datasets/my rooms.zip' --upload-id u1",
    ),
    **{
        f"Failed: {error}": (
            {"scan": records({"status": "Failed", "error": error})},
            "failures",
            "warning",
            error,
            cure,
        )
        for error, cure in {
            **CURES,
            "AccessDenied": "Deploy the stack again",
            "NoModel": "Start the dataset again",
        }.items()
    },
    "Failed: Lambda.Unknown": (
        {"scan": records({"status": "Failed", "error": "Lambda.Unknown"})},
        "failures",
        "warning",
        "Lambda.Unknown",
        "redrive the execution",
    ),
}
