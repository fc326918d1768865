"""A training job from start to end: `python3 -m training_entry.train <root> <work>`, as entry.sh calls it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import traceback
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from training_entry import champion, dataset, devices, durable, failure, offline, publish, ranks, stopping, weights
from training_entry.checkpoints import Generation, Store
from training_entry.epochs import Epochs
from training_entry.job import Job, Paths, read_job

_RESUMABLE = ("cache", "workers", "plots")
"""Arguments that ultralytics takes anew when it resumes; the others come from the checkpoint."""


def main(root: Path, work: Path) -> int:
    """Train, resume, or just publish again; answer the process's exit code.

    0: done. 143: stopped by SIGTERM, with the best model so far published. Else the reason is in output/failure.
    """
    paths = Paths(root, work)
    job: Job | None = None
    try:
        stopping.listen(paths.stop_flag)
        paths.failure.unlink(missing_ok=True)
        job = read_job(paths.config)
        Training.prepare(job, paths).run()
        return 0
    except stopping.Stopped:
        return failure.STOPPED
    except Exception as error:  # noqa: BLE001  (whatever it is, the job must say why it failed)
        traceback.print_exc()
        reason = failure.explain(error, job.arguments if job else {})
        failure.report(reason, paths.failure)
        print(f"FAILED {reason}", file=sys.stderr, flush=True)
        return reason.exit_code


@dataclass
class Training:
    """A training whose data lies ready, with the checkpoint that it goes on from."""

    job: Job
    paths: Paths
    device: str
    data: dataset.Dataset
    store: Store
    generation: Generation | None
    progress: publish.Progress

    @classmethod
    def prepare(cls, job: Job, paths: Paths) -> Training:
        """Check the machine first, then the dataset; nothing is kept of what an earlier start left in `work`."""
        offline.prepare(paths.work)
        os.chdir(paths.work)
        device = devices.choose(paths.root, int(job.arguments.get("batch", 16)))
        print(
            f"Run {job.run_id} on {devices.instance_type(paths.root) or 'this machine'}, device {device}: Python "
            f"{platform.python_version()}, "
            + ", ".join(
                f"{name} {metadata.version(name)}" for name in ("torch", "ultralytics", "numpy", "onnx", "onnxruntime")
            ),
            flush=True,
        )
        data = dataset.prepare(job, paths)
        shutil.rmtree(paths.run, ignore_errors=True)
        paths.best.unlink(missing_ok=True)
        store = Store(paths.checkpoints, job.run_id)
        generation = store.restore()
        history = store.register_start(generation)
        for reason in store.rejected:
            print(f"CHECKPOINT REJECTED {reason}", flush=True)
        progress = publish.Progress(
            job.task, job.class_names, job.epochs, history, data.left_out, data.validation_split
        )
        return cls(job, paths, device, data, store, generation, progress)

    def run(self) -> None:
        """Train what is left to train, then deliver; after SIGTERM deliver the best so far and raise Stopped."""
        try:
            if self.generation and self.generation.finished:
                print("ALREADY FINISHED", flush=True)
                self._take_over(self.generation)
                self._evaluate_once()
            else:
                self._train()
            met = champion.meet(self.job, self.paths, self.data, self.device, self.store)
            self.progress = replace(self.progress, champion=met)
            self._deliver()
            self.store.mark_done(publish.read(self.paths.best_metrics))
        except (stopping.Stopped, Exception) as error:
            if not self.paths.stop_flag.exists():
                raise
            self._deliver_best_so_far()
            raise stopping.Stopped from error

    def _train(self) -> None:
        if self.generation:
            from ultralytics import YOLO

            print(f"RESUME from epoch {self.generation.epoch}", flush=True)
            self._take_over(self.generation)
            model = YOLO(str(self.paths.run / "weights/last.pt"))
            arguments = {name: value for name, value in self.job.arguments.items() if name in _RESUMABLE}
            arguments["resume"] = True
        else:
            print("FRESH start", flush=True)
            model = weights.load(self.job, self.paths)
            arguments = self.job.arguments
        Epochs(self.paths, self.store, self.progress).attach(model)
        with ranks.awaited(self.paths) if "," in self.device else nullcontext():
            model.train(
                **arguments,
                data=str(self.data.description),
                device=self.device,
                save_dir=str(self.paths.run),
                exist_ok=True,
            )

    def _take_over(self, generation: Generation) -> None:
        """Put a checkpoint's files where ultralytics and the delivery look; that is scratch, not flushed to disk."""
        restored, run = self.paths.work / "restored", self.paths.run
        generation.unpack(restored)
        for name, place in (
            ("last.pt", run / "weights/last.pt"),
            ("best.pt", run / "weights/best.pt"),
            ("best.pt", self.paths.best),
            ("best.json", self.paths.best_metrics),
            ("results.csv", run / "results.csv"),
            ("args.yaml", run / "args.yaml"),
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(restored / name, place)

    def _evaluate_once(self) -> None:
        evaluation = self.store.done()
        if evaluation is None:
            publish.evaluate(self.job, self.paths, self.data, self.device)
        else:
            durable.write_json(self.paths.best_metrics, evaluation)

    def _deliver(self) -> None:
        generation = self.store.restore()
        if generation is None:
            raise failure.TrainingError("The training ended without a checkpoint; the job's log has the rest.")
        progress = self.progress.after(generation.epoch, finished=generation.finished)
        publish.package(self.job, self.paths, self.data, progress, self.device)
        print(f"DONE after {generation.epoch} of {self.job.epochs} epochs", flush=True)

    def _deliver_best_so_far(self) -> None:
        """Complete what every epoch has published already; the grace period may end it at any point."""
        generation = self.store.restore()
        if generation is None:
            print("STOPPED before the first epoch was done", flush=True)
            return
        print(f"STOPPED after epoch {generation.epoch}; delivering the best model so far", flush=True)
        self._take_over(generation)
        progress = self.progress.after(generation.epoch, finished=generation.finished)
        publish.package(self.job, self.paths, self.data, progress, self.device)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
