"""SNS refuses what AWS refuses: subjects that are no printable ASCII line, attributes without a value.

MiniStack takes both, so a message that AWS would never send would look sent.
"""

from __future__ import annotations

import re
from typing import Any

from ministack.services import sns

from local_cloud import hooks

SUBJECT = re.compile(r"[!-~][ -~]{0,99}")


def install() -> None:
    """Check messages where the API and services in the process publish."""
    hooks.require(sns, "SnsPublishError")
    hooks.replace(
        sns,
        "publish_internal",
        "topic_arn message subject message_structure message_attributes message_group_id message_deduplication_id",
        _strict,
    )


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
