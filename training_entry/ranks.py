"""Several GPUs: ultralytics trains in a process for each of them, a rank, and the entry waits for them.

Ranks share nothing with the entry but files. Each of them sees the flag of SIGTERM between batches; rank 0 alone writes
checkpoints; and why a rank failed is left in a file, since its exit code does not say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError

from training_entry import durable, stopping
from training_entry.job import Paths


def first() -> bool:
    """Whether this process speaks for the training: the only one, or rank 0."""
    from ultralytics.utils import RANK

    return bool(RANK < 1)


def tell_failure(work: Path) -> None:
    """Leave the error that is being handled to the process that waits for this rank, if this is one."""
    from ultralytics.utils import RANK

    error = sys.exc_info()[1]
    if RANK >= 0 and isinstance(error, Exception):
        durable.write(work / f"rank-{RANK}.failed", f"{type(error).__name__}: {error}")


@contextmanager
def awaited(paths: Paths) -> Iterator[None]:
    """While ranks train within it SIGTERM is left to them, so that none writes when the best so far is delivered.

    Raises:
        Stopped: SIGTERM came, and all ranks have ended.
        RuntimeError: a rank failed; its own words.
    """
    for old in paths.work.glob("rank-*.failed"):
        old.unlink()
    try:
        with stopping.by_flag(paths.stop_flag):
            yield
    except CalledProcessError as error:
        told = sorted(paths.work.glob("rank-*.failed"), key=lambda place: place.stat().st_mtime_ns)
        raise RuntimeError(told[0].read_text() if told else str(error)) from error
