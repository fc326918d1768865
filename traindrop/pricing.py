"""What a training job costs: one dated price table, and receipts computed from SageMaker's own seconds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib.resources import files

_TABLE = json.loads(files("traindrop").joinpath("prices.json").read_text())
PRICES: dict[str, float] = _TABLE["usd_per_hour"]
PRICE_DATE: str = _TABLE["date"]
PRICE_REGION: str = _TABLE["region"]


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


def runtime_cap_seconds(instance_types: list[str], max_runtime_hours: float, max_cost_usd: float) -> int:
    """Longest training time (s) that stays within the hours and, at the dearest type's price, within the dollars."""
    dearest = max(PRICES[name] for name in instance_types)
    return max(60, math.floor(min(max_runtime_hours * 3600, max_cost_usd / dearest * 3600)))
