"""One thing that is wrong with a dataset or its settings, and the verdict that gathers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
class Words:
    """What is said of a code: what was found, in the plural, and the cure; `passing` and `warning` as in `Problem`."""

    found: str
    cure: str
    passing: bool = False
    warning: bool = False


class Tally:
    """Problems of many files: of each code the first examples and a total are kept, however many files have it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        self._first: dict[str, str] = {}

    def add(self, code: str, place: str, particulars: str = "", *, count: int = 1) -> None:
        """Count a file or row, found at `place` (`labels/1.txt:7`), or so many of which one is named."""
        if code not in self._first:
            self._first[code] = f"{place} ({particulars})" if particulars else place
        self._counts[code] += count
        examples = self._examples.setdefault(code, [])
        if len(examples) < EXAMPLES:
            examples.append(place)

    def problems(self, words: Mapping[str, Words]) -> list[Problem]:
        """One problem for each code, the most frequent first."""
        return [self._problem(code, count, words[code]) for code, count in self._counts.most_common()]

    def _problem(self, code: str, count: int, words: Words) -> Problem:
        first = self._first[code] if count == 1 else f"{count}, such as {self._first[code]}"
        message = f"{words.found}: {first}. {words.cure}"
        return Problem(code, message, self._examples[code], count, words.passing, words.warning)


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
