"""The first and the last bytes of an image file, read as one file with a hole, and what may be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass


class Cut(Exception):
    """The file ends before what its header announces."""


class Unseen(Exception):
    """These bytes are in the file, but neither in its head nor in its tail."""


class Damaged(Exception):
    """The header is not what the format asks for; the message says what."""


class Unsupported(Exception):
    """A kind of the format that the training environment cannot read; the message says which."""


@dataclass(slots=True)
class Ends:
    """The size of a file, its first and its last bytes; and what a reader found.

    `deep` is of 16 bits a channel, `frames` of more than one picture, `preview` of a raw photo's small picture, `after`
    the number of bytes after the end of the image, and `unsure` of an end that may lie where no bytes are known.
    """

    size: int
    head: bytes
    tail: bytes
    width: int = 0
    height: int = 0
    deep: bool = False
    frames: bool = False
    preview: bool = False
    after: int = 0
    unsure: bool = False
    kind: str = ""

    def at(self, offset: int, count: int) -> bytes:
        """These bytes of the file."""
        end = offset + count
        if end <= len(self.head):
            return self.head[offset:end]
        if end > self.size:
            raise Cut
        start = offset - self.size + len(self.tail)
        if start < 0:
            raise Unseen
        return self.tail[start : start + count]

    def find_last(self, mark: bytes, start: int) -> int:
        """Offset of the last such mark that lies at or after `start`; -1 if the bytes at hand have none.

        Raises:
            Unseen: the last bytes of the file are not known.
        """
        if len(self.head) < self.size:
            if not self.tail:
                raise Unseen
            first = self.size - len(self.tail)
            found = self.tail.rfind(mark, max(0, start - first))
            if found >= 0:
                return first + found
            self.unsure = True
        return self.head.rfind(mark, start)
