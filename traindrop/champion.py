"""`models/<dataset>/best.json`: which run's model is a dataset's best, how it came to be, and how that changes.

The document is the newest entry of its own `history`, which has the oldest first: `run_id`, `model_uri`, `score`, `at`,
`how` (`promoted`, `rolled back`, or `deleted`: the model is gone) and `why`. It is replaced as a whole, if nobody else
did so since it was read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from traindrop.objects import content, is_there

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEPT = 50
"""Entries of the history that are kept."""

PROMOTED, ROLLED_BACK, DELETED = "promoted", "rolled back", "deleted"
_OVERTAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_ATTEMPTS = 10

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Best:
    """A dataset's best model as it was read: its history, oldest entry first, and the ETag to replace it by."""

    history: Sequence[Mapping[str, Any]] = ()
    etag: str = ""

    @property
    def now(self) -> Mapping[str, Any] | None:
        """The entry of the model that is the best, or None."""
        return self.history[-1] if self.history else None

    def promotion_of(self, run_id: str) -> int | None:
        """Where in the history a run was last promoted; None if that is not known."""
        found = [place for place, entry in enumerate(self.history) if _is_promotion(entry, run_id)]
        return found[-1] if found else None

    def before(self) -> Mapping[str, Any] | None:
        """The entry of the model that was the best before the present one was promoted, or None."""
        place = self.promotion_of(str(self.now["run_id"])) if self.now else None
        return self.history[place - 1] if place else None


def read(s3: S3Client, bucket: str, slug: str) -> Best:
    """What best.json says now; nothing where there is none, or it is no such document any more."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key(slug))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return Best()
        raise
    text = answer["Body"].read()
    try:
        document = json.loads(text)
        entries = document.pop("history", None) or [{"how": PROMOTED, **document}]
        history = [{**entry, "run_id": str(entry["run_id"])} for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.warning("s3://%s/%s says of no model that it is the best: %.200r", bucket, key(slug), text)
        history = []
    return Best(history, answer["ETag"])


def change(
    s3: S3Client, bucket: str, slug: str, decide: Callable[[Best], tuple[Answer, Mapping[str, Any] | None]]
) -> Answer:
    """Let `decide` see the present best and answer something, with the new entry if the best is another from now on.

    Where somebody else was quicker it decides anew, seeing what came of that.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        best = read(s3, bucket, slug)
        answer, entry = decide(best)
        if entry is None:
            return answer
        document = {**entry, "history": [*best.history, entry][-KEPT:]}
        condition: dict[str, Any] = {"IfMatch": best.etag} if best.etag else {"IfNoneMatch": "*"}
        try:
            s3.put_object(
                Bucket=bucket,
                Key=key(slug),
                Body=json.dumps(document, indent=1).encode(),
                ContentType="application/json",
                **condition,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OVERTAKEN or attempt == _ATTEMPTS:
                raise
        else:
            return answer
    raise AssertionError("the last attempt answers or raises")


def entry(run_id: str, bucket: str, slug: str, *, score: float | None, at: str, how: str, why: str) -> dict[str, Any]:
    """An entry that makes a run's model the best."""
    uri = f"s3://{bucket}/models/{slug}/{run_id}/best.pt"
    return {"run_id": run_id, "model_uri": uri, "score": score, "at": at, "how": how, "why": why}


def of_run(s3: S3Client, bucket: str, slug: str, run_id: str) -> dict[str, Any] | None:
    """The metrics.json beside a run's model, nothing in it where it cannot be read; None where there is no model."""
    place = f"models/{slug}/{run_id}/"
    if not is_there(s3, bucket, f"{place}best.pt"):
        return None
    return metrics_at(s3, bucket, f"{place}metrics.json")


def metrics_at(s3: S3Client, bucket: str, place: str) -> dict[str, Any]:
    """A metrics.json; nothing in it where it is not there, or is none."""
    try:
        found = json.loads(content(s3, bucket, place) or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def present(s3: S3Client, bucket: str, slug: str) -> str:
    """The run whose model is the best and is there; empty where there is none."""
    now = read(s3, bucket, slug).now
    if now and is_there(s3, bucket, f"models/{slug}/{now['run_id']}/best.pt"):
        return str(now["run_id"])
    return ""


def key(slug: str) -> str:
    """Where a dataset's best.json lies."""
    return f"models/{slug}/best.json"


def _is_promotion(entry: Mapping[str, Any], run_id: str) -> bool:
    return entry["run_id"] == run_id and entry.get("how") == PROMOTED
