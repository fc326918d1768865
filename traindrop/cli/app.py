"""The app that the commands are put into, and the end of each one's help: what one would type."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import typer

from traindrop.cli import Answer

app = typer.Typer(
    name="traindrop",
    help="Drop a YOLO dataset into S3; get a trained model, its metrics and its bill in your inbox.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(*examples: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Put a command into the app; its docstring is its help, each paragraph as wide as the terminal."""

    def put(function: Callable[..., Answer]) -> Callable[..., Answer]:
        paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
        told = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        app.command(help=told, epilog="\n\n".join(["[bold]Examples[/bold]", *examples]))(function)
        return function

    return put
