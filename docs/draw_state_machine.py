"""Draws statemachine/training.asl.json as docs/state_machine.svg, readable on light and on dark pages.

The way to success runs down the middle; what loops back stands left of it, what ends otherwise right of it.

    python docs/draw_state_machine.py            write the picture
    python docs/draw_state_machine.py --check    exit 1 if the picture is not that of the state machine
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "statemachine" / "training.asl.json"
PICTURE = ROOT / "docs" / "state_machine.svg"

_WIDE, _HIGH, _GUTTER, _GAP, _MARGIN = 174, 50, 116, 34, 26
_SERVICES = {
    "lambda:invoke.waitForTaskToken": "Lambda, waits for a report",
    "lambda:invoke": "Lambda",
    "sns:publish": "SNS message",
}
_TYPES = {"Succeed": "ends well", "Fail": "ends as failed", "Pass": "no service", "Wait": "wait", "Choice": "choice"}
STYLE = """\
  .page { fill: #ffffff; stroke: #d6dce3; }
  .box { fill: #f2f6fc; stroke: #3567b8; stroke-width: 1.4; }
  .Choice { fill: #fdf6e7; stroke: #9a6a08; }
  .Wait, .Pass { fill: #f5f5f7; stroke: #6b7480; }
  .Succeed { fill: #eaf7ef; stroke: #1d7a46; }
  .Fail { fill: #fdeeee; stroke: #b3363b; }
  .edge { fill: none; stroke: #66717e; stroke-width: 1.5; }
  .tip { fill: #66717e; }
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; text-anchor: middle; }
  .name { font-size: 14px; font-weight: 600; fill: #17202b; }
  .kind { font-size: 11px; fill: #56616e; }
  .label { font-size: 11px; fill: #3d4754; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12181f; stroke: #2d3742; }
    .box { fill: #18263c; stroke: #7ba7f0; }
    .Choice { fill: #2c2412; stroke: #d9ab4c; }
    .Wait, .Pass { fill: #20262d; stroke: #98a3af; }
    .Succeed { fill: #13291d; stroke: #5fc18a; }
    .Fail { fill: #331b1d; stroke: #ef8a8e; }
    .edge { stroke: #94a0ad; }
    .tip { fill: #94a0ad; }
    .name { fill: #edf2f7; }
    .kind { fill: #aab5c1; }
    .label { fill: #c6d0da; }
  }"""


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
        left = _MARGIN + (place.column - first) * (_WIDE + _GUTTER)
        top = _MARGIN + 30 + place.row * (_HIGH + _GAP)
        return left, top, left + _WIDE, top + place.rows * (_HIGH + _GAP) - _GAP

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        boxes = [self.box(name) for name in self.places]
        return max(box[2] for box in boxes) + _MARGIN, max(box[3] for box in boxes) + _MARGIN


def edges(states: Mapping[str, Any]) -> Iterator[Edge]:
    """Every transition, with the value a choice tests for or the errors a catch names.

    Raises:
        ValueError: a state of a type that this picture cannot show.
    """
    for name, state in states.items():
        if state["Type"] not in {"Task", *_TYPES}:
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


def draw(machine: Mapping[str, Any]) -> str:
    """The state machine as an SVG document."""
    layout = lay_out(machine)
    width, height = layout.size
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title summary">',
        '<title id="title">The training state machine</title>',
        f'<desc id="summary">{escape(_in_words(machine))}</desc>',
        f"<style>\n{STYLE}\n</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="tip" d="M0 0.6 7.6 4 0 7.4z"/></marker></defs>',
        f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
    ]
    left, top, right, _ = layout.box(machine["StartAt"])
    middle = (left + right) // 2
    lines.append(f'<circle class="tip" cx="{middle}" cy="{top - 28}" r="5"/>')
    lines.append(_arrow([(middle, top - 28), (middle, top)]))
    drawn = list(edges(machine["States"]))
    for edge in drawn:
        lines += _edge(edge, layout, any((e.source, e.target) == (edge.target, edge.source) for e in drawn))
    for name in layout.places:
        lines += _box(name, machine["States"][name], layout.box(name))
    return "\n".join([*lines, "</svg>", ""])


def _in_words(machine: Mapping[str, Any]) -> str:
    return " ".join(f"{name}: {state.get('Comment', '')}".strip() for name, state in machine["States"].items())


def _box(name: str, state: Mapping[str, Any], box: tuple[int, int, int, int]) -> list[str]:
    left, top, right, bottom = box
    middle, centre = (left + right) // 2, (top + bottom) // 2
    service = str(state.get("Resource", "")).rpartition(":::")[2]
    kind = _TYPES.get(state["Type"], _SERVICES.get(service, service))
    return [
        f"<g><title>{escape(str(state.get('Comment', name)))}</title>",
        f'<rect class="box {state["Type"]}" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" '
        f'rx="{_HIGH // 2 if state["Type"] in ("Succeed", "Fail") else 8}"/>',
        f'<text class="name" x="{middle}" y="{centre - 2}">{escape(name)}</text>',
        f'<text class="kind" x="{middle}" y="{centre + 15}">{escape(kind)}</text></g>',
    ]


def _edge(edge: Edge, layout: Layout, both_ways: bool) -> list[str]:
    one, two = layout.places[edge.source], layout.places[edge.target]
    left, top, right, bottom = layout.box(edge.source)
    to_left, to_top, to_right, to_bottom = layout.box(edge.target)
    middle = (left + right) // 2
    if one.column == two.column == 0:
        if two.row == one.row + one.rows:
            return [_arrow([(middle, bottom), (middle, to_top)]), *_words(edge, middle + 10, bottom + 21, "start")]
        out, back = bottom - 12, to_bottom - 12
        path = [(right, out), (right + 24, out), (right + 24, back), (to_right, back)]
        return [_arrow(path), *_words(edge, right + 30, out + 4, "start")]
    rightward = two.column > one.column
    start, end = (right, to_left) if rightward else (left, to_right)
    level_from, level_to = max(top, to_top), min(bottom, to_bottom)
    if level_from < level_to and abs(one.column - two.column) == 1:
        y = (level_from + level_to) // 2
        if both_ways:
            y += -9 if abs(two.column) > abs(one.column) else 12
        above = y - 5 - 13 * (len(edge.words) - 1)
        return [_arrow([(start, y), (end, y)]), *_words(edge, (start + end) // 2, above, "middle")]
    y = (to_top + to_bottom) // 2
    return [
        _arrow([(middle, top if y < top else bottom), (middle, y), (end, y)]),
        *_words(edge, middle + 10, y - 6, "start"),
    ]


def _arrow(points: Sequence[tuple[int, int]]) -> str:
    path = " ".join(f"{x} {y}" for x, y in points)
    return f'<path class="edge" d="M{path}" marker-end="url(#tip)"/>'


def _words(edge: Edge, x: int, y: int, anchor: str) -> list[str]:
    return [
        f'<text class="label" x="{x}" y="{y + 13 * number}" style="text-anchor: {anchor}">{escape(line)}</text>'
        for number, line in enumerate(edge.words)
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or with --check say whether it is up to date."""
    picture = draw(json.loads(SOURCE.read_text(encoding="utf-8")))
    if "--check" in arguments:
        if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == picture:
            return 0
        sys.stderr.write("docs/state_machine.svg is out of date; run: python docs/draw_state_machine.py\n")
        return 1
    PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
