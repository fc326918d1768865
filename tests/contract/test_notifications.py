"""SNS on the local cloud refuses what AWS refuses, and waits for e-mail addresses to be confirmed."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud
from tests.contract.lambdas import unique


@pytest.fixture
def publish(cloud: LocalCloud) -> Any:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    return lambda **options: sns.publish(TopicArn=topic, Message="m", **options)


@pytest.mark.parametrize("subject", ["x" * 101, "two\nlines", "más", " starts with a space", "tab\t"])
def test_a_subject_that_is_no_short_ascii_line_is_refused(publish: Any, subject: str) -> None:
    with pytest.raises(ClientError, match="Invalid parameter: Subject"):
        publish(Subject=subject)


def test_a_subject_of_a_hundred_characters_is_taken(publish: Any) -> None:
    assert publish(Subject="x" * 100)["MessageId"]
    assert publish()["MessageId"]


def test_an_attribute_without_a_value_is_refused(publish: Any) -> None:
    with pytest.raises(ClientError, match="must contain non-empty message attribute value"):
        publish(MessageAttributes={"dataset": {"DataType": "String", "StringValue": ""}})
    assert publish(MessageAttributes={"dataset": {"DataType": "String", "StringValue": "más"}})["MessageId"]


def test_an_address_is_pending_and_a_queue_is_not(cloud: LocalCloud) -> None:
    sns = cloud.client("sns")
    topic, queue = (
        sns.create_topic(Name=unique("topic"))["TopicArn"],
        f"arn:aws:sqs:us-east-1:000000000000:{unique('q')}",
    )
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="me@example.org")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    of_topic = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    of_account = [item for item in sns.list_subscriptions()["Subscriptions"] if item["TopicArn"] == topic]
    for listed in (of_topic, of_account):
        arns = {item["Endpoint"]: item["SubscriptionArn"] for item in listed}
        assert arns["me@example.org"] == "PendingConfirmation"
        assert arns[queue].startswith(topic)
