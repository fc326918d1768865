"""`traindrop doctor`: every check in turn, with the cure of what is not well."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from traindrop.cli import Answer, checks_of_runs, checks_of_stack
from traindrop.cli.checkup import Deployment, Finding, State, examine
from traindrop.cli.stack import Stack
from traindrop.cli.terminal import painted, steps

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
CHECKS = (*checks_of_stack.CHECKS, *checks_of_runs.CHECKS)


def doctor(*, stack: Stack, as_json: bool) -> Answer:
    """Look at everything that a run needs; exit code 1 if something is a problem.

    Args:
        stack: what is looked at.
        as_json: whether the answer is a document instead of text for people.
    """
    with steps("Looking"):
        found = list(examine(CHECKS, Deployment(stack)))
    counted = Counter(finding.state for _, finding in found)
    if as_json:
        checks = [
            {"check": name, "state": finding.state, "found": finding.found, "cure": finding.cure}
            for name, finding in found
        ]
        text = json.dumps({"stack": stack.name, "ok": not counted["problem"], "checks": checks}, indent=2)
    else:
        text = "\n".join(_lines(found, counted))
    return Answer(text, 1 if counted["problem"] else 0)


def _lines(found: Sequence[tuple[str, Finding]], counted: Counter[State]) -> Iterator[str]:
    for name, finding in found:
        yield f"{painted(finding.state.ljust(8), _STYLES[finding.state])} {name:14} {finding.found}"
        if finding.cure:
            yield f"{'':24}-> {finding.cure}"
    left = [check.name for check in CHECKS if check.name not in {name for name, _ in found}]
    if left:
        yield f"Not looked at before that is mended: {', '.join(left)}."
    yield ""
    told = [
        f"{counted[state]} {state}{'s' * (counted[state] > 1)}" for state in ("problem", "warning") if counted[state]
    ]
    yield f"{', '.join(told)}." if told else "All is well."
