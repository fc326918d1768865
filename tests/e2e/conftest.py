"""One showing of the demo, which several tests look at."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 600


@dataclass(frozen=True)
class Showing:
    """What a demo left: exit code, output, its folder and the folder that its temporary files were in."""

    exit_code: int
    output: str
    folder: Path
    scratch: Path


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Showing:
    """The demo, run once as a process of its own."""
    place = tmp_path_factory.mktemp("demo")
    scratch = place / "scratch"
    scratch.mkdir()
    done = subprocess.run([sys.executable, "-m", "demo", "--folder", str(place / "demo")], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE_SECONDS, check=False,
                          env={**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}, start_new_session=True)
    return Showing(done.returncode, done.stdout, place / "demo", scratch)
