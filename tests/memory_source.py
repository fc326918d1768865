"""A dataset in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from traindrop.dataset import File
from traindrop.images import HEAD_BYTES, TAIL_BYTES


class MemorySource:
    """Files by name, as a folder or, where `archive_bytes` says so, as a zip would hold them."""

    root, checksum, newest = "", "md5", datetime.fromtimestamp(0, UTC)

    def __init__(
        self,
        files: Mapping[str, bytes],
        archive_bytes: int = 0,
        *,
        image_sample: int | None = None,
        modified: Mapping[str, float] | None = None,
    ) -> None:
        self.archive_bytes, self.image_sample = archive_bytes, image_sample
        self.bodies = dict(files)
        self.affords = len(files)
        self.opened: list[str] = []
        came = modified or {}
        self.files = {
            name: File(name, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest(), came.get(name, 0.0))
            for name, body in files.items()
        }

    def read(self, name: str) -> bytes:
        return self.bodies[name]

    def affordable(self, names: Sequence[str]) -> list[str]:
        return list(names)[: self.affords]

    def contents(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        return ((name, self.bodies[name]) for name in names)

    def ends(self, names: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        self.opened += names
        return ((name, self.bodies[name][:HEAD_BYTES], self.bodies[name][-TAIL_BYTES:]) for name in names)

    def digests(self, names: Sequence[str]) -> Mapping[str, str]:
        return {name: self.files[name].digest for name in names}
