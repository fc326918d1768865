"""`traindrop clean`: what is kept of a run, a dataset or all, what that costs, and its deletion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from traindrop import champion
from traindrop.champion import DELETED, Best
from traindrop.clearing import Clearing, Kept, Reason
from traindrop.cli import Answer, CannotDo, UsageError
from traindrop.cli.stack import Stack
from traindrop.cli.terminal import steps
from traindrop.drops import ROOT, RUN_ID, slug_of, slug_of_run
from traindrop.figures import dollars, gigabytes
from traindrop.holdings import (
    BATCH,
    Holding,
    delete,
    holdings,
    is_data_of,
    prefixes_of_dataset,
    prefixes_of_run,
)
from traindrop.plain_text import printable, shell_word
from traindrop.pricing import PRICE_DATE, PRICE_REGION, stored
from traindrop.running import running
from traindrop.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LOOKS = (
    "cloudformation:DescribeStacks, states:ListExecutions, states:DescribeExecution, dynamodb:GetItem of the "
    "RunsTable, of both buckets s3:ListBucket, s3:ListBucketVersions, s3:ListBucketMultipartUploads and "
    "s3:ListMultipartUploadParts, and s3:GetObject of models/*"
)
_DELETES = "s3:DeleteObject, s3:DeleteObjectVersion and s3:AbortMultipartUpload, and s3:PutObject of models/*/best.json"
_ERRORS_SHOWN = 10
_FLAGS = {Reason.CHAMPION: "--champion", Reason.DATA: "--data"}


def clean(
    target: str | None, *, everything: bool, champions: bool, data: bool, yes: bool, stack: Stack, as_json: bool
) -> Answer:
    """Say what would be deleted and what keeping it costs; delete it where `yes`.

    Args:
        target: a run's id, or a dataset's name as it was dropped.
        everything: whether all of the stack is meant, in place of a target.
        champions: whether best models go too.
        data: whether dropped data go too.
        yes: whether to delete.
        stack: whose buckets.
        as_json: whether the answer is a document instead of text for people.

    Returns:
        An answer with exit code 1 if something that should go could not be deleted.

    Raises:
        UsageError: not exactly one of target and `everything`, or `data` of a run.
        CannotDo: the run that is to be deleted is on, or its dataset's best and `champions` is not given; or AWS does
            not let us.
    """
    if (target is None) != everything:
        raise UsageError("give a run, a dataset or --all, and one of them only")
    is_run = target is not None and RUN_ID.fullmatch(target) is not None
    if is_run and data:
        raise UsageError("a run has no data of its own; --data goes with a dataset or with --all")
    with stack.needing(_LOOKS, so="nothing was deleted: "), steps("Looking at what is kept"):
        clearing = _clearing(stack, target, champions=champions, data=data)
    if is_run and yes and clearing.stays:
        raise CannotDo(_refusal(str(target), next(iter(clearing.stays)).reason))
    command = _command(target, champions=champions, data=data, stack=stack)
    failed = _delete(stack, clearing) if yes else []
    document = _document(target, clearing, failed, deleted=yes, command=f"{command} --yes")
    text = json.dumps(document, indent=2) if as_json else "\n".join(_lines(document, clearing, stack))
    return Answer(text, 1 if failed else 0)


def _clearing(stack: Stack, target: str | None, *, champions: bool, data: bool) -> Clearing:
    s3, artifacts, datasets = stack.client("s3"), stack.output("ArtifactBucketName"), stack.output("DatasetBucketName")
    runs = Runs(stack.client("dynamodb"), stack.output("RunsTableName"))
    on = {run.run_id for run in running(stack.client("stepfunctions"), stack.output("StateMachineArn"))}
    starts = " ".join(str((runs.find(run_id) or {}).get("starts_from") or "") for run_id in on)
    found = list(_asked_for(s3, artifacts, target))
    slugs = {item.slug for item in found if item.slug}
    best = {run_id for slug in slugs if (run_id := champion.present(s3, artifacts, slug))}
    clearing = Clearing(
        datasets,
        on=on,
        needed={match.group() for match in RUN_ID.finditer(starts)},
        champions=best,
        with_champions=champions,
        with_data=data,
    )
    clearing.take(found)
    if target is None:
        clearing.take(holdings(s3, datasets, ""))
    elif not RUN_ID.fullmatch(target):
        clearing.take(item for item in holdings(s3, datasets, ROOT + target) if is_data_of(item, target))
    return clearing


def _asked_for(s3: S3Client, artifacts: str, target: str | None) -> Iterator[Holding]:
    """What the artifact bucket keeps of a run, of a dataset, or of all."""
    if target is None:
        yield from holdings(s3, artifacts, "")
    elif RUN_ID.fullmatch(target):
        for prefix in prefixes_of_run(target):
            yield from (item for item in holdings(s3, artifacts, prefix) if item.run_id == target)
    else:
        slug = slug_of(target)
        for prefix in prefixes_of_dataset(slug):
            yield from (item for item in holdings(s3, artifacts, prefix) if item.slug == slug)


def _refusal(run_id: str, reason: Reason) -> str:
    if reason is Reason.CHAMPION:
        slug = slug_of_run(run_id)
        return (
            f"nothing was deleted: the model of {run_id} is the best of {slug}; `traindrop rollback` makes another the "
            "best, --champion deletes it all the same"
        )
    return f"nothing was deleted: a run that is on needs what {run_id} keeps; wait for its end, or `traindrop stop` it"


def _command(target: str | None, *, champions: bool, data: bool, stack: Stack) -> str:
    """What was typed, so that it can be typed again."""
    words = ["traindrop clean", "--all" if target is None else shell_word(target)]
    words += ["--data"] if data else []
    words += ["--champion"] if champions else []
    return " ".join([*words, *stack.options()])


def _delete(stack: Stack, clearing: Clearing) -> list[str]:
    """Delete what goes, best.json last of all; answer what could not be deleted."""
    s3, artifacts = stack.client("s3"), stack.output("ArtifactBucketName")
    failed: list[str] = []
    goes = sorted(clearing.goes, key=lambda item: (item.bucket, item.key.endswith("/best.json")))
    so = "not everything was deleted; the same command goes on: "
    with stack.needing(_DELETES, so=so), steps("Deleting", len(goes)) as advance:
        for slug, run_id in clearing.dethroned.items():
            champion.change(s3, artifacts, slug, lambda best, run_id=run_id: (None, _dethrone(best, run_id)))  # type: ignore[misc]
        for _, items in groupby(goes, key=lambda item: item.bucket):
            for batch in _batches(items):
                failed += delete(s3, batch)
                advance(len(batch))
    return failed


def _dethrone(best: Best, run_id: str) -> dict[str, Any] | None:
    """The entry that says that the best model is no more; None where another is the best, or it is said already."""
    now = best.now
    if now is None or now["run_id"] != run_id or now.get("how") == DELETED:
        return None
    at = datetime.now(UTC).isoformat(timespec="seconds")
    kept = {name: now[name] for name in ("run_id", "model_uri", "score") if name in now}
    return {**kept, "at": at, "how": DELETED, "why": "Deleted by `traindrop clean`."}


def _batches(items: Iterable[Holding]) -> Iterator[list[Holding]]:
    batch: list[Holding] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _amounts(items: Iterable[Holding]) -> dict[str, Any]:
    """Objects, old versions with delete markers, uploads that were not finished; bytes, and dollars a month."""
    held = list(items)
    size = sum(item.size for item in held)
    return {
        "objects": sum(item.is_current for item in held),
        "old_versions": sum(not item.is_current and not item.upload_id for item in held),
        "unfinished_uploads": sum(bool(item.upload_id) for item in held),
        "bytes": size,
        "usd_per_month": stored(size),
    }


def _document(
    target: str | None, clearing: Clearing, failed: list[str], *, deleted: bool, command: str
) -> dict[str, Any]:
    kinds = sorted({item.kind for item in clearing.goes})
    return {
        "target": target,
        "deleted": deleted,
        **_amounts(clearing.goes),
        "kinds": {kind: _amounts(item for item in clearing.goes if item.kind == kind) for kind in kinds},
        "kept": [
            {"what": kept.what, "reason": kept.reason, "flag": _FLAGS.get(kept.reason), **_amounts(items)}
            for kept, items in clearing.stays.items()
        ],
        "failed": failed,
        "command": command,
    }


def _lines(document: dict[str, Any], clearing: Clearing, stack: Stack) -> Iterator[str]:
    """The document for people."""
    whole = document["target"] is None
    of = f"the stack {stack.name}" if whole else printable(document["target"])
    if clearing.goes:
        yield f"{'Deleted' if document['deleted'] else 'To be deleted'}, for good and with every old version, of {of}:"
        yield ""
        yield from _table({**document["kinds"], "in all": document})
        yield f"A month in S3 at prices of {PRICE_REGION}, {PRICE_DATE}."
    else:
        yield f"Nothing is to be deleted of {of}" + ("." if clearing.stays or whole else "; is the name right?")
    for kept, items in clearing.stays.items():
        yield _kept(kept, _amounts(items))
    if document["failed"]:
        yield f"Could not be deleted ({len(document['failed'])}); the same command tries again:"
        yield from (f"  {printable(line)}" for line in document["failed"][:_ERRORS_SHOWN])
    elif clearing.goes and not document["deleted"]:
        yield f"Nothing was deleted yet. This deletes it:\n  {document['command']}"
    elif whole and document["deleted"] and not clearing.stays:
        yield from _farewell(stack)


def _table(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield f"  {'':20}{'objects':>10}{'old versions':>14}{'unfinished':>12}{'size':>12}  a month"
    for name, row in rows.items():
        yield (
            f"  {name:20}{row['objects']:>10,}{row['old_versions']:>14,}{row['unfinished_uploads']:>12,}"
            f"{gigabytes(row['bytes']):>12}  {dollars(row['usd_per_month'])}"
        )


def _kept(kept: Kept, amounts: dict[str, Any]) -> str:
    cure = _FLAGS.get(kept.reason)
    cost = f"{gigabytes(amounts['bytes'])}, {dollars(amounts['usd_per_month'])} a month"
    return f"Kept: {printable(kept.what)}, as {kept.reason} ({cost})" + (f"; {cure} deletes it too" if cure else "")


def _farewell(stack: Stack) -> Iterator[str]:
    """What is left of the stack when both buckets are empty, and how it goes."""
    yield "Both buckets are empty. To uninstall, delete the stack, then what outlives it:"
    yield f"  sam delete --stack-name {stack.name}"
    yield from (f"  aws s3 rb s3://{stack.output(name)}" for name in ("DatasetBucketName", "ArtifactBucketName"))
    yield f"  aws dynamodb delete-table --table-name {stack.output('RunsTableName')}"
