"""`python -m tests.oracle WORK`, in the training environment: one call a line on stdin, one answer a line on stdout."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

from training_entry import offline


def main(work: Path) -> None:
    """Answer until stdin ends; what ultralytics prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    offline.prepare(work)
    for line in sys.stdin:
        function, arguments = json.loads(line)
        module, name = function.rsplit(".", 1)
        try:
            answer = {"value": getattr(importlib.import_module(f"tests.oracle.{module}"), name)(*arguments)}
        except Exception:  # noqa: BLE001  (whatever it is, who asked is told)
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
