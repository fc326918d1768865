"""Checkpoints that survive a kill at any moment, on a host that has nothing but the checkpoint folder.

Two generations, in the slots `a` and `b`, are written in turn. A slot's manifest, with the digest of every file and
of itself, goes before its files are touched and comes back after they are on disk. So one whole generation always
stands, whatever was being written, and whatever of it had been copied to S3 at that moment. Slots keep their names,
so the S3 prefix never holds more than the two.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training_entry import durable

_SLOTS = ("a", "b")


@dataclass(frozen=True)
class Generation:
    """A whole checkpoint: epochs done, whether they were the last, and its files by name."""

    epoch: int
    finished: bool
    files: dict[str, Path]


@dataclass(frozen=True)
class History:
    """How often this run has started on a host, and after which epochs it resumed."""

    host_starts: int = 0
    resumed_from_epochs: tuple[int, ...] = ()


@dataclass
class Store:
    """The checkpoint folder of one run."""

    root: Path
    run_id: str
    rejected: list[str] = field(default_factory=list)
    _newest: str | None = None

    def save(self, epoch: int, *, finished: bool, files: Mapping[str, Path]) -> None:
        """Write a generation over the older one; files that it has already are left as they are."""
        slot = "b" if self._newest == "a" else "a"
        folder = self.root / slot
        known = self._digests(folder)
        (folder / "manifest.json").unlink(missing_ok=True)
        digests = {}
        for name, source in files.items():
            digests[name] = durable.digest(source)
            if known.get(name) != digests[name] or not (folder / name).is_file():
                durable.copy(source, folder / name)
        content = {"run_id": self.run_id, "epoch": epoch, "finished": finished, "files": digests}
        durable.write_json(folder / "manifest.json", {**content, "digest": _digest_of(content)})
        self._newest = slot

    def restore(self) -> Generation | None:
        """The newest whole generation; whatever is not whole is removed, and named in `rejected`."""
        candidates: list[tuple[int, str, Generation]] = []
        for slot in _SLOTS:
            folder = self.root / slot
            if not folder.is_dir():
                continue
            try:
                generation = self._read(folder)
                candidates.append((generation.epoch, slot, generation))
            except (OSError, ValueError, KeyError, TypeError) as error:
                self.rejected.append(f"{slot}: {error}")
                shutil.rmtree(folder, ignore_errors=True)
        if not candidates:
            return None
        _, self._newest, newest = max(candidates, key=lambda item: item[0])
        return newest

    def register_start(self, resumed_from: int | None) -> History:
        """Count this start of a host, and the epoch that it resumes from."""
        place = self.root / "history.json"
        try:
            document = json.loads(place.read_text())
            before = History(int(document["host_starts"]), tuple(map(int, document["resumed_from_epochs"])))
        except (OSError, ValueError, KeyError, TypeError):
            before = History()
        resumed = before.resumed_from_epochs + ((resumed_from,) if resumed_from is not None else ())
        now = History(before.host_starts + 1, resumed)
        durable.write_json(place, {"host_starts": now.host_starts, "resumed_from_epochs": list(resumed)})
        return now

    def mark_done(self, evaluation: Mapping[str, Any]) -> None:
        """Note that everything was delivered, with what the final evaluation found."""
        content = {"run_id": self.run_id, "evaluation": dict(evaluation)}
        durable.write_json(self.root / "done.json", {**content, "digest": _digest_of(content)})

    def done(self) -> dict[str, Any] | None:
        """What `mark_done` noted, if it did for this run."""
        try:
            content = json.loads((self.root / "done.json").read_text())
            whole = content.pop("digest") == _digest_of(content) and content["run_id"] == self.run_id
            return dict(content["evaluation"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _read(self, folder: Path) -> Generation:
        try:
            content = json.loads((folder / "manifest.json").read_text())
        except FileNotFoundError:
            raise ValueError("it was not written to its end") from None
        if content.pop("digest") != _digest_of(content):
            raise ValueError("its manifest is damaged")
        if content["run_id"] != self.run_id:
            raise ValueError(f"it belongs to run {content['run_id']}")
        for name, expected in content["files"].items():
            if not (folder / name).is_file() or durable.digest(folder / name) != expected:
                raise ValueError(f"its {name} is damaged or incomplete")
        return Generation(content["epoch"], content["finished"], {name: folder / name for name in content["files"]})

    def _digests(self, folder: Path) -> dict[str, str]:
        try:
            return dict(json.loads((folder / "manifest.json").read_text())["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _digest_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
