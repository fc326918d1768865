"""S3 and DynamoDB within the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import boto3
import pytest

from tests.moto_account import make_buckets, make_tables


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """What makes clients of services as moto has them."""
    from moto import mock_aws  # the environment of `make mutants` has none

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield partial(boto3.client, region_name="us-east-1")


@pytest.fixture
def s3(moto: Callable[[str], Any]) -> Any:
    """A client of S3, with the buckets `data` and `artifacts`."""
    client = moto("s3")
    make_buckets(client, "data", "artifacts")
    return client


@pytest.fixture
def dynamodb(moto: Callable[[str], Any]) -> Any:
    """A client of DynamoDB, with the tables `runs` and `claims` as the template has them."""
    client = moto("dynamodb")
    make_tables(client)
    return client
