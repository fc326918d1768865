"""The dashboard as somebody sees it who does not know the project; tests/workflow looks whether its metrics come."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.template.rendering import resources, written


def body() -> dict[str, Any]:
    """The dashboard's body, with `x` for whatever CloudFormation fills in."""
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    text, own = dashboard["DashboardBody"]["Fn::Sub"]
    for name, value in own.items():
        text = text.replace(f"${{{name}}}", value if isinstance(value, str) else "x")
    found: dict[str, Any] = json.loads(re.sub(r"\$\{[^}]+\}", "x", text))
    return found


WIDGETS: list[dict[str, Any]] = body()["widgets"]


def test_widgets_fill_the_width_and_none_lies_on_another() -> None:
    cells = [
        (x, y)
        for widget in WIDGETS
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(set(cells)) == len(cells) == 24 * (max(y for _, y in cells) + 1)
    assert max(x for x, _ in cells) == 23


@pytest.mark.parametrize("widget", WIDGETS[1:], ids=lambda widget: widget["properties"]["title"])
def test_a_title_says_what_is_seen_in_words_that_need_no_other(widget: dict[str, Any]) -> None:
    title = widget["properties"]["title"]
    assert 5 <= len(title.split()) <= 16
    for row in widget["properties"].get("metrics", []):
        options = row[-1]
        assert options.get("label") or options.get("visible") is False, row


def test_what_is_told_by_the_day_is_drawn_over_time_and_what_is_told_in_all_is_a_number() -> None:
    """CloudWatch's other views, such as bars, add up over the whole time range without saying so."""
    views = {item["title"]: item["view"] for item in (w["properties"] for w in WIDGETS) if "metrics" in item}
    assert {title: "singleValue" if title.startswith("In all") else "timeSeries" for title in views} == views


def test_it_begins_with_what_a_run_is_how_one_ends_and_where_to_look_on() -> None:
    first = WIDGETS[0]
    text = first["properties"]["markdown"]
    assert (first["type"], first["y"]) == ("text", 0)
    for outcome in ("Completed", "Stopped", "Unchanged", "Rejected", "Failed"):
        assert f"**{outcome}**" in text
    assert len(re.findall(r"\]\(https://x/", text)) == 4


def test_every_alarm_and_every_dead_letter_queue_is_seen() -> None:
    text = json.dumps(resources("AWS::CloudWatch::Dashboard"))
    for name in [*resources("AWS::CloudWatch::Alarm"), *resources("AWS::SQS::Queue")]:
        assert f"${{{name}." in text, name


def test_what_goes_on_is_read_from_the_log_of_the_state_machine_which_logs_every_state() -> None:
    (log,) = [widget["properties"] for widget in WIDGETS if widget["type"] == "log"]
    text, own = resources("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    assert "\"SOURCE '${TrainingStateMachineLogs}' | ${WhereRunsAre}\"" in text
    assert all(
        word in log["query"] for word in ("execution_arn", "details.name", "/StateEntered$/", "ExecutionRedriven")
    )
    assert not {'"', "\\"} & set(own["About"] + own["WhereRunsAre"])


def test_links_into_the_console_are_of_the_partition_that_the_stack_is_in() -> None:
    homes = written()["Mappings"]["Console"]
    assert {partition: home["Home"] for partition, home in homes.items()} == {
        "aws": "console.aws.amazon.com",
        "aws-cn": "console.amazonaws.cn",
        "aws-us-gov": "console.amazonaws-us-gov.com",
    }
    home = {"Home": {"Fn::FindInMap": ["Console", {"Ref": "AWS::Partition"}, "Home"]}}
    linked = [
        written()["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"],
        resources("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"],
    ]
    for text, own in linked:
        assert home.items() <= own.items()
        assert set(re.findall(r"https://([^/]+)/", text)) == {"${Home}"}
