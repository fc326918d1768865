"""The locked lists: installable without a compiler where they are promised to be, and free of any host's name."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from local_cloud.process import ROOT

LISTS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("name", [name for name in LISTS if name not in ("torch-cpu", "images")])
def test_every_package_has_a_wheel_for_macos_on_arm(name: str, tmp_path: Path) -> None:
    uv: list[str | Path] = [
        ROOT / ".venvs/uv/bin/uv",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--no-deps",
        "--no-config",
    ]
    only_wheels: list[str | Path] = ["--require-hashes", "--only-binary", ":all:", "--target", tmp_path]
    platform = ["--python-platform", "aarch64-apple-darwin", "--python-version", "3.12"]
    done = subprocess.run(
        [*uv, *only_wheels, *platform, "-r", ROOT / f"requirements/{name}.txt"],
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LISTS)
def test_a_list_names_no_host_and_pins_every_package_by_hash(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    assert "://" not in text
    assert "--index" not in text
    packages = re.findall(r"^[a-z][^\n]*==.*", text, re.MULTILINE)
    assert packages
    assert all(package.endswith("\\") for package in packages)
