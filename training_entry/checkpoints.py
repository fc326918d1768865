"""Checkpoints that survive a kill at any moment, on a host that has nothing but the checkpoint folder.

A generation is one zip, `a.zip` or `b.zip`, with the digests of its members; the two are written in turn. One file
is replaced in one step, on disk as in S3, so no copy of the folder, however late or interrupted, can mix the files of
two epochs; and the folder never grows. Beside them lie the best model and its figures for whoever has no archive.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training_entry import durable

_SLOTS = ("a.zip", "b.zip")
_MANIFEST = "manifest.json"
_CHUNK = 1024 * 1024
_TOLD = 500  # characters of a rejection
_REMEMBERED = 10  # rejections
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)


@dataclass(frozen=True)
class Generation:
    """A whole checkpoint: its file, the epochs done, whether they were the last."""

    path: Path
    epoch: int
    finished: bool

    def unpack(self, folder: Path) -> None:
        """Put its files into a folder that is emptied first."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with zipfile.ZipFile(self.path) as packed:
            for name in json.loads(packed.read(_MANIFEST))["files"]:
                with packed.open(name) as source, (folder / Path(name).name).open("wb") as target:
                    shutil.copyfileobj(source, target)


@dataclass(frozen=True)
class History:
    """How often this run has started on a host, after which epochs it resumed, and what was found damaged then."""

    host_starts: int = 0
    resumed_from_epochs: tuple[int, ...] = ()
    checkpoints_rejected: tuple[str, ...] = ()


@dataclass
class Store:
    """The checkpoint folder of one run."""

    root: Path
    run_id: str
    rejected: list[str] = field(default_factory=list)
    _newest: str | None = None

    def save(self, epoch: int, *, finished: bool, files: Mapping[str, Path]) -> None:
        """Write a generation in place of the older one."""
        self.root.mkdir(parents=True, exist_ok=True)
        slot = _SLOTS[1] if self._newest == _SLOTS[0] else _SLOTS[0]
        draft = self.root / f".{slot}.tmp"
        content = {"run_id": self.run_id, "epoch": epoch, "finished": finished}
        with draft.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
                digests = {name: _pack(packed, name, source) for name, source in files.items()}
                packed.writestr(_MANIFEST, json.dumps(_sealed({**content, "files": digests})))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.root / slot)
        self._newest = slot

    def show(self, files: Mapping[str, Path]) -> None:
        """Keep the newest of these files beside the generations; what has not changed is not written."""
        for name, source in files.items():
            target = self.root / name
            if not target.is_file() or durable.digest(target) != durable.digest(source):
                durable.copy(source, target)

    def restore(self) -> Generation | None:
        """The newest whole generation; one that is not whole is removed, and named in `rejected`."""
        whole: list[Generation] = []
        for slot in _SLOTS:
            path = self.root / slot
            path.with_name(f".{slot}.tmp").unlink(missing_ok=True)
            if path.is_file():
                try:
                    whole.append(self._read(path))
                except _DAMAGED as error:
                    self._reject(path, error)
        newest = max(whole, key=lambda generation: generation.epoch, default=None)
        self._newest = newest.path.name if newest else None
        return newest

    def register_start(self, generation: Generation | None) -> History:
        """Count this start of a host, the epoch that it resumes from, and what was rejected on the way there."""
        place = self.root / "history.json"
        before = self._history(place)
        resumed = (generation.epoch,) if generation and not generation.finished else ()
        went_on = f"went on from epoch {generation.epoch}" if generation else "began anew"
        rejected = (f"{'; '.join(self.rejected)}; training {went_on}"[:_TOLD],) if self.rejected else ()
        history = History(
            before.host_starts + 1,
            before.resumed_from_epochs + resumed,
            (before.checkpoints_rejected + rejected)[-_REMEMBERED:],
        )
        durable.write_json(place, _sealed(asdict(history)))
        return history

    def mark_done(self, evaluation: Mapping[str, Any]) -> None:
        """Note that everything was delivered, with what the final evaluation found."""
        durable.write_json(self.root / "done.json", _sealed({"run_id": self.run_id, "evaluation": dict(evaluation)}))

    def done(self) -> dict[str, Any] | None:
        """What `mark_done` noted, if it did for this run; without it the best model is evaluated again."""
        try:
            content = _unsealed((self.root / "done.json").read_bytes())
            return dict(content["evaluation"]) if content["run_id"] == self.run_id else None
        except _DAMAGED:
            return None

    def note_champion(self, found: Mapping[str, Any]) -> None:
        """Note what the evaluation of the best model before this run found, so that no other host repeats it."""
        durable.write_json(self.root / "champion.json", _sealed({"run_id": self.run_id, "champion": dict(found)}))

    def champion(self, champion: str) -> dict[str, Any] | None:
        """What `note_champion` noted for this run about that champion, a run's id."""
        try:
            content = _unsealed((self.root / "champion.json").read_bytes())
            found = dict(content["champion"])
            return found if (content["run_id"], found["run_id"]) == (self.run_id, champion) else None
        except _DAMAGED:
            return None

    def _history(self, place: Path) -> History:
        try:
            content = _unsealed(place.read_bytes())
            return History(
                int(content["host_starts"]),
                tuple(map(int, content["resumed_from_epochs"])),
                tuple(map(str, content["checkpoints_rejected"])),
            )
        except FileNotFoundError:
            return History()
        except _DAMAGED as error:
            self._reject(place, error)
            return History()

    def _reject(self, path: Path, error: Exception) -> None:
        self.rejected.append(f"{path.name}: {' '.join(str(error).split())[:200] or type(error).__name__}")
        path.unlink()

    def _read(self, path: Path) -> Generation:
        with zipfile.ZipFile(path) as packed:
            content = _unsealed(packed.read(_MANIFEST))
            if content["run_id"] != self.run_id:
                raise ValueError(f"it belongs to run {content['run_id']}")
            for name, expected in content["files"].items():
                with packed.open(name) as member:
                    if hashlib.file_digest(member, "sha256").hexdigest() != expected:  # type: ignore[arg-type]
                        raise ValueError(f"its {name} is damaged")
        return Generation(path, content["epoch"], content["finished"])


def _pack(packed: zipfile.ZipFile, name: str, source: Path) -> str:
    """Put a file into a zip; answer the digest of what was put there, in the one time that it is read."""
    digest = hashlib.sha256()
    with source.open("rb") as original, packed.open(zipfile.ZipInfo.from_file(source, name), "w") as member:
        while chunk := original.read(_CHUNK):
            member.write(chunk)
            digest.update(chunk)
    return digest.hexdigest()


def _sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its own digest in it."""
    return {**content, "digest": _digest_of(content)}


def _unsealed(text: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(text)
    if content.pop("digest") != _digest_of(content):
        raise ValueError("what it says is damaged")
    return content


def _digest_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
