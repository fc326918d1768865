"""`traindrop train`, `traindrop stop` and `traindrop runs` on the local cloud, as users run them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.stack import UNTIL_STOPPED, Stack, dataset_files, eventually

ENDS = frozenset({"Completed", "Rejected", "Failed", "Stopped", "Unchanged"})
LAST = "images/val/0.png"


@pytest.fixture(autouse=True)
def no_faults_left(stack: Stack) -> Iterator[None]:
    yield
    stack.cloud.clear_faults()


@pytest.fixture(scope="module")
def trained(stack: Stack) -> str:
    """A run of the dataset `retrain` that has ended well, with 3 epochs."""
    stack.drop_zip("retrain")
    return str(stack.ended("retrain")["name"])


def ended(stack: Stack, run_id: str) -> dict[str, Any]:
    """The execution of a run when it has ended."""
    arn = f"{stack.machine.replace(':stateMachine:', ':execution:')}:{run_id}"

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = stack.sfn.describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else found

    return eventually(look, within=90, what=f"the end of {run_id}")


def told(stack: Stack, run_id: str, dataset: str) -> dict[str, Any]:
    """The one message that tells of a run's end."""

    def look() -> list[dict[str, Any]]:
        return [item for item in stack.messages(dataset) if item["run_id"] == run_id and item["outcome"] in ENDS]

    eventually(look, within=60, what=f"the end message of {run_id}")
    (message,) = look()
    return message


def test_what_lies_there_is_trained_again_with_other_settings(stack: Stack, traindrop: Command, trained: str) -> None:
    done = traindrop("train", "retrain", "--epochs", "2", "--set", "train.lr0=0.02")
    assert (done.returncode, done.stderr) == (0, "")
    run_id = done.stdout.splitlines()[-1].removeprefix("Follow it with: traindrop watch ")
    assert run_id != trained
    execution = ended(stack, run_id)
    assert json.loads(execution["input"])["settings"] == {"epochs": 2, "train": {"lr0": 0.02}}
    assert told(stack, run_id, "retrain")["outcome"] == "Completed"
    settings = stack.run(run_id)["settings"]
    assert (settings["epochs"], settings["imgsz"], float(settings["train"]["lr0"])) == (2, 64, 0.02)
    assert stack.run(run_id)["fingerprint"] != stack.run(trained)["fingerprint"]
    for more, outcome in (((), "Unchanged"), (("--force",), "Completed")):
        done = traindrop("train", "retrain", "--epochs", "2", "--set", "train.lr0=0.02", *more, "--json")
        document = json.loads(done.stdout)
        assert document["from"] == f"s3://{stack.dataset_bucket}/datasets/retrain.zip"
        assert ended(stack, document["run_id"])["status"] == "SUCCEEDED"
        assert told(stack, document["run_id"], "retrain")["outcome"] == outcome


def test_what_is_not_there_or_not_allowed_starts_nothing(traindrop: Command, trained: str) -> None:  # noqa: ARG001
    done = traindrop("train", "retrian")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no dataset retrian: s3://" in done.stderr
    assert "did you mean 'retrain'?" in done.stderr
    done = traindrop("train", "retrain", "--epochs", "0")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "the command line: epochs is 0" in done.stderr


def test_settings_of_an_input_are_judged_as_those_of_a_file(stack: Stack, trained: str) -> None:  # noqa: ARG001
    given = {"bucket": stack.dataset_bucket, "key": "datasets/retrain.zip", "settings": {"epoch": 3}}
    run_id = "retrain-20261125T000000-0a1b2c3d"
    stack.sfn.start_execution(stateMachineArn=stack.machine, name=run_id, input=json.dumps(given))
    assert ended(stack, run_id)["error"] == "DatasetRejected"
    message = told(stack, run_id, "retrain")
    assert message["outcome"] == "Rejected"
    assert "the execution's input: 'epoch' is not a setting (did you mean 'epochs'?)" in message["body"]


def has_an_epoch(stack: Stack, _: str, run_id: str) -> bool:
    return any(job.get("FinalMetricDataList") for job in stack.jobs(run_id))


def is_starting(stack: Stack, _: str, run_id: str) -> bool:
    return any(job["SecondaryStatus"] == "Starting" for job in stack.jobs(run_id))


def asks_again(stack: Stack, arn: str, _: str) -> bool:
    return stack.in_state(arn, "WaitForQuota")


ABOVE_QUOTA = {"service": "sagemaker", "operation": "CreateTrainingJob", "error": "ResourceLimitExceeded"}


@pytest.mark.parametrize(
    ("name", "faults", "moment", "stopped", "leaves_model"),
    [
        ("stop-training", {}, has_an_epoch, "job", True),
        ("stop-starting", {"training": {"spot_never_arrives": True}}, is_starting, "job", False),
        (
            "stop-quota",
            {"api": [{**ABOVE_QUOTA, "containing": ["stop-quota"], "times": 1000}]},
            asks_again,
            "execution",
            False,
        ),
        (
            "stop-between",
            {
                "training": {"interrupt_after_epochs": [1], "spot_never_returns": True},
                "api": [{**ABOVE_QUOTA, "containing": ["stop-between", "ml.g5.xlarge"], "times": 1000}],
            },
            asks_again,
            "run",
            True,
        ),
    ],
)
def test_a_stopped_run_tells_once_bills_no_longer_and_delivers_what_it_has(
    stack: Stack,
    traindrop: Command,
    name: str,
    faults: dict[str, Any],
    moment: Callable[[Stack, str, str], bool],
    stopped: str,
    leaves_model: bool,
) -> None:
    patience = 0.0005 if stopped == "run" else 2
    stack.cloud.inject(faults)
    stack.drop_zip(name, dataset_files(marker=name, settings=f"{UNTIL_STOPPED}capacity_patience_hours: {patience}\n"))
    execution = stack.execution(name)
    run_id, arn = execution["name"], execution["executionArn"]
    eventually(lambda: moment(stack, arn, run_id), within=60, what=f"the moment of {name}")
    done = traindrop("stop", name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert (document["run_id"], document["stopped"]) == (run_id, stopped)
    assert ended(stack, run_id)["status"] == (
        "SUCCEEDED" if leaves_model else "FAILED" if stopped == "job" else "ABORTED"
    )
    message = told(stack, run_id, name)
    assert message["outcome"] == "Stopped"
    models = stack.artifacts(f"models/{name}/{run_id}/best.pt")
    assert bool(models) == leaves_model
    assert ("best.pt" in message["body"]) == leaves_model
    assert {job["TrainingJobStatus"] for job in stack.jobs(run_id)} <= {"Stopped"}
    done = traindrop("stop", run_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the run {run_id} has ended already: Stopped" in done.stderr
    done = traindrop("stop", name)
    assert done.returncode == 1
    assert f"no run of {name} is on" in done.stderr
    assert told(stack, run_id, name) == message


def test_a_run_that_waits_for_its_upload_is_stopped(stack: Stack, traindrop: Command) -> None:
    name, files = "stop-upload", dataset_files(marker="stop-upload")
    for key in sorted(files.keys() - {LAST}, key=lambda key: key.endswith(".yaml")):
        stack.put(f"datasets/{name}/{key}", files[key])
    execution = stack.execution(name)
    run_id, arn = execution["name"], execution["executionArn"]
    eventually(lambda: stack.in_state(arn, "WaitForUpload"), within=60, what="the wait for the upload")
    done = traindrop("stop", run_id)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{run_id}: it is stopped before anything was trained" in done.stdout
    assert ended(stack, run_id)["status"] == "ABORTED"
    message = told(stack, run_id, name)
    assert (message["outcome"], stack.jobs(run_id)) == ("Stopped", [])
    assert "Stopped by `traindrop stop`." in message["body"]


def test_who_is_no_run_cannot_be_stopped(traindrop: Command) -> None:
    done = traindrop("stop", "rooms-20261101T101500-0a1b2c3d")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no run rooms-20261101T101500-0a1b2c3d; `traindrop runs` lists them" in done.stderr


def test_runs_are_listed_with_what_became_of_them(stack: Stack, traindrop: Command, trained: str) -> None:
    told(stack, trained, "retrain")
    done = traindrop("runs")
    assert (done.returncode, done.stderr) == (0, "")
    title, *lines = done.stdout.splitlines()
    assert title.split() == ["when", "run", "outcome", "mAP", "min", "USD"]
    (line,) = [line for line in lines if f" {trained} " in line]
    record = stack.run(trained)
    figures = [f"{record['metrics']['map50_95_mask']:.3f}", f"{float(record['training_seconds']) / 60:.1f}"]
    assert line.split()[-4:-1] == ["Completed", *figures]
    done = traindrop("runs", "--dataset", "retrain")
    assert max(map(len, done.stdout.splitlines())) <= 80, done.stdout
    listed = json.loads(traindrop("runs", "--dataset", "retrain", "--limit", "100", "--json").stdout)
    assert listed["complete"] is True
    assert trained in [run["run_id"] for run in listed["runs"]]
    assert {run["dataset"] for run in listed["runs"]} == {"retrain"}
    done = traindrop("runs", "--dataset", "never-dropped")
    assert (done.returncode, done.stdout) == (0, "no run of never-dropped is recorded yet\n")
