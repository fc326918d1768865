"""The command `traindrop` as users run it: a process of its own, which the environment tells where the stack is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]


def environment(stack: Stack, home: Path) -> dict[str, str]:
    """What a shell has after `. .local/env`, with a home of its own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **stack.cloud.environment,
    }


@pytest.fixture
def traindrop(stack: Stack, tmp_path: Path) -> Command:
    """Run one command without a terminal, in an empty folder; keyword arguments are further environment."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "traindrop", *map(str, arguments)],
            cwd=tmp_path,
            env={**environment(stack, tmp_path), **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
