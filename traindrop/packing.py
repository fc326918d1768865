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


def parts(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Blocks of any size as parts of `size` bytes; the last may be smaller."""
    held: list[memoryview] = []
    room = size
    for block in blocks:
        rest = memoryview(block)
        while len(rest) >= room:
            yield b"".join([*held, rest[:room]])
            held, rest, room = [], rest[room:], size
        if rest:
            held.append(rest)
            room -= len(rest)
    if held:
        yield b"".join(held)


def file_parts(path: Path, size: int) -> Iterator[bytes]:
    """The bytes of a file as parts of `size` bytes.

    Raises:
        SourceError: it was written to meanwhile.
    """
    with path.open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        while part := _filled(file, size):
            yield part
        after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise _changed(str(path), "its size or time is another")


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


def _filled(file: io.FileIO, size: int) -> bytes:
    """The next `size` bytes, fewer at the end; one read brings 2 GiB at most, and may bring less."""
    part = file.read(size) or b""
    while len(part) < size and (more := file.read(size - len(part))):
        part += more
    return part


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
