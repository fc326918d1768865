"""Where the paths of a data.yaml lead: a dataset's files as folders show them, and what ultralytics makes of an entry.

Pure: names alone. The rules are those of `check_det_dataset` and `BaseDataset.get_img_files` (ultralytics 8.4.190),
with the dataset's root for the working directory. Beyond them a path of the machine where data.yaml was written, which
leads nowhere here, is followed from its end: the longest part of it that is there counts.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from encodings.utf_8_sig import IncrementalDecoder

IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
_DEEPEST = 64
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


def is_image(name: str) -> bool:
    """Whether ultralytics takes a file for an image, by its suffix in any case."""
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a file or a folder above it is hidden, which no search of a folder finds."""
    return name.startswith(".") or "/." in name


class Layout:
    """The files of a dataset, and the folders that they make; the root is the empty name.

    A folder that holds nothing, or nothing but what operating systems leave behind, is not there.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Take the paths relative to the root; `names` maps them in their normal form to what they were given as."""
        self.names = {posixpath.normpath(name): name for name in names}
        self.folders = {""}
        for name in self.names:
            end = name.rfind("/")
            while end > 0 and (folder := name[:end]) not in self.folders:
                self.folders.add(folder)
                end = name.rfind("/", 0, end)
        self.images = sorted(filter(is_image, self.names))

    def images_below(self, folder: str) -> list[str]:
        """Images in a folder and those below it, as `glob("**/*.*")` finds them: without what is hidden there."""
        if not folder:
            return [name for name in self.images if not is_hidden(name)]
        # "0" is the character after "/".
        found = self.images[bisect_left(self.images, f"{folder}/") : bisect_left(self.images, f"{folder}0")]
        return [name for name in found if "/." not in name[len(folder) :]]

    def base(self, path: str, train: str | list[str]) -> str:
        """The folder that the `path` of a data.yaml stands for: itself if it is there, else the root.

        Of a path that is not there the longest part counts that is a folder here with the train split below it.
        """
        place = _joined("", path)
        if self._is_there(place):
            return place
        alone = isinstance(train, str)
        for end in _ends(path.replace("\\", "/")):
            if end in self.folders and all(self.place(entry, end, alone=alone) is not None for entry in several(train)):
                return end
        return ""

    def place(self, entry: str, base: str, *, alone: bool) -> str | None:
        """The file or folder that an entry of a split leads to; None if nothing is there.

        Args:
            entry: a path, relative to `base` or absolute on the machine where it was written.
            base: answer of `base`.
            alone: whether the entry is the split's only one and no list, for which ultralytics takes `../train/images`
                of Roboflow's exports as `train/images`.
        """
        for way in [entry, entry[3:]] if alone and entry.startswith("../") else [entry]:
            if self._is_there(found := _joined(base, way)):
                return found
        turned = entry.replace("\\", "/")
        if _ABSOLUTE.match(turned):
            return next(filter(self._is_there, _ends(turned)), None)
        return None if turned == entry else self.place(turned, base, alone=alone)

    def listed(self, line: str, list_name: str) -> str | None:
        """The file that a line of a list of images names; None if there is none."""
        beside = posixpath.dirname(list_name) if line.startswith("./") else ""
        if (found := _joined(beside, line)) in self.names:
            return found
        return next((end for end in _ends(line.replace("\\", "/")) if end in self.names), None)

    def _is_there(self, place: str) -> bool:
        return place in self.folders or place in self.names


def lines(content: bytes) -> Iterator[tuple[int, str]]:
    """Lines of a list of images with their numbers from 1, blank ones left out.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    text = IncrementalDecoder().decode(content, final=True)
    above = text[: len(text) - len(text.lstrip())]
    for number, line in enumerate(text.strip().splitlines(), len(f"{above}.".splitlines())):
        if line.strip():
            yield number, line


def several(entries: str | list[str]) -> list[str]:
    """Entries of a split, of which one alone stands for itself."""
    return [entries] if isinstance(entries, str) else entries


def _joined(base: str, path: str) -> str:
    """A path relative to the root; one that leaves it begins with `..` or `/`, which no file here does."""
    found = posixpath.normpath(posixpath.join(base, path))
    return "" if found == "." else found


def _ends(path: str) -> Iterator[str]:
    """A path without what leaves its folder, and what follows each of its `/`, the longest first."""
    parts = [part for part in posixpath.normpath(path).rsplit("/", _DEEPEST) if part not in ("", ".", "..")]
    return ("/".join(parts[start:]) for start in range(len(parts)))
