"""`traindrop runs`: which runs there were, what became of them, how good and how dear they were."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from traindrop.cli import Answer
from traindrop.cli.stack import Stack
from traindrop.drops import slug_of
from traindrop.plain_text import printable
from traindrop.runs import Runs

_PERMISSIONS = "cloudformation:DescribeStacks, and of the RunsTable dynamodb:Scan, or with --dataset dynamodb:Query"
_MOST_PAGES = 20
"""Of 1 MB: to read so much costs less than a tenth of a cent."""
_UNBOUNDED = 1000
"""Columns where no terminal sets the width."""


def runs(*, dataset: str | None, limit: int, stack: Stack, as_json: bool) -> Answer:
    """List the newest runs, the newest first.

    Args:
        dataset: whose runs; by default every one's.
        limit: how many.
        stack: where they were recorded.
        as_json: whether the answer is a document instead of text for people.

    Raises:
        CannotDo: AWS does not let us.
    """
    with stack.needing(_PERMISSIONS):
        table, whole = Runs(stack.client("dynamodb"), stack.output("RunsTableName")), True
        if dataset is not None:
            found = table.of_dataset(slug_of(dataset), limit)
        else:
            found, whole = table.newest(limit, most_pages=_MOST_PAGES)
    listed = [_brief(run) for run in found]
    if as_json:
        return Answer(json.dumps({"runs": listed, "complete": whole}, indent=2, ensure_ascii=False))
    lines = [_table(listed)] if listed else [f"no run{f' of {printable(dataset)}' if dataset else ''} is recorded yet"]
    if not whole:
        lines.append(
            f"Only the first {_MOST_PAGES} MB of the table were read; newer runs may be missing: use --dataset"
        )
    return Answer("\n".join(lines))


def _brief(run: Mapping[str, Any]) -> dict[str, Any]:
    metrics, trained = run.get("metrics") or {}, run.get("training_seconds")
    score = metrics.get("map50_95_mask", metrics.get("map50_95_box"))
    return {
        "run_id": run["run_id"],
        "dataset": run.get("dataset"),
        "when": run.get("created_at"),
        "outcome": run.get("status", "Starting"),
        "map50_95": score,
        "kind": "mask" if "map50_95_mask" in metrics else "box" if score is not None else None,
        "minutes": None if trained is None else round(trained / 60, 1),
        "usd": run.get("cost_usd"),
        "promoted": bool(run.get("promoted")),
    }


def _table(listed: list[dict[str, Any]]) -> str:
    """A line for each run, in the terminal's width where there is one."""
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else _UNBOUNDED
    console = Console(file=sys.stdout, width=width, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("when", no_wrap=True)
    table.add_column("run", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    for title in ("mAP", "min", "USD"):
        table.add_column(title, justify="right", no_wrap=True)
    now = datetime.now().astimezone()
    for run in listed:
        table.add_row(
            _when(run["when"], now),
            run["run_id"],
            run["outcome"],
            _figure(run["map50_95"], 3),
            _figure(run["minutes"], 1),
            _figure(run["usd"], 2),
        )
    with console.capture() as printed:
        console.print(table)
    return "\n".join(line.rstrip() for line in printed.get().splitlines())


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _when(iso: str | None, now: datetime) -> str:
    """In the time of this machine, as `ls -l` has it: the year instead of the hour where it is long ago."""
    if not iso:
        return "-"
    at = datetime.fromisoformat(iso).astimezone()
    return f"{at:%d %b %H:%M}" if now - at < timedelta(days=180) else f"{at:%d %b  %Y}"
