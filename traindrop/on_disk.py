"""A dataset on this machine's disk: a folder, or a zip that is read in place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from traindrop.data_yaml import DATA_FILES
from traindrop.dataset import File, hint_of_classification, is_noise
from traindrop.images import HEAD_BYTES, TAIL_BYTES
from traindrop.member_names import fault_of
from traindrop.problems import Problem
from traindrop.sources import MAX_ENTRIES, READ_LIMIT, Source, SourceError
from traindrop.zip_archive import ZipArchive
from traindrop.zip_bytes import Span


def open_path(path: Path) -> Source:
    """The dataset at a path: a folder that holds data.yaml, or a zip.

    Raises:
        SourceError: it is neither, or cannot be read or unpacked as it is.
    """
    if path.is_dir():
        if not any((path / name).is_file() for name in DATA_FILES):
            below = next((found for name in DATA_FILES for found in sorted(path.glob(f"*/{name}"))), None)
            hint = f"give {below.parent}, which has one" if below else "give the folder that holds it, or a zip"
            seen = hint_of_classification([item.relative_to(path).as_posix() for item in path.glob("*/*/*")])
            raise SourceError(Problem("data_yaml.missing", f"{path} has no data.yaml{seen}; {hint}", [str(path)]))
        return DiskFolder(path)
    if not path.is_file():
        raise SourceError(
            Problem(
                "dataset.not_found",
                f"{path} is neither a folder nor a zip; give the folder that holds data.yaml, or its zip",
                [str(path)],
            )
        )
    if path.suffix.lower() in (".yaml", ".yml"):
        raise SourceError(
            Problem("dataset.not_found", f"{path} is a single file; give the folder that it lies in", [str(path)])
        )
    return ZipArchive(_DiskZip(path))


class DiskFolder:
    """A dataset as files below a folder.

    A link is followed while it stays in the folder; what lies elsewhere belongs to no dataset that is dropped.
    """

    def __init__(self, folder: Path) -> None:
        """Look through the folder.

        Raises:
            SourceError: something in it is no file, cannot be read, or has a name that is not accepted.
        """
        self._folder = os.path.realpath(folder)
        self.root, self.checksum, self.archive_bytes = "", "md5", 0
        self.image_sample: int | None = None
        self.files: dict[str, File] = {}
        for name, found in self._below(self._folder, "", (self._folder,)):
            if fault := fault_of(name):
                raise _refused("folder.unsafe_name", name, f"{fault}; rename it")
            if len(self.files) >= MAX_ENTRIES:
                raise SourceError(
                    Problem(
                        "folder.too_many_files",
                        f"{folder} holds more than {MAX_ENTRIES} files, which is all that are accepted",
                        [str(folder)],
                    )
                )
            self.files[name] = File(name, found.st_size, "", found.st_mtime)
        self.newest = datetime.fromtimestamp(max((file.modified for file in self.files.values()), default=0), UTC)

    def read(self, name: str) -> bytes:
        """Content of a file."""
        return self._parts(name, (0, READ_LIMIT))[0]

    def affordable(self, names: Sequence[str]) -> list[str]:
        """All: reading from a disk is not paid for."""
        return list(names)

    def contents(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file."""
        for name in names:
            yield name, self.read(name)

    def ends(self, names: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        """Name, head and tail of each file."""
        for name in names:
            size = self.files[name].size
            head, tail = self._parts(name, (0, HEAD_BYTES), (max(0, size - TAIL_BYTES), size))
            yield name, head, tail

    def digests(self, names: Sequence[str]) -> Mapping[str, str]:
        """MD5 of each file, as S3 has it as ETag of an object that was uploaded in one part."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return dict(zip(names, threads.map(self._md5, names), strict=True))

    def _below(self, folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
        """Path relative to the dataset's folder, and facts, of each file below a folder, whose real parents are given.

        Noise is left out, and so are the links and pipes that are noise.
        """
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(folder, error) from error
        for entry in entries:
            name = prefix + entry.name
            real = f"{above[-1]}/{entry.name}"
            if is_noise(name):
                continue
            if entry.is_symlink():
                real = os.path.realpath(entry.path)
                if not Path(real).exists() or not real.startswith(f"{self._folder}/") or real in above:
                    raise _refused(
                        "folder.link",
                        name,
                        "a link to nowhere, to a folder that it lies in, or out of the dataset; put the files "
                        "themselves in its place (`cp -rL` copies a dataset so)",
                    )
            if entry.is_dir():
                yield from self._below(entry.path, f"{name}/", (*above, real))
            elif entry.is_file():
                yield name, entry.stat()
            else:
                raise _refused("folder.not_a_file", name, "a pipe, a socket or a device; delete it")

    def _parts(self, name: str, *spans: Span) -> list[bytes]:
        path = f"{self._folder}/{name}"
        try:
            return list(_read(path, spans))
        except OSError as error:
            raise _unreadable(path, error) from error

    def _md5(self, name: str) -> str:
        path = f"{self._folder}/{name}"
        try:
            with Path(path).open("rb") as file:
                return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        except OSError as error:
            raise _unreadable(path, error) from error


class _DiskZip:
    """The bytes of a zip on disk."""

    image_sample: int | None = None

    def __init__(self, path: Path) -> None:
        self.name, self.place = path.name, str(path)
        found = path.stat()
        self.size, self.newest = found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def fetch(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of each span."""
        try:
            yield from enumerate(_read(self.place, spans))
        except OSError as error:
            raise _unreadable(self.place, error) from error


def _read(path: str, spans: Sequence[Span]) -> Iterator[bytes]:
    opened = os.open(path, os.O_RDONLY)
    try:
        for start, end in spans:
            yield os.pread(opened, end - start, start)
    finally:
        os.close(opened)


def _refused(code: str, name: str, why: str) -> SourceError:
    return SourceError(Problem(code, f"the dataset holds {name!r:.200}, {why}", [name]))


def _unreadable(path: str | Path, error: OSError) -> SourceError:
    cure = "see that you may read it, and that nothing else is writing there"
    return SourceError(Problem("dataset.unreadable", f"{path} cannot be read ({error.strerror}); {cure}", [str(path)]))
