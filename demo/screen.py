"""What the demo says as it goes: lines with the seconds since its start, coloured where a terminal can show it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_BAR = 20


class Screen:
    """Writes to a stream: plain lines, or with rich where the stream is a terminal; NO_COLOR is respected."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._began = time.time()
        self._rich = _rich_console(self._stream)
        self._encoding = getattr(self._stream, "encoding", None) or "utf-8"

    def heading(self, words: str) -> None:
        """What is done from here on."""
        self._write(f"{self._clock()}  {words}", "bold")

    def line(self, words: str, *, style: str = "", at: float | None = None) -> None:
        """Something that happened at a time in epoch seconds, now if none is given."""
        self._write(f"{self._clock(at)}    {words}", style)

    def block(self, title: str, text: str) -> None:
        """A titled text of several lines."""
        self._write("")
        self._write(title, "bold")
        for line in text.rstrip("\n").split("\n"):
            self._write(f"  {line}" if line else "")

    def epoch(self, number: int, of: int, words: str, *, at: float | None = None) -> None:
        """A finished epoch with a bar that shows how far the training is."""
        done = round(_BAR * number / max(of, 1))
        self.line(f"epoch {number}/{of}  {'█' * done}{'░' * (_BAR - done)}  {words}", style="cyan", at=at)

    @contextlib.contextmanager
    def busy(self, words: str) -> Iterator[None]:
        """Say what is waited for, with a spinner where a terminal can show one."""
        if self._rich is None:
            self.heading(words)
            yield
            return
        self.heading(words)
        with self._rich.status("", spinner="dots"):
            yield

    def _clock(self, at: float | None = None) -> str:
        return f"{max(0.0, (at or time.time()) - self._began):6.1f} s"

    def _write(self, words: str, style: str = "") -> None:
        # Error messages can hold anything: what the terminal cannot spell becomes a question mark.
        plain = words.replace("█", "#").replace("░", ".") if not self._encoding.lower().startswith("utf") else words
        shown = plain.encode(self._encoding, "replace").decode(self._encoding)
        if self._rich is not None:
            from rich.text import Text

            self._rich.print(Text(shown, style=style), soft_wrap=True)
        else:
            self._stream.write(shown + "\n")
            self._stream.flush()


def _rich_console(stream: TextIO) -> Console | None:
    if not stream.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, highlight=False)
