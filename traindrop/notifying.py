"""Publish a message to the topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traindrop.messages import Message

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
