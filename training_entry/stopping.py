"""SIGTERM: StopTrainingJob, a time cap or a spot interruption. Training ends within a batch, whatever it is doing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class Stopped(BaseException):
    """SIGTERM arrived. Not an Exception, so that no library takes it for a fault of its own."""


def listen(flag: Path) -> None:
    """Raise Stopped at the first SIGTERM and ignore the others; leave the flag for processes of other GPUs.

    A destructor or a library may swallow the exception: `check` raises it again between batches.
    """
    flag.unlink(missing_ok=True)

    def stop(_number: int, _frame: FrameType | None) -> None:
        _note(flag)
        raise Stopped

    signal.signal(signal.SIGTERM, stop)


@contextmanager
def by_flag(flag: Path) -> Iterator[None]:
    """Within it SIGTERM raises nothing: other processes see the flag and end, and then this one raises Stopped."""
    raising = signal.signal(signal.SIGTERM, lambda _number, _frame: _note(flag))
    try:
        yield
    finally:
        if flag.exists():
            raise Stopped
        signal.signal(signal.SIGTERM, raising)


def check(flag: Path) -> None:
    """Raise Stopped if SIGTERM has arrived."""
    if flag.exists():
        raise Stopped


def _note(flag: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    flag.touch()
    print("\nSIGTERM: stopping", flush=True)
