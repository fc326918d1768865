"""`traindrop doctor`: what it finds on a stack of which one thing is wrong, and the cure that it tells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError

from tests.unit.ailments import CASES
from tests.unit.sound_stack import NOW, RUN, SOUND, records, subscribed
from traindrop.cli import checkup, main
from traindrop.cli.doctor import CHECKS

FAILURES = Path(__file__).resolve().parents[2] / "docs/failures.md"
Doctor = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Have it look at a sound stack whose AWS answers, or raises, some things otherwise."""
    monkeypatch.delenv("TRAINDROP_STACK", raising=False)

    def look(*arguments: str, **otherwise: Any) -> tuple[int, list[dict[str, str]]]:
        answers = {**SOUND, **otherwise}

        def answer(operation: str) -> Any:
            if isinstance(answers[operation], Exception):
                raise answers[operation]
            return answers[operation]

        class Client:
            meta = SimpleNamespace(region_name="eu-west-1", endpoint_url="https://x.eu-west-1.amazonaws.com")

            def __getattr__(self, operation: str) -> Any:
                return lambda **_: answer(operation)

            def get_paginator(self, operation: str) -> Any:
                return SimpleNamespace(paginate=lambda **_: [answer(operation)])

        class Session:
            def __init__(self, **_: Any) -> None:
                answers.get("session") and answer("session")

            def client(self, *_: Any, **__: Any) -> Client:
                answers.get("client") and answer("client")
                return Client()

        monkeypatch.setattr(boto3.session, "Session", Session)
        monkeypatch.setattr(checkup, "datetime", SimpleNamespace(now=lambda _: NOW))
        code = main(["doctor", "--json", *arguments])
        return code, json.loads(capsys.readouterr().out)["checks"]

    return look


def test_a_sound_stack_is_well(doctor: Doctor) -> None:
    code, found = doctor()
    assert code == 0
    assert {item["state"] for item in found} == {"ok"}
    assert {item["check"] for item in found} == {check.name for check in CHECKS}
    assert not any(item["cure"] for item in found)


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_found_with_its_cure(doctor: Doctor, case: str) -> None:
    otherwise, check, state, words, cure = CASES[case]
    code, found = doctor(**otherwise)
    told = [item for item in found if (item["check"], item["state"]) == (check, state)]
    assert any(words in item["found"] and cure in item["cure"] for item in told), found
    assert code == (1 if state == "problem" else 0)


ROWS = {
    "`Rejected`": "rejected",
    "`Rejected: incomplete`": "rejected",
    "`Rejected` with": "rejected",
    "`Waiting`": "run waits",
    "another name": "Failed: Lambda.Unknown",
    "alarm on a dead-letter queue": "dead letters",
}
NOTHING_TO_DO = {
    "a run began with half a folder", "Damaged checkpoints", "a job's end is told late", "the same message twice",
    "you updated the stack", "Ctrl-C", "`Unchanged`", "About the data", "images were not trained on", "WaitForTurn",
    "`Stopped`", "`Stopped: StoppedByUser`", "spot interruption",
}  # fmt: skip
"""What a message, or nothing but time, answers."""


def test_each_row_of_the_failure_table_is_recognised() -> None:
    tables = FAILURES.read_text().partition("\n## If you come")[0]
    rows = re.findall(r"^\| (?!what you see|---)(.+?) \|", tables, re.MULTILINE)
    assert len(rows) > 20
    for row in rows:
        failed = re.findall(r"(?:Failed: |, )`?([A-Z]\w+)`", row) if row.startswith("`Failed") else []
        by_error = [
            error for error in re.findall(r"[A-Z][A-Za-z.]+", row.partition(":")[2]) if f"Failed: {error}" in CASES
        ]
        assert (
            (row.startswith("`Failed") and by_error and {f"Failed: {error}" for error in failed} <= CASES.keys())
            or any(words in row for words in ROWS)
            or any(words in row for words in NOTHING_TO_DO)
        ), f"neither doctor nor a message is known to recognise: {row}"
    assert all(case in CASES for case in ROWS.values())


def test_the_troubles_of_the_manual_way_are_recognised() -> None:
    """Access denied, bucket not found, training job failed: by doctor. Spot interrupted: nothing is left to mend."""
    assert {"access denied", "bucket not found", "Failed: TrainingCodeError", "run waits"} <= CASES.keys()


def test_a_failure_is_over_when_the_dataset_has_completed(doctor: Doctor) -> None:
    failed, later = {"status": "Failed", "error": "NoModel"}, {"run_id": RUN.replace("1101T", "1102T")}
    _, found = doctor(scan=records({**later, "status": "Completed"}, failed))
    assert {item["state"] for item in found} == {"ok"}


def test_failures_of_one_cause_are_told_once(doctor: Doctor) -> None:
    failed = {"status": "Failed", "error": "NoModel"}
    other = {**failed, "run_id": RUN.replace("rooms", "plans"), "slug": "plans", "dataset": "plans"}
    _, found = doctor(scan=records(failed, other))
    (told,) = [item for item in found if item["check"] == "failures"]
    assert told["found"].startswith("NoModel, the last run of plans, rooms:")


def test_without_credentials_only_they_are_told(doctor: Doctor) -> None:
    _, found = doctor(get_caller_identity=NoCredentialsError())
    assert [item["check"] for item in found] == ["region", "credentials"]


def test_people_read_what_is_wrong_its_cure_and_how_much_it_is(
    doctor: Doctor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor(describe_rule={"State": "DISABLED"}, list_subscriptions_by_topic=subscribed())
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "problem  rules          AcceptDropFunctionObjectCreated is DISABLED" in said
    assert "\n                        -> aws events enable-rule --name" in said
    assert said.endswith("\n\n1 problem, 1 warning.\n")
