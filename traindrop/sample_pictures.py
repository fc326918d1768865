"""Sample predictions as the report shows them: pictures in the page itself, each with what is to be seen in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traindrop.figures import count, share

_BUDGET = 4_000_000
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}


@dataclass(frozen=True)
class Picture:
    """The name of the image, what is to be seen in words, and the picture as a data URI."""

    name: str
    seen: str
    uri: str


@dataclass(frozen=True)
class Group:
    """Pictures under one heading, which is empty where their job ranked none."""

    heading: str
    pictures: Sequence[Picture]


def groups(samples: Sequence[tuple[str, bytes]], metrics: Mapping[str, Any]) -> tuple[list[Group], int]:
    """The worst, the best, then those that metrics.json says nothing of; and how many more would not fit 4 MB."""
    known = {str(one.get("file")): one for one in (metrics.get("predictions") or {}).get("samples") or []}
    found: dict[str, list[Picture]] = {"worst": [], "best": [], "": []}
    size, left_out = 0, 0
    for name, data in samples:
        media = next((media for magic, media in _MAGIC.items() if data.startswith(magic)), None)
        if media is None or size + len(data) * 4 / 3 > _BUDGET:
            left_out += 1
            continue
        encoded = base64.b64encode(data).decode("ascii")
        size += len(encoded)
        shown = re.sub(r"^\d+-|\.(jpe?g|png)$", "", name, flags=re.IGNORECASE)
        told = known.get(name, {})
        found[told.get("rank", "") if told.get("rank") in found else ""].append(
            Picture(shown, _seen(told), f"data:{media};base64,{encoded}")
        )
    headings = {"worst": "The worst", "best": "The best", "": ""}
    return [Group(headings[rank], pictures) for rank, pictures in found.items() if pictures], left_out


def _seen(told: Mapping[str, Any]) -> str:
    """Quality, and what was missed or is wrong, in words."""
    if not told:
        return ""
    objects, missed, wrong = (count(told.get(key)) for key in ("objects", "missed", "wrong"))
    faults = [f"{number} {what}" for number, what in ((missed, "missed"), (wrong, "wrong")) if number]
    there = f"{objects or 'no'} object{'' if objects == 1 else 's'}"
    return f"quality {share(told.get('quality', 0))}; {there}, {' and '.join(faults) or 'all right'}"
