"""What is said when the stack is there: what it has, what still has to be done by hand, and the first command."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from deployment import account, questions
from traindrop.console import quotas_link
from traindrop.quotas import zero_quotas
from traindrop.rungs import Rung
from traindrop.settings import TrainingSettings

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

PENDING = "PendingConfirmation"


@dataclass(frozen=True)
class Deployed:
    """A stack that has been deployed: where, its outputs, and who gets its messages (or questions.NOBODY)."""

    stack: str
    region: str
    outputs: Mapping[str, str]
    email: str

    def places(self) -> Iterator[str]:
        """The outputs in words."""
        yield f"Datasets    s3://{self.outputs['DatasetBucketName']}/datasets/"
        yield f"Models      s3://{self.outputs['ArtifactBucketName']}/models/"
        yield f"Dashboard   {self.outputs['DashboardUrl']}"

    def confirmation(self, sns: SNSClient) -> str:
        """What has to be done for messages to arrive; empty if nothing has."""
        if self.email == questions.NOBODY:
            return "Nobody gets the messages yet: `make deploy EMAIL=you@example.org` names somebody."
        try:
            pages = sns.get_paginator("list_subscriptions_by_topic").paginate(
                TopicArn=self.outputs["NotificationTopicArn"]
            )
            arns = [
                item["SubscriptionArn"]
                for page in pages
                for item in page["Subscriptions"]
                if item["Endpoint"] == self.email
            ]
        except (ClientError, BotoCoreError):
            arns = [PENDING]  # nobody knows, and a mail too many to look for does no harm
        if arns and PENDING not in arns:
            return ""
        return (
            f"Confirm the e-mail: AWS has written to {self.email}, subject `AWS Notification - Subscription\n"
            "   Confirmation`. No message arrives before its link is followed."
        )

    def quotas(self, client: Any) -> str:
        """Which spot quotas of the default instance types are 0 and where to raise them; empty if none is known."""
        try:
            zeros = zero_quotas(client, time.monotonic) or {}
        except (ClientError, BotoCoreError) as error:
            return f"The quotas for training could not be read ({error}); `traindrop doctor` looks again."
        types = TrainingSettings().instance_types
        missing = {kind: zeros[name] for kind in types if (name := Rung(kind, spot=True).quota) in zeros}
        if not missing:
            return ""
        arn = self.outputs["StateMachineArn"]
        lines = [f"     {kind}: {quotas_link(arn, code)}" for kind, code in missing.items()]
        need = "Training cannot begin before" if len(missing) == len(types) else "It helps to have"
        return "\n".join([f"{need} a spot quota of at least 1 (it is 0) for these; ask AWS here:", *lines])

    def first_drop(self) -> str:
        """The one command that drops a dataset."""
        place = f" --stack {self.stack}" if self.stack != "traindrop" else ""
        if self.region != account.configured():
            place += f" --region {self.region}"
        bucket = shlex.quote(f"s3://{self.outputs['DatasetBucketName']}/datasets/")
        return (
            "Drop a dataset, a folder or a zip with its data.yaml:\n"
            f"     traindrop drop rooms/ --watch{place}\n"
            "   `pipx install .` brings `traindrop`; without it:\n"
            f"     aws s3 cp rooms.zip {bucket}"
        )
