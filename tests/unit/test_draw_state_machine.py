from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from docs import draw_state_machine
from docs.draw_state_machine import Edge, draw, edges, lay_out

SVG = "{http://www.w3.org/2000/svg}"


def machine(**states: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


SAMPLE = machine(
    Check={"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Route", "Comment": "Look <at> & it."},
    Route={
        "Type": "Choice",
        "Default": "Refuse",
        "Choices": [
            {"Condition": "{% $states.input.verdict = 'ready' %}", "Next": "Train"},
            {"Condition": "{% $states.input.verdict = 'uploading' %}", "Next": "Linger"},
        ],
    },
    Linger={"Type": "Wait", "Seconds": 1, "Next": "Check"},
    Refuse={"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Next": "Refused"},
    Refused={"Type": "Fail"},
    Train={
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Next": "Done",
        "Catch": [
            {"ErrorEquals": ["States.Timeout"], "Next": "Mend"},
            {"ErrorEquals": ["CapacityError", "QuotaError"], "Next": "Climb"},
        ],
    },
    Mend={"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Train"},
    Climb={"Type": "Pass", "Next": "Train"},
    Done={"Type": "Succeed"},
)


def texts(svg: str, kind: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter(f"{SVG}text") if e.get("class") == kind]


def test_every_state_and_every_transition_is_drawn() -> None:
    svg = draw(SAMPLE)
    assert sorted(texts(svg, "name")) == sorted(SAMPLE["States"])
    assert (
        len(ElementTree.fromstring(svg).findall(f"{SVG}path[@class='edge']")) == len(list(edges(SAMPLE["States"]))) + 1
    )


def test_choices_are_labelled_by_what_they_test_and_catches_by_their_errors() -> None:
    found = list(edges(SAMPLE["States"]))
    assert Edge("Route", "Train", ("ready",)) in found
    assert Edge("Route", "Refuse", ("otherwise",)) in found
    assert Edge("Train", "Climb", ("CapacityError", "QuotaError")) in found
    assert {"uploading", "CapacityError", "QuotaError", "States.Timeout"} <= set(texts(draw(SAMPLE), "label"))


def test_the_way_to_success_runs_down_the_middle_with_loops_left_and_other_ends_right() -> None:
    places = lay_out(SAMPLE).places
    middle = [name for name, place in places.items() if place.column == 0]
    assert middle == ["Check", "Route", "Train", "Done"]
    assert {name for name, place in places.items() if place.column < 0} == {"Linger", "Mend", "Climb"}
    assert (places["Refuse"].column, places["Refused"].column) == (1, 2)


@pytest.mark.parametrize(
    "source", [SAMPLE, json.loads(draw_state_machine.SOURCE.read_text())], ids=["sample", "shipped"]
)
def test_boxes_do_not_overlap_and_words_fit_their_box(source: dict[str, Any]) -> None:
    layout = lay_out(source)
    boxes = {name: layout.box(name) for name in source["States"]}
    for one, (left, top, right, bottom) in boxes.items():
        assert len(one) * 9 < right - left
        for other, (x0, y0, x1, y1) in boxes.items():
            assert one == other or right <= x0 or x1 <= left or bottom <= y0 or y1 <= top
    width, height = layout.size
    assert all(min(b[:2]) > 0 and b[2] < width and b[3] < height for b in boxes.values())


def test_comments_and_names_are_escaped() -> None:
    root = ElementTree.fromstring(draw(SAMPLE))
    assert "Look <at> & it." in [title.text for title in root.iter(f"{SVG}title")]
    summary = root.find(f"{SVG}desc")
    assert summary is not None
    assert "Check: Look <at> & it." in str(summary.text)


def test_it_has_colours_for_light_and_for_dark_pages() -> None:
    svg = draw(SAMPLE)
    light, dark = svg.split("@media (prefers-color-scheme: dark)")
    assert set(re.findall(r"\.(\w+)[ ,{][^}]*fill: #", dark.split("</style>")[0])) >= {"page", "box", "name", "label"}
    assert 'class="page"' in dark
    assert ".page" in light


def test_a_state_that_it_cannot_show_is_named() -> None:
    with pytest.raises(ValueError, match="Each: states of type Map"):
        draw(machine(Each={"Type": "Map", "Next": "Done"}, Done={"Type": "Succeed"}))


def test_a_state_that_nothing_leads_to_is_named() -> None:
    with pytest.raises(ValueError, match="Lost"):
        draw(
            machine(
                Go={"Type": "Pass", "Next": "Done"}, Lost={"Type": "Pass", "Next": "Done"}, Done={"Type": "Succeed"}
            )
        )


def test_the_picture_is_up_to_date() -> None:
    assert draw_state_machine.main(["--check"]) == 0


def test_a_stale_picture_is_found_and_the_cure_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(draw_state_machine, "PICTURE", tmp_path / "state_machine.svg")
    assert draw_state_machine.main(["--check"]) == 1
    assert "python docs/draw_state_machine.py" in capsys.readouterr().err
    assert draw_state_machine.main([]) == 0
    assert draw_state_machine.main(["--check"]) == 0
