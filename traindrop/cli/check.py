"""`traindrop check`: a dataset on this machine's disk judged by the rules that the cloud uses."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from traindrop.cli import Answer, UsageError
from traindrop.fingerprint import fingerprint
from traindrop.on_disk import open_path
from traindrop.plain_text import printable
from traindrop.problems import Verdict
from traindrop.settings_layers import Layer
from traindrop.sources import Source, SourceError
from traindrop.validation import Validation, validate

_WIDEST = 100
_NAMES_SHOWN = 10
_EXAMPLES_SHOWN = 3
_COLUMNS = ("images", "labels", "backgrounds", "instances")
_NOT_ABOUT_THE_DATA = frozenset({"dataset.not_found", "dataset.unreadable"})


@dataclass(frozen=True)
class Judged:
    """A dataset on disk and its verdict; without `source` and `found` where it cannot be read at all."""

    path: Path
    verdict: Verdict
    source: Source | None = None
    found: Validation | None = None


def check(place: str, *, name: str | None = None, as_json: bool = False) -> Answer:
    """Validate the dataset at a path.

    Args:
        place: a folder that holds data.yaml, or a zip.
        name: the dataset's name, by default the folder's or the zip's.
        as_json: whether the answer is the verdict document instead of text for people.

    Returns:
        An answer with exit code 0 if the dataset can train, else 1.

    Raises:
        UsageError: nothing lies there that is or could be a dataset, or it cannot be read.
    """
    judged = judge(place, name)
    verdict = judged.verdict
    if as_json and judged.source and judged.found:
        try:
            verdict = replace(verdict, fingerprint=_fingerprint(judged.source, judged.found))
        except SourceError as error:
            verdict = _unread(verdict.dataset, error)
    return Answer(shown(verdict, as_json=as_json), 0 if verdict.ok else 1)


def judge(place: str, name: str | None, given: Layer | None = None) -> Judged:
    """Judge the dataset at a path by every rule, with settings that rank above those that lie in it.

    Raises:
        UsageError: nothing lies there that is or could be a dataset, or it cannot be read.
    """
    path = Path(place)
    if not place or not path.exists():
        raise UsageError(f"{printable(place) or 'nothing'} does not exist; give a dataset folder or its zip")
    name = name or (path.resolve().name if path.is_dir() else path.stem) or "dataset"
    try:
        source = open_path(path)
        found = validate(name, source, None, given_settings=given)
    except SourceError as error:
        return Judged(path, _unread(name, error))
    return Judged(path, found.verdict, source, found)


def shown(verdict: Verdict, *, as_json: bool) -> str:
    """A verdict for people, or as the document that scripts read."""
    document = verdict.as_dict()
    return json.dumps(document, indent=2) if as_json else "\n".join(_lines(document))


def _unread(name: str, error: SourceError) -> Verdict:
    if error.problem.code in _NOT_ABOUT_THE_DATA:
        raise UsageError(error.problem.message) from error
    return Verdict(name, "segment", {}, {}, [error.problem])


def _fingerprint(source: Source, found: Validation) -> str:
    """The fingerprint that the cloud finds, for which every file is read; empty where the model is known there only."""
    if not (found.description and found.settings.task and {"train", "val"} <= found.splits.keys()):
        return ""
    return fingerprint(source, found.description, found.splits, found.settings, found.settings.model)


def _lines(verdict: dict[str, Any]) -> Iterator[str]:
    """The verdict document for people."""
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    names = [printable(str(name)) for name in verdict["names"]]
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    classes = f", {_counted(len(names), 'class', 'classes')}: {shown}" if names else ""
    yield from textwrap.wrap(f"{printable(verdict['dataset'])}: {verdict['task']}{classes}", width)
    if verdict["splits"]:
        yield ""
        yield from _table(verdict["splits"])
    for kind in ("errors", "warnings"):
        problems = verdict[kind]
        if problems:
            yield ""
            yield kind
            for problem in problems:
                yield from _of_problem(problem, width)
    yield ""
    errors, warnings = len(verdict["errors"]), len(verdict["warnings"])
    counted = [_counted(errors, "error", "errors")] if errors else []
    counted += [_counted(warnings, "warning", "warnings")] if warnings else []
    yield ("OK" if verdict["ok"] else "NOT OK") + (f": {', '.join(counted)}" if counted else "")


def _table(splits: dict[str, dict[str, int]]) -> Iterator[str]:
    columns = [column for column in _COLUMNS if any(column in counts for counts in splits.values())]
    yield "split".ljust(8) + "".join(column.rjust(13) for column in columns)
    for split, counts in splits.items():
        yield split.ljust(8) + "".join(f"{counts.get(column, 0):,}".rjust(13) for column in columns)


def _of_problem(problem: dict[str, Any], width: int) -> Iterator[str]:
    many = f" ({problem['count']:,})" if problem["count"] > 1 else ""
    yield f"  {problem['code']}{many}"
    message = problem["message"]
    yield from textwrap.wrap(
        message, width, initial_indent="    ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    others = [example for example in problem["examples"] if example not in message][:_EXAMPLES_SHOWN]
    if problem["count"] > 1:
        yield from (f"    - {example}" for example in others)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
