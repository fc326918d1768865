from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs import draw_architecture
from docs.draw_architecture import BOXES, draw

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def test_it_shows_every_function_that_the_good_way_and_the_bad_end_need() -> None:
    functions = {path.stem for path in (ROOT / "functions").glob("*.py")} - {"environment", "events"}
    shown = {box.name for box in BOXES}
    assert functions - shown == {"reconcile_job"}
    assert {name for name in shown if re.fullmatch(r"[a-z_]+", name)} <= functions


def test_boxes_do_not_overlap_and_lie_on_the_page() -> None:
    width, height = draw_architecture._SIZE
    for number, one in enumerate(BOXES):
        assert 0 < one.left < one.left + one.width < width
        assert 0 < one.top < one.bottom < height
        for other in BOXES[number + 1 :]:
            apart_across = one.left + one.width <= other.left or other.left + other.width <= one.left
            assert apart_across or one.bottom <= other.top or other.bottom <= one.top, (one.name, other.name)


def test_it_tells_the_same_to_who_cannot_see_it() -> None:
    root = ElementTree.fromstring(draw())
    summary = root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert summary is not None
    assert all(box.name in str(summary.text) for box in BOXES if re.fullmatch(r"[a-z_]+", box.name))


def test_the_picture_is_up_to_date_and_a_stale_one_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw_architecture.main(["--check"]) == 0
    monkeypatch.setattr(draw_architecture, "PICTURE", tmp_path / "architecture.svg")
    assert draw_architecture.main(["--check"]) == 1
    assert "python docs/draw_architecture.py" in capsys.readouterr().err
    assert draw_architecture.main([]) == 0
    assert draw_architecture.main(["--check"]) == 0
