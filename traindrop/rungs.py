"""The rungs of a ladder: ways to get an instance, and the climb over them in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rung:
    """One way to get an instance: its type, on spot or on demand."""

    instance_type: str
    spot: bool

    @property
    def market(self) -> str:
        """In words."""
        return "spot" if self.spot else "on demand"

    def __str__(self) -> str:
        return f"{self.instance_type} {self.market}"

    @property
    def quota(self) -> str:
        """The name of the account's quota that allows it, as Service Quotas spells it."""
        return f"{self.instance_type} for {'spot ' if self.spot else ''}training job usage"


def told(run: Mapping[str, Any]) -> str:
    """The run's climb in one line; nothing where an instance came on the first rung."""
    climb = run.get("climb") or []
    if len(climb) < 2 and all(entry.get("result") in ("trained", "failed", "stopped") for entry in climb):
        return ""
    return "; ".join(
        f"{Rung(entry['instance_type'], entry['spot'])}: {entry.get('result', 'asked for')}" for entry in climb
    )
