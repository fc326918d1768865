"""Checks of `traindrop doctor`: what a run needs of the account, and how the runs that are on, or ended, stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from traindrop import cures
from traindrop.cli.checkup import Check, Deployment, Finding, ok, problem, warning
from traindrop.climb import ladder_of, ladder_of_run
from traindrop.console import quotas_link
from traindrop.figures import dollars, duration, gigabytes
from traindrop.holdings import unfinished_uploads
from traindrop.jobs import ENDED
from traindrop.objects import content
from traindrop.plain_text import printable, shell_word
from traindrop.pricing import stored
from traindrop.quotas import quotas_named
from traindrop.rungs import Rung
from traindrop.running import Running
from traindrop.runs import ACTIVE
from traindrop.settings import TrainingSettings
from traindrop.settings_layers import Layer, merge

_SETTINGS = "datasets/training.yaml"
_RECENT = timedelta(days=14)
"""For so long Step Functions lets a failed run be redriven."""
_LATE = timedelta(hours=1)
_WAITS = timedelta(minutes=30)
_REASON_SHOWN = 200
_REDRIVE = "`Redrive` in the Step Functions console goes on from the state that failed"
_BY_HAND = 'start an execution with {"bucket": "…", "key": "datasets/<name>.zip"}, or drop the dataset'
CURES = {
    "CapacityExhausted": "list more instance_types in training.yaml, set on_demand_fallback: true, or try later",
    "QuotaExhausted": "raise the quota that the check `quotas` names, or list other instance_types in training.yaml",
    "DatasetChanged": "drop the dataset again, or bring the old versions back and redrive",
    "TrainingCodeError": f"the message has the last lines of the job's log; mend and drop again, or {_REDRIVE}",
    "InternalError": f"SageMaker failed inside; {_REDRIVE}",
    "UnexpectedArchive": "drop the dataset again; checkpoints are kept",
    "RuntimeExceeded": "raise max_runtime_hours, max_wait_hours or max_cost_usd, or take a smaller imgsz",
    "StoppedByUser": "start the dataset again",
    "InvalidInput": _BY_HAND,
    "MalformedEvent": _BY_HAND,
    "RunNotFound": _BY_HAND,
}
"""What to do about an error of Traindrop's own, whose cause would say it at length."""


def _cure(error: str, reason: str) -> str:
    """What to do about the failure of a run, as its message says it, or in short."""
    known = cures.cure_of(error, reason)
    return known.todo if known else CURES[error]


def _quotas(deployment: Deployment) -> Iterator[Finding]:
    """The quotas of the default instance types and of those that the bucket's settings list."""
    settings, problems = _settings(deployment)
    yield from (problem(found, "mend it: every drop would be rejected for it") for found in problems)
    types = list(dict.fromkeys([*settings.instance_types, *TrainingSettings().instance_types]))
    used = {rung.quota for rung in ladder_of(settings, 0).rungs}
    names = {Rung(name, spot).quota for name in types for spot in (True, False)}
    quotas = quotas_named(deployment.client("service-quotas"), names)
    usable = any(name not in quotas or quotas[name].value for name in used)
    for name in types:
        for rung in (Rung(name, spot=True), Rung(name, spot=False)):
            quota = quotas.get(rung.quota)
            if quota is None:
                yield warning(
                    f"{rung}: this region knows no such quota",
                    f"list other instance_types, or look at {quotas_link(deployment.place)}",
                )
            elif quota.value:
                yield ok(f"{rung}: {quota.value:g} at once")
            elif rung.quota in used:
                zero = f"{rung}: 0" + (", so it is passed over" if usable else ", and so are all that runs ask for")
                yield (warning if usable else problem)(zero, f"ask for 1: {quotas_link(deployment.place, quota.code)}")
            else:
                yield ok(f"{rung}: 0, and no run asks for it unless its settings say so")


def _settings(deployment: Deployment) -> tuple[TrainingSettings, list[str]]:
    """The bucket's settings, as far as one may know the stack and read them, and what is wrong with them."""
    try:
        bucket = deployment.stack.outputs.get("DatasetBucketName")
        text = content(deployment.client("s3"), bucket, _SETTINGS) if bucket else None
    except ClientError:
        text = None
    settings, problems = merge([Layer(_SETTINGS, text)] if text is not None else [])
    return settings, [item.message for item in problems]


def _runs(deployment: Deployment) -> Iterator[Finding]:
    """Runs that wait, that are overdue, or whose records were left behind."""
    on = {run.run_id: run for run in deployment.running}
    told = [finding for run in on.values() if (finding := _of_run(deployment, run))]
    yield from told
    lost = [
        record["run_id"]
        for record in deployment.records
        if record.get("status") in ACTIVE and record["run_id"] not in on and _age(deployment, record) > _LATE
    ]
    for run_id in lost:
        yield warning(
            f"{run_id} ended, but its record still says that it is on",
            f"make replay STACK={deployment.name} if a dead-letter queue has its end; else start its dataset again",
        )
    if not told and not lost:
        yield ok(f"{len(on)} on, none of them stuck" if on else "none is on")


def _of_run(deployment: Deployment, run: Running) -> Finding | None:
    """What should be known of a run that is on."""
    record = next((item for item in deployment.records if item["run_id"] == run.run_id), {})
    ladder = ladder_of_run(record, deployment.now.timestamp()) if record.get("settings") else None
    stop = f"traindrop stop {run.run_id}"
    if ladder and ladder.began + ladder.max_wait_seconds + _LATE.total_seconds() < deployment.now.timestamp():
        return problem(f"{run.run_id} is on for longer than its max_wait_hours", stop)
    job = _job(deployment, str(record.get("job_name") or ""))
    if job and job["TrainingJobStatus"] in ENDED and job["LastModifiedTime"] + _LATE < deployment.now:
        return problem(
            f"{run.run_id} has not gone on since its job ended at {job['LastModifiedTime']:%Y-%m-%d %H:%M}", stop
        )
    waits = ladder is not None and not (job and job.get("TrainingStartTime"))
    since = deployment.now - run.since
    if waits and since > _WAITS:
        return warning(
            f"{run.run_id} waits for an instance since {duration(since.total_seconds())}",
            f"nothing is charged meanwhile; other instance_types or on_demand_fallback may help, {stop} ends it",
        )
    return None


def _job(deployment: Deployment, name: str) -> dict[str, Any] | None:
    if not name:
        return None
    try:
        job: dict[str, Any] = deployment.client("sagemaker").describe_training_job(TrainingJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":  # there is no such job
            return None
        raise
    return job


def _failures(deployment: Deployment) -> Iterator[Finding]:
    """Why runs failed of late, if nothing has completed of their datasets since."""
    failed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in _newest(deployment):
        if record.get("status") == "Failed" and _age(deployment, record) < _RECENT:
            failed[str(record.get("error") or "unknown")].append(record)
    for error, records in failed.items():
        last = max(records, key=lambda record: str(record.get("created_at")))
        names = ", ".join(sorted(printable(str(record.get("dataset"))) for record in records))
        why = printable(str(last.get("reason") or ""))[:_REASON_SHOWN]
        yield warning(f"{error}, the last run of {names}: {why}", _cure(error, str(last.get("reason") or "")))
    if not failed:
        yield ok("no dataset's last run failed")


def _rejected(deployment: Deployment) -> Iterator[Finding]:
    found = [record for record in _newest(deployment) if record.get("status") == "Rejected"]
    for record in found:
        why, name = printable(str(record.get("reason") or ""))[:_REASON_SHOWN], printable(str(record.get("dataset")))
        yield warning(f"the last drop of {name} was rejected: {why}", f"mend it and drop it again; {_verdict(record)}")
    if not found:
        yield ok("no dataset's last drop was rejected")


def _verdict(record: Mapping[str, Any]) -> str:
    return f"the verdict: aws s3 cp {record['verdict_uri']} -" if record.get("verdict_uri") else "its message says more"


def _uploads(deployment: Deployment) -> Iterator[Finding]:
    """Uploads into the dataset bucket that nobody finished; the lifecycle rule ends them after 7 days."""
    bucket = deployment.stack.output("DatasetBucketName")
    old = [
        item
        for item in unfinished_uploads(deployment.client("s3"), bucket, "")
        if item.since and deployment.now - item.since > _LATE
    ]
    for item in old:
        month = f"{gigabytes(item.size)}, {dollars(stored(item.size))} a month"
        key = shell_word(item.key)
        yield warning(
            f"the upload of {printable(item.key)} was begun {item.since:%Y-%m-%d %H:%M} and not finished ({month})",
            f"upload it again, or aws s3api abort-multipart-upload --bucket {bucket} --key {key} "
            f"--upload-id {item.upload_id}",
        )
    if not old:
        yield ok("none is left unfinished")


def _newest(deployment: Deployment) -> list[dict[str, Any]]:
    """The newest record of each dataset; the ids of a dataset's runs sort by time."""
    newest = {str(record.get("slug")): record for record in sorted(deployment.records, key=lambda item: item["run_id"])}
    return list(newest.values())


def _age(deployment: Deployment, record: Mapping[str, Any]) -> timedelta:
    """How long ago a run began; no time at all where its record does not say."""
    try:
        return deployment.now - datetime.fromisoformat(str(record.get("created_at")))
    except ValueError:
        return timedelta()


_RECORDS = "states:ListExecutions and states:DescribeExecution of the state machine, dynamodb:Scan of the RunsTable"
CHECKS = (
    Check("quotas", _quotas, "servicequotas:ListServiceQuotas", "credentials"),
    Check("runs", _runs, f"{_RECORDS} and sagemaker:DescribeTrainingJob", "stack"),
    Check("failures", _failures, _RECORDS, "stack"),
    Check("rejections", _rejected, _RECORDS, "stack"),
    Check(
        "uploads",
        _uploads,
        "s3:ListBucketMultipartUploads and s3:ListMultipartUploadParts of the dataset bucket",
        "stack",
    ),
)
