"""What a model takes for what: true classes against predicted ones, with the background on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training_entry.matching import Match

MOST_CLASSES = 30
"""With more classes than these the largest confusions are told instead of the whole matrix."""
LARGEST = 50


@dataclass
class Confusion:
    """Objects counted by (true class, predicted class); None is the background."""

    counts: Counter[tuple[int | None, int | None]] = field(default_factory=Counter)

    def add(self, seen: Match) -> None:
        """Count the objects of an image; a true one that pairs with nothing is predicted as background, and so back."""
        paired = [(seen.truth[one].kind, seen.found[other].kind) for one, other, _ in seen.pairs]
        self.counts.update(paired)
        missed = set(range(len(seen.truth))) - {one for one, _, _ in seen.pairs}
        false = set(range(len(seen.found))) - {other for _, other, _ in seen.pairs}
        self.counts.update((seen.truth[one].kind, None) for one in missed)
        self.counts.update((None, seen.found[other].kind) for other in false)

    def document(self, names: Mapping[int, str]) -> dict[str, Any]:
        """The matrix for metrics.json, whose rows are true, whose columns predicted, and the last of both background.

        Of more than 30 classes it is the 50 largest confusions: true and predicted class (null for background), how
        many, and how many there are of the true class.
        """
        if len(names) <= MOST_CLASSES:
            sides = [*names, None]
            return {"matrix": [[self.counts[true, found] for found in sides] for true in sides]}
        totals: Counter[int | None] = Counter()
        for (true, _), count in self.counts.items():
            totals[true] += count
        wrong = [(pair, count) for pair, count in self.counts.most_common() if pair[0] != pair[1]]
        return {
            "largest": [
                {"true": _name(true, names), "predicted": _name(found, names), "count": count, "of": totals[true]}
                for (true, found), count in wrong[:LARGEST]
            ]
        }


def _name(kind: int | None, names: Mapping[int, str]) -> str | None:
    return None if kind is None else names[kind]
