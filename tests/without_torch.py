"""The command `traindrop` in a Python where torch and ultralytics cannot be imported.

`python -m tests.without_torch` reads lists of arguments as JSON from stdin, and answers exit code, stdout and stderr of
each as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venvs/dev/bin/python"
NEVER = ("torch", "ultralytics", "onnx", "PIL", "boto3")
Ended = tuple[int, str, str]
"""Exit code, stdout, stderr."""


def commands(*asked: Sequence[object], folder: Path, never: Sequence[str] = NEVER) -> list[Ended]:
    """What becomes of each command, run in `folder` by one process that cannot import `never`."""
    done = subprocess.run(
        [PYTHON, "-m", "tests.without_torch", *never],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps([[str(word) for word in words] for words in asked]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def main() -> None:
    """Run the commands that stdin names."""
    # What is None there cannot be imported.
    sys.modules.update(dict.fromkeys(sys.argv[1:]))  # type: ignore[arg-type]
    from traindrop.cli import main as command

    ended = []
    for words in json.load(sys.stdin):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command(words)
        ended.append((code, out.getvalue(), err.getvalue()))
    json.dump(ended, sys.stdout)


if __name__ == "__main__":
    main()
