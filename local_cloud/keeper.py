"""Stands between whoever started the local cloud and its server, and sees to it that nothing stays behind.

    python -S -E keeper.py STATE_DIR COMMAND…

Starts the command in a process group of its own and waits until its standard input closes (the starter is gone,
however it ended), a SIGTERM comes, or the command ends. Then the command's whole group is ended and the state
directory removed. It needs only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 8.0
"""How long the server has to end by itself."""


def main(state_dir: str, command: list[str]) -> int:
    """Keep the command; answer its exit code if it ended by itself, else 0."""
    over = threading.Event()
    for name in ("SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    server = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def watch_starter() -> None:
        while os.read(0, 1024):
            pass
        over.set()

    def watch_server() -> None:
        server.wait()
        over.set()

    for watch in (watch_starter, watch_server):
        threading.Thread(target=watch, daemon=True).start()
    over.wait()
    code = server.poll()
    end(server)
    remove(state_dir)
    return code or 0


def end(server: subprocess.Popen[bytes]) -> None:
    """End the server and every process of its group."""
    with contextlib.suppress(ProcessLookupError):
        server.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_SECONDS)


def remove(directory: str) -> None:
    """Remove the directory, also while something that is dying still writes into it."""
    for _ in range(20):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):  # noqa: PTH110 - pathlib is slow to import here
            return
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
