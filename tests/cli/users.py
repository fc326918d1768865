"""Users of the local cloud who may do what docs/permissions.md says that a command needs, and no more."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_cloud.process import ACCOUNT, REGION
from tests.stack import Stack

PAGE = Path(__file__).resolve().parents[2] / "docs/permissions.md"


def minimal_policy(command: str, stack: Stack) -> dict[str, Any]:
    """What docs/permissions.md says that a command needs, for this stack."""
    text = re.search(rf"## traindrop {command}\n.*?```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert text
    words = {
        "DATASETBUCKET": stack.dataset_bucket,
        "ARTIFACTBUCKET": stack.artifact_bucket,
        "STATEMACHINE": stack.machine,
        "RUNSTABLE": stack.outputs["RunsTableName"],
        "TOPIC": stack.outputs["NotificationTopicArn"],
        "REGION": REGION,
        "ACCOUNT": ACCOUNT,
        "STACK": "traindrop",
    }
    policy: dict[str, Any] = json.loads(re.sub("|".join(words), lambda word: words[word.group()], text[1]))
    return policy


@contextmanager
def user(stack: Stack, policy: dict[str, Any] | None) -> Iterator[dict[str, str]]:
    """The environment of a user who may do what the policy says."""
    iam, name = stack.cloud.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
