"""Draws statemachine/training.asl.json, and the ways that executions took through it, for light and for dark pages.

python -m docs.draw_state_machine            write docs/state_machine.svg and a picture for each of docs/histories/
python -m docs.draw_state_machine --check    exit 1 if a picture is not what would be drawn now
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from docs.execution_history import Execution, Visit, read
from docs.state_layout import HIGH, Edge, Layout, edges, lay_out

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "statemachine" / "training.asl.json"
PICTURES = ROOT / "docs"

_SERVICES = {
    "lambda:invoke.waitForTaskToken": "Lambda, waits for a report",
    "lambda:invoke": "Lambda",
    "sns:publish": "SNS message",
}
_TYPES = {"Succeed": "ends well", "Fail": "ends as failed", "Pass": "no service", "Wait": "wait", "Choice": "choice"}
_SIGNS = {"succeeded": "\u2713", "caught": "!", "failed": "\u2715", "aborted": "\u25a0"}
_LEGEND = {
    "succeeded": "went on as it should",
    "caught": "an error led on to another state",
    "failed": "the execution failed here",
    "aborted": "the execution was stopped here",
}
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
_EXECUTION_STYLE = """\
  .succeeded { fill: #eaf7ef; stroke: #1d7a46; }
  .failed { fill: #fdeeee; stroke: #b3363b; }
  .caught, .aborted { fill: #fdf6e7; stroke: #9a6a08; }
  .told { text-anchor: start; }
  .unvisited { opacity: 0.55; }
  .untaken { opacity: 0.45; }
  .visited .box { stroke-width: 2.4; }
  .visited .kind { fill: #17202b; }
  .taken { stroke: #1a56b0; stroke-width: 2.6; }
  .label.taken { stroke: none; fill: #17202b; }
  .tip.taken { stroke: none; fill: #1a56b0; }
  @media (prefers-color-scheme: dark) {
    .succeeded { fill: #13291d; stroke: #5fc18a; }
    .failed { fill: #331b1d; stroke: #ef8a8e; }
    .caught, .aborted { fill: #2c2412; stroke: #d9ab4c; }
    .visited .kind, .label.taken { fill: #edf2f7; }
    .taken { stroke: #8db8ff; }
    .tip.taken { fill: #8db8ff; }
  }"""


def draw(machine: Mapping[str, Any], execution: Execution | None = None) -> str:
    """The state machine as an SVG document; with an execution, the way that it took stands out."""
    layout = lay_out(machine)
    width, height = layout.size
    title = f"The execution {execution.name}" if execution else "The training state machine"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title summary">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="summary">{escape(_told(execution) if execution else _in_words(machine))}</desc>',
        "<style>",
        *((STYLE, _EXECUTION_STYLE) if execution else (STYLE,)),
        "</style>",
        f"<defs>{_tip('tip')}{_tip('tip-taken', ' taken') if execution else ''}</defs>",
        f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
    ]
    left, top, right, _ = layout.box(machine["StartAt"])
    middle = (left + right) // 2
    lines.append(f'<circle class="tip" cx="{middle}" cy="{top - 28}" r="5"/>')
    lines.append(_arrow([(middle, top - 28), (middle, top)], "taken" if execution else ""))
    drawn = list(edges(machine["States"]))
    for edge in drawn:
        both_ways = any((e.source, e.target) == (edge.target, edge.source) for e in drawn)
        lines += _edge(*(_walked(edge, execution) if execution else (edge, "")), layout, both_ways)
    visits = _by_state(execution) if execution else None
    for name in layout.places:
        lines += _box(name, machine["States"][name], layout.box(name), None if visits is None else visits.get(name, []))
    if execution:
        lines += [*_heading(execution, right + 60, top), *_legend(execution, right + 60, height - 116)]
    return "\n".join([*lines, "</svg>", ""])


def _in_words(machine: Mapping[str, Any]) -> str:
    return " ".join(f"{name}: {state.get('Comment', '')}".strip() for name, state in machine["States"].items())


def _told(execution: Execution) -> str:
    """An execution in words, for who does not see the picture."""
    steps = [
        f"{visit.state} {visit.ended} after {_seconds(visit.seconds)}" + (f" ({visit.error})" if visit.error else "")
        for visit in execution.visits
    ]
    end = f"{execution.status} {execution.error} after {_seconds(execution.seconds)}".replace("  ", " ")
    return f"{end}. {'; '.join(steps)}. {execution.cause}".strip()


def _by_state(execution: Execution) -> dict[str, list[Visit]]:
    found: dict[str, list[Visit]] = {}
    for visit in execution.visits:
        found.setdefault(visit.state, []).append(visit)
    return found


def _seconds(seconds: float) -> str:
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s".replace("0.0", "0")
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def _tip(name: str, kind: str = "") -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="11" markerHeight="11" '
        'markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        f'<path class="tip{kind}" d="M0 0.6 7.6 4 0 7.4z"/></marker>'
    )


def _walked(edge: Edge, execution: Execution) -> tuple[Edge, str]:
    """A way with what really happened on it: the errors that were caught, and how often it was taken."""
    times = execution.ways()[edge.source, edge.target]
    if not times:
        return edge, "untaken"
    caught = [error for source, target, error in execution.errors() if (source, target) == (edge.source, edge.target)]
    words = list(caught or edge.words)
    if times > 1:
        words = [*words[:-1], f"{words[-1] if words else ''} \u00d7{times}".strip()]
    return replace(edge, words=tuple(words)), "taken"


def _box(
    name: str, state: Mapping[str, Any], box: tuple[int, int, int, int], visits: Sequence[Visit] | None
) -> list[str]:
    """A state; with its visits, if it is that of an execution, in place of its kind."""
    left, top, right, bottom = box
    middle, centre = (left + right) // 2, (top + bottom) // 2
    service = str(state.get("Resource", "")).rpartition(":::")[2]
    kind, look, group = _TYPES.get(state["Type"], _SERVICES.get(service, service)), state["Type"], ""
    if visits:
        kind, look, group = _stay(visits), visits[-1].ended, ' class="visited"'
    elif visits is not None:
        group = ' class="unvisited"'
    return [
        f"<g{group}><title>{escape(str(state.get('Comment', name)))}</title>",
        f'<rect class="box {look}" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" '
        f'rx="{HIGH // 2 if state["Type"] in ("Succeed", "Fail") else 8}"/>',
        f'<text class="name" x="{middle}" y="{centre - 2}">{escape(name)}</text>',
        f'<text class="kind" x="{middle}" y="{centre + 15}">{escape(kind)}</text></g>',
    ]


def _stay(visits: Sequence[Visit]) -> str:
    """How the last visit ended, how long all took, how often the state was visited or its task tried."""
    whole, tries = _seconds(sum(visit.seconds for visit in visits)), sum(visit.tries for visit in visits)
    often = f" in {len(visits)} visits" if len(visits) > 1 else f" in {tries} tries" if tries > 1 else ""
    return f"{_SIGNS[visits[-1].ended]} {whole}{often}"


def _heading(execution: Execution, x: int, y: int) -> list[str]:
    end = f"{execution.status} after {_seconds(execution.seconds)}"
    lines = [end, *([f"Error: {execution.error}"] if execution.error else [])]
    lines += textwrap.wrap(f"Cause: {execution.cause}", 72) if execution.cause else []
    return [
        f'<text class="name told" x="{x}" y="{y + 10}">{escape(execution.name)}</text>',
        *(
            f'<text class="label told" x="{x}" y="{y + 32 + 16 * row}">{escape(line)}</text>'
            for row, line in enumerate(lines)
        ),
    ]


def _legend(execution: Execution, x: int, y: int) -> Iterator[str]:
    looks = {visits[-1].ended for visits in _by_state(execution).values()}
    shown = [(f"{_SIGNS[look]} {words}", look) for look, words in _LEGEND.items() if look in looks]
    for row, (words, look) in enumerate(shown):
        yield f'<rect class="box {look}" x="{x}" y="{y + 24 * row - 12}" width="28" height="16" rx="4"/>'
        yield f'<text class="label told" x="{x + 40}" y="{y + 24 * row}">{words}</text>'
    y += 24 * len(shown)
    yield _arrow([(x, y - 4), (x + 28, y - 4)], "taken")
    yield f'<text class="label told" x="{x + 40}" y="{y}">the way that was taken; \u00d72: twice</text>'


def _edge(edge: Edge, way: str, layout: Layout, both_ways: bool) -> list[str]:
    """The arrow and the words of a way; `way` is `taken` or `untaken` in the picture of an execution."""
    one, two = layout.places[edge.source], layout.places[edge.target]
    left, top, right, bottom = layout.box(edge.source)
    to_left, to_top, to_right, to_bottom = layout.box(edge.target)
    middle = (left + right) // 2
    if one.column == two.column == 0:
        if two.row == one.row + one.rows:
            return [
                _arrow([(middle, bottom), (middle, to_top)], way),
                *_words(edge, middle + 10, bottom + 21, "start", way),
            ]
        out, back = bottom - 12, to_bottom - 12
        path = [(right, out), (right + 24, out), (right + 24, back), (to_right, back)]
        return [_arrow(path, way), *_words(edge, right + 30, out + 4, "start", way)]
    rightward = two.column > one.column
    start, end = (right, to_left) if rightward else (left, to_right)
    level_from, level_to = max(top, to_top), min(bottom, to_bottom)
    if level_from < level_to and abs(one.column - two.column) == 1:
        y = (level_from + level_to) // 2
        if both_ways:
            y += -9 if abs(two.column) > abs(one.column) else 12
        above = y - 5 - 13 * (len(edge.words) - 1)
        return [_arrow([(start, y), (end, y)], way), *_words(edge, (start + end) // 2, above, "middle", way)]
    y = (to_top + to_bottom) // 2
    return [
        _arrow([(middle, top if y < top else bottom), (middle, y), (end, y)], way),
        *_words(edge, middle + 10, y - 6, "start", way),
    ]


def _arrow(points: Sequence[tuple[int, int]], way: str = "") -> str:
    path = " ".join(f"{x} {y}" for x, y in points)
    tip = "tip-taken" if way == "taken" else "tip"
    return f'<path class="{f"edge {way}".strip()}" d="M{path}" marker-end="url(#{tip})"/>'


def _words(edge: Edge, x: int, y: int, anchor: str, way: str) -> list[str]:
    kind = f"label {way}".strip()
    return [
        f'<text class="{kind}" x="{x}" y="{y + 13 * number}" style="text-anchor: {anchor}">{escape(line)}</text>'
        for number, line in enumerate(edge.words)
    ]


def pictures() -> Iterator[tuple[Path, str]]:
    """Every picture, with its file."""
    machine = json.loads(SOURCE.read_text(encoding="utf-8"))
    yield PICTURES / "state_machine.svg", draw(machine)
    for history in sorted((ROOT / "docs" / "histories").glob("*.json")):
        execution = read(json.loads(history.read_text(encoding="utf-8")))
        yield PICTURES / f"execution_{history.stem}.svg", draw(machine, execution)


def main(arguments: Sequence[str]) -> int:
    """Write the pictures, or with --check say whether they are up to date."""
    stale = [
        (file, picture)
        for file, picture in pictures()
        if not file.exists() or file.read_text(encoding="utf-8") != picture
    ]
    if "--check" not in arguments:
        for file, picture in stale:
            file.write_text(picture, encoding="utf-8")
        return 0
    for file, _ in stale:
        sys.stderr.write(f"docs/{file.name} is out of date; run: make pages\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
