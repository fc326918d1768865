"""What things cost: one dated price table, and dollars from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files
from typing import Any

_TABLE: dict[str, Any] = json.loads(files("traindrop").joinpath("prices.json").read_text())
PRICES: dict[str, float] = _TABLE["usd_per_hour"]
PRICE_DATE: str = _TABLE["date"]
PRICE_REGION: str = _TABLE["region"]
PER_MILLION: dict[str, float] = _TABLE["usd_per_million"]
PER_GB_SECOND: float = _TABLE["usd_per_gb_second_of_functions"]
PER_GB_MONTH: float = _TABLE["usd_per_gb_month_in_s3"]
SPOT_SAVING: tuple[float, float] = (_TABLE["usual_spot_saving"]["low"], _TABLE["usual_spot_saving"]["high"])
_GIGABYTE = 2**30


def usd(seconds: float, instance_type: str) -> float:
    """What so many billed seconds of an instance cost, at its on-demand price; 0 for a type that has no price."""
    return seconds * PRICES.get(instance_type, 0.0) / 3600


def billed(seconds: int, instance_type: str) -> float:
    """`usd` as a bill has it."""
    return rounded(Decimal(seconds) * Decimal(str(PRICES.get(instance_type, 0.0))) / 3600)


def stored(size: int) -> float:
    """What so many bytes in S3 cost a month; a gigabyte is 2^30 bytes."""
    return rounded(Decimal(size) / _GIGABYTE * Decimal(str(PER_GB_MONTH)))


def rounded(dollars: float | Decimal) -> float:
    """Dollars with the four decimals that records keep, half a unit upwards."""
    exact = dollars if isinstance(dollars, Decimal) else Decimal(str(dollars))
    return float(exact.quantize(Decimal("0.0001"), ROUND_HALF_UP))


def dearest(instance_types: Iterable[str]) -> str:
    """The type whose hour costs most."""
    return max(instance_types, key=PRICES.__getitem__)


def seconds_for(dollars: float, instance_type: str) -> float:
    """Seconds of an instance that so many dollars buy on demand."""
    return dollars / PRICES[instance_type] * 3600
