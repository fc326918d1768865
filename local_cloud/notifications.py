"""SNS refuses what AWS refuses, and waits for e-mail addresses to be confirmed.

* Subjects that are no printable ASCII line and attributes without a value are refused. MiniStack takes both, so a
  message that AWS would never send would look sent.
* A subscription by e-mail is listed as pending, for ever: nobody is sent the mail whose link would confirm it.
"""

from __future__ import annotations

import re
from typing import Any

from ministack.services import sns

from local_cloud import hooks

SUBJECT = re.compile(r"[!-~][ -~]{0,99}")
PENDING = "PendingConfirmation"
"""What AWS lists in place of the ARN of a subscription that is not confirmed."""


def install() -> None:
    """Check messages where the API and services in the process publish."""
    hooks.require(sns, "SnsPublishError", "_topics")
    hooks.replace(
        sns,
        "publish_internal",
        "topic_arn message subject message_structure message_attributes message_group_id message_deduplication_id",
        _strict,
    )
    for listing in ("_list_subscriptions", "_list_subscriptions_by_topic"):
        hooks.replace(sns, listing, "params", _with_pending)


def _strict(original: Any) -> Any:
    def publish(topic_arn: str, message: str, subject: str = "", **options: Any) -> Any:
        if subject and not SUBJECT.fullmatch(subject):
            raise sns.SnsPublishError("InvalidParameter", "Invalid parameter: Subject")
        for name, attribute in (options.get("message_attributes") or {}).items():
            if not attribute.get("StringValue") and not attribute.get("BinaryValue"):
                raise sns.SnsPublishError(
                    "InvalidParameterValue",
                    f"The message attribute '{name}' must contain non-empty message attribute value for message"
                    f" attribute type '{attribute.get('DataType', 'String')}'.",
                )
        return original(topic_arn, message, subject, **options)

    return publish


def _with_pending(original: Any) -> Any:
    def listed(params: Any) -> Any:
        status, headers, body = original(params)
        for topic in sns._topics.values():
            for subscription in topic["subscriptions"]:
                if subscription["protocol"].startswith("email"):
                    arn, pending = (f"<SubscriptionArn>{text}<".encode() for text in (subscription["arn"], PENDING))
                    body = body.replace(arn, pending)
        return status, headers, body

    return listed
