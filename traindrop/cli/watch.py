"""`traindrop watch`: a run as it goes on, until it has ended."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from traindrop.cli import Answer, CannotDo, terminal
from traindrop.cli.stack import Stack
from traindrop.console import execution_link
from traindrop.drops import RUN_ID, slug_of
from traindrop.errors import RunNotFound
from traindrop.figures import dollars, duration
from traindrop.following import Follower, Seen
from traindrop.plain_text import printable
from traindrop.runs import Runs

CODES = {"Completed": 0, "Unchanged": 0, "Rejected": 3, "Failed": 4, "Stopped": 5}
"""The exit code for each outcome of a run."""
_PERMISSIONS = (
    "cloudformation:DescribeStacks, dynamodb:GetItem and dynamodb:Query of the RunsTable, states:DescribeExecution, "
    "sagemaker:DescribeTrainingJob and logs:FilterLogEvents"
)
_SHOWN = (
    ("box_loss", "box loss"),
    ("seg_loss", "mask loss"),
    ("map50_mask", "mask mAP50"),
    ("map50_95_mask", "mAP50-95"),
    ("map50_box", "box mAP50"),
)
_STYLES = {"state": "bold blue", "job": "yellow", "epoch": "cyan", "resumed": "bold yellow", "log": "dim"}
_PASSING = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "InternalServerError", "503"})


def watch(run: str, *, stack: Stack, every: float | None = None, with_log: bool, as_json: bool) -> Answer:
    """Follow a run until it has ended.

    Args:
        run: its run id, or a dataset's name for its newest run.
        stack: where it is.
        every: seconds between two questions to AWS; one question is one call. By default 5, on this machine 0.5.
        with_log: whether every line that its jobs print is shown.
        as_json: whether each thing that happens is printed as one JSON document on a line of its own.

    Returns:
        An answer with the exit code of what became of the run (`CODES`).

    Raises:
        CannotDo: there is no such run, or AWS does not let us look.
    """
    with stack.needing(_PERMISSIONS):
        runs = Runs(stack.client("dynamodb"), stack.output("RunsTableName"))
        follower = Follower(
            stack.client("stepfunctions"),
            stack.client("sagemaker"),
            stack.client("logs"),
            runs,
            stack.output("StateMachineArn"),
            _run_id(run, runs),
            with_log=with_log,
        )
        shown = _as_json() if as_json else _on_screen(follower)
        with shown as show:
            end = _follow(follower, show, every or _pause(follower.sfn.meta.endpoint_url))
    outcome = str(end.values["outcome"])
    return Answer("" if as_json else "\n".join(_summary(follower, outcome)), CODES[outcome])


def _pause(endpoint_url: str) -> float:
    """Seconds between two questions: AWS throttles an account's calls, the local cloud has nobody else to answer."""
    return 0.5 if urlsplit(endpoint_url).hostname in ("127.0.0.1", "localhost", "::1") else 5.0


def _run_id(run: str, runs: Runs) -> str:
    if RUN_ID.fullmatch(run):
        return run
    found = runs.of_dataset(slug_of(run), 1)
    if not found:
        raise CannotDo(
            f"there is no run {printable(run)} and no run of a dataset of that name; `traindrop runs` lists them"
        )
    return str(found[0]["run_id"])


def _follow(follower: Follower, show: Callable[[Seen], None], every: float) -> Seen:
    """Ask until the run has ended, through lost connections and a sleeping laptop."""
    lost = 0
    while True:
        try:
            found = follower.look()
            lost = 0
        except RunNotFound as error:
            raise CannotDo(str(error)) from error
        except (NotConnected, HTTPClientError) as error:
            found = [] if lost else [Seen("state", f"no connection to AWS ({type(error).__name__}); trying again")]
            lost += 1
        except ClientError as error:
            if error.response["Error"]["Code"] not in _PASSING:
                raise
            found = []
        for seen in found:
            show(seen)
            if seen.kind == "end":
                return seen
        time.sleep(min(every * 2 ** min(lost, 10), 60.0) if lost else every)


@contextlib.contextmanager
def _as_json() -> Iterator[Callable[[Seen], None]]:
    def show(seen: Seen) -> None:
        print(json.dumps({"kind": seen.kind, "words": seen.words, **seen.values}, default=str), flush=True)

    yield show


@contextlib.contextmanager
def _on_screen(follower: Follower) -> Iterator[Callable[[Seen], None]]:
    """A line for each thing that happens, and on a terminal below them a bar of epochs."""
    console = terminal.screen(sys.stdout)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(follower.run_id, total=None, figures="")

        def show(seen: Seen) -> None:
            figures = _figures(seen) if seen.kind == "epoch" else ""
            if seen.kind == "epoch":
                progress.update(task, completed=follower.epochs, total=seen.values.get("epochs"), figures=figures)
            if seen.kind != "end":
                words = f"{time.strftime('%H:%M:%S')}  {printable(seen.words)}{'  ' + figures if figures else ''}"
                console.print(Text(words, style=_STYLES.get(seen.kind, "")), soft_wrap=True)

        yield show


def _figures(seen: Seen) -> str:
    return "  ".join(f"{label} {seen.values[name]:.3f}" for name, label in _SHOWN if name in seen.values)


def _summary(follower: Follower, outcome: str) -> Iterator[str]:
    """What became of the run, in the order in which one asks."""
    run = follower.record
    metrics = run.get("metrics") or {}
    kind = "mask" if "map50_mask" in metrics else "box"
    yield f"{outcome}: {printable(str(run.get('dataset') or follower.run_id))}"
    if f"map50_{kind}" in metrics:
        yield f"  {kind} mAP50 {metrics[f'map50_{kind}']:.3f}, mAP50-95 {metrics[f'map50_95_{kind}']:.3f}"
    for reason in (run.get("reason"), run.get("cause")):
        if reason:
            yield f"  {printable(str(reason))}"
    if run.get("jobs"):
        paid = (run.get("receipt") or {}).get("cost_usd")
        told = [f"{duration(run.get('training_seconds'))} of training"]
        told += [f"{dollars(paid)} paid"] if paid is not None else []
        told += [f"{run.get('interruptions') or 0} interruptions"]
        yield f"  {', '.join(told)}"
    if run.get("model_uri"):
        yield f"  {run['model_uri']}"
        yield f"Fetch it with: traindrop fetch {follower.run_id}"
    if run.get("same_as"):
        yield f"Run {run['same_as']} trained it: traindrop fetch {run['same_as']}"
    if follower.execution_arn.startswith("arn:"):
        yield execution_link(follower.execution_arn)
