"""README.md and docs/*.md as tests read them: their fenced blocks, headings and links, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(.*)$")
_HEADING = re.compile(r"^#+ (.+)$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: the words behind its fence, and its lines by their numbers in the page."""

    kind: str
    lines: dict[int, str]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, from top to bottom."""
    found: list[Block] = []
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if fence:
            inside = not inside
            if inside:
                found.append(Block(fence[1].strip(), {}))
        elif inside:
            found[-1].lines[number] = line
    return found


def _prose(page: Path) -> Iterator[tuple[int, str]]:
    fenced = {number for block in blocks(page) for number in block.lines}
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if number not in fenced:
            yield number, line


def links(page: Path) -> list[tuple[int, str]]:
    """Targets of a page's links, with the line."""
    return [(number, target) for number, line in _prose(page) for target in _LINK.findall(line)]


def anchors(page: Path) -> set[str]:
    """What links into a page may name behind `#`, as GitHub makes it of the headings."""
    titles = [match[1] for _, line in _prose(page) if (match := _HEADING.match(line))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def script(page: Path) -> str:
    """The commands of a page, each at its line number there; those that only AWS can run are left out."""
    lines = {number: line for block in blocks(page) if block.kind == "sh" for number, line in block.lines.items()}
    return "".join(f"{lines.get(number, '')}\n" for number in range(1, max(lines, default=0) + 1))
