"""What a terminal shows while a command works, on stderr: nothing where stderr is none, no colour under NO_COLOR."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

Advance = Callable[[int], None]
"""Tell that so many more bytes, or things, are done."""


def screen(stream: TextIO | None = None) -> Console:
    """The terminal behind a stream, stderr if none is given."""
    return Console(file=stream or sys.stderr, highlight=False)


def painted(text: str, style: str) -> str:
    """The text as stdout shows it: in a style of rich's on a terminal that has colours, plain elsewhere."""
    shown = Console(file=sys.stdout, highlight=False)
    if not shown.is_terminal or shown.no_color:
        return text
    with shown.capture() as captured:
        shown.print(Text(text, style), end="")
    return captured.get()


@contextlib.contextmanager
def transfer(words: str, total: int) -> Iterator[Advance]:
    """A bar of bytes moved, with speed and time left."""
    columns = [BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with _bar(words, total, columns) as advance:
        yield advance


@contextlib.contextmanager
def steps(words: str, total: int | None = None) -> Iterator[Advance]:
    """A bar of things done, or a spinner where nobody knows how many there are."""
    columns: list[ProgressColumn]
    columns = [SpinnerColumn()] if total is None else [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with _bar(words, total, columns) as advance:
        yield advance


@contextlib.contextmanager
def _bar(words: str, total: int | None, columns: list[ProgressColumn]) -> Iterator[Advance]:
    shown = screen()
    # The words may be a stranger's, so they are no markup.
    label = TextColumn("{task.description}", markup=False)
    with Progress(label, *columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        task = progress.add_task(words, total=total)
        yield lambda more: progress.advance(task, more)
