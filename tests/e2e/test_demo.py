"""The demo as a user starts it: a process of its own, a real training, a spot interruption."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Showing

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 900

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training")]


def start(folder: Path, scratch: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--folder", str(folder)],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def processes_in(scratch: Path) -> list[str]:
    """Command lines of processes that work in or below a folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=30).stdout
    return [line for line in listed.splitlines() if str(scratch) in line]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_a_dropped_dataset_becomes_a_model_a_report_and_one_message(demo: Showing) -> None:
    output, folder, scratch = demo.output, demo.folder, demo.scratch
    assert demo.exit_code == 0, output
    for state in ("ValidateDataset", "TrainModel", "ExtractModel", "PublishMetrics", "WriteReport", "RunCompleted"):
        assert f"state {state}" in output
    assert "spot interruption" in output
    assert "went on from its checkpoint: 2 epochs were already done" in output
    epochs = [int(number) for number in re.findall(r"epoch (\d+)/9 ", output)]
    assert epochs == list(range(1, 10))
    assert output.count("message: Completed") == 1
    assert re.search(r"\$\d+\.\d{4} it would cost on AWS", output)
    assert re.search(r"\d\.\d s {2}drop \(upload included\) to training job", output)
    assert re.search(r"\d\.\d s {2}end of training to notification", output)
    assert "Traceback" not in output
    assert (folder / "best.pt").stat().st_size > 1_000_000
    assert (folder / "best.onnx").stat().st_size > 1_000_000
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "floor plans" in report
    assert "data:image/jpeg;base64," in report
    assert processes_in(scratch) == []
    assert list(scratch.iterdir()) == []


def test_an_interrupt_during_training_leaves_nothing_behind(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "demo"
    process = start(folder, scratch)
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + DEADLINE_SECONDS
        for line in process.stdout:
            if "job Training" in line:
                break
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "nothing is left running" in output
    assert "Traceback" not in output
    assert processes_in(scratch) == []
    assert list(scratch.iterdir()) == []
    assert not folder.exists()
