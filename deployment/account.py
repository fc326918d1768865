"""Who deploys, and where to: credentials, account and region, each failure with its cure."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deployment import CannotDeploy
from deployment.template import ROOT
from traindrop.aws_words import in_words

PLACES = ROOT / ".deployed.json"
"""Which region a stack was deployed to from here: `{account: {stack: region}}`. All else is remembered by the stack."""
_ANY_REGION = "us-east-1"


@dataclass(frozen=True)
class Identity:
    """Whose credentials are used."""

    account: str
    arn: str

    def __str__(self) -> str:
        """The account, and who in it."""
        return f"account {self.account} as {self.arn.rpartition(':')[2]}"

    @property
    def is_root(self) -> bool:
        """Whether it is the account's owner, who may do everything and should do nothing daily."""
        return self.arn.endswith(":root")


def session(region: str | None) -> boto3.session.Session:
    """A session in the region, by AWS_PROFILE and all else that AWS tools take.

    Raises:
        CannotDeploy: there is no such profile, or its file cannot be read.
    """
    try:
        return boto3.session.Session(region_name=region)
    except BotoCoreError as error:
        raise CannotDeploy(_in_words(error)) from error


def identity(region: str | None) -> Identity:
    """Whose credentials are used.

    Raises:
        CannotDeploy: there are none, or they do not hold any more; says how to log in.
    """
    try:
        found = session(region or configured() or _ANY_REGION).client("sts").get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        raise CannotDeploy(_in_words(error)) from error
    return Identity(found["Account"], found["Arn"])


def configured() -> str | None:
    """The region of AWS_REGION, AWS_DEFAULT_REGION or the profile; boto3 does not read the first."""
    return os.environ.get("AWS_REGION") or session(None).region_name


def remembered(account: str, stack: str, *, places: Path = PLACES) -> str | None:
    """The region that the stack was last deployed to from here."""
    return str(found) if (found := _places(places).get(account, {}).get(stack)) else None


def remember(account: str, stack: str, region: str, *, places: Path = PLACES) -> None:
    """Keep the region for the next deployment."""
    kept = _places(places)
    kept.setdefault(account, {})[stack] = region
    places.write_text(json.dumps(kept, indent=1) + "\n")


def _places(places: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(places.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_words(error: Exception) -> str:
    return in_words(error, "", named_by="STACK=", permissions="sts:GetCallerIdentity")
