"""`traindrop rollback`: an earlier run's model becomes the dataset's best again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traindrop import champion
from traindrop.champion import ROLLED_BACK, Best
from traindrop.cli import Answer, CannotDo, UsageError
from traindrop.cli.stack import Stack
from traindrop.comparison import score_of
from traindrop.drops import RUN_ID, slug_of
from traindrop.plain_text import printable, shell_word

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PERMISSIONS = (
    "cloudformation:DescribeStacks, and of the ArtifactBucket s3:ListBucket, and s3:GetObject and s3:PutObject of "
    "models/*"
)


def rollback(dataset: str, *, to: str | None, stack: Stack, as_json: bool) -> Answer:
    """Make an earlier run's model the dataset's best; the next run then competes with that one.

    Args:
        dataset: its name as it was dropped.
        to: the run; by default the one whose model was the best before the present one was promoted.
        stack: where the models are.
        as_json: whether the answer is a document instead of text for people.

    Raises:
        UsageError: `to` is no run of this dataset.
        CannotDo: there is nothing to go back to, or AWS does not let us.
    """
    slug = slug_of(dataset)
    if to is not None and not (RUN_ID.fullmatch(to) and to.startswith(f"{slug}-")):
        raise UsageError(f"{printable(to)} is no run of {printable(dataset)}; its runs are called {slug}-…")
    with stack.needing(_PERMISSIONS, so="nothing was changed: "):
        bucket, s3 = stack.output("ArtifactBucketName"), stack.client("s3")
        before, after = champion.change(s3, bucket, slug, lambda best: _decide(s3, bucket, dataset, best, to))
    place = f"s3://{bucket}/{champion.key(slug)}"
    if as_json:
        document = {"dataset": dataset, "from": _brief(before), "to": _brief(after), "best": place}
        return Answer(json.dumps(document, indent=2))
    return Answer(
        f"{printable(dataset)}: the best model is that of run {_told(after)} from now on.\n"
        f"It was that of run {_told(before)}, which is kept; it becomes the best again by\n"
        f"  traindrop rollback {shell_word(dataset)} --to {before['run_id']}\n"
        f"{place} says so, with its history."
    )


def _decide(
    s3: S3Client, bucket: str, dataset: str, best: Best, to: str | None
) -> tuple[tuple[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]:
    """The present entry of best.json and the one that takes its place."""
    slug, shown, now = slug_of(dataset), printable(dataset), best.now
    if now is None:
        raise CannotDo(
            f"{shown} has no best model (there is no s3://{bucket}/{champion.key(slug)}); is the name right?"
        )
    if to == now["run_id"]:
        raise CannotDo(f"{to} is the best model of {shown} already")
    if to is None:
        earlier = best.before()
        if earlier is None:
            raise CannotDo(f"nothing is known to have been the best model of {shown} before {now['run_id']}; give --to")
        to = str(earlier["run_id"])
    learned = champion.of_run(s3, bucket, slug, to)
    if learned is None:
        raise CannotDo(
            f"the run {to} has no model any more (s3://{bucket}/models/{slug}/{to}/best.pt); give another --to"
        )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    why = f"Rolled back from {now['run_id']} by hand."
    entry = champion.entry(to, bucket, slug, score=score_of(learned), at=at, how=ROLLED_BACK, why=why)
    return (now, entry), entry


def _brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry.get(name) for name in ("run_id", "model_uri", "score", "at")}


def _told(entry: Mapping[str, Any]) -> str:
    score = entry.get("score")
    return f"{entry['run_id']}" + (f" (mAP50-95 {float(score):.3f})" if score is not None else "")
