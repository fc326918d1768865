"""The policies of docs/permissions.md are enough for the commands, on a cloud that enforces them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.users import PAGE, minimal_policy, user
from tests.stack import UNTIL_STOPPED, Stack, dataset_files, zipped
from traindrop import champion
from traindrop.champion import PROMOTED
from traindrop.cli import commands  # noqa: F401  (puts them into the app)
from traindrop.cli.app import app

OF_THIS_DISK = {"check", "polygons"}
NAME = "permitted"


@pytest.fixture(scope="module")
def completed(stack: Stack) -> str:
    """A run that has ended well, of a dataset that another run was the best of before."""
    earlier = f"{NAME}-20261101T101500-0a1b2c3d"
    stack.s3.put_object(Bucket=stack.artifact_bucket, Key=f"models/{NAME}/{earlier}/best.pt", Body=b"weights")
    entry = champion.entry(earlier, stack.artifact_bucket, NAME, score=0.1, at="", how=PROMOTED, why="")
    champion.change(stack.s3, stack.artifact_bucket, NAME, lambda _: (None, entry))
    stack.drop_zip(NAME)
    return str(stack.ended(NAME)["name"])


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("runs", []),
        ("runs", ["--dataset", NAME]),
        ("watch", [NAME]),
        ("fetch", [NAME]),
        ("train", [NAME]),
        ("rollback", [NAME]),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
@pytest.mark.usefixtures("completed")
def test_the_policy_of_the_page_is_enough(
    stack: Stack, traindrop: Command, command: str, arguments: Sequence[str]
) -> None:
    with user(stack, minimal_policy(command, stack)) as keys:
        done = traindrop(command, *arguments, **keys)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", [[], ["--folder"]], ids=["zip", "folder"])
def test_it_is_enough_to_drop(stack: Stack, traindrop: Command, tmp_path: Path, form: Sequence[str]) -> None:
    name = f"permitted-{len(form)}"
    for place, content in dataset_files(marker=name).items():
        (tmp_path / "data" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / place).write_bytes(content)
    with user(stack, minimal_policy("drop", stack)) as keys:
        done = traindrop("drop", "data", "--name", name, "--json", *form, **keys)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run_id"] == stack.ended(name)["name"]


def test_it_is_enough_to_stop(stack: Stack, traindrop: Command) -> None:
    files = {**dataset_files(marker="to-stop"), "training.yaml": UNTIL_STOPPED.encode()}
    stack.put("datasets/to-stop.zip", zipped(files))
    run_id = stack.execution("to-stop")["name"]
    stack.message("to-stop", "Started")
    with user(stack, minimal_policy("stop", stack)) as keys:
        done = traindrop("stop", run_id, **keys)
    assert done.returncode == 0, done.stderr
    stack.message("to-stop", "Stopped", within=60)


def test_a_user_without_any_is_told_what_is_missing(stack: Stack, traindrop: Command) -> None:
    with user(stack, None) as keys:
        done = traindrop("runs", **keys)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "cloudformation:DescribeStacks" in done.stderr


def test_every_command_has_its_policy() -> None:
    names = {command.callback.__name__ for command in app.registered_commands if command.callback}
    told = {line.removeprefix("## traindrop ") for line in PAGE.read_text().splitlines() if line.startswith("## ")}
    assert told == names - OF_THIS_DISK
