"""What a dataset holds: as the run's record keeps it, and as the report tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traindrop.figures import count, gigabytes

if TYPE_CHECKING:
    from traindrop.validation import Validation

_MOST_CLASSES = 200
_NAME_LENGTH = 60
_MOST_WARNINGS = 20
_UNKNOWN = "\N{EN DASH}"


@dataclass(frozen=True)
class Facts:
    """Tables of texts: a row for each split, and a row for each class (objects in train, in val); then sentences."""

    splits: list[tuple[str, ...]]
    classes: list[tuple[str, str, str]]
    more_classes: int
    remarks: list[str]
    warnings: list[str]
    more_warnings: int
    verdict_uri: str


def of(found: Validation) -> dict[str, Any]:
    """For the record of a run, below 64 KB: the verdict's counts, and objects by class in train and val."""
    names = found.verdict.names
    instances = [found.instances.get(split, {}) for split in ("train", "val")]
    return {
        "splits": found.verdict.splits,
        "classes": [
            [name[:_NAME_LENGTH], *(counts.get(index, 0) for counts in instances)]
            for index, name in list(names.items())[:_MOST_CLASSES]
        ],
        "class_count": len(names),
    }


def told(run: Mapping[str, Any]) -> Facts | None:
    """What the record of a run says of its dataset; None where it says nothing, as an older version's does."""
    contents, warnings = run.get("contents") or {}, list(map(str, run.get("warnings") or []))
    if not contents:
        return None
    return Facts(
        [_split(name, counts) for name, counts in _ordered(contents["splits"])],
        [(str(name), str(train), str(val)) for name, train, val in contents["classes"]],
        count(contents["class_count"]) - len(contents["classes"]),
        [*_remarks(run, contents["splits"])],
        warnings[:_MOST_WARNINGS],
        max(0, len(warnings) - _MOST_WARNINGS),
        str(run.get("verdict_uri", "")),
    )


def _ordered(splits: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, splits[name]) for name in ("train", "val", "test") if name in splits]


def _split(name: str, counts: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *(str(counts.get(key, _UNKNOWN)) for key in ("images", "labels", "backgrounds", "instances")))


def _remarks(run: Mapping[str, Any], splits: Mapping[str, Any]) -> list[str]:
    remarks = []
    if run.get("dataset_bytes"):
        files = count(run.get("dataset_files"))
        how = "as one zip" if run.get("form") == "archive" else f"as {files} files"
        remarks.append(f"It came {how} of {gigabytes(run['dataset_bytes'])}.")
    trained, there = count((run.get("images") or {}).get("train")), count(splits.get("train", {}).get("images"))
    if trained and trained < there:
        remarks.append(f"Of the {there} train images {trained} were asked for (train.fraction).")
    for name, counts in _ordered(splits):
        if count(counts.get("labels_read", counts["labels"])) < count(counts["labels"]):
            remarks.append(
                f"Of the {name} split {counts['labels_read']} of {counts['labels']} labels were read beforehand; the "
                "instances are those of these."
            )
    return remarks
