"""Publish a message to the topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traindrop.mail import Message
from traindrop.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


def publish(sns: SNSClient, topic_arn: str, message: Message) -> None:
    """Send a message with its attributes, so that subscriptions can filter on them."""
    sns.publish(
        TopicArn=topic_arn,
        Subject=message.subject,
        Message=message.body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
        },
    )


def publish_once(sns: SNSClient, topic_arn: str, message: Message, *, runs: Runs, run_id: str, flag: str) -> bool:
    """Send a message unless the run's record has this flag; False when it has. What cannot be sent leaves no flag."""
    if not runs.mark_once(run_id, flag):
        return False
    try:
        publish(sns, topic_arn, message)
    except Exception:
        runs.update(run_id, **{flag: None})
        raise
    return True
