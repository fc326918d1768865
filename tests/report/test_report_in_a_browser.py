"""The report as a browser shows it, at the widths of a phone and of a desk, light and dark, and on paper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests import browser, reports
from tests.browser import Browser

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="no chromium, chromium-browser or google-chrome here")
PHONE, DESK = 390, 1280
SHOWN = 6000
"""Rows of a screenshot; a report may be longer."""
REPORTS = ("full", "detection", "stopped", "hostile")
AXE = files("axe_core_python").joinpath("axe.min.js")
LOOK = """
(() => ({
  width: document.scrollingElement.scrollWidth,
  height: Math.round(document.querySelector('main').getBoundingClientRect().height),
  lost: [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))
    .filter(href => !href.startsWith('#') || !document.getElementById(href.slice(1))),
  dead: [...document.querySelectorAll('[aria-labelledby]')].filter(e => !document.getElementById(
    e.getAttribute('aria-labelledby'))).length,
  pictures: [...document.images].filter(image => !image.naturalWidth).length,
  ground: getComputedStyle(document.body).backgroundColor,
}))()
"""
CUT = """
[...document.querySelectorAll('.wide, pre, section')].filter(e => e.scrollWidth > e.clientWidth + 1)
  .map(e => e.getAttribute('aria-label') || e.textContent.slice(0, 60))
"""


@pytest.fixture(scope="module")
def open_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    found = {}
    texts = {name: getattr(reports, name)() for name in REPORTS} | {"hostile, shorter": reports.hostile(40)}
    for name, text in texts.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(text, encoding="utf-8")
    return found


@pytest.mark.parametrize(("name", "width"), list(product(REPORTS, (PHONE, DESK))))
def test_a_report_fits_its_window_and_says_of_nothing_that_it_is_wrong(
    open_browser: Browser, pages: dict[str, Path], name: str, width: int, tmp_path: Path
) -> None:
    scheme = "dark" if width == PHONE else "light"
    open_browser.open(pages[name], width=width, scheme=scheme)
    seen = open_browser.evaluate(LOOK)
    assert seen["width"] <= width
    assert (seen["lost"], seen["dead"], seen["pictures"]) == ([], 0, 0)
    assert open_browser.errors == []
    assert [url for url in open_browser.asked_for if not url.startswith(("file:", "data:image/"))] == []
    assert sum(url.startswith("file:") for url in open_browser.asked_for) == 1
    red, green, blue = (int(part) for part in seen["ground"][4:-1].split(", "))
    assert (red + green + blue < 150) == (scheme == "dark")
    height = min(seen["height"], SHOWN)
    picture = shown(open_browser.picture(width, height), tmp_path / f"{name}-{width}.png")
    assert picture.shape[:2] == (height, width)
    assert drawn_on(picture) > 0.7


def shown(png: bytes, place: Path) -> Any:
    """The pixels of a screenshot, which stays where it can be looked at."""
    place.write_bytes(png)
    picture = cv2.imread(str(place))
    assert picture is not None
    return picture


def drawn_on(picture: Any) -> float:
    """The share of strips of 100 rows that are not of one colour."""
    strips = [picture[top : top + 100] for top in range(0, len(picture), 100)]
    return float(np.mean([strip.std(axis=(0, 1)).max() > 1 for strip in strips]))


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("full", "light"), ("full", "dark"), ("detection", "light"), ("stopped", "dark"), ("hostile, shorter", "dark")],
)
def test_axe_finds_nothing_in_a_report(open_browser: Browser, pages: dict[str, Path], name: str, scheme: str) -> None:
    open_browser.open(pages[name], width=PHONE if scheme == "light" else DESK, scheme=scheme)
    assert violations(open_browser) == []


def violations(open_browser: Browser) -> list[str]:
    open_browser.evaluate(AXE.read_text(encoding="utf-8"))
    found = json.loads(open_browser.evaluate("axe.run({resultTypes: ['violations']}).then(JSON.stringify)"))
    assert len(found["passes"]) > 5
    return [
        f"{violation['id']}: {node['html']}" for violation in found["violations"] for node in violation["nodes"][:3]
    ]


def test_axe_would_find_what_is_wrong(open_browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    page.write_text(reports.full().replace("--soft: #52606f", "--soft: #c2c6cf").replace('lang="en"', ""))
    open_browser.open(page, width=DESK)
    assert {told.split(":")[0] for told in violations(open_browser)} == {"color-contrast", "html-has-lang"}


def test_what_leaves_the_window_or_breaks_the_policy_would_be_found(open_browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    added = '<p style="width: 2000px">wide</p><a href="#nowhere">lost</a><script>alert(1)</script></body>'
    page.write_text(reports.stopped().replace("</body>", added))
    open_browser.open(page, width=DESK)
    seen = open_browser.evaluate(LOOK)
    assert seen["width"] > DESK
    assert seen["lost"] == ["#nowhere"]
    assert any("Content Security Policy" in error for error in open_browser.errors)


@pytest.mark.parametrize("anchor", ["confusions", "samples", "dataset", "receipt"])
def test_a_link_leads_to_its_section(open_browser: Browser, pages: dict[str, Path], anchor: str) -> None:
    open_browser.open(pages["full"], width=PHONE)
    open_browser.evaluate(f"document.querySelector('nav a[href=\"#{anchor}\"]').click()")
    top = open_browser.evaluate(f"document.getElementById('{anchor}').getBoundingClientRect().top")
    assert -1 < top < 100


@pytest.mark.parametrize("name", REPORTS)
def test_on_paper_nothing_is_cut_off(open_browser: Browser, pages: dict[str, Path], name: str) -> None:
    open_browser.open(pages[name], width=720, medium="print")
    assert open_browser.evaluate(CUT) == []
    assert open_browser.evaluate(LOOK)["ground"] == "rgb(255, 255, 255)"
    assert open_browser.printed().startswith(b"%PDF-")
