"""Checks of `traindrop doctor`: who asks, and whether the stack and each part of it that matters work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from traindrop.cli.checkup import Check, Deployment, Finding, ok, problem, warning
from traindrop.plain_text import shell_word

_SKEW_REFUSED, _SKEW_TOLD = 300, 60
"""Seconds: AWS refuses requests that were signed so long ago."""
_OUTPUTS = ("DatasetBucketName", "ArtifactBucketName", "NotificationTopicArn", "StateMachineArn", "RunsTableName")
_UPDATED_BADLY = frozenset({"UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"})
_NEW = "sam delete --stack-name {} && make deploy, which makes new buckets and leaves those that are there"


def _region(deployment: Deployment) -> Iterator[Finding]:
    meta = deployment.client("cloudformation").meta
    elsewhere = "" if ".amazonaws.com" in meta.endpoint_url else f", at {meta.endpoint_url}"
    yield ok(f"{meta.region_name}{elsewhere}")


def _credentials(deployment: Deployment) -> Iterator[Finding]:
    yield ok(f"account {deployment.identity['Account']}, as {deployment.identity['Arn']}")


def _clock(deployment: Deployment) -> Iterator[Finding]:
    """AWS's clock is that of its first answer."""
    told = parsedate_to_datetime(deployment.identity["ResponseMetadata"]["HTTPHeaders"]["date"])
    seconds = abs((told - deployment.now).total_seconds())
    if seconds < _SKEW_TOLD:
        yield ok("agrees with AWS's")
        return
    found = f"is {seconds:.0f} s from AWS's, which refuses what is signed {_SKEW_REFUSED} s away"
    yield (warning if seconds < _SKEW_REFUSED else problem)(found, "sudo timedatectl set-ntp true")


def _stack(deployment: Deployment) -> Iterator[Finding]:
    status = str(deployment.description["StackStatus"])
    found = f"{deployment.name} is {status}"
    outputs = deployment.stack.outputs
    missing = [name for name in _OUTPUTS if name not in outputs]
    if status in _UPDATED_BADLY:
        why = _reason(deployment)
        yield warning(f"{found}: the last update failed and what was before it works{why}", "make deploy, when mended")
    elif status == "ROLLBACK_COMPLETE":
        cure = f"mend it, then sam delete --stack-name {deployment.name} && make deploy"
        yield problem(f"{found}: its creation failed{_reason(deployment)}", cure)
        return
    elif status.endswith("FAILED"):
        yield problem(f"{found}{_reason(deployment)}", "mend it in the CloudFormation console, then make deploy")
        return
    elif status.endswith("IN_PROGRESS"):
        yield warning(f"{found}; it is being changed just now", "wait until it is done")
    if missing:
        cure = "make deploy, or name the right stack by --stack"
        yield problem(f"{deployment.name} has no output {missing[0]}: an older Traindrop, or another stack", cure)
    elif status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        yield ok(found)


def _reason(deployment: Deployment) -> str:
    """What failed first in the last deployment, as far as one may ask."""
    try:
        events = deployment.client("cloudformation").describe_stack_events(StackName=deployment.name)["StackEvents"]
    except ClientError:
        return ""
    first: Mapping[str, Any] = {}
    for event in events:  # the newest first
        of_stack = event["PhysicalResourceId"] == event["StackId"]
        if of_stack and event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            break
        if event["ResourceStatus"].endswith("FAILED") and "cancelled" not in event.get("ResourceStatusReason", ""):
            first = event
    return f" ({first['LogicalResourceId']}: {first.get('ResourceStatusReason', '')})" if first else ""


def _buckets(deployment: Deployment) -> Iterator[Finding]:
    s3 = deployment.client("s3")
    for output in ("DatasetBucketName", "ArtifactBucketName"):
        bucket = deployment.stack.output(output)
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise
            yield problem(f"{bucket} ({output}) is not there any more", _NEW.format(deployment.name))
        else:
            yield ok(f"{bucket} ({output})")


def _drops(deployment: Deployment) -> Iterator[Finding]:
    """Whether S3 tells EventBridge of what is dropped."""
    bucket = deployment.stack.output("DatasetBucketName")
    if "EventBridgeConfiguration" in deployment.client("s3").get_bucket_notification_configuration(Bucket=bucket):
        yield ok("the dataset bucket tells of what is dropped")
        return
    configuration = shell_word('{"EventBridgeConfiguration": {}}')
    cure = f"aws s3api put-bucket-notification-configuration --bucket {bucket} --notification-configuration"
    yield problem(
        "the dataset bucket does not tell of what is dropped, so no drop starts a run", f"{cure} {configuration}"
    )


def _rules(deployment: Deployment) -> Iterator[Finding]:
    events, rules = deployment.client("events"), deployment.of_type("AWS::Events::Rule")
    states = {name: events.describe_rule(Name=rule)["State"] for name, rule in sorted(rules.items())}
    for name, state in states.items():
        if state != "ENABLED":
            cure = f"aws events enable-rule --name {rules[name]}"
            yield problem(f"{name} is {state}, so its events are lost", cure)
    if set(states.values()) == {"ENABLED"}:
        yield ok(f"all {len(rules)} are enabled")


def _state_machine(deployment: Deployment) -> Iterator[Finding]:
    arn = deployment.stack.output("StateMachineArn")
    status = deployment.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["status"]
    found = f"{arn.rpartition(':')[2]} is {status}"
    yield ok(found) if status == "ACTIVE" else problem(found, "make deploy, when it is gone")


def _email(deployment: Deployment) -> Iterator[Finding]:
    """Whether somebody gets the messages; AWS forgets an e-mail subscription that nobody confirms within days."""
    topic = deployment.stack.output("NotificationTopicArn")
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in deployment.description.get("Parameters", [])}
    wanted = parameters.get("NotificationEmail", "")
    pages = deployment.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    found = [item for page in pages for item in page["Subscriptions"] if item["SubscriptionArn"] != "Deleted"]
    pending = [item["Endpoint"] for item in found if item["SubscriptionArn"] == "PendingConfirmation"]
    active = [item["Endpoint"] for item in found if item["SubscriptionArn"] != "PendingConfirmation"]
    again = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint"
    for endpoint in pending:
        yield (warning if active else problem)(
            f"the subscription of {endpoint} is not confirmed, so nothing is sent to it",
            f"follow the link in AWS's mail; to have it sent again: {again} {shell_word(endpoint)}",
        )
    if wanted and wanted not in pending + active:
        yield problem(f"{wanted} (NotificationEmail) is not subscribed", f"{again} {shell_word(wanted)}")
    if active:
        yield ok(f"{len(active)} confirmed subscriptions" if len(active) > 1 else f"{active[0]} is subscribed")
    elif not pending and not wanted:
        yield warning("nobody is subscribed, so nobody gets messages", f"{again} you@example.com")


def _dead_letters(deployment: Deployment) -> Iterator[Finding]:
    sqs, count = deployment.client("sqs"), "ApproximateNumberOfMessages"
    queues = {name: url for name, url in deployment.of_type("AWS::SQS::Queue").items() if name.endswith("DeadLetters")}
    held = {
        name: int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[count])["Attributes"][count])
        for name, url in sorted(queues.items())
    }
    for name, letters in held.items():
        if letters:
            function = name.replace("DeadLetters", "Function")
            yield problem(
                f"{name} holds {letters} events that could not be handled",
                f"read the log of {function}, mend the cause, then make replay STACK={deployment.name}",
            )
    if not any(held.values()):
        yield ok(f"all {len(queues)} queues are empty")


def _alarms(deployment: Deployment) -> Iterator[Finding]:
    names = deployment.of_type("AWS::CloudWatch::Alarm")
    described = deployment.client("cloudwatch").describe_alarms(AlarmNames=list(names.values())) if names else {}
    loud = [alarm for alarm in described.get("MetricAlarms", []) if alarm["StateValue"] == "ALARM"]
    for alarm in loud:
        yield problem(f"{alarm['AlarmName']} is in ALARM", alarm.get("AlarmDescription", ""))
    if not loud:
        yield ok(f"all {len(names)} are quiet")


CHECKS = (
    Check("region", _region, ""),
    Check("credentials", _credentials, "sts:GetCallerIdentity", "region"),
    Check("clock", _clock, "sts:GetCallerIdentity", "credentials"),
    Check("stack", _stack, "cloudformation:DescribeStacks", "credentials"),
    Check("buckets", _buckets, "s3:ListBucket of both buckets", "stack"),
    Check("drops", _drops, "s3:GetBucketNotification of the dataset bucket", "stack"),
    Check("rules", _rules, "cloudformation:ListStackResources and events:DescribeRule", "stack"),
    Check("state machine", _state_machine, "states:DescribeStateMachine", "stack"),
    Check("e-mail", _email, "sns:ListSubscriptionsByTopic", "stack"),
    Check("dead letters", _dead_letters, "cloudformation:ListStackResources and sqs:GetQueueAttributes", "stack"),
    Check("alarms", _alarms, "cloudformation:ListStackResources and cloudwatch:DescribeAlarms", "stack"),
)
