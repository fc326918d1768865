"""The fault table: every test of this folder says what it injects, what is promised, and the figure that it read."""

from __future__ import annotations

import fcntl
import textwrap
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.stack import Stack

COLUMNS = ("fault", "injected", "promise", "figure")
WIDTHS = (34, 34, 26, 44)
_PROPERTY = "fault row"


class Row:
    """One row of the table; `figure` is set as soon as it has been read, and so is shown for a failing row too."""

    def __init__(self, cells: dict[str, Any]) -> None:
        self._cells = cells

    def figure(self, text: str) -> None:
        """What was read where a user would read it, as `wrong ends = 0 of 20`."""
        self._cells["figure"] = text


class Rows(Protocol):
    """Opens a row: its number in the table, the fault, how it is injected, and what is promised."""

    def __call__(self, number: int, *, fault: str, injected: str, promise: str) -> Row: ...


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Rows:
    """The row that this test fills."""

    def opened(number: int, *, fault: str, injected: str, promise: str) -> Row:
        cells = {"number": number, "fault": fault, "injected": injected, "promise": promise, "figure": "none read"}
        request.node.user_properties.append((_PROPERTY, cells))
        return Row(cells)

    return opened


@pytest.fixture(scope="session")
def real_stack() -> Iterator[Stack]:
    """A stack on a local cloud of its own, whose jobs run the real training."""
    with LocalCloud.start(trainer="real", lambda_retry_seconds=0.2) as cloud:
        yield Stack(cloud, deploy(cloud))


@pytest.fixture(autouse=True)
def share_of_the_machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test marked `alone`, whose figure is a time or an order under load, waits until no other of the rows runs."""
    with (tmp_path_factory.getbasetemp().parent / "machine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if request.node.get_closest_marker("alone") else fcntl.LOCK_SH)
        yield


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test injected is gone after it."""
    yield
    for name in {"stack", "real_stack"} & set(request.fixturenames):
        shared: Stack = request.getfixturevalue(name)
        shared.cloud.clear_faults()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, and what of it is not ok."""
    found: list[tuple[dict[str, Any], bool]] = []
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if report.when == "call" or outcome == "error":
                rows = [value for name, value in report.user_properties if name == _PROPERTY]
                found += [(cells, outcome == "passed") for cells in rows]
    if not found:
        return
    found.sort(key=lambda item: item[0]["number"])
    terminalreporter.section("faults")
    terminalreporter.write_line(_line(["#", *COLUMNS, "ok"]))
    terminalreporter.write_line(_line(["--", *("-" * width for width in WIDTHS), "---"]))
    for cells, ok in found:
        columns = [textwrap.wrap(cells[name], width) or [""] for name, width in zip(COLUMNS, WIDTHS, strict=True)]
        for index in range(max(map(len, columns))):
            shown = [column[index] if index < len(column) else "" for column in columns]
            ends = (str(cells["number"]), "yes" if ok else "NO") if index == 0 else ("", "")
            terminalreporter.write_line(_line([ends[0], *shown, ends[1]]))
    terminalreporter.write_line(f"{sum(ok for _, ok in found)} of {len(found)} ok")


def _line(cells: list[str]) -> str:
    return " | ".join(cell.ljust(width) for cell, width in zip(cells, (2, *WIDTHS, 3), strict=True))
