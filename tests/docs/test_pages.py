"""Links of README.md and docs/ lead somewhere; what must be told of is: pages, modules, faults, errors, parameters."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from local_cloud.faults import ApiFault, EventFaults, FunctionFault, TrainingFaults
from tests.docs.pages import PAGES, ROOT, anchors, links
from traindrop.cures import _TELL_THEMSELVES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for line, target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        if not place.is_relative_to(ROOT) or not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(f"{page.relative_to(ROOT)}:{line}: {target}")
    assert broken == []


def test_the_index_lists_every_page_once() -> None:
    listed = Counter(target for _, target in links(ROOT / "docs/README.md"))
    pages = {page.name for page in PAGES} - {"README.md"}
    assert {name: listed[name] for name in pages if listed[name] != 1} == {}


def modules() -> list[str]:
    """Every module of the four folders, by its path, but what only marks a package."""
    return sorted(
        str(path.relative_to(ROOT))
        for folder in ("traindrop", "functions", "training_entry", "local_cloud")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".py", ".sh") and path.name != "__init__.py"
    )


def test_the_map_of_the_code_names_every_module_exactly_once() -> None:
    named = Counter[str]()
    folder = ""
    for line in (ROOT / "docs/architecture.md").read_text(encoding="utf-8").splitlines():
        heading = re.match(r"^### `([\w/]+)/`", line)
        if heading:
            folder = heading[1]
        elif line.startswith("#"):
            folder = ""
        elif folder:
            named.update(f"{folder}/{name}" for name in re.findall(r"`([\w/]+\.(?:py|sh))`", line))
    assert {name: count for name, count in named.items() if count > 1} == {}
    assert (sorted(set(modules()) - set(named)), sorted(set(named) - set(modules()))) == ([], [])


def test_every_fault_that_can_be_injected_is_told() -> None:
    page = (ROOT / "docs/local_cloud.md").read_text(encoding="utf-8")
    names = {name for part in (TrainingFaults, EventFaults, ApiFault, FunctionFault) for name in part.model_fields}
    assert sorted(name for name in names if not re.search(rf"[`\".]{name}[`\"]", page)) == []


def test_every_parameter_of_the_stack_is_told() -> None:
    section = (ROOT / "template.yaml").read_text(encoding="utf-8").partition("\nParameters:\n")[2]
    names = re.findall(r"^  (\w+):$", re.split(r"^\w", section, maxsplit=1, flags=re.MULTILINE)[0], re.MULTILINE)
    told = (ROOT / "README.md").read_text(encoding="utf-8")
    assert names
    assert [name for name in names if f"`{name}`" not in told] == []


def test_every_error_that_a_run_can_end_with_by_name_is_told() -> None:
    page = (ROOT / "docs/failures.md").read_text(encoding="utf-8")
    assert sorted(name for name in _TELL_THEMSELVES | {"AccessDenied", "NoModel"} if f"{name}`" not in page) == []
