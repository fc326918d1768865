"""What Service Quotas knows is asked once a day and believed only when it is sure; what it does not know is tried."""

from __future__ import annotations

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from traindrop.quotas import Quotas
from traindrop.runs import Claims

G4DN, G5 = (f"ml.{name}.xlarge for spot training job usage" for name in ("g4dn", "g5"))
DAY = 24 * 3600
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListServiceQuotas")


class Account:
    """Service Quotas and the claims table of an account, and a clock."""

    def __init__(self, **values: float) -> None:
        self.values = {G4DN: 0.0, G5: 2.0, "ml.g5.xlarge for endpoint usage": 0.0, **values}
        self.now, self.kept = 1000.0, None
        self.calls: list[str] = []
        self.fails: Exception | None = None
        self.page_seconds = 0.0

    def get_paginator(self, operation: str) -> Account:
        assert operation == "list_service_quotas"
        return self

    def paginate(self, *, ServiceCode: str) -> Any:  # noqa: N803
        assert ServiceCode == "sagemaker"
        for name, value in self.values.items():
            self._call("list")
            self.now += self.page_seconds
            yield {"Quotas": [{"QuotaName": name, "QuotaCode": f"L-{name[3:6]}", "Value": value}]}

    def get_service_quota(self, *, ServiceCode: str, QuotaCode: str) -> Any:  # noqa: N803
        assert ServiceCode == "sagemaker"
        self._call(f"get {QuotaCode}")
        value = next(value for name, value in self.values.items() if QuotaCode == f"L-{name[3:6]}")
        return {"Quota": {"Value": value}}

    def _call(self, what: str) -> None:
        self.calls.append(what)
        if self.fails:
            raise self.fails

    def find(self, claim: str) -> Any:
        assert claim == "quotas#sagemaker"
        return self.kept

    def take(self, claim: str, owner: str, *, now: float, lasts_seconds: float, **fields: Any) -> None:
        assert (claim, owner) == ("quotas#sagemaker", "sagemaker")
        self.kept = cast(Any, {"expires_at": now + lasts_seconds, **fields})

    def is_zero(self, name: str) -> bool:
        return Quotas(self, cast(Claims, self), lambda: self.now).is_zero(name)


def test_a_quota_of_zero_is_known_and_others_are_not() -> None:
    account = Account()
    assert [account.is_zero(name) for name in (G4DN, G5, "ml.p5.48xlarge for training job usage")] == [
        True,
        False,
        False,
    ]


def test_the_quotas_are_listed_once_a_day() -> None:
    account = Account()
    for _ in range(3):
        account.is_zero(G5)
    assert account.calls == ["list"] * 3
    account.now += DAY + 1
    account.is_zero(G5)
    assert account.calls == ["list"] * 6


def test_a_quota_that_was_raised_since_it_was_listed_is_not_skipped() -> None:
    account = Account()
    assert account.is_zero(G4DN)
    account.values[G4DN] = 1.0
    assert not account.is_zero(G4DN)
    assert account.calls.count("list") == 3


@pytest.mark.parametrize("error", [DENIED, ReadTimeoutError(endpoint_url="x")])
def test_without_an_answer_every_instance_is_tried(error: Exception) -> None:
    account = Account()
    account.fails = error
    assert not account.is_zero(G4DN)
    account.fails = None
    assert account.is_zero(G4DN)


def test_a_listing_that_takes_too_long_is_given_up_and_not_kept() -> None:
    account = Account()
    account.page_seconds = 20
    assert not account.is_zero(G4DN)
    assert (account.calls, account.kept) == (["list"] * 2, None)
