"""From an ended job to a delivered model: extracted, measured, compared, reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop import champion, comparison, end_messages, model_archive, receipt
from traindrop.champion import PROMOTED, Best
from traindrop.charts import read_epochs
from traindrop.comparison import Comparison
from traindrop.estimate import pace
from traindrop.mail import Outcome
from traindrop.objects import content, listed
from traindrop.report import render_report
from traindrop.runs import Claims, Runs, fingerprint_claim, stop_wanted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TRAINED_SECONDS = 10 * 365 * 24 * 3600
_SAMPLES = 8
_NOT_RECORDED = ("names", "classes", "champion", "predictions")
"""Metrics that grow with the number of classes, of which there may be 10,000; a record has 400 KB."""


@dataclass(frozen=True)
class Delivery:
    """Clients of the steps after training; everything lies in the artifact bucket."""

    s3: S3Client
    runs: Runs
    claims: Claims
    artifact_bucket: str
    clock: Callable[[], float]

    def extract(self, run_id: str) -> dict[str, Any]:
        """Bring the model from the job's archive, or from the checkpoints where there is none, to its place.

        Raises:
            NoModel: neither holds one.
            UnexpectedArchive: the archive is not one of ours.
        """
        run = self.runs.get(run_id)
        if not stop_wanted(run, int(run.get("redrives", 0))):
            self.runs.update(run_id, status="Extracting")
        bucket, prefix = self.artifact_bucket, _prefix(run)
        try:
            names = model_archive.extract(
                self.s3,
                bucket=bucket,
                archive_key=f"training-output/{run['job_name']}/output/model.tar.gz",
                target_prefix=prefix,
                weights_prefix=f"weights/{run['slug']}/",
            )
        except model_archive.NoModel:
            names = model_archive.best_checkpoint(
                self.s3, bucket=bucket, checkpoint_prefix=f"checkpoints/{run_id}/", target_prefix=prefix
            )
        self.runs.update(run_id, model_uri=f"s3://{bucket}/{prefix}best.pt")
        return {"run_id": run_id, "files": len(names), "model_uri": f"s3://{bucket}/{prefix}best.pt"}

    def measure(self, run_id: str) -> dict[str, Any]:
        """Record the metrics, compare with the dataset's best model so far, and promote this one if it is better.

        A run that comes here again, after its answer was lost, finds its promotion in the history and adds none.
        """
        run = self.runs.get(run_id)
        metrics = self._metrics(run)
        bill, kept = self._receipt(run)
        found = champion.change(
            self.s3, self.artifact_bucket, run["slug"], lambda best: self._decide(run, metrics, best)
        )
        self.runs.update(
            run_id,
            metrics={key: value for key, value in metrics.items() if key not in _NOT_RECORDED},
            comparison=asdict(found),
            promoted=found.promoted,
            receipt=bill,
            pace=pace(run.get("jobs", []), kept),
        )
        if run.get("fingerprint") and run.get("ended") == "completed":
            now = self.clock()
            self.claims.take(
                fingerprint_claim(run["slug"], run["fingerprint"]),
                run_id,
                now=now,
                lasts_seconds=_TRAINED_SECONDS,
                phase="trained",
            )
        return {
            "run_id": run_id,
            "outcome": _outcome(run),
            "score": found.score,
            "promoted": found.promoted,
            "cost_usd": run.get("cost_usd", 0),
            "saved_usd": run.get("saved_usd", 0),
            "training_seconds": run.get("training_seconds", 0),
            "interruptions": run.get("interruptions", 0),
        }

    def report(self, run_id: str) -> dict[str, Any]:
        """Write report.html beside the model; answer the end message and where everything lies."""
        run = self.runs.get(run_id)
        metrics, prefix = self._metrics(run), _prefix(run)
        outcome = _outcome(run)
        ended_at = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")
        html = render_report(
            {**run, "status": outcome, "ended_at": ended_at},
            metrics,
            (self._read(f"{prefix}results.csv") or b"").decode("utf-8", errors="replace"),
            self._samples(prefix),
            run.get("jobs", []),
        )
        self.s3.put_object(
            Bucket=self.artifact_bucket,
            Key=f"{prefix}report.html",
            Body=html.encode(),
            ContentType="text/html; charset=utf-8",
        )
        place = f"s3://{self.artifact_bucket}/{prefix}"
        links = {"Model": f"{place}best.pt", "ONNX": f"{place}best.onnx", "Report": f"{place}report.html"}
        compared = run.get("comparison")  # absent where the step before was an older version's
        message = end_messages.finished(outcome, run, metrics, Comparison(**compared) if compared else None, links)
        self.runs.update(
            run_id,
            status=outcome,
            report_uri=links["Report"],
            ended_at=ended_at,
            task_token=None,
            error=None,
            reason=None,
        )
        return {
            "run_id": run_id,
            "model_uri": links["Model"],
            "report_uri": links["Report"],
            "message": message.as_dict(),
        }

    def _receipt(self, run: Mapping[str, Any]) -> tuple[dict[str, Any], list[list[float]]]:
        """The run's receipt, with what only shows now that its model lies there; and the epochs that it kept."""
        rows = read_epochs((self._read(f"{_prefix(run)}results.csv") or b"").decode("utf-8", errors="replace"))
        kept, jobs = receipt.kept_epochs(rows), run.get("jobs", [])
        paid: dict[str, Any] = dict(run.get("receipt") or receipt.of_jobs(jobs))
        model, left = self._size(_prefix(run))
        run_id = run["run_id"]
        temporary = sum(
            self._size(f"{kind}/{run_id}{end}")[0] for kind, end in (("checkpoints", "/"), ("training-output", "-"))
        )
        lost = receipt.seconds_lost(jobs, kept)
        paid |= {
            "seconds_lost": lost,
            "lost_usd": None if lost is None else receipt.lost_usd(lost, paid),
            "storage": receipt.storage(model=model, dataset=int(run.get("dataset_bytes", 0)), temporary=temporary),
            "orchestration": receipt.orchestration(
                validations=int(run.get("validations", 1)),
                starts=int(run.get("starts", 1)),
                jobs=len(jobs),
                host_starts=sum(int(job.get("starts", 1)) for job in jobs),
                epochs=sum(map(len, kept)),
                files=int(run.get("dataset_files", 0)),
                left=left,
            ),
        }
        return paid, kept

    def _size(self, prefix: str) -> tuple[int, int]:
        """Bytes and number of the objects below a prefix."""
        sizes = [item["Size"] for item in listed(self.s3, self.artifact_bucket, prefix)]
        return sum(sizes), len(sizes)

    def _metrics(self, run: Mapping[str, Any]) -> dict[str, Any]:
        data = self._read(f"{_prefix(run)}metrics.json")
        metrics: dict[str, Any] = json.loads(data) if data else {}
        return metrics

    def _decide(
        self, run: Mapping[str, Any], metrics: Mapping[str, Any], best: Best
    ) -> tuple[Comparison, dict[str, Any] | None]:
        """How the run's model compares with the present best, and its entry in best.json if it is promoted now."""
        done = best.promotion_of(run["run_id"])
        if done is not None and "comparison" in best.history[done]:
            return Comparison(**best.history[done]["comparison"]), None
        now, learned = best.now, None
        if now:
            learned = champion.of_run(self.s3, self.artifact_bucket, run["slug"], str(now["run_id"]))
        margin = float(run.get("settings", {}).get("promotion_margin", comparison.MARGIN))
        found = comparison.compare(metrics, now, learned, margin=margin)
        if not found.promoted:
            return found, None
        at = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")
        entry = champion.entry(
            run["run_id"], self.artifact_bucket, run["slug"], score=found.score, at=at, how=PROMOTED, why=found.why
        )
        return found, {**entry, "comparison": asdict(found)}

    def _samples(self, prefix: str) -> list[tuple[str, bytes]]:
        found = self.s3.list_objects_v2(Bucket=self.artifact_bucket, Prefix=f"{prefix}samples/")
        keys = sorted(item["Key"] for item in found.get("Contents", []))[:_SAMPLES]
        return [(key.rsplit("/", 1)[-1], self._read(key) or b"") for key in keys]

    def _read(self, key: str) -> bytes | None:
        return content(self.s3, self.artifact_bucket, key)


def _outcome(run: Mapping[str, Any]) -> Outcome:
    return "Completed" if run.get("ended") == "completed" else "Stopped"


def _prefix(run: Mapping[str, Any]) -> str:
    return f"models/{run['slug']}/{run['run_id']}/"
