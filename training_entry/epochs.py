"""What happens at the end of every epoch: the checkpoint, the best model so far, the metric line.

All of it is written while the next epoch trains, and is written before that one is saved. With several GPUs ultralytics
pickles the callbacks into other processes, so they are methods of what is plain data by then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training_entry import durable, metrics, publish, ranks, stopping
from training_entry.checkpoints import Store
from training_entry.job import Paths
from training_entry.publish import Progress


@dataclass(frozen=True)
class Finished:
    """An epoch as its training and validation left it; `found` is the evaluation of its model if that is the best."""

    epoch: int
    last: bool
    values: Mapping[str, float]
    found: Mapping[str, Any] | None
    saved: Mapping[str, Path]


@dataclass
class Epochs:
    """Ultralytics' callbacks of one training."""

    paths: Paths
    store: Store
    progress: Progress
    started: float = 0.0
    writing: Future[None] | None = None

    def attach(self, model: Any) -> None:
        """Register the callbacks with a YOLO model."""
        for event in (
            "on_pretrain_routine_start",
            "on_pretrain_routine_end",
            "on_train_epoch_start",
            "on_train_batch_end",
            "on_train_epoch_end",
            "on_val_batch_end",
            "on_model_save",
            "on_train_end",
            "teardown",
        ):
            model.add_callback(event, getattr(self, event))

    def on_pretrain_routine_start(self, _trainer: Any) -> None:
        """Replace ultralytics' test of mixed precision, which downloads a model, by its own list of unfit GPUs."""
        from ultralytics.engine import trainer as engine

        engine.check_amp = _mixed_precision

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Say how many images ultralytics could not use; it trains without them."""
        stopping.check(self.paths.stop_flag)
        if not ranks.first():
            return
        for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader)):
            listed = len((self.paths.work / f"{split}.txt").read_text(encoding="utf-8").splitlines())
            used = len(loader.dataset)
            if used < listed and not (split == "train" and trainer.args.fraction < 1):
                print(f"UNUSABLE {listed - used} of {listed} {split} images: see the warnings above", flush=True)

    def on_train_epoch_start(self, _trainer: Any) -> None:
        """Start the epoch's clock."""
        self.started = time.monotonic()

    def on_train_batch_end(self, _trainer: Any) -> None:
        """End here if SIGTERM came."""
        stopping.check(self.paths.stop_flag)

    def on_val_batch_end(self, _validator: Any) -> None:
        """End here if SIGTERM came."""
        stopping.check(self.paths.stop_flag)

    def on_train_epoch_end(self, _trainer: Any) -> None:
        """Have the epoch before written, whose files ultralytics is about to replace."""
        self._written()

    def on_model_save(self, trainer: Any) -> None:
        """Have the finished epoch written while the next one trains; the last one at once."""
        last = bool(trainer.stop)
        best = trainer.best_fitness == trainer.fitness or not self.paths.best.is_file()
        finished = Finished(
            trainer.epoch + 1,
            last,
            metrics.epoch_values(trainer, time.monotonic() - self.started),
            _evaluation(trainer) if best else None,
            {
                "last.pt": trainer.last,
                "trained.pt": trainer.best if trainer.best.is_file() else trainer.last,
                "results.csv": trainer.csv,
                "args.yaml": trainer.save_dir / "args.yaml",
            },
        )
        with_own_thread = ThreadPoolExecutor(1)
        self.writing = with_own_thread.submit(self._write, finished)
        with_own_thread.shutdown(wait=False)
        if last:
            self._written()

    def on_train_end(self, trainer: Any) -> None:
        """Keep what the final evaluation of the best model found."""
        self._keep(int(publish.read(self.paths.best_metrics)["best_epoch"]), _evaluation(trainer))

    def teardown(self, _trainer: Any) -> None:
        """Wait for what is being written, however the training ended; tell other processes why it failed."""
        if self.writing:
            wait([self.writing])
        ranks.tell_failure(self.paths.work)

    def _written(self) -> None:
        if self.writing:
            self.writing.result()

    def _write(self, finished: Finished) -> None:
        """Make the epoch durable, publish the best model so far, print the metric line."""
        if finished.found:
            self._take_best(finished.saved["trained.pt"])
            self._keep(finished.epoch, finished.found)
        best = {"best.pt": self.paths.best, "best.json": self.paths.best_metrics}
        progress = self.progress.after(finished.epoch, finished=finished.last)
        saved = {name: place for name, place in finished.saved.items() if name != "trained.pt"}
        self.store.save(finished.epoch, finished=finished.last, files={**saved, **best})
        publish.best_so_far(self.paths, progress)
        self.store.show({name: self.paths.model / name for name in ("best.pt", "metrics.json", "results.csv")})
        # A line of its own, whatever progress bar the next epoch shows meanwhile.
        print(f"\n{metrics.metric_line(finished.values)}\n", end="", flush=True)

    def _take_best(self, trained: Path) -> None:
        from ultralytics.utils.torch_utils import strip_optimizer

        draft = self.paths.best.with_name("stripped.pt")
        strip_optimizer(trained, s=str(draft))
        durable.copy(draft, self.paths.best)

    def _keep(self, epoch: int, found: Mapping[str, Any]) -> None:
        durable.write_json(self.paths.best_metrics, {"best_epoch": epoch, **found})


def _evaluation(trainer: Any) -> dict[str, Any]:
    return metrics.evaluation(trainer.validator.metrics, len(trainer.validator.dataloader.dataset))


def _mixed_precision(model: Any) -> bool:
    """Whether fp16 is worth trying: on CUDA, but for the small Turing cards where it gives NaN."""
    import torch

    device = next(model.parameters()).device
    if device.type != "cuda":
        return False
    name = torch.cuda.get_device_name(device).lower()
    return not any(card in name for card in ("1660", "1650", "1630", "t400", "t550", "t600", "t1000", "t1200", "t2000"))
