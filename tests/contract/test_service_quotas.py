"""Service Quotas on a running local cloud: what it tells is what SageMaker keeps jobs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud
from tests.contract.training_jobs import Account

SPOT, ON_DEMAND = "ml.g4dn.xlarge for spot training job usage", "ml.g4dn.xlarge for training job usage"


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """An account that may run three jobs of a type."""
    with LocalCloud.start(
        trainer="stub", provision_seconds=0.0, environment={"TRAINDROP_INSTANCE_QUOTA": "3"}
    ) as cloud:
        yield Account(cloud)


def listed(account: Account) -> dict[str, dict[str, Any]]:
    pages = (
        account.cloud.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    )
    return {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}


def test_quotas_of_training_instances_are_listed_in_pages_and_found_by_their_codes(account: Account) -> None:
    quotas, client = listed(account), account.cloud.client("service-quotas")
    assert len(quotas) > 100
    assert (quotas[SPOT]["Value"], quotas[ON_DEMAND]["Value"]) == (3, 3)
    assert quotas[SPOT]["QuotaCode"] != quotas[ON_DEMAND]["QuotaCode"]
    found = client.get_service_quota(ServiceCode="sagemaker", QuotaCode=quotas[SPOT]["QuotaCode"])["Quota"]
    assert found == quotas[SPOT]
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        client.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-NONE")


def test_a_quota_that_is_0_is_told_and_kept_to(account: Account) -> None:
    account.cloud.inject({"training": {"zero_quotas": [SPOT]}})
    quotas = listed(account)
    assert (quotas[SPOT]["Value"], quotas[ON_DEMAND]["Value"]) == (0, 3)
    with pytest.raises(ClientError, match=f"'{SPOT}' is 0 Instances"):
        account.submit("")
    account.submit("", EnableManagedSpotTraining=None, StoppingCondition={"MaxRuntimeInSeconds": 60})
