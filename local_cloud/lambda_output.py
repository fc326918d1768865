"""What a function's process writes, read so that an invocation's log is complete when the invocation ends.

MiniStack guesses by waiting up to 50 ms after each invocation. A line that was written before the answer was posted
lies in the pipe by then, so reading the pipe once is both sure and instant.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from typing import IO


class Output:
    """The output of one process, as lines in a queue; the oldest give way when nobody takes them."""

    def __init__(self, stream: IO[bytes], lines: queue.Queue[str]) -> None:
        self._stream, self._lines = stream, lines
        self._rest = b""
        self._open = True
        self._lock = threading.Lock()
        os.set_blocking(stream.fileno(), False)

    def pump(self) -> None:
        """Keep the pipe empty until the process has closed it."""
        poll = select.poll()  # no select: the server may have more files open than that can name
        poll.register(self._stream.fileno(), select.POLLIN)
        while self._open:
            poll.poll(1000)
            self.collect()

    def collect(self) -> None:
        """Take everything that has been written so far."""
        with self._lock:
            while self._open:
                try:
                    read = os.read(self._stream.fileno(), 65_536)
                except BlockingIOError:
                    return
                except OSError:
                    read = b""
                *lines, self._rest = (self._rest + read).split(b"\n")
                if not read:
                    lines, self._rest = [*lines, self._rest] if self._rest else lines, b""
                    self._open = False
                    self._stream.close()
                for line in lines:
                    self._put(line.decode(errors="replace").rstrip("\r"))

    def _put(self, line: str) -> None:
        while True:
            with contextlib.suppress(queue.Full):
                self._lines.put_nowait(line)
                return
            with contextlib.suppress(queue.Empty):
                self._lines.get_nowait()
