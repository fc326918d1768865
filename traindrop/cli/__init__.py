"""The command `traindrop`: what is typed, the command that it asks for, and a process exit code."""

from __future__ import annotations

import os
import sys
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

    A command that follows a run ends with what became of it (`traindrop.cli.following`).
    """
    from typer.exceptions import Abort, Exit, TyperException

    from traindrop.cli.commands import app

    try:
        answer = app(arguments, prog_name="traindrop", standalone_mode=False)
    except Exit as ended:
        return ended.exit_code
    except TyperException as mistyped:
        return _refused(_told(mistyped)) if str(mistyped) else USAGE
    except UsageError as error:
        return _refused(str(error))
    except CannotDo as error:
        print(f"traindrop: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED
    if isinstance(answer, Answer):
        say(answer.text)
        return answer.code
    return 0


def say(text: str) -> None:
    """Print to stdout, whatever it can encode; whoever stops reading has read enough."""
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
