"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any


def share(value: Any) -> str:
    """A share, such as mAP, with three digits."""
    return f"{float(value):.3f}"


def count(value: Any) -> int:
    """A whole number; nothing counts as 0."""
    return int(value or 0)


def not_trained_on(metrics: Mapping[str, Any]) -> str:
    """How many images the training went without, as a sentence; nothing where it used all."""
    images = count(metrics.get("left_out"))
    if not images:
        return ""
    them = "1 image was" if images == 1 else f"{images} images were"
    return f"{them} not trained on, since the image or its label cannot be used; the job's log names them as LEFT OUT."


def dollars(value: Any) -> str:
    """Dollars and cents, half a cent upwards; a part of a cent in words."""
    amount = Decimal(str(value))
    cents = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return "less than $0.01" if amount > 0 and not cents else f"${cents}"


def gigabytes(size: Any) -> str:
    """Bytes in units of which S3's prices are made, 2^30 and its parts."""
    value, unit = float(size), "bytes"
    for larger in ("KB", "MB", "GB"):
        if value >= 1024:
            value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def duration(seconds: Any) -> str:
    """Seconds as hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(float(seconds or 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def moment(value: Any) -> str:
    """An ISO time to the minute, in UTC; what is not one stays as it is."""
    if not value:
        return ""
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return (when.astimezone(UTC) if when.tzinfo else when).strftime("%Y-%m-%d %H:%M UTC")


def setting(value: Any) -> str:
    """A value of training.yaml as YAML spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
