"""`traindrop watch` and `traindrop fetch` on the local cloud, as users run them."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Command, environment
from tests.stack import UNTIL_STOPPED, Stack, dataset_files

EVERY = ("--every", "0.1")
EPOCHS = 80
"""The stub takes eight seconds for so many, so that a run is still on when somebody begins to follow it."""


@pytest.fixture(scope="module")
def completed(stack: Stack) -> str:
    """A run that has ended well."""
    stack.drop_zip("watched")
    return str(stack.ended("watched")["name"])


def test_a_run_is_followed_to_its_end_and_told(stack: Stack, traindrop: Command) -> None:
    settings = f"epochs: {EPOCHS}\nimgsz: 64\nbatch: 2\n"
    stack.drop_zip("followed", dataset_files(settings=settings, marker="followed"))
    run_id = stack.execution("followed")["name"]
    done = traindrop("watch", run_id, *EVERY)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    told = [line[10:] for line in lines]
    assert "Completed: followed" in lines
    assert any(line.startswith("job Training") for line in told), lines
    assert [line.split()[1] for line in told if line.startswith("epoch ")] == [
        f"{number}/{EPOCHS}" for number in range(1, EPOCHS + 1)
    ]
    assert any("mask mAP50 0." in line for line in told if line.startswith("epoch "))
    assert f"Fetch it with: traindrop fetch {run_id}" in lines
    assert not [line for line in lines if "\x1b" in line]


@pytest.mark.usefixtures("completed")
def test_events_are_json_lines_and_a_dataset_stands_for_its_newest_run(traindrop: Command) -> None:
    done = traindrop("watch", "watched", *EVERY, "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert found[-1] == {"kind": "end", "words": "Completed", "outcome": "Completed"}


@pytest.mark.parametrize(("name", "outcome", "code"), [("watch-bad", "Rejected", 3)])
def test_the_exit_code_is_the_outcomes(stack: Stack, traindrop: Command, name: str, outcome: str, code: int) -> None:
    stack.put(f"datasets/{name}.zip", b"no zip")
    run_id = stack.ended(name)["name"]
    done = traindrop("watch", run_id, *EVERY)
    assert (done.returncode, done.stderr) == (code, "")
    assert f"{outcome}: {name}" in done.stdout
    assert "not a readable zip" in done.stdout


def test_the_log_is_shown_on_demand_and_an_interrupt_leaves_the_run_alone(stack: Stack, tmp_path: Path) -> None:
    stack.drop_zip("left", {**dataset_files(marker="left"), "training.yaml": UNTIL_STOPPED.encode()})
    execution = stack.execution("left")
    control, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "traindrop", "watch", execution["name"], *EVERY, "--log"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**environment(stack, tmp_path), "TERM": "xterm", "COLUMNS": "120"},
        start_new_session=True,
    )
    os.close(terminal)
    shown, deadline = "", time.monotonic() + 60
    while time.monotonic() < deadline and "epoch 2/5000" not in shown:
        if select.select([control], [], [], 0.2)[0]:
            shown += os.read(control, 65536).decode(errors="replace")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130, shown
    os.close(control)
    assert "epoch 2/5000" in shown
    assert "\x1b[" in shown
    assert "FRESH start" in shown
    assert stack.sfn.describe_execution(executionArn=execution["executionArn"])["status"] == "RUNNING"
    stack.sfn.stop_execution(executionArn=execution["executionArn"])
    stack.message("left", "Stopped")


def test_who_is_no_run_is_told(traindrop: Command) -> None:
    done = traindrop("watch", "nobody-20261101T101500-0a1b2c3d", *EVERY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no run nobody-20261101T101500-0a1b2c3d; `traindrop runs` lists them" in done.stderr
    done = traindrop("watch", "never-dropped", *EVERY)
    assert done.returncode == 1
    assert "no run of a dataset of that name" in done.stderr


def test_a_model_is_fetched_once(completed: str, traindrop: Command, tmp_path: Path) -> None:
    done = traindrop("fetch", completed)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / completed
    there = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"best.pt", "best.onnx", "report.html", "metrics.json", "results.csv", "args.yaml"} <= there
    assert f"{completed}/report.html: the report" in done.stdout
    assert "traindrop polygons --model" in done.stdout
    (folder / "best.pt").chmod(0o400)
    again = json.loads(traindrop("fetch", "watched", "--to", folder, "--json").stdout)
    assert again["run_id"] == completed
    assert {Path(path).name for path in again["files"]} == there
    assert (folder / "best.pt").stat().st_mode & 0o777 == 0o400
    (folder / "best.pt").chmod(0o600)
    (folder / "best.pt").write_bytes(b"torn")
    assert traindrop("fetch", completed).returncode == 0
    assert (folder / "best.pt").stat().st_size > 4
    assert not list(folder.glob("*.part"))


def test_what_has_no_model_is_told(traindrop: Command, tmp_path: Path, completed: str) -> None:
    done = traindrop("fetch", "nobody-20261101T101500-0a1b2c3d")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the run nobody-20261101T101500-0a1b2c3d has no model (nothing lies in s3://" in done.stderr
    done = traindrop("fetch", "never-dropped")
    assert done.returncode == 1
    assert "there is no model of never-dropped" in done.stderr
    (tmp_path / "file").write_text("")
    done = traindrop("fetch", completed, "--to", "file")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
