"""The account's quotas for training instances: CreateTrainingJob keeps to them and Service Quotas tells them."""

from __future__ import annotations

from functools import cache

from local_cloud import faults
from local_cloud.sagemaker.validation import service_model

PLENTY = 100
"""The quota of every instance type where TRAINDROP_INSTANCE_QUOTA sets none."""


def name_of(instance_type: str, *, spot: bool) -> str:
    """A quota's name as AWS spells it; spot and on demand have quotas of their own."""
    return f"{instance_type} for {'spot ' if spot else ''}training job usage"


@cache
def names() -> tuple[str, ...]:
    """Every quota of training instances, by SageMaker's own list of types."""
    types: list[str] = service_model().shape_for("TrainingInstanceType").enum  # type: ignore[attr-defined]
    return tuple(name_of(instance_type, spot=spot) for instance_type in types for spot in (False, True))


def value_of(name: str, everywhere: int | None) -> int:
    """How many instances the quota allows at once; `everywhere` is that of every type, if it is set."""
    if name in faults.current().training.zero_quotas:
        return 0
    return PLENTY if everywhere is None else everywhere
