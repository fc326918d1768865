"""The command `traindrop`: what is typed, the command that it asks for, and a process exit code."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer.exceptions import TyperException

USAGE = 2
INTERRUPTED = 130
"""128 and SIGINT, as shells have it."""


@dataclass(frozen=True)
class Answer:
    """What a command prints on stdout, and its exit code."""

    text: str
    code: int = 0


class UsageError(Exception):
    """The command cannot be run as it was typed; the message is one line that says why."""


class CannotDo(Exception):
    """What was asked for cannot be done; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answer the exit code: 0, 1 for no or what cannot be done, 2 for usage, 130 if interrupted.

    A command that follows a run ends with what became of it (`traindrop.cli.watch.CODES`).
    """
    # What is imported stays, so looking through it for garbage is in vain: a twentieth of a second of every command.
    gc.set_threshold(200_000)

    from typer.exceptions import TyperException

    from traindrop.cli.commands import app

    try:
        answer = app(arguments, prog_name="traindrop", standalone_mode=False)
    except TyperException as mistyped:
        return _refused(_told(mistyped)) if str(mistyped) else USAGE
    except UsageError as error:
        return _refused(str(error))
    except CannotDo as error:
        print(f"traindrop: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - its traceback goes into a file
        return _broken(error)
    if not isinstance(answer, Answer):
        return int(answer or 0)  # of typer itself: help was shown, or an interrupt came
    if answer.text:
        say(answer.text)
    return answer.code


def say(text: str) -> None:
    """Print to stdout, whatever it can encode; whoever stops reading has read enough."""
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _broken(error: Exception) -> int:
    with tempfile.NamedTemporaryFile("w", prefix="traindrop-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    print(
        f"traindrop: a fault of Traindrop's own ({type(error).__name__}: {error}); {log.name} says where it happened: "
        "please report it",
        file=sys.stderr,
    )
    return 1


def _told(mistyped: TyperException) -> str:
    """What typer says, on one line with where to look."""
    said = mistyped.format_message().removesuffix(".")
    context = getattr(mistyped, "ctx", None)
    return (
        f"{said}{' ' if said.endswith('?') else '; '}`{context.command_path} --help` shows what it takes"
        if context
        else said
    )


def _refused(why: str) -> int:
    print(f"traindrop: {why}", file=sys.stderr)
    return USAGE
