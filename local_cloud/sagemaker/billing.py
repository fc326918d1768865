"""Training seconds and billable seconds of a job, by one stated rule.

Training seconds are the wall seconds for which a host belonged to the job: from Downloading to the end of
Uploading, or to the interruption, added up over the job's hosts and rounded up. Waiting for capacity costs nothing.

Billable seconds of an on-demand job are its training seconds. SageMaker bills a spot job the training seconds times
the share of the on-demand price that the spot price was; that price varies by the hour, so the local cloud takes a
fixed discount of 65 % (typical savings are 60-70 %): billable = ceil(training * 0.35). The saving that SageMaker's
console shows is (1 - billable / training) * 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

SPOT_DISCOUNT = Fraction(65, 100)


def training_seconds(host_seconds: Iterable[float]) -> int:
    """Seconds on all hosts together, rounded up."""
    return math.ceil(sum(host_seconds))


def billable_seconds(training: int, *, spot: bool) -> int:
    """The seconds that are paid at the on-demand price."""
    return math.ceil(training * (1 - SPOT_DISCOUNT)) if spot else training
