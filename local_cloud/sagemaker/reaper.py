"""Ends what a server leaves behind, however it ends, SIGKILL included.

A process of its own that reads commands from the server through a pipe. When the pipe closes, the server is gone:
the process groups still on its list are killed, the folders still on it removed, and it ends. Started by the service
with `python -S -E reaper.py`; it needs only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO


class Reaper:
    """The server's end of the pipe; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": os.defpath},
            text=True,
        )

    def watch_group(self, group: int) -> None:
        """Kill this process group when the server ends."""
        self._send(f"+group {group}")

    def forget_group(self, group: int) -> None:
        """The group has ended."""
        self._send(f"-group {group}")

    def watch_folder(self, folder: Path) -> None:
        """Remove this folder when the server ends."""
        self._send(f"+folder {folder}")

    def forget_folder(self, folder: Path) -> None:
        """The folder is gone."""
        self._send(f"-folder {folder}")

    def close(self, timeout: float = 10.0) -> None:
        """Let it clean up now and wait for it."""
        with self._lock:
            pipe = self._process.stdin
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)

    def _send(self, command: str) -> None:
        with self._lock:
            pipe = self._process.stdin
            if pipe is None or pipe.closed:
                return
            with contextlib.suppress(OSError):
                pipe.write(command + "\n")
                pipe.flush()


def serve(commands: IO[str]) -> None:
    """Keep the list until the pipe closes, then clean up."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    groups: set[str] = set()
    folders: set[str] = set()
    for line in commands:
        verb, _, argument = line.rstrip("\n").partition(" ")
        kept = groups if verb.endswith("group") else folders
        (kept.add if verb.startswith("+") else kept.discard)(argument)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    serve(sys.stdin)
