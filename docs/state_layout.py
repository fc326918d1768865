"""Where each state stands in the picture of a state machine, and the ways between them.

The way to success runs down the middle; what loops back stands left of it, what ends otherwise right of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDE, HIGH, GUTTER, GAP, MARGIN = 174, 50, 116, 34, 26
DRAWN_TYPES = frozenset({"Task", "Choice", "Wait", "Pass", "Succeed", "Fail"})


@dataclass(frozen=True)
class Edge:
    """A way from one state to another, and the words on it, one or more lines."""

    source: str
    target: str
    words: tuple[str, ...] = ()


@dataclass
class Place:
    """Where a state stands: its column (0 is the middle), its first row, how many rows it spans."""

    column: int
    row: int
    rows: int = 1


@dataclass
class Layout:
    """Places by state, in the order of drawing."""

    places: dict[str, Place] = field(default_factory=dict)

    def box(self, name: str) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a state."""
        place = self.places[name]
        first = min(other.column for other in self.places.values())
        left = MARGIN + (place.column - first) * (WIDE + GUTTER)
        top = MARGIN + 30 + place.row * (HIGH + GAP)
        return left, top, left + WIDE, top + place.rows * (HIGH + GAP) - GAP

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        boxes = [self.box(name) for name in self.places]
        return max(box[2] for box in boxes) + MARGIN, max(box[3] for box in boxes) + MARGIN


def edges(states: Mapping[str, Any]) -> Iterator[Edge]:
    """Every transition, with the value a choice tests for or the errors a catch names.

    Raises:
        ValueError: a state of a type that this picture cannot show.
    """
    for name, state in states.items():
        if state["Type"] not in DRAWN_TYPES:
            raise ValueError(f"{name}: states of type {state['Type']} cannot be drawn")
        if "Next" in state:
            yield Edge(name, state["Next"])
        for choice in state.get("Choices", ()):
            yield Edge(name, choice["Next"], (_condition(choice.get("Condition", "")),))
        if "Default" in state:
            yield Edge(name, state["Default"], ("otherwise",))
        for catch in state.get("Catch", ()):
            yield Edge(name, catch["Next"], tuple(catch["ErrorEquals"]))


def _condition(text: str) -> str:
    value = re.search(r"=\s*['\"]([^'\"]+)['\"]", text)
    return value.group(1) if value else re.sub(r"\{%|%\}|\$states\.input\.", "", text).strip()[:18]


def lay_out(machine: Mapping[str, Any]) -> Layout:
    """Give every state its place.

    Raises:
        ValueError: a state that cannot be reached.
    """
    states = machine["States"]
    targets: dict[str, list[str]] = {name: [] for name in states}
    for edge in edges(states):
        targets[edge.source].append(edge.target)
    spine = _longest(machine["StartAt"], states, targets, ())
    layout, row = Layout(), 0
    seen = set(spine)
    for name in spine:
        place = layout.places[name] = Place(0, row)
        taken = {-1: 0, 1: 0}
        for target in targets[name]:
            if target in seen:
                continue
            chain = _chain(target, targets, seen)
            side = -1 if any(onward in spine for onward in targets[chain[-1]]) else 1
            for distance, link in enumerate(chain, 1):
                layout.places[link] = Place(side * distance, row + taken[side])
            taken[side] += 1
        place.rows = max(1, *taken.values())
        row += place.rows
    missing = [name for name in states if name not in layout.places]
    if missing:
        raise ValueError(f"no way to draw {', '.join(missing)}: nothing that is drawn leads there")
    return layout


def _longest(
    name: str, states: Mapping[str, Any], targets: Mapping[str, Sequence[str]], before: tuple[str, ...]
) -> tuple[str, ...]:
    """The longest way from a state to a Succeed state that visits no state twice; empty where there is none."""
    here = (*before, name)
    if states[name]["Type"] == "Succeed":
        return here
    ways = [_longest(target, states, targets, here) for target in targets[name] if target not in here]
    return max(ways, key=len, default=())


def _chain(name: str, targets: Mapping[str, Sequence[str]], seen: set[str]) -> list[str]:
    """States that follow one another from here until one is known already; they become known."""
    chain = []
    following: str | None = name
    while following is not None:
        seen.add(following)
        chain.append(following)
        following = next((target for target in targets[following] if target not in seen), None)
    return chain
