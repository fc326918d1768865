"""What the training entry prints, read back: epochs that were finished, and where a training began or went on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
"""Where SageMaker keeps what training jobs print, in streams `<job>/algo-<n>-<time>`."""
_PAIR = re.compile(r"(\w+)=([^;\s]+);")
_BEGUN = re.compile(r"^(?:RESUME from epoch (\d+)|FRESH start)$")


@dataclass(frozen=True)
class Epoch:
    """A finished epoch: its number, of how many, and its figures by name (`training_entry.metrics`)."""

    number: int
    of: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Begun:
    """A host begins to train; `after` so many epochs that were done before."""

    after: int


def read(line: str) -> Epoch | Begun | None:
    """What a line of the log tells, if it is one of ours."""
    line = line.strip()
    if line.startswith("METRIC "):
        values = {name: float(value) for name, value in _PAIR.findall(line) if _is_number(value)}
        return Epoch(int(values.get("epoch", 0)), int(values.get("epochs", 0)), values)
    found = _BEGUN.match(line)
    return Begun(int(found[1] or 0)) if found else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
