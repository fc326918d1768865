"""A dataset as one zip, in S3 or on disk: its directory, and members that lie near each other read at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from traindrop.dataset import File
from traindrop.images import HEAD_BYTES, TAIL_BYTES
from traindrop.problems import Problem
from traindrop.sources import READ_LIMIT, SourceError, within_budget
from traindrop.zip_bytes import Span, ZipBytes, ZipFileObject
from traindrop.zip_directory import UNREADABLE, read_directory

_NEAR = 64 * 1024
"""With 64 requests in flight, one of 25 ms takes as long as some 64 KiB."""
_LARGEST_PIECE = 4 * 1024 * 1024
_SMALL_SAMPLE = 256 * 1024
_HEADER_MARGIN = 1024
"""For a local header's extra fields, and what deflate adds to a head that does not compress."""
_DESCRIPTOR = 64
"""At least what may follow a member before the next."""
_Part = Literal["whole", "head", "tail"]


class ZipArchive:
    """A dataset as a zip; only its directory and the members that the rules ask for are fetched."""

    def __init__(self, zipped: ZipBytes) -> None:
        """Read the zip's directory.

        Raises:
            SourceError: it cannot be unpacked safely, or holds no data.yaml; see `read_directory`.
        """
        self._zipped = zipped
        self.newest, self.checksum, self.archive_bytes = zipped.newest, "crc32", zipped.size
        self.root, self._members = read_directory(zipped.name, zipped.place, ZipFileObject(zipped), zipped.size)
        self.files: Mapping[str, File] = {
            name: File(name, member.size, f"{member.crc:08x}") for name, member in self._members.items()
        }

    @property
    def image_sample(self) -> int | None:
        """How many images a sampled check opens, as the place of the zip asks."""
        return self._zipped.image_sample

    def read(self, name: str) -> bytes:
        """Content of a member."""
        return next(self.contents([name]))[1]

    def affordable(self, names: Sequence[str]) -> list[str]:
        """The members that can be read within the budget, which limits what they unpack to as well."""

        def cost(chosen: Sequence[str]) -> tuple[int, int]:
            pieces = _pieces(sorted(self._span(name) for name in chosen))
            unpacked = sum(min(self._members[name].size, READ_LIMIT) for name in chosen)
            return len(pieces), max(unpacked, sum(end - start for start, end, _ in pieces))

        return within_budget(names, cost)

    def contents(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each member, as they arrive.

        Raises:
            SourceError: a member cannot be unpacked, or is not what the directory says.
        """
        for name, _, raw in self._gather([(*self._span(name), name, "whole") for name in names]):
            yield name, self._content(name, raw)

    def ends(self, names: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        """Name, head and tail of each member, as they arrive; the tail of a large deflated one is not known.

        Where no more are asked for than a sampled check opens, each costs one request, and a large one has no tail.
        """
        few = self.image_sample is not None and len(names) <= self.image_sample
        wanted = [span for name in names for span in self._spans_of_ends(name, few=few)]
        in_two = {name for _, _, name, part in wanted if part == "tail"}
        waiting: dict[str, bytes] = {}
        for name, part, raw in self._gather(wanted):
            if part == "whole":
                content = self._content(name, raw)
                whole = self._members[name].size <= len(content)
                yield name, content[:HEAD_BYTES], content[-TAIL_BYTES:] if whole else b""
            elif name not in in_two:
                yield name, self._head(name, raw), b""
            elif name not in waiting:
                waiting[name] = raw
            else:
                other = waiting.pop(name)
                head, tail = (raw, other) if part == "head" else (other, raw)
                yield name, self._head(name, head), self._tail(name, head, tail)

    def digests(self, names: Sequence[str]) -> Mapping[str, str]:
        """CRC-32 of each member, as the directory says."""
        return {name: self.files[name].digest for name in names}

    def _span(self, name: str) -> Span:
        """Where a member lies, or as much of it as is read."""
        member = self._members[name]
        unread = max(0, member.packed_size - READ_LIMIT - READ_LIMIT // 1024)
        return member.offset, max(member.offset, member.end - unread)

    def _spans_of_ends(self, name: str, *, few: bool) -> Iterator[tuple[int, int, str, _Part]]:
        member = self._members[name]
        start, end = member.offset, member.end
        if end - start <= (_SMALL_SAMPLE if few else _NEAR):
            yield start, end, name, "whole"
            return
        yield start, start + HEAD_BYTES + 4 * len(name) + _HEADER_MARGIN, name, "head"
        if not (few or member.deflated):
            yield end - TAIL_BYTES - _DESCRIPTOR, end, name, "tail"

    def _gather(self, wanted: list[tuple[int, int, str, _Part]]) -> Iterator[tuple[str, _Part, bytes]]:
        """The bytes of each span that is wanted, fetched in larger pieces."""
        wanted.sort()
        pieces = _pieces([(start, end) for start, end, _, _ in wanted])
        for index, data in self._zipped.fetch([(start, end) for start, end, _ in pieces]):
            base, _, first = pieces[index]
            after = pieces[index + 1][2] if index + 1 < len(pieces) else len(wanted)
            for start, end, name, part in wanted[first:after]:
                yield name, part, data[start - base : end - base]

    def _content(self, name: str, raw: bytes) -> bytes:
        try:
            return self._members[name].content(raw, READ_LIMIT)
        except UNREADABLE as error:
            raise _broken(name, error) from error

    def _head(self, name: str, raw: bytes) -> bytes:
        """The head of a member; one that deflate or a long header spread over more than was read is read whole."""
        member = self._members[name]
        try:
            head = member.head(raw, HEAD_BYTES)
        except UNREADABLE as error:
            raise _broken(name, error) from error
        return head if len(head) >= min(HEAD_BYTES, member.size) else self.read(name)[:HEAD_BYTES]

    def _tail(self, name: str, head: bytes, tail: bytes) -> bytes:
        """The tail of a stored member, if it lies where the next one suggests."""
        member = self._members[name]
        data_end = member.offset + member.header_size(head) + member.packed_size
        found = tail[: max(0, data_end - (member.end - len(tail)))][-TAIL_BYTES:]
        return found if len(found) == TAIL_BYTES else b""


def _broken(name: str, error: Exception) -> SourceError:
    return SourceError(
        Problem("archive.broken_member", f"{name} cannot be unpacked ({error}); pack the dataset again", [name])
    )


def _pieces(spans: Sequence[Span]) -> list[tuple[int, int, int]]:
    """Start, end, and index of the first span of each piece that is fetched for spans, which are sorted."""
    pieces: list[tuple[int, int, int]] = []
    for index, (start, end) in enumerate(spans):
        if pieces and start - pieces[-1][1] <= _NEAR and max(end, pieces[-1][1]) - pieces[-1][0] <= _LARGEST_PIECE:
            pieces[-1] = (pieces[-1][0], max(end, pieces[-1][1]), pieces[-1][2])
        else:
            pieces.append((start, end, index))
    return pieces
