from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from docs import draw_state_machine
from docs.draw_state_machine import draw
from docs.execution_history import Execution, Visit
from docs.state_layout import Edge, edges, lay_out

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


WALKED = Execution(
    name="rooms-20261125T171842-06d430ba",
    status="FAILED",
    error="NoLuck",
    cause="There was no luck <today> & there may be none tomorrow.",
    seconds=75.5,
    visits=(
        Visit("Check", 0.02, "succeeded"),
        Visit("Route", 0.0, "succeeded", tries=0),
        Visit("Train", 60.0, "caught", "CapacityError"),
        Visit("Climb", 0.0, "succeeded", tries=0),
        Visit("Train", 10.0, "caught", "CapacityError"),
        Visit("Climb", 0.0, "succeeded", tries=0),
        Visit("Train", 5.0, "failed", "NoLuck"),
    ),
)


def classes(svg: str, state: str) -> tuple[str | None, str | None, str]:
    """How a state's group and box look, and what stands below its name."""
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        box, (name, kind) = group.find(f"{SVG}rect"), group.findall(f"{SVG}text")
        if name.text == state:
            assert box is not None
            return group.get("class"), box.get("class"), str(kind.text)
    raise AssertionError(state)


def test_an_execution_stands_out_by_the_states_it_entered_for_how_long_and_how_each_ended() -> None:
    svg = draw(SAMPLE, WALKED)
    assert classes(svg, "Check") == ("visited", "box succeeded", "\u2713 0 s")
    assert classes(svg, "Train") == ("visited", "box failed", "\u2715 1 min 15 s in 3 visits")
    assert classes(svg, "Climb") == ("visited", "box succeeded", "\u2713 0 s in 2 visits")
    assert classes(svg, "Done") == ("unvisited", "box Succeed", "ends well")


def test_the_ways_that_it_took_are_told_with_the_errors_that_were_caught_and_how_often() -> None:
    svg = draw(SAMPLE, WALKED)
    ways = [path.get("class") for path in ElementTree.fromstring(svg).iter(f"{SVG}path") if path.get("marker-end")]
    # The start, Check to Route, Route to Train, Train to Climb and back; and the legend's.
    assert ways.count("edge taken") == 6
    assert ways.count("edge untaken") == len(list(edges(SAMPLE["States"]))) - 4
    assert texts(svg, "label taken") == ["ready", "CapacityError \u00d72", "\u00d72"]


def test_it_is_told_in_words_too_and_how_it_ended_stands_at_the_top() -> None:
    svg = draw(SAMPLE, WALKED)
    root = ElementTree.fromstring(svg)
    title, summary = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert summary is not None
    assert title.text == "The execution rooms-20261125T171842-06d430ba"
    assert str(summary.text).startswith("FAILED NoLuck after 1 min 16 s. Check succeeded after 0 s; Route succeeded")
    assert "Train caught after 1 min 00 s (CapacityError); Climb" in str(summary.text)
    assert texts(svg, "name told") == [WALKED.name]
    told = " ".join(texts(svg, "label told"))
    assert told.startswith("FAILED after 1 min 16 s Error: NoLuck Cause: There was no luck <today> & there may be")
    assert "\u2715 the execution failed here" in told


def test_what_stands_beside_the_graph_lies_on_no_state() -> None:
    """Heading and legend are to the right of the middle: above what ends otherwise, and below it."""
    for _, svg in draw_state_machine.pictures():
        machine = json.loads(draw_state_machine.SOURCE.read_text())
        layout = lay_out(machine)
        right = [layout.box(name) for name, place in layout.places.items() if place.column > 0]
        for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
            if "told" in str(text.get("class")):
                x, y, length = int(str(text.get("x"))), int(str(text.get("y"))), len(str(text.text))
                assert x + length * 7 < layout.size[0]
                assert not [box for box in right if box[1] - 8 < y < box[3] + 8]


def test_the_pictures_are_up_to_date() -> None:
    assert draw_state_machine.main(["--check"]) == 0
    assert {file.name for file, _ in draw_state_machine.pictures()} >= {"state_machine.svg", "execution_completed.svg"}


def test_a_stale_picture_is_found_and_the_cure_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(draw_state_machine, "PICTURES", tmp_path)
    assert draw_state_machine.main(["--check"]) == 1
    assert "docs/execution_completed.svg is out of date; run: make pages" in capsys.readouterr().err
    assert draw_state_machine.main([]) == 0
    assert draw_state_machine.main(["--check"]) == 0
