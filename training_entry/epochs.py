"""What happens at the end of every epoch: the checkpoint, the best model so far, the metric line.

With several GPUs ultralytics pickles the callbacks into other processes, so they are methods of plain data.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from training_entry import durable, metrics, publish, stopping
from training_entry.checkpoints import Store
from training_entry.job import Paths
from training_entry.publish import Progress


@dataclass
class Epochs:
    """Ultralytics' callbacks of one training."""

    paths: Paths
    store: Store
    progress: Progress
    started: float = 0.0

    def attach(self, model: Any) -> None:
        """Register the callbacks with a YOLO model."""
        for event in (
            "on_pretrain_routine_start",
            "on_pretrain_routine_end",
            "on_train_epoch_start",
            "on_train_batch_end",
            "on_val_batch_end",
            "on_model_save",
            "on_train_end",
        ):
            model.add_callback(event, getattr(self, event))

    def on_pretrain_routine_start(self, _trainer: Any) -> None:
        """Replace ultralytics' test of mixed precision, which downloads a model, by its own list of unfit GPUs."""
        from ultralytics.engine import trainer as engine

        engine.check_amp = _mixed_precision

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Say how many images ultralytics could not use; it trains without them."""
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

    def on_model_save(self, trainer: Any) -> None:
        """Make the finished epoch durable, publish the best model so far, print the metric line."""
        epoch = trainer.epoch + 1
        if trainer.best_fitness == trainer.fitness or not self.paths.best.is_file():
            self._take_best(trainer, epoch)
        self.store.save(
            epoch,
            finished=bool(trainer.stop),
            files={
                "last.pt": trainer.last,
                "best.pt": self.paths.best,
                "best.json": self.paths.best_metrics,
                "results.csv": trainer.csv,
                "args.yaml": trainer.save_dir / "args.yaml",
            },
        )
        publish.best_so_far(self.paths, self.progress.after(epoch, finished=bool(trainer.stop)))
        self.store.show({name: self.paths.model / name for name in ("best.pt", "metrics.json", "results.csv")})
        print(metrics.metric_line(metrics.epoch_values(trainer, time.monotonic() - self.started)), flush=True)

    def on_train_end(self, trainer: Any) -> None:
        """Keep what the final evaluation of the best model found."""
        self._keep_evaluation(trainer, int(publish.read(self.paths.best_metrics)["best_epoch"]))

    def _take_best(self, trainer: Any, epoch: int) -> None:
        from ultralytics.utils.torch_utils import strip_optimizer

        draft = self.paths.best.with_name("stripped.pt")
        strip_optimizer(trainer.best if trainer.best.is_file() else trainer.last, s=str(draft))
        durable.copy(draft, self.paths.best)
        self._keep_evaluation(trainer, epoch)

    def _keep_evaluation(self, trainer: Any, epoch: int) -> None:
        found = metrics.evaluation(trainer.validator.metrics, len(trainer.validator.dataloader.dataset))
        durable.write_json(self.paths.best_metrics, {"best_epoch": epoch, **found})


def _mixed_precision(model: Any) -> bool:
    """Whether fp16 is worth trying: on CUDA, but for the small Turing cards where it gives NaN."""
    import torch

    device = next(model.parameters()).device
    if device.type != "cuda":
        return False
    name = torch.cuda.get_device_name(device).lower()
    return not any(card in name for card in ("1660", "1650", "1630", "t400", "t550", "t600", "t1000", "t1200", "t2000"))
