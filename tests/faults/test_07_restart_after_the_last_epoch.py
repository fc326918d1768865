"""A host that is lost after the last epoch costs no epoch: the next one only delivers."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Rows
from tests.faults.training import epochs_of
from tests.training_host import Host, draw_dataset, make_host, signal_at

EPOCHS = 2
MODEL = ("best.pt", "best.onnx", "metrics.json", "results.csv", "args.yaml")


def delivered(host: Host) -> bool:
    """Whether the model folder holds all that a training delivers."""
    return all((host.model / name).is_file() for name in MODEL) and sampled(host)


def sampled(host: Host) -> bool:
    """Whether the first of the sample predictions is there."""
    return any(host.model.glob("samples/1-*.jpg"))


def kill_when(there: Callable[[], bool], text: str) -> Callable[[subprocess.Popen[str], str], None]:
    """Kill the container at the first line with the text from which on something is there."""

    def react(process: subprocess.Popen[str], line: str) -> None:
        if text in line:
            while process.poll() is None and not there():
                pass
            process.kill()

    return react


@pytest.mark.long
def test_a_restart_after_the_last_epoch_trains_none_and_finishes(row: Rows, tmp_path: Path) -> None:
    line = row(
        7,
        fault="restart after the last epoch",
        injected="SIGKILL before packaging, during it, and after everything was delivered",
        promise="finishes",
    )
    draw_dataset(tmp_path / "data", {"train": 12, "val": 4})
    last = f"METRIC epoch={EPOCHS};"
    before = make_host(tmp_path / "before", tmp_path / "data", arguments={"epochs": EPOCHS})
    before.run(signal_at(signal.SIGKILL, last, 0))
    assert last in before.log, before.log
    assert not (before.model / "best.onnx").exists()
    during = before.emptied(tmp_path / "during")
    during.run(kill_when(lambda: sampled(during), "ALREADY FINISHED"))
    assert sampled(during), during.log
    assert not delivered(during)
    after = during.emptied(tmp_path / "after")
    after.run(kill_when((after.checkpoints / "done.json").is_file, "DONE after"))
    assert delivered(after), after.log
    assert (after.checkpoints / "done.json").is_file()
    ends, extra, whole = [], [], []
    for name, host in (("before", before), ("during", during), ("after", after)):
        again = host.emptied(tmp_path / f"again-{name}")
        ends.append(again.run())
        extra.append(len(epochs_of(again.printed)))
        whole.append(delivered(again) and again.csv_epochs() == list(range(1, EPOCHS + 1)))
        assert "ALREADY FINISHED" in again.log, again.log
    line.figure(f"exit {ends}, extra epochs {extra}, model whole {whole}")
    assert ends == [0, 0, 0]
    assert extra == [0, 0, 0]
    assert whole == [True, True, True]
