"""A function's memory: measured, and the function killed above its limit, as on Lambda.

Needs Linux's /proc; elsewhere nothing is measured and nothing killed.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

INTERVAL_SECONDS = 0.05


class MemoryWatch:
    """Watches one process while the context lasts; `peak` is what it has used at most in its life, in MB."""

    def __init__(self, process: Callable[[], subprocess.Popen[bytes] | None], limit_mb: int) -> None:
        self._process, self._limit = process, limit_mb
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="function-memory")
        self.peak = 0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL_SECONDS):
            process = self._look()
            if process is not None and self.peak > self._limit:
                process.kill()

    def _look(self) -> subprocess.Popen[bytes] | None:
        process = self._process()
        if process is not None:
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                    self.peak = int(found[1]) // 1024
        return process
