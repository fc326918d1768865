"""Stands in for the real training in tests: prints and leaves the same things, by default within a second.

Run as `stub_trainer.py <opt/ml> <checkpoints>`, standard library only. It reads job.json and the manifest of the config
channel, prints the real entry's lines, keeps a checkpoint every epoch and goes on from it, and leaves the files of a
trained model (a few bytes each, with curves that rise).

How long it takes: up to 50 epochs 0.2 seconds in all; more epochs a tenth of a second each, so that a test can catch
a job in Training by a setting that users have. TRAINDROP_STUB_SECONDS sets the seconds of all epochs together, and
so does the argument {"stub": {"seconds": 5, "fail": "CUDA out of memory", "fail_after_epochs": 2}} in job.json. With
TRAINDROP_STUB_SECONDS_PER_IMAGE it takes as long as a training does: a start two seconds, an epoch a twentieth of a
second, so much for each image of the train split and a third of that for each of val.
TRAINDROP_STUB_FAILS_WITH is the reason that it fails with. TRAINDROP_STUB_HOLD_AFTER_EPOCH makes it wait after that
epoch to be killed. SIGTERM ends it in the middle of an epoch, with the best so far and exit code 143.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

QUICK_EPOCHS, QUICK_SECONDS, SECONDS_PER_EPOCH = 50, 0.2, 0.1
HOLD_SECONDS = 30.0
STOPPED = 143
_LOSSES = {"box": 1.6, "seg": 2.8, "cls": 1.9, "dfl": 1.2, "sem": 0.6}
# A 32 x 32 picture of two rooms.
SAMPLE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm"
    "x5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAgACAD"
    "ASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKB"
    "kaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZ"
    "mqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQF"
    "BgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5"
    "OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX"
    "2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDbmuIoNvmvt3dOCai/tG0H/LX/AMdP+FVta/5Y/wDAv6Vlt90/So5nexnKbTsa39s2"
    "39yX8h/jUttqUFzMIkDqx6bh1o0n/kHRfj/M1FP/AMhy3/65n/2at7K7Q7vRjda/5Y/8C/pWW33T9K6C6tI7rbvLDbnG01XOkwEY3yfmP8Kw5XzX"
    "JlFt3H6T/wAg6L8f5mop/wDkOW//AFzP/s1NTS5kUKl9IqjoACB/OpbfT2iuVnluXlZQQMj/AOv71vpdu5WuiP/Z"
)


class Stub:
    """One start of the stand-in."""

    def __init__(self, opt_ml: Path, checkpoints: Path):
        self.model = opt_ml / "model"
        self.output = opt_ml / "output"
        self.checkpoints = checkpoints
        self.scratch = opt_ml / "input"
        config = opt_ml / "input/data/config"
        self.job: dict[str, Any] = json.loads((config / "job.json").read_text("utf-8"))
        self.splits: dict[str, Any] = {}
        if "manifest" in self.job:
            self.splits = json.loads(gzip.decompress((config / self.job["manifest"]).read_bytes()))["splits"]
        arguments = dict(self.job.get("arguments", {}))
        self.knobs: dict[str, Any] = arguments.pop("stub", {})
        if "TRAINDROP_STUB_FAILS_WITH" in os.environ:
            self.knobs["fail"] = os.environ["TRAINDROP_STUB_FAILS_WITH"]
        self.arguments = arguments
        self.epochs = int(arguments.get("epochs", 3))
        self.segments = self.job.get("task", "segment") == "segment"
        default = QUICK_SECONDS if self.epochs <= QUICK_EPOCHS else SECONDS_PER_EPOCH * self.epochs
        seconds = float(self.knobs.get("seconds", os.environ.get("TRAINDROP_STUB_SECONDS", default)))
        self.pause, self.warming_up = seconds / max(1, self.epochs), 0.0
        per_image = float(os.environ.get("TRAINDROP_STUB_SECONDS_PER_IMAGE", 0))
        if per_image:
            self.pause = 0.05 + per_image * (len(self.splits["train"]) + len(self.splits["val"]) / 3)
            self.warming_up = 2.0
        self.hold = os.environ.get("TRAINDROP_STUB_HOLD_AFTER_EPOCH")
        self.stopping = False
        self.began_after = 0
        self.state: dict[str, Any] = {"epochs": 0, "finished": False, "rows": [], "resumed": [], "starts": 0}

    def run(self) -> int:
        """Train; the exit code."""
        signal.signal(signal.SIGTERM, self._on_term)
        time.sleep(self.warming_up)
        self._restore()
        if self.state["finished"]:
            say("ALREADY FINISHED")
        else:
            for epoch in range(self.state["epochs"] + 1, self.epochs + 1):
                if "fail" in self.knobs and self.state["epochs"] >= int(self.knobs.get("fail_after_epochs", 0)):
                    return self._fail(str(self.knobs["fail"]))
                if not self._epoch(epoch):
                    break
        self.state["finished"] = self.state["epochs"] >= self.epochs
        self._keep()
        self._deliver()
        return STOPPED if self.stopping else 0

    def _restore(self) -> None:
        kept = self.checkpoints / "stub.json"
        if kept.exists():
            self.state = json.loads(kept.read_text("utf-8"))
        done = self.began_after = self.state["epochs"]
        self.state["starts"] += 1
        if done and not self.state["finished"]:
            self.state["resumed"].append(done)
        if not self.state["finished"]:
            say(f"RESUME from epoch {done}" if done else "FRESH start")

    def _epoch(self, epoch: int) -> bool:
        """Finish an epoch; False when SIGTERM came before its end."""
        deadline = time.monotonic() + self.pause
        while not self.stopping and time.monotonic() < deadline:
            time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))
        if self.stopping:
            return False
        self.state["epochs"] = epoch
        self.state["rows"].append(self._row(epoch))
        self._keep()
        say(self._line(epoch))
        if self.hold is not None and epoch >= int(self.hold):
            time.sleep(HOLD_SECONDS)
        return not self.stopping

    def _values(self, epoch: int) -> dict[str, float]:
        """Losses fall and scores rise with the share of epochs done."""
        share = epoch / self.epochs
        values = {f"{name}_loss": round(start * (1 - 0.7 * share), 5) for name, start in self._losses().items()}
        values |= {f"val_{name}": round(value * 1.1, 5) for name, value in list(values.items())}
        for kind, top in (("mask", 0.93), ("box", 0.95)):
            if kind == "mask" and not self.segments:
                continue
            values[f"precision_{kind}"] = round(top * share, 5)
            values[f"recall_{kind}"] = round(top * share * 0.97, 5)
            values[f"map50_{kind}"] = round(top * share, 5)
            values[f"map50_95_{kind}"] = round(top * share * 0.75, 5)
        return values | {"lr": round(0.002 * (1 - 0.9 * share), 6)}

    def _losses(self) -> dict[str, float]:
        return _LOSSES if self.segments else {name: _LOSSES[name] for name in ("box", "cls", "dfl")}

    def _line(self, epoch: int) -> str:
        parts: dict[str, Any] = {"epoch": epoch, "epochs": self.epochs, "seconds": round(self.pause, 2)}
        return "METRIC " + " ".join(f"{name}={value};" for name, value in (parts | self._values(epoch)).items())

    def _row(self, epoch: int) -> dict[str, float]:
        """A row of ultralytics' results.csv."""
        values = self._values(epoch)
        row: dict[str, float] = {"epoch": epoch, "time": round((epoch - self.began_after) * self.pause, 3)}
        row |= {f"train/{name}_loss": values[f"{name}_loss"] for name in self._losses()}
        for letter, kind in (("B", "box"), ("M", "mask")):
            if f"map50_{kind}" in values:
                row |= {
                    f"metrics/precision({letter})": values[f"precision_{kind}"],
                    f"metrics/recall({letter})": values[f"recall_{kind}"],
                    f"metrics/mAP50({letter})": values[f"map50_{kind}"],
                    f"metrics/mAP50-95({letter})": values[f"map50_95_{kind}"],
                }
        row |= {f"val/{name}_loss": values[f"val_{name}_loss"] for name in self._losses()}
        return row | {f"lr/pg{group}": values["lr"] for group in range(3)}

    def _keep(self) -> None:
        """Keep a checkpoint whole at any moment: written beside the folder, then moved in."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        files = {
            "last.pt": f"stub weights after epoch {self.state['epochs']}\n",
            "best.pt": f"stub weights after epoch {self.state['epochs']}\n",
            "results.csv": self._csv(),
            "stub.json": json.dumps(self.state),
        }
        for name, text in files.items():
            scratch = self.scratch / f".{name}"
            scratch.write_text(text, "utf-8")
            os.replace(scratch, self.checkpoints / name)  # noqa: PTH105

    def _csv(self) -> str:
        rows = self.state["rows"]
        lines = [",".join(rows[0])] if rows else []
        return "".join(
            f"{line}\n" for line in lines + [",".join(f"{item:.6g}" for item in row.values()) for row in rows]
        )

    def _metrics(self) -> dict[str, Any]:
        epoch = self.state["epochs"]
        values = self._values(epoch) if epoch else {}
        scores = {name: value for name, value in values.items() if name.endswith(("_mask", "_box"))}
        names: dict[str, str] = self.job.get("data", {}).get("names", {"0": "room"})
        kind = "_mask" if self.segments else "_box"
        per_class = {name: value for name, value in scores.items() if name.startswith("map50") and name.endswith(kind)}
        images = len(self.splits.get("val", ()))
        return {
            "task": self.job.get("task", "segment"),
            "names": names,
            "epochs_trained": epoch,
            "epochs_requested": self.epochs,
            "best_epoch": epoch,
            **scores,
            "classes": {name: {**per_class, "instances": images} for name in names.values()},
            "validation_images": images,
            "validation_instances": images,
            "host_starts": self.state["starts"],
            "resumed_from_epochs": self.state["resumed"],
            "checkpoints_rejected": [],
            "stopped_early": epoch < self.epochs,
            "ultralytics": "stub",
            "torch": "stub",
        }

    def _deliver(self) -> None:
        """The files of a trained model; none where no epoch was finished."""
        if not self.state["epochs"]:
            return
        (self.model / "samples").mkdir(parents=True, exist_ok=True)
        (self.model / "best.pt").write_text(f"stub weights after epoch {self.state['epochs']}\n", "utf-8")
        (self.model / "best.onnx").write_text("stub onnx\n", "utf-8")
        (self.model / "metrics.json").write_text(json.dumps(self._metrics(), indent=1), "utf-8")
        (self.model / "results.csv").write_text(self._csv(), "utf-8")
        arguments = {"task": self.job.get("task", "segment"), "model": self.job.get("model"), **self.arguments}
        (self.model / "args.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in arguments.items()), "utf-8")
        (self.model / "samples" / "sample_0.jpg").write_bytes(SAMPLE)

    def _fail(self, reason: str) -> int:
        say(f"Traceback (most recent call last):\nRuntimeError: {reason}")
        self.output.mkdir(parents=True, exist_ok=True)
        (self.output / "failure").write_text(f"RuntimeError: {reason}", "utf-8")
        return 1

    def _on_term(self, *_: object) -> None:
        self.stopping = True


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(Stub(Path(sys.argv[1]), Path(sys.argv[2])).run())
