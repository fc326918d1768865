"""Which object in the bucket is a drop, what its dataset is called, and what its run is called."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ROOT = "datasets/"
NAME_LIMIT = 128
_SLUG_STEM = 26
_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HASHED = re.compile(r".*-[0-9a-f]{8}")
RUN_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-\d{8}T\d{6}-[0-9a-f]{8}")
_YAML = ("data.yaml", "data.yml")
_SETTINGS = ("training.yaml", "training.yml")


@dataclass(frozen=True)
class Drop:
    """An object that starts a run."""

    key: str
    dataset: str
    form: Literal["archive", "folder"]

    @property
    def prefix(self) -> str:
        """Where the dataset lies: the archive's own key, or the folder's prefix with its slash."""
        return self.key if self.form == "archive" else f"{ROOT}{self.dataset}/"


@dataclass(frozen=True)
class Misplaced:
    """An object that was meant as a drop but lies where none is looked for."""

    key: str
    dataset: str
    right_keys: tuple[str, ...]
    reason: str


def recognise(key: str) -> Drop | Misplaced | None:
    """What the object with this raw (never unquoted) key means: a drop, a misplaced one, or nothing.

    `datasets/training.yaml` holds settings for the whole bucket and starts nothing; a lone `training.yaml`
    elsewhere is nobody's mistake worth a message.
    """
    folder, _, file = key.rpartition("/")
    lowered = file.lower()
    is_archive = lowered.endswith(".zip")
    is_data = lowered in _YAML
    if not (is_archive or is_data or lowered in _SETTINGS):
        return None
    parent = f"{folder}/" if folder else ""
    if is_archive and parent == ROOT:
        return _checked(Drop(key, file[:-4], "archive"))
    if not is_archive and parent.startswith(ROOT) and parent.count("/") == 2:
        if file != lowered:
            return _misspelt(key)
        return _checked(Drop(key, parent.removeprefix(ROOT).rstrip("/"), "folder"))
    if not (is_archive or is_data):
        return None
    folders = [part for part in folder.split("/") if part and part != "datasets"]
    wanted = [file[:-4], *folders[:1]] if is_archive else [*folders[:1], *folders[1:][-1:]]
    names = list(dict.fromkeys(_proper(name) for name in wanted if name.strip())) or ["my-dataset"]
    right = tuple(f"{ROOT}{name}.zip" if is_archive else f"{ROOT}{name}/data.yaml" for name in names)
    return Misplaced(
        key,
        names[0],
        right,
        "an archive starts a run only directly under datasets/"
        if is_archive
        else "a data.yaml starts a run only directly in its dataset's folder, datasets/<name>/",
    )


def _misspelt(key: str) -> Misplaced:
    folder, _, file = key.rpartition("/")
    name = _proper(folder.rpartition("/")[2])
    return Misplaced(
        key,
        name,
        (f"{ROOT}{name}/{file.lower()}",),
        "ultralytics looks for this file under its lower-case name",
    )


def _checked(drop: Drop) -> Drop | Misplaced:
    name = drop.dataset
    shown = _proper(name)
    if shown == name:
        return drop
    right = f"{ROOT}{shown}.zip" if drop.form == "archive" else f"{ROOT}{shown}/data.yaml"
    return Misplaced(
        drop.key,
        shown,
        (right,),
        f"a dataset's name has 1 to {NAME_LIMIT} printable characters; this one has {len(name)}",
    )


def _proper(name: str) -> str:
    """The name itself if a dataset may be called that, else the nearest one that it may be called."""
    if name.strip() and len(name) <= NAME_LIMIT and name.isprintable() and name not in (".", ".."):
        return name
    return "".join(c if c.isprintable() else "_" for c in name)[:40].strip(" .") or "my-dataset"


def slug_of(name: str) -> str:
    """The name as AWS resource names allow it: `[a-z0-9-]`, at most 35 characters, never shared by two names.

    A name that already is such a slug stays itself; any other one carries eight hex digits of its own hash.
    """
    if _PLAIN.fullmatch(name) and len(name) <= _SLUG_STEM and not _HASHED.fullmatch(name):
        return name
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:_SLUG_STEM].strip("-") or "dataset"
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def run_id_of(dataset: str, moment: datetime, *identity: str) -> str:
    """`<slug>-<yyyymmddThhmmss>-<8 hex>`: the same for the same event, however often it is delivered.

    At most 60 characters, so that `<run_id>-<attempt>` fits SageMaker's 63 for a job name.
    """
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:8]
    return f"{slug_of(dataset)}-{moment:%Y%m%dT%H%M%S}-{digest}"


def slug_of_run(run_id: str) -> str:
    """The slug that a run's id begins with."""
    return run_id.rsplit("-", 2)[0]


def run_id_of_execution(name: str, started_at: datetime, dataset: str) -> str:
    """The run of an execution: its own name, or, for one started by hand in the console, one made like it."""
    return name if RUN_ID.fullmatch(name) else run_id_of(dataset, started_at, name)
