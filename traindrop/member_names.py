"""Names of a dataset's files: which can lie on any disk, below their folder and beside each other."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator

_NAME_BYTES = 1024
_PART_BYTES = 255
_PARTS = 64


def fault_of(name: str) -> str:
    """What is wrong with a name, as the end of a sentence; nothing for a good one.

    Args:
        name: relative to the dataset's root, with `/` between its parts.
    """
    parts = name.split("/")
    if name.startswith("/") or name[1:2] == ":" or ".." in parts:
        return "a path that leaves its folder"
    if not name.isprintable():
        return "a name with control characters"
    if (
        len(parts) > _PARTS
        or len(name.encode()) > _NAME_BYTES
        or max(len(part.encode()) for part in parts) > _PART_BYTES
    ):
        return "a path that is too long or too deep for a disk"
    return ""


def collision_of(names: Collection[str]) -> str:
    """A path that is there twice, or both as a file and as a folder; nothing where there is none."""
    normal = {posixpath.normpath(name) for name in names}
    if len(normal) != len(names):
        seen: set[str] = set()
        for name in map(posixpath.normpath, names):
            if name in seen:
                return name
            seen.add(name)
    return next((above for name in normal for above in _above(name) if above in normal), "")


def _above(name: str) -> Iterator[str]:
    end = name.rfind("/")
    while end > 0:
        yield name[:end]
        end = name.rfind("/", 0, end)
