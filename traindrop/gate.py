"""The step before anything is paid for: wait for the upload to rest, judge it, and write down what is to be trained."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop import dataset_facts, messages
from traindrop.batches import trained_on
from traindrop.climb import ladder_of
from traindrop.drops import run_id_of_execution, slug_of
from traindrop.figures import duration
from traindrop.fingerprint import fingerprint
from traindrop.folder_in_s3 import FolderSource
from traindrop.intake import drop_of, settle
from traindrop.manifest import FILE as MANIFEST
from traindrop.manifest import manifest
from traindrop.object_reads import ObjectReads
from traindrop.objects import content, is_there
from traindrop.problems import Verdict
from traindrop.read_ahead import ReadAhead
from traindrop.runs import ACTIVE, Claims, Runs, fingerprint_claim, stop_wanted
from traindrop.settings_layers import Layer
from traindrop.sources import Source, SourceError
from traindrop.starting_weights import starting_weights
from traindrop.validation import Validation, validate
from traindrop.zip_in_s3 import ArchiveSource

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CLAIM_SECONDS = 14 * 24 * 3600


@dataclass(frozen=True)
class Gate:
    """Clients and limits of the validation step; times in seconds."""

    s3: S3Client
    reads: Callable[[str], ObjectReads]
    runs: Runs
    claims: Claims
    artifact_bucket: str
    quiet_period_seconds: float
    upload_window_seconds: float
    clock: Callable[[], float]

    def judge(self, execution_input: Any, execution: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `uploading`, `rejected`, `unchanged` or `ready` for the drop of an execution.

        An execution that was aborted meanwhile holds nothing afterwards: who aborted it could not yet see the claim.

        Args:
            execution_input: what the execution was started with.
            execution: its `arn`, `name`, `started_at` (ISO 8601) and `redrives`.
        """
        answer = self._verdict(execution_input, execution)
        run = self.runs.get(answer["run_id"])
        if stop_wanted(run, int(execution["redrives"])):
            self.runs.update(run["run_id"], status="Stopped")
            if run.get("fingerprint"):
                self.claims.release(fingerprint_claim(run["slug"], run["fingerprint"]), run["run_id"])
        return answer

    def _verdict(self, execution_input: Any, execution: Mapping[str, Any]) -> dict[str, Any]:
        drop = drop_of(execution_input)
        started_at = datetime.fromisoformat(execution["started_at"].replace("Z", "+00:00"))
        run_id = run_id_of_execution(execution["name"], started_at, drop["dataset"])
        run = {**drop, "run_id": run_id, "slug": slug_of(drop["dataset"]), "execution_arn": execution["arn"]}
        now = self.clock()
        window_ends = started_at.timestamp() + self.upload_window_seconds
        try:
            with ReadAhead(self.reads(drop["bucket"])) as reads:
                source: Source = (
                    ArchiveSource(self.s3, reads, drop["bucket"], drop["key"])
                    if drop["form"] == "archive"
                    else self._folder(reads, drop, run_id, now)
                )
                rest = self.quiet_period_seconds - (now - source.newest.timestamp())
                if drop["form"] == "folder" and rest > 0:
                    return self._uploading(run, rest, self._arriving(rest))
                found = validate(
                    drop["dataset"],
                    source,
                    self._bucket_settings(drop["bucket"]),
                    given_settings=Layer("the execution's input", execution_input.get("settings") or {}),
                    look_into_incomplete=drop["form"] == "archive",
                    upload_window_seconds=self.upload_window_seconds if drop["form"] == "folder" else None,
                )
                found = self._with_model(run, source, found)
        except SourceError as error:
            if error.problem.passing and now < window_ends:
                return self._uploading(run, min(self.quiet_period_seconds, window_ends - now), error.problem.message)
            verdict = Verdict(drop["dataset"], "segment", {}, {}, [error.problem])
            return self._rejected(run, verdict, incomplete=False)
        if drop["form"] == "folder" and found.verdict.may_be_uploading and now < window_ends:
            rest = min(self.quiet_period_seconds, window_ends - now)
            return self._uploading(run, rest, found.verdict.errors[0].message, incomplete=True)
        if drop["form"] == "folder":
            settle(self.claims, drop["dataset"], run_id, at=now, lasts_seconds=self.upload_window_seconds + 3600)
        if not found.verdict.ok:
            return self._rejected(
                run, found.verdict, incomplete=drop["form"] == "folder" and found.verdict.may_be_uploading
            )
        return self._accepted(run, source, found)

    def _folder(self, reads: ReadAhead, drop: Mapping[str, Any], run_id: str, now: float) -> FolderSource:
        """The folder; labels are read ahead unless it is still being uploaded, or was found at rest and incomplete."""
        incomplete = (self.runs.find(run_id) or {}).get("incomplete")
        at_rest_since = -math.inf if incomplete else now - self.quiet_period_seconds
        return FolderSource(self.s3, reads, drop["bucket"], drop["prefix"], at_rest_since=at_rest_since)

    def _bucket_settings(self, bucket: str) -> Layer | None:
        """`datasets/training.yaml`, the settings for the whole bucket, if there is one."""
        key = "datasets/training.yaml"
        found = content(self.s3, bucket, key)
        return None if found is None else Layer(key, found)

    def _arriving(self, rest: float) -> str:
        """Why a folder waits that has not been quiet for long enough."""
        since, quiet = duration(self.quiet_period_seconds - rest), duration(self.quiet_period_seconds)
        return f"the last file arrived {since} ago; the upload counts as complete when none has arrived for {quiet}"

    def _uploading(self, run: Mapping[str, Any], seconds: float, reason: str, **found: bool) -> dict[str, Any]:
        self._record(run, status="Uploading", **found)
        return {
            "verdict": "uploading",
            "run_id": run["run_id"],
            "dataset": run["dataset"],
            "reason": reason[:1000],
            "wait_seconds": max(1, round(seconds + 0.5)),
        }

    def _rejected(self, run: Mapping[str, Any], verdict: Verdict, *, incomplete: bool) -> dict[str, Any]:
        uri = self._write_verdict(run["run_id"], verdict)
        hours = f"{self.upload_window_seconds / 3600:g} hours" if incomplete else ""
        errors = [problem.as_dict() for problem in verdict.errors]
        message = messages.rejected(run, errors, uri, incomplete_after=hours)
        reason = ("incomplete: " if incomplete else "") + verdict.errors[0].message
        self._record(run, status="Rejected", reason=reason[:1000], ended_at=self._now(), verdict_uri=uri)
        return {
            "verdict": "rejected",
            "run_id": run["run_id"],
            "dataset": run["dataset"],
            "reason": reason[:1000],
            "message": message.as_dict(),
        }

    def _accepted(self, run: dict[str, Any], source: Source, found: Validation) -> dict[str, Any]:
        run_id, mark = run["run_id"], found.verdict.fingerprint
        earlier = self._claim(run, mark, force=found.settings.force)
        if earlier:
            owner = self.runs.find(earlier["owner"]) or {"run_id": earlier["owner"]}
            message = messages.unchanged(run, owner, earlier.get("phase", "training"))
            self._record(run, status="Unchanged", fingerprint=mark, same_as=earlier["owner"], ended_at=self._now())
            return {"verdict": "unchanged", "run_id": run_id, "dataset": run["dataset"], "message": message.as_dict()}
        uri = self._write_verdict(run_id, found.verdict)
        place = f"training-input/{run_id}/"
        self.s3.put_object(Bucket=self.artifact_bucket, Key=place + MANIFEST, Body=manifest(source, found.splits))
        self._put(f"{place}job.json", self.job(run, source, found))
        self._record(
            run,
            status="Training",
            fingerprint=mark,
            warnings=[problem.message for problem in found.verdict.warnings],
            verdict_uri=uri,
            task=found.verdict.task,
            starts_from=found.starts_from,
            settings=found.settings.model_dump(mode="json", exclude_none=True),
            dataset_bytes=sum(file.size for file in source.files.values()),
            dataset_files=1 if run["form"] == "archive" else len(source.files),
            contents=dataset_facts.of(found),
            images={
                "train": trained_on(len(found.splits["train"].images), found.settings),
                "val": len(found.splits["val"].images),
            },
        )
        now = self.clock()
        ladder = ladder_of(found.settings, now)
        return {
            "verdict": "ready",
            "run_id": run_id,
            "dataset": run["dataset"],
            "task": found.verdict.task,
            "splits": found.verdict.splits,
            "warnings": len(found.verdict.warnings),
            "instances": [str(rung) for rung in ladder.rungs],
            "look_after_seconds": max(1, round(ladder.gives_up(1, now) - now)),
            "epochs": found.settings.epochs,
        }

    def _claim(self, run: Mapping[str, Any], mark: str, *, force: bool) -> dict[str, Any] | None:
        """Claim the right to train this; answer the claim that stands in the way, if one does.

        A claim whose run ended without a model, or whose model was deleted, stands for nothing and is taken over.
        """
        claim = fingerprint_claim(run["slug"], mark)
        now = self.clock()
        holder = self.claims.take(claim, run["run_id"], now=now, lasts_seconds=_CLAIM_SECONDS, phase="training")
        if holder is None:
            return None
        owner = str(holder.get("owner"))
        if holder.get("phase") == "trained":
            stale = not is_there(self.s3, self.artifact_bucket, f"models/{run['slug']}/{owner}/best.pt")
        else:
            stale = (self.runs.find(owner) or {}).get("status") not in ACTIVE
        if not (force or stale):
            return holder
        self.claims.take(
            claim,
            run["run_id"],
            now=now,
            lasts_seconds=_CLAIM_SECONDS,
            phase="training",
            unless="#o = :h",
            values={":h": holder.get("owner", "")},
        )
        return None

    @staticmethod
    def job(run: Mapping[str, Any], source: Source, found: Validation) -> dict[str, Any]:
        """What the training entry is told beside the manifest: never the user's own yaml."""
        if found.description is None:
            raise ValueError("an accepted dataset has a description")
        names = {str(index): name for index, name in found.description.names.items()}
        model = found.settings.model
        return {
            "run_id": run["run_id"],
            "dataset": run["dataset"],
            "task": found.verdict.task,
            "model": model if model in ("best",) or not model.startswith("s3://") else "best.pt",
            "arguments": found.settings.train_arguments(),
            "data": {
                "form": run["form"],
                "file": run["key"].rsplit("/", 1)[-1] if run["form"] == "archive" else None,
                "root": source.root,
                "names": names,
            },
            "manifest": MANIFEST,
        }

    def _with_model(self, run: Mapping[str, Any], source: Source, found: Validation) -> Validation:
        """The validation with its fingerprint, and with what is wrong with the weights that the settings point to."""
        start = starting_weights(
            self.s3,
            self.artifact_bucket,
            run["slug"],
            found.settings,
            task=found.verdict.task,
            names=list(found.description.names.values()) if found.description else None,
        )
        warnings = [problem for problem in start.problems if problem.warning]
        errors = [problem for problem in start.problems if not problem.warning]
        mark = ""
        if found.description and not errors and {"train", "val"} <= found.splits.keys():
            mark = fingerprint(source, found.description, found.splits, found.settings, start.model)
        verdict = replace(
            found.verdict,
            errors=[*errors, *found.verdict.errors],
            warnings=[*warnings, *found.verdict.warnings],
            fingerprint=mark,
        )
        return replace(found, verdict=verdict, starts_from=start.model)

    def _write_verdict(self, run_id: str, verdict: Verdict) -> str:
        key = f"verdicts/{run_id}.json"
        self._put(key, verdict.as_dict())
        return f"s3://{self.artifact_bucket}/{key}"

    def _put(self, key: str, document: Mapping[str, Any]) -> None:
        self.s3.put_object(
            Bucket=self.artifact_bucket,
            Key=key,
            ContentType="application/json",
            Body=json.dumps(document, indent=1, ensure_ascii=False).encode(),
        )

    def _record(self, run: Mapping[str, Any], **fields: Any) -> None:
        known = {key: run[key] for key in ("dataset", "slug", "execution_arn", "bucket", "key", "form", "prefix")}
        record = self.runs.find(run["run_id"]) or {}
        created_at = record.get("created_at", self._now())
        self.runs.update(run["run_id"], count="validations", **known, created_at=created_at, **fields)

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")
