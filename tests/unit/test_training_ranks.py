"""What the entry does while other processes train, and while an epoch is written beside the next one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError
from types import SimpleNamespace
from typing import Any

import pytest

from training_entry import epochs, metrics, ranks, stopping
from training_entry.checkpoints import History, Store
from training_entry.job import Paths
from training_entry.publish import Progress


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """Folders of a job whose process listens for SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield Paths(tmp_path, tmp_path)
    signal.signal(signal.SIGTERM, before)


def test_sigterm_is_left_to_the_ranks_and_raised_once_they_have_ended(paths: Paths) -> None:
    stopping.listen(paths.stop_flag)
    seen = []

    def wait_for_ranks() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append(paths.stop_flag.exists())
        raise CalledProcessError(1, "ranks")

    with pytest.raises(stopping.Stopped), ranks.awaited(paths):
        wait_for_ranks()
    assert seen == [True]


def test_without_sigterm_it_raises_again_afterwards(paths: Paths) -> None:
    stopping.listen(paths.stop_flag)
    with ranks.awaited(paths):
        pass
    with pytest.raises(stopping.Stopped):
        os.kill(os.getpid(), signal.SIGTERM)


def test_the_first_rank_that_failed_says_why_and_an_older_failure_does_not(paths: Paths) -> None:
    (paths.work / "rank-2.failed").write_text("an earlier start's")

    def fail() -> None:
        for moment, rank, words in ((2, 0, "RuntimeError: connection closed by peer"), (1, 1, "OSError: no space")):
            (paths.work / f"rank-{rank}.failed").write_text(words)
            os.utime(paths.work / f"rank-{rank}.failed", (moment, moment))
        raise CalledProcessError(1, "ranks")

    with pytest.raises(RuntimeError, match=r"^OSError: no space$"), ranks.awaited(paths):
        fail()


def test_a_rank_that_could_say_nothing_leaves_the_launchers_words(paths: Paths) -> None:
    with pytest.raises(RuntimeError, match="returned non-zero exit status 1"), ranks.awaited(paths):
        raise CalledProcessError(1, "torch.distributed.run")


class Slow(epochs.Epochs):
    """Callbacks whose writing waits for a sign, and fails if it is told to."""

    sign = threading.Event()
    error: Exception | None = None

    def _write(self, finished: epochs.Finished) -> None:
        assert self.sign.wait(30)
        if self.error:
            raise self.error
        (self.paths.work / f"{finished.epoch}").touch()


def saved(paths: Paths, monkeypatch: pytest.MonkeyPatch, *, last: bool, error: Exception | None = None) -> Slow:
    """Callbacks that are writing the first epoch."""
    monkeypatch.setattr(metrics, "epoch_values", lambda *_: {})
    monkeypatch.setattr(epochs, "_evaluation", lambda _: {})
    place = paths.work / "last.pt"
    place.touch()
    trainer: Any = SimpleNamespace(
        epoch=0, stop=last, best_fitness=1, fitness=1, last=place, best=place, csv=place, save_dir=paths.work
    )
    slow = Slow(paths, Store(paths.work, "run"), Progress("segment", {0: "room"}, 5, History(1)))
    slow.sign, slow.error = threading.Event(), error
    threading.Timer(0.05, slow.sign.set).start()
    slow.on_model_save(trainer)
    return slow


def test_an_epoch_is_written_before_the_next_one_is_saved(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = saved(paths, monkeypatch, last=False)
    slow.on_train_epoch_end(None)
    assert (paths.work / "1").exists()


def test_the_last_epoch_is_written_at_once(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(paths, monkeypatch, last=True)
    assert (paths.work / "1").exists()


def test_an_epoch_that_cannot_be_written_ends_the_training(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = saved(paths, monkeypatch, last=False, error=OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        slow.on_train_epoch_end(None)


def test_the_end_waits_for_what_is_being_written(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "tell_failure", lambda _: None)
    slow = saved(paths, monkeypatch, last=False)
    slow.teardown(None)
    assert (paths.work / "1").exists()
