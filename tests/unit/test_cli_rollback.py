"""`traindrop rollback`: what becomes the best, what is said, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from traindrop import champion
from traindrop.champion import PROMOTED
from traindrop.cli import main

ROOT = Path(__file__).resolve().parents[2]
A, B, C = (f"rooms-20261101T000000-0000000{letter}" for letter in "abc")
STACKS = {"traindrop": [{"OutputKey": "ArtifactBucketName", "OutputValue": "artifacts"}], "bare": []}


class Session:
    """A session whose CloudFormation knows two stacks, and whose S3 is moto's."""

    def __init__(self, *, region_name: str | None, **_options: Any) -> None:
        self.region_name = region_name

    def client(self, service: str, **_options: Any) -> Any:
        return self if service == "cloudformation" else boto3.client("s3", region_name=self.region_name)

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803  (the client's own name)
        if StackName not in STACKS:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {"Stacks": [{"Outputs": STACKS[StackName]}]}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, s3: Any) -> Any:
    """A dataset `rooms` whose best was A, then B, then C."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(boto3.session, "Session", Session)
    for run_id, score in ((A, 0.5), (B, 0.6), (C, 0.7)):
        leave_model(s3, run_id, score)
        entry = champion.entry(run_id, "artifacts", "rooms", score=score, at="", how=PROMOTED, why="")
        champion.change(s3, "artifacts", "rooms", lambda _, entry=entry: (None, entry))  # type: ignore[misc]
    return s3


def leave_model(client: Any, run_id: str, score: float) -> None:
    client.put_object(Bucket="artifacts", Key=f"models/rooms/{run_id}/best.pt", Body=b"weights")
    metrics = json.dumps({"map50_95_mask": score}).encode()
    client.put_object(Bucket="artifacts", Key=f"models/rooms/{run_id}/metrics.json", Body=metrics)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["rollback", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def best(client: Any) -> str:
    now = champion.read(client, "artifacts", "rooms").now
    assert now
    return str(now["run_id"])


def test_the_one_before_becomes_the_best_and_the_way_forward_is_told(
    s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "rooms")
    assert (code, err, best(s3)) == (0, "", B)
    assert f"rooms: the best model is that of run {B} (mAP50-95 0.600) from now on." in out
    assert f"traindrop rollback rooms --to {C}" in out
    entry = champion.read(s3, "artifacts", "rooms").history[-1]
    assert (entry["how"], entry["why"], entry["score"]) == ("rolled back", f"Rolled back from {C} by hand.", 0.6)


def test_again_and_again_goes_back_step_by_step(s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert [said(capsys, "rooms")[0] for _ in range(2)] == [0, 0]
    assert best(s3) == A
    code, out, err = said(capsys, "rooms")
    assert (code, out, best(s3)) == (1, "", A)
    assert f"nothing is known to have been the best model of rooms before {A}; give --to" in err


def test_any_run_of_the_dataset_can_be_named_also_one_that_was_never_promoted(
    s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    never = "rooms-20261101T000000-0000000d"
    leave_model(s3, never, 0.4)
    assert said(capsys, "rooms", "--to", never)[0] == 0
    assert best(s3) == never


def test_the_document_says_from_what_to_what(s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "rooms", "--to", A, "--json")
    document = json.loads(out)
    assert (code, best(s3)) == (0, A)
    assert (document["from"]["run_id"], document["to"]["run_id"], document["to"]["score"]) == (C, A, 0.5)
    assert document["best"] == "s3://artifacts/models/rooms/best.json"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rooms", "--to", C], 1, f"{C} is the best model of rooms already"),
        (["rooms", "--to", "rooms-20261101T000000-0000000e"], 1, "has no model any more"),
        (["plans"], 1, "plans has no best model (there is no s3://artifacts/models/plans/best.json)"),
        (["rooms", "--to", "../x"], 2, "../x is no run of rooms"),
        (["rooms", "--to", "plans-20261101T000000-0000000a"], 2, "is no run of rooms; its runs are called rooms-…"),
        (["rooms", "--stack", "gone"], 1, "there is no stack gone here; name yours by --stack"),
        (["rooms", "--stack", "bare"], 1, "the stack bare has no output ArtifactBucketName"),
        ([], 2, "DATASET"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_is_told_in_one_line(
    s3: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    found, out, err = said(capsys, *arguments)
    assert (found, out, err.count("\n"), best(s3)) == (code, "", 1, C)
    assert words in err


def test_without_credentials_there_is_a_cure_and_no_traceback() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "HOME": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "traindrop", "rollback", "rooms"],
        cwd=ROOT,
        env={**kept, **nowhere, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing was changed: Unable to locate credentials. Log in" in done.stderr
    assert "Traceback" not in done.stderr
