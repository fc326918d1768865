"""What a dataset is read from: a folder or a zip, in S3 or on disk, each with as few requests as the rules need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from traindrop.dataset import File
from traindrop.problems import Problem

READ_LIMIT = 16 * 1024 * 1024
"""The most that is read of one file, in bytes."""
MAX_ENTRIES = 400_000
_MOST_REQUESTS = 200_000
_MOST_BYTES = 512 * 1024**2


class Source(Protocol):
    """A dataset to validate: its files by path relative to the folder of data.yaml, and their contents."""

    @property
    def files(self) -> Mapping[str, File]:
        """The files, noise left out."""

    @property
    def root(self) -> str:
        """Folder inside an archive that holds data.yaml, with its slash; empty elsewhere."""

    @property
    def newest(self) -> datetime:
        """When the last file arrived."""

    @property
    def checksum(self) -> str:
        """What a digest is: `md5`, `crc32`, or empty where it does not follow from the content."""

    @property
    def archive_bytes(self) -> int:
        """Size of the zip itself; 0 for a folder."""

    @property
    def image_sample(self) -> int | None:
        """How many images a sampled check opens, as each costs a request; None for all."""

    def read(self, name: str) -> bytes:
        """Content of a file, at most 16 MiB of it."""

    def affordable(self, names: Sequence[str]) -> list[str]:
        """The files whose contents can be read within the budget: all of them, or an even sample."""

    def contents(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each of many small files, at most 16 MiB of it, in any order and held one by one."""

    def ends(self, names: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        """Name, first 16 KiB and last 1 KiB of each file, in any order; the last is empty where it is not known."""

    def digests(self, names: Sequence[str]) -> Mapping[str, str]:
        """Digest of each file's content, of the kind that `checksum` says."""


class SourceError(Exception):
    """The dataset cannot be read at all; carries the problem to report."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem."""
        super().__init__(problem.message)
        self.problem = problem


def within_budget(names: Sequence[str], cost: Callable[[Sequence[str]], tuple[int, int]]) -> list[str]:
    """All names, or as large an even sample as 200,000 requests and 512 MiB allow.

    Args:
        names: of the files that are to be read.
        cost: requests and bytes that it takes to read some of them.
    """
    chosen = list(names)
    while chosen:
        requests, size = cost(chosen)
        excess = max(requests / _MOST_REQUESTS, size / _MOST_BYTES)
        if excess <= 1:
            break
        count = min(len(chosen) - 1, int(len(chosen) / excess))
        chosen = [names[index * len(names) // count] for index in range(count)]
    return chosen
