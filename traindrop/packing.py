"""A dataset as one zip that is made while it is read, so that none has to lie on the disk.

The same files give the same bytes: their order and times are fixed. What the rules read comes first and lies together,
so that a few ranges of the object are all that judging it takes.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from traindrop.data_yaml import DATA_FILES
from traindrop.layout import is_image
from traindrop.on_disk import DiskFolder
from traindrop.problems import Problem
from traindrop.sources import Source, SourceError
from traindrop.validation import SETTINGS_FILES
from traindrop.zip_directory import MAX_MEMBER, UNREADABLE

Read = Callable[[str], bytes]
_NEITHER = 4


def packed_names(names: Iterable[str]) -> list[str]:
    """The files that make a dataset, in the order in which they are packed: yaml files, other text, images.

    What is left out nobody reads: models, spreadsheets, archives that lie beside the images.
    """
    ranked = [(_rank(name), name) for name in names]
    return [name for rank, name in sorted(ranked) if rank < _NEITHER]


def pack(names: Iterable[str], read: Read) -> Iterator[bytes]:
    """The bytes of a zip of these files, in blocks of any size; one file is held at a time.

    Text is deflated, images are stored.
    """
    window = _Window()
    with zipfile.ZipFile(window, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            info.compress_type = zipfile.ZIP_STORED if is_image(name) else zipfile.ZIP_DEFLATED
            archive.writestr(info, read(name))
            yield window.passed()
    yield window.passed()


def reader(path: Path, source: Source, instead: Mapping[str, bytes]) -> Read:
    """Reads whole files of the dataset at a path.

    Args:
        path: a folder, or a zip.
        source: the same, opened.
        instead: contents that take the place of the dataset's own.

    Raises:
        SourceError: by what is answered: a file is not what it was when the dataset was judged, or too large for a zip.
    """
    read = _from_folder(path) if isinstance(source, DiskFolder) else _from_zip(path, source.root)

    def checked(name: str) -> bytes:
        if name in instead:
            return instead[name]
        expected = source.files[name].size
        if expected > MAX_MEMBER:
            words = f"{name} has {expected} bytes, and at most 1 GiB are accepted of one file; leave it out"
            raise SourceError(Problem("archive.member_too_large", words, [name]))
        try:
            content = read(name)
        except (*UNREADABLE, KeyError) as error:
            raise _changed(name, str(getattr(error, "strerror", None) or error)) from error
        if len(content) != expected:
            raise _changed(name, f"it had {expected} bytes and has {len(content)}")
        return content

    return checked


class Joined(io.RawIOBase):
    """Blocks of any size as one file that is read once."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        """Read nothing yet."""
        self._blocks, self._rest = iter(blocks), memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the beginning of a buffer; 0 at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class WholeFile(io.FileIO):
    """A file that is read once and must not be written to meanwhile."""

    def __init__(self, path: Path) -> None:
        """Open it."""
        super().__init__(path)
        self._path, self._before = path, self._marks()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the beginning of a buffer; 0 at the end.

        Raises:
            SourceError: at the end, if the file is another than it was.
        """
        size = super().readinto(buffer)
        if not size and self._marks() != self._before:
            raise _changed(str(self._path), "its size or time is another")
        return size

    def _marks(self) -> tuple[int, int]:
        found = os.fstat(self.fileno())
        return found.st_size, found.st_mtime_ns


def packed_bytes(names: Collection[str], size_of: Callable[[str], int]) -> int:
    """About how many bytes the zip will have: as if nothing could be deflated."""
    return 22 + sum(76 + 2 * len(name.encode()) + size_of(name) for name in names)


def _rank(name: str) -> int:
    if name in DATA_FILES:
        return 0
    if name in SETTINGS_FILES:
        return 1
    if name[-4:].lower() == ".txt":
        return 2
    return 3 if is_image(name) else _NEITHER


def _from_folder(folder: Path) -> Read:
    return lambda name: (folder / name).read_bytes()


def _from_zip(path: Path, root: str) -> Read:
    archive = zipfile.ZipFile(path)
    members = {info.filename.replace("\\", "/"): info for info in archive.infolist()}
    return lambda name: archive.read(members[root + name])


def _changed(name: str, why: str) -> SourceError:
    words = f"{name} was changed or deleted while it was packed ({why}); see that nothing else writes there"
    return SourceError(Problem("dataset.unreadable", words, [name]))


class _Window(io.BytesIO):
    """A file whose beginning can be taken away: zipfile turns back no further than the header of a file it writes."""

    _begins = 0

    def tell(self) -> int:
        """Offset in the whole file."""
        return self._begins + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset of the whole file."""
        return self._begins + super().seek(offset - self._begins if whence == io.SEEK_SET else offset, whence)

    def passed(self) -> bytes:
        """What was written since this was asked last."""
        content = self.getvalue()
        self._begins += len(content)
        super().seek(0)
        self.truncate()
        return content
