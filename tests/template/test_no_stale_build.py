"""A rebuild ships what is there now: nothing new is missing, nothing removed is left."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local_cloud.deploy import SAM_BIN, SOURCES
from local_cloud.process import ROOT


@pytest.mark.slow
def test_a_module_that_was_removed_is_not_shipped_by_the_next_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in SOURCES:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source / name)
    extra = source / "traindrop/extra.py"
    extra.write_text('"""Here today."""\n')
    _build(source, tmp_path)
    assert len(list(source.glob(".aws-sam/build/*/traindrop/extra.py"))) == 1
    extra.unlink()
    _build(source, tmp_path)
    assert list(source.glob(".aws-sam/build/*/traindrop/drops.py"))
    assert not list(source.glob(".aws-sam/build/*/traindrop/extra.py"))


def _build(source: Path, home: Path) -> None:
    done = subprocess.run(
        [str(SAM_BIN / "sam"), "build"],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "PATH": f"{SAM_BIN}{os.pathsep}{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(home),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
