"""A headless Chromium, spoken to over its debugging pipe: https://chromedevtools.github.io/devtools-protocol."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_DEADLINE_SECONDS = 60
_READS, _WRITES = 3, 4
"""Where the browser reads commands and writes answers."""


class Browser:
    """A browser with one page; what goes wrong in it, and what it asks for, is kept since the page was opened."""

    def __init__(self, profile: Path) -> None:
        assert PROGRAM
        reads, self._commands = os.pipe()
        self._answers, writes = os.pipe()
        reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (reads, writes))

        def connect() -> None:
            os.dup2(reads, _READS)
            os.dup2(writes, _WRITES)

        switches = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
        self._process = subprocess.Popen(
            [PROGRAM, *switches, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=connect,
            start_new_session=True,
            pass_fds=(_READS, _WRITES),
        )
        os.close(reads)
        os.close(writes)
        self._received, self._asked, self._session = b"", 0, ""
        self._events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._commands)  # on which it ends
        os.close(self._answers)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def open(self, page: Path, *, width: int, scheme: str = "light", medium: str = "screen") -> None:
        """Open a page in a window so wide, in a colour scheme, and wait until all of it is there."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", media=medium, features=[feature])
        self._events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        while not self._happened("Page.loadEventFired"):
            self._receive(time.monotonic() + _DEADLINE_SECONDS)

    def evaluate(self, script: str) -> Any:
        """The value of a script in the page, which its content security policy does not keep from running."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, width: int, height: int) -> bytes:
        """The page from its upper left corner on as PNG."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        answer = self.ask("Page.captureScreenshot", captureBeyondViewport=True, format="png", clip=clip)
        return base64.b64decode(answer["data"])

    def printed(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True)["data"])

    @property
    def errors(self) -> list[str]:
        """What the page's console says is wrong."""
        told = [
            *self._happened("Runtime.exceptionThrown"),
            *(event for event in self._happened("Log.entryAdded") if event["entry"]["level"] in ("error", "warning")),
            *(event for event in self._happened("Runtime.consoleAPICalled") if event["type"] in ("error", "warning")),
        ]
        return [json.dumps(event) for event in told]

    @property
    def asked_for(self) -> list[str]:
        """What the page made the browser load; of a data URI the beginning."""
        return [event["request"]["url"][:100] for event in self._happened("Network.requestWillBeSent")]

    def _happened(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self._events if event["method"] == method]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The browser's answer to a command."""
        self._asked += 1
        session = {"sessionId": self._session} if self._session else {}
        command: Mapping[str, Any] = {"id": self._asked, "method": method, "params": parameters, **session}
        waiting = memoryview(json.dumps(command).encode() + b"\0")
        while waiting:
            waiting = waiting[os.write(self._commands, waiting) :]
        until = time.monotonic() + _DEADLINE_SECONDS
        while True:
            message = self._receive(until)
            if message.get("id") == self._asked:
                assert "error" not in message, message
                return dict(message["result"])

    def _receive(self, until: float) -> dict[str, Any]:
        """The next message; an event is kept."""
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            chunk = os.read(self._answers, 1 << 20) if ready else b""
            assert chunk, "the browser says nothing"
            self._received += chunk
        first, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        if "method" in message:
            self._events.append(message)
        return message
