"""One thing that is wrong with a dataset or its settings, and the verdict that gathers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from traindrop.plain_text import printable

_MESSAGE_LIMIT = 2000
EXAMPLES = 10
"""How many examples a problem keeps, however many files have it."""


@dataclass(frozen=True)
class Problem:
    """A fault with a stable code, a message that names thing, place and cure, and the files that show it.

    `passing` marks what may be nothing but an upload that has not arrived yet; `warning`, what training survives.
    """

    code: str
    message: str
    examples: Sequence[str] = ()
    count: int = 1
    passing: bool = False
    warning: bool = False

    def __post_init__(self) -> None:
        """Keep the message on one line of bounded length, whatever names it quotes."""
        object.__setattr__(self, "message", printable(self.message)[:_MESSAGE_LIMIT])

    def as_dict(self) -> dict[str, Any]:
        """The shape in the verdict document."""
        return {
            "code": self.code,
            "message": self.message,
            "count": self.count,
            "examples": [printable(str(name)[:300]) for name in self.examples[:EXAMPLES]],
        }


@dataclass(frozen=True)
class Verdict:
    """What the validation found: counts per split, errors, warnings, and the fingerprint of what would be trained."""

    dataset: str
    task: str
    names: dict[int, str]
    splits: dict[str, dict[str, int]]
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    fingerprint: str = ""

    @property
    def ok(self) -> bool:
        """Whether the dataset can train."""
        return not self.errors

    @property
    def may_be_uploading(self) -> bool:
        """Whether every error could vanish when more of the upload arrives."""
        return bool(self.errors) and all(problem.passing for problem in self.errors)

    def as_dict(self) -> dict[str, Any]:
        """The verdict document (`verdicts/<run_id>.json`)."""
        return {
            "ok": self.ok,
            "dataset": self.dataset,
            "fingerprint": self.fingerprint,
            "task": self.task,
            "names": list(self.names.values()),
            "splits": self.splits,
            "errors": [problem.as_dict() for problem in self.errors],
            "warnings": [problem.as_dict() for problem in self.warnings],
        }
