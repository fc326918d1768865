"""Files that are either whole or not there: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

_CHUNK = 1024 * 1024


def write(target: Path, content: bytes | str) -> None:
    """Put content in place of the target, so that a kill at any moment leaves the old or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(target)
    with draft.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)


def write_json(target: Path, document: Any) -> None:
    """Put a JSON document in place of the target."""
    write(target, json.dumps(document, indent=1) + "\n")


def copy(source: Path, target: Path) -> None:
    """Put a copy of source in place of the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(target)
    with source.open("rb") as original, draft.open("wb") as file:
        shutil.copyfileobj(original, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _draft(target: Path) -> Path:
    return target.with_name(f".{target.name}.tmp")
