"""The command `traindrop`: what is typed, the command that it asks for, and a process exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

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


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and takes no option for another that begins alike."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` shows what it takes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answer the exit code: 0, 1 for no or what cannot be done, 2 for usage, 130 if interrupted."""
    try:
        asked = _parser().parse_args(arguments)
        answer: Answer = asked.run(asked)
        _say(answer.text)
    except UsageError as error:
        print(f"traindrop: {error}", file=sys.stderr)
        return USAGE
    except CannotDo as error:
        print(f"traindrop: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return answer.code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="traindrop", description="Drop a YOLO dataset, get a trained model.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    check = commands.add_parser(
        "check",
        help="validate a dataset folder or zip by the rules that the cloud uses",
        description="Validate a dataset folder or zip by the rules that the cloud uses. "
        "Exit code 0: valid, 1: invalid, 2: usage.",
    )
    check.add_argument("path", metavar="PATH", help="folder that holds data.yaml, or its zip")
    check.add_argument("--json", action="store_true", help="print the verdict document and nothing else")
    check.add_argument("--name", help="the dataset's name; by default that of the folder or zip")
    check.set_defaults(run=_check)

    rollback = commands.add_parser(
        "rollback",
        help="make an earlier run's model the dataset's best again",
        description="Make an earlier run's model the dataset's best again; the next run competes with that one. "
        "Exit code 0: done, 1: it cannot be done, 2: usage.",
    )
    rollback.add_argument("dataset", metavar="DATASET", help="the dataset's name as it was dropped")
    rollback.add_argument("--to", metavar="RUN", help="which run's model; by default the best before the present one")
    rollback.add_argument("--stack", default="traindrop", help="the stack's name (%(default)s)")
    rollback.add_argument("--json", action="store_true", help="print what was done as a document and nothing else")
    rollback.set_defaults(run=_rollback)

    polygons = commands.add_parser(
        "polygons",
        help="polygons of what a trained model finds in an image",
        description="Find what a trained model knows in an image, and write its polygons as JSON: rooms of a floor "
        "plan, say. A model for detection answers its boxes. Needs ONNX Runtime, NumPy and OpenCV, not PyTorch. "
        "Exit code 0: done, 2: usage.",
    )
    polygons.add_argument("--model", required=True, help="best.onnx of a run, or a best.pt with best.onnx beside it")
    polygons.add_argument("--image", required=True, help="PNG, JPEG or whatever else OpenCV reads")
    polygons.add_argument("--output", metavar="JSON", help="where the polygons go; by default they are printed")
    polygons.add_argument("--overlay", metavar="IMAGE", help="where the image with the polygons drawn over it goes")
    polygons.set_defaults(run=_polygons)
    return parser


def _check(asked: argparse.Namespace) -> Answer:
    # What one command imports costs the others nothing.
    from traindrop.cli.check import check

    return check(asked.path, name=asked.name, as_json=asked.json)


def _rollback(asked: argparse.Namespace) -> Answer:
    from traindrop.cli.rollback import rollback

    return rollback(asked.dataset, to=asked.to, stack=asked.stack, as_json=asked.json)


def _polygons(asked: argparse.Namespace) -> Answer:
    from traindrop.cli.polygons import polygons

    return polygons(model=asked.model, image=asked.image, output=asked.output, overlay=asked.overlay)


def _say(text: str) -> None:
    """Print to stdout, whatever it can encode; whoever stops reading has read enough."""
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
