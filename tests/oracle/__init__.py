"""ultralytics itself, asked: a process of the training environment that answers calls of the modules beside this one.

`Oracle().ask("labels.verify", …)` calls `tests.oracle.labels.verify(…)` there. Arguments and answers are JSON; bytes go
as base64.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Oracle:
    """The process; a context, which ends it. Ultralytics' settings and scratch files lie in `work`."""

    def __init__(self, work: Path) -> None:
        """Start it."""
        with (work / "oracle.log").open("w") as log:
            self._process = subprocess.Popen(
                [ROOT / ".venvs/training/bin/python", "-m", "tests.oracle", str(work)],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": str(work), "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def __enter__(self) -> Oracle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def ask(self, function: str, *arguments: Any) -> Any:
        """Answer of `tests.oracle.<module>.<function>`; an error of its own is an error here."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([function, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the oracle ended; its log has the rest"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]
