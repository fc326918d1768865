"""Which pinned packages are missing: `python3 -m training_entry.requirements requirements.txt` prints their names.

Run before anything is installed, so it needs no more than Python, and `packaging` from wherever it is at hand.
With `--from lock.txt` it writes the list anew as the part of a lock file that the training image lacks.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

IMAGE_HAS = frozenset(
    {
        "torch",
        "torchvision",
        "numpy",
        "pillow",
        "filelock",
        "fsspec",
        "jinja2",
        "markupsafe",
        "mpmath",
        "networkx",
        "setuptools",
        "sympy",
        "typing-extensions",
    }
)
"""torch, torchvision and what they need: they come with the image and are never touched."""

UNUSED = frozenset({"ultralytics-platform", "httpx", "httpcore", "h11", "anyio", "tzdata"})
"""Clients of ultralytics' own service, which no training of ours calls, and what only they need."""

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>[^\\]+))?", re.MULTILINE)
_BLOCK = re.compile(r"^[A-Za-z0-9._-]+==.*(?:\n    .*)*\n", re.MULTILINE)


def missing(requirements: str) -> list[str]:
    """Names of the pinned packages that are not installed in exactly their version; foreign platforms' are left out."""
    names = []
    for pin in _PIN.finditer(requirements):
        if pin["marker"] and not _applies(pin["marker"].strip()):
            continue
        try:
            installed = metadata.version(pin["name"])
        except metadata.PackageNotFoundError:
            installed = None
        if installed != pin["version"]:
            names.append(f"{pin['name']}=={pin['version']}")
    return names


def selection(lock: str) -> str:
    """The pins of a lock file, with their hashes, that the training image lacks."""
    return "".join(block for block in _BLOCK.findall(lock) if block.split("==")[0].lower() not in IMAGE_HAS | UNUSED)


def _applies(marker: str) -> bool:
    try:
        from packaging.markers import Marker
    except ImportError:
        from pip._vendor.packaging.markers import Marker  # type: ignore[import-not-found,no-redef,unused-ignore]
    return bool(Marker(marker).evaluate())


def main(arguments: list[str]) -> None:
    """Print what is missing, or write the list anew."""
    if arguments[0] == "--from":
        Path(__file__).with_name("requirements.txt").write_text(selection(Path(arguments[1]).read_text()))
    else:
        print(" ".join(missing(Path(arguments[0]).read_text())))


if __name__ == "__main__":
    main(sys.argv[1:])
