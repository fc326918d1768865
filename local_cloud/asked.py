"""How a program in the foreground is asked to end: Ctrl-C, a termination, a terminal that was closed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked(BaseException):
    """The program was asked to end; no `except Exception` of a library holds this up."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextlib.contextmanager
def until_asked() -> Iterator[None]:
    """Within, the first request to end raises `Asked` and further ones have no effect on what it sets off."""

    def ask(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Asked(number)

    with _answered(ask):
        yield


@contextlib.contextmanager
def unasked() -> Iterator[None]:
    """Within, nobody who asks is heard: this is the end already."""
    with _answered(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _answered(answer: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    before = {number: signal.signal(number, answer) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
