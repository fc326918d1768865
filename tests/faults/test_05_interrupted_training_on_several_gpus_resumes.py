"""On several GPUs, where ultralytics trains in a process for each: interrupted, stopped, failing."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.conftest import Rows
from tests.faults.training import epochs_of
from tests.training_host import draw_dataset, make_host
from tests.two_ranks import TwoRanks, family, kill_all

EPOCHS = 4


def host(folder: Path, epochs: int) -> TwoRanks:
    """A machine with two GPUs and a small dataset."""
    draw_dataset(folder / "data", {"train": 12, "val": 4})
    return TwoRanks(make_host(folder / "host", folder / "data", arguments={"epochs": epochs}).folder)


def saves(machine: TwoRanks) -> list[str]:
    """The checkpoints that were written, `<epoch> by rank <rank>`, in their order."""
    return re.findall(r"^SAVED (.*)$", machine.log, re.MULTILINE)


@pytest.mark.long
def test_two_ranks_killed_together_resume_and_each_epoch_is_saved_once(row: Rows, tmp_path: Path) -> None:
    line = row(
        5,
        fault="spot interruption of an instance with two GPUs",
        injected=f"SIGKILL of entry, launcher and two ranks (gloo, processors) after epoch 2 of {EPOCHS}",
        promise="resumes",
    )
    killed = host(tmp_path, EPOCHS)
    taken: list[int] = []

    def kill(process: subprocess.Popen[str], text: str) -> None:
        if "METRIC epoch=2;" in text and not taken:
            taken.append(kill_all(process))

    killed.run(kill)
    again = TwoRanks(killed.emptied(tmp_path / "again").folder)
    code = again.run()
    rows = again.csv_epochs() if code == 0 else []
    line.figure(
        f"{taken} processes killed; saved before: {saves(killed)}, after: {saves(again)}; results.csv {rows}, "
        f"metric lines {epochs_of(killed.printed) + epochs_of(again.printed)}"
    )
    assert code == 0, again.log
    assert taken == [4]
    assert saves(killed)[:2] == ["1 by rank 0", "2 by rank 0"]
    assert "RESUME from epoch 2\n" in again.log
    assert saves(again) == ["3 by rank 0", "4 by rank 0"]
    assert epochs_of(again.printed) == [3, 4]
    assert rows == [1, 2, 3, 4]
    metrics = again.metrics()
    assert (metrics["epochs_trained"], metrics["resumed_from_epochs"], metrics["validation_images"]) == (4, [2], 4)
    assert (again.model / "best.onnx").is_file()


def test_sigterm_ends_every_rank_and_delivers_the_best_so_far(row: Rows, tmp_path: Path) -> None:
    line = row(
        5,
        fault="SIGTERM to a training on two GPUs",
        injected="SIGTERM to the entry alone, after the first epoch of 60",
        promise="every rank ends, best so far delivered",
    )
    machine = host(tmp_path, 60)
    ranks: list[int] = []
    alive: list[int] = []
    sent: list[float] = []

    def stop(process: subprocess.Popen[str], text: str) -> None:
        if "METRIC epoch=1;" in text and not sent:
            ranks.extend(family(process)[1:])
            sent.append(time.monotonic())
            process.terminate()
        if text.startswith("STOPPED "):
            alive.extend(pid for pid in ranks if Path(f"/proc/{pid}").exists())

    code = machine.run(stop)
    line.figure(
        f"exit {code} after {time.monotonic() - sent[0]:.1f} s, {len(alive)} of {len(ranks)} other processes alive at "
        f"the delivery, saved {saves(machine)}, delivered after epoch {machine.metrics()['epochs_trained']}"
    )
    assert code == 143, machine.log
    assert len(ranks) == 3
    assert alive == []
    done = machine.csv_epochs()[-1]
    assert saves(machine) == [f"{epoch} by rank 0" for epoch in range(1, done + 1)]
    assert f"STOPPED after epoch {done}; delivering" in machine.log
    assert machine.metrics()["epochs_trained"] == done < 60
    assert (machine.model / "best.onnx").is_file()
    assert not (machine.root / "output/failure").exists()


@pytest.mark.long
def test_why_a_rank_failed_is_told_with_its_cure(row: Rows, tmp_path: Path) -> None:
    line = row(
        5,
        fault="one of two GPUs runs out of memory",
        injected="torch's own error, in rank 1 alone",
        promise="told with its cure",
    )
    machine = host(tmp_path, EPOCHS)
    code = machine.run(FAILING_RANK="1")
    line.figure(f"exit {code}: {machine.failure.strip()}")
    assert code == 15, machine.log
    assert machine.failure.startswith("The GPU ran out of memory with batch 4 and imgsz 64; set a smaller batch")
