"""What things cost: one dated price table, and dollars from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

_TABLE = json.loads(files("traindrop").joinpath("prices.json").read_text())
PRICES: dict[str, float] = _TABLE["usd_per_hour"]
PRICE_DATE: str = _TABLE["date"]
PRICE_REGION: str = _TABLE["region"]


def usd(seconds: float, instance_type: str) -> float:
    """What so many billed seconds of an instance cost, at its on-demand price; 0 for a type that has no price."""
    return seconds * PRICES.get(instance_type, 0.0) / 3600


def dearest(instance_types: Iterable[str]) -> str:
    """The type whose hour costs most."""
    return max(instance_types, key=PRICES.__getitem__)


def seconds_for(dollars: float, instance_type: str) -> float:
    """Seconds of an instance that so many dollars buy on demand."""
    return dollars / PRICES[instance_type] * 3600


@dataclass(frozen=True)
class Receipt:
    """The bill of a run: seconds as SageMaker counts them, dollars of `PRICE_REGION` at `PRICE_DATE`."""

    instance_type: str
    spot: bool
    seconds_trained: int
    seconds_billed: int
    price_per_hour: float
    price_date: str
    cost_usd: float
    saved_usd: float


def receipt(instance_type: str, *, spot: bool, seconds_trained: int, seconds_billed: int) -> Receipt:
    """Bill a job: billable seconds at the on-demand price, which is how managed spot is charged.

    The saving is what the seconds trained would have cost on demand, less that.
    """
    price = PRICES.get(instance_type, 0.0)
    cost = round(seconds_billed * price / 3600, 4)
    return Receipt(
        instance_type,
        spot,
        seconds_trained,
        seconds_billed,
        price,
        PRICE_DATE,
        cost,
        round(max(0.0, seconds_trained * price / 3600 - cost), 4),
    )
