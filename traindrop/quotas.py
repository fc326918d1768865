"""What Service Quotas knows of the account's quotas for training instances; advice, never a reason to fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from traindrop.runs import Claims

logger = logging.getLogger(__name__)
_SERVICE = "sagemaker"
_CLAIM = "quotas#sagemaker"
_KEPT_SECONDS = 24 * 3600
_LISTING_SECONDS = 30
"""SageMaker has thousands of quotas, a hundred a page; a listing that takes longer is given up."""


def zero_quotas(client: Any, clock: Callable[[], float]) -> dict[str, str] | None:
    """The code of each quota for training jobs that is 0, by its name; None where listing them took too long.

    Raises:
        ClientError, BotoCoreError: Service Quotas gave no answer.
    """
    began, zeros = clock(), dict[str, str]()
    for page in client.get_paginator("list_service_quotas").paginate(ServiceCode=_SERVICE):
        zeros |= {
            quota["QuotaName"]: quota["QuotaCode"]
            for quota in page["Quotas"]
            if quota["QuotaName"].endswith("training job usage") and quota["Value"] == 0
        }
        if clock() > began + _LISTING_SECONDS:
            logger.warning("Service Quotas took more than %s s to list its quotas", _LISTING_SECONDS)
            return None
    return zeros


@dataclass(frozen=True)
class Quota:
    """One quota of the account: its code in Service Quotas, and how many instances it allows at once."""

    code: str
    value: float


def quotas_named(client: Any, names: Collection[str]) -> dict[str, Quota]:
    """The account's quotas of these names, as far as Service Quotas lists them; it is asked until all are found."""
    found: dict[str, Quota] = {}
    for page in client.get_paginator("list_service_quotas").paginate(ServiceCode=_SERVICE):
        found |= {
            quota["QuotaName"]: Quota(quota["QuotaCode"], float(quota["Value"]))
            for quota in page["Quotas"]
            if quota["QuotaName"] in names
        }
        if len(found) == len(names):
            break
    return found


@dataclass(frozen=True)
class Quotas:
    """Which quotas are 0, asked once a day and kept in the claims table, since few functions outlive a run.

    `client` is boto3's for Service Quotas; nothing that it says or does not say is an error.
    """

    client: Any
    claims: Claims
    clock: Callable[[], float]

    def is_zero(self, name: str) -> bool:
        """Whether the account's quota of this name is known to be 0.

        One that was 0 in the listing is asked for again: it may have been raised since.
        """
        try:
            code = self._zeros().get(name)
            return bool(code) and self._value(str(code)) == 0
        except (ClientError, BotoCoreError) as error:
            logger.warning("Service Quotas gave no answer, so the instance is tried: %s", error)
            return False

    def _zeros(self) -> dict[str, str]:
        """The code of each quota for training jobs that is 0, by its name."""
        now = self.clock()
        kept = self.claims.find(_CLAIM)
        if kept and kept["expires_at"] > now:
            return dict(kept["zeros"])
        zeros = zero_quotas(self.client, self.clock)
        if zeros is None:
            return {}
        self.claims.take(_CLAIM, _SERVICE, now=now, lasts_seconds=_KEPT_SECONDS, zeros=zeros)
        return zeros

    def _value(self, code: str) -> float:
        found = self.client.get_service_quota(ServiceCode=_SERVICE, QuotaCode=code)
        return float(found["Quota"]["Value"])
