"""A stack updated while runs are on, with other parameters and other code: every run ends as if nothing had been."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local_cloud.deploy import SOURCES, build, deploy
from local_cloud.process import ROOT, LocalCloud
from tests.faults.conftest import Rows
from tests.stack import Stack, dataset_files, eventually

BEFORE = {
    "QuietPeriodSeconds": "4",
    "UploadWindowSeconds": "900",
    "ReconcilePeriodSeconds": "600",
    "WaitingNoticeSeconds": "600",
}
AFTER = {
    "QuietPeriodSeconds": "3",
    "UploadWindowSeconds": "800",
    "ReconcilePeriodSeconds": "500",
    "LogRetentionDays": "7",
    "MaxCostPerRunUsd": "9",
}
HELD_SECONDS = 45.0
"""How long a phase is held, so that an update fits in; below the minute that a client waits for an answer."""
LONG = "epochs: 450\nimgsz: 64\nbatch: 2\n"
"""With the stub trainer as long as HELD_SECONDS."""
TERMINAL = ("Completed", "Rejected", "Failed", "Stopped", "Unchanged")

pytestmark = pytest.mark.long


@dataclass(frozen=True, eq=False)
class Phase:
    """A phase of a run: the state that it is in, and the call in it that is held, if it is short by itself."""

    dataset: str
    state: str
    held: dict[str, Any] | None = None
    settings: str = "epochs: 3\nimgsz: 64\nbatch: 2\n"


PHASES = (
    Phase("publishing", "PublishMetrics", {"service": "s3", "operation": "GetObject", "containing": ["metrics.json"]}),
    Phase("extracting", "ExtractModel", {"service": "s3", "operation": "GetObject", "containing": ["model.tar.gz"]}),
    Phase("starting", "TrainModel", {"service": "sagemaker", "operation": "CreateTrainingJob"}),
    Phase("training", "TrainModel", settings=LONG),
    Phase("validating", "ValidateDataset", {"service": "s3", "operation": "GetObject"}),
    Phase("uploading", "WaitForUpload"),
)
"""Those that begin late first, so that all are on at the same time."""


@pytest.fixture
def running() -> Iterator[Stack]:
    """A stack of this row's own, which it may update."""
    with LocalCloud.start(trainer="stub", lambda_retry_seconds=0.2) as cloud:
        yield Stack(cloud, deploy(cloud, parameters=BEFORE))


def changed_sources(folder: Path) -> Path:
    """The sources with another line in every function's code, in the training's and in the state machine."""
    folder.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for name in ("traindrop/errors.py", "training_entry/durable.py"):
        with (folder / name).open("a") as code:
            code.write("\n# changed\n")
    machine = folder / "statemachine/training.asl.json"
    text = machine.read_text()
    assert '"Comment": "Traindrop:' in text
    machine.write_text(text.replace('"Comment": "Traindrop:', '"Comment": "Changed. Traindrop:'))
    return folder


def drop(stack: Stack, phase: Phase) -> Callable[[], None]:
    """Drop the phase's dataset and wait until its run is there; answers what ends a phase that is not held."""
    files = dataset_files(train=5, settings=phase.settings, marker=phase.dataset)
    if phase.dataset == "uploading":
        late = {name: files.pop(name) for name in ("images/train/3.png", "images/train/4.png")}
        for name, content in files.items():
            stack.put(f"datasets/{phase.dataset}/{name}", content)
    else:
        late = {}
        stack.drop_zip(phase.dataset, files)
    arn = stack.execution(phase.dataset, within=60)["executionArn"]

    def is_on() -> bool:
        if phase.held:
            left = stack.cloud.faults().get("api", [])
            return not any(phase.dataset in fault["containing"] for fault in left)
        if phase.dataset == "training":
            return any(job["SecondaryStatus"] == "Training" for job in stack.jobs(arn.rpartition(":")[2]))
        return stack.in_state(arn, phase.state)

    eventually(is_on, within=120, what=f"{phase.dataset} in {phase.state}")

    def go_on() -> None:
        for name, content in late.items():
            stack.put(f"datasets/{phase.dataset}/{name}", content)

    return go_on


def lasted(stack: Stack, phase: Phase, began: datetime, ended: datetime) -> bool:
    """Whether the run was in the phase's state from before the update until after it."""
    history = stack.history(stack.execution(phase.dataset)["executionArn"])
    entered, exited = (
        [event["timestamp"] for event in history if event.get(f"state{way}EventDetails", {}).get("name") == phase.state]
        for way in ("Entered", "Exited")
    )
    return bool(min(entered) < began and max(exited) > ended)


def code_of(job: dict[str, Any]) -> str:
    """Where a job took its code from."""
    channels = {channel["ChannelName"]: channel["DataSource"] for channel in job["InputDataConfig"]}
    uri: str = channels["code"]["S3DataSource"]["S3Uri"]
    return uri


def test_an_update_does_not_disturb_runs(running: Stack, tmp_path: Path, row: Rows) -> None:
    line = row(
        23,
        fault="stack updated, parameters changed",
        injected="sam deploy of other code, state machine and 5 parameters, 1 run each "
        + ", ".join(phase.dataset for phase in reversed(PHASES)),
        promise="runs undisturbed",
    )
    sources, cache = changed_sources(tmp_path / "changed"), tmp_path / "cache"
    build(sources, cache=cache)
    held = [
        {**phase.held, "containing": [phase.dataset, *phase.held.get("containing", [])], "delay_seconds": HELD_SECONDS}
        for phase in PHASES
        if phase.held
    ]
    running.cloud.inject({"api": held})
    goes_on = [drop(running, phase) for phase in PHASES]

    began = datetime.now(UTC)
    deploy(running.cloud, parameters=AFTER, source=sources, cache=cache)
    ended = datetime.now(UTC)

    for go_on in goes_on:
        go_on()
    found = {phase.dataset: how_it_ended(running, phase.dataset) for phase in PHASES}
    undisturbed = [name for name, end in found.items() if end == ("SUCCEEDED", 1, ["Completed"])]
    line.figure(
        f"{len(undisturbed)} of {len(PHASES)} Completed with one job and one end message each; "
        f"the update took {(ended - began).total_seconds():.0f} s of their phases"
    )
    assert len(undisturbed) == len(PHASES), found
    short = [phase.dataset for phase in PHASES if not lasted(running, phase, began, ended)]
    assert short == [], f"the update was not within these phases, so it proves nothing about them: {short}"

    # The update took effect: what is dropped now trains the other code, by the other state machine.
    running.drop_zip("afterwards")
    after = running.ended("afterwards", within=120)
    assert after["status"] == "SUCCEEDED"
    definition = running.sfn.describe_state_machine(stateMachineArn=running.machine)["definition"]
    assert "Changed. Traindrop" in definition
    assert "500" in definition
    before, since = (code_of(running.jobs(end["name"])[0]) for end in (running.ended("training"), after))
    assert since != before


def how_it_ended(stack: Stack, dataset: str) -> tuple[str, int, list[str]]:
    """The status of a dataset's one execution at its end, its number of jobs, and the outcomes of its end messages."""
    execution = stack.ended(dataset, within=240)

    def outcomes() -> list[str]:
        return [message["outcome"] for message in stack.messages(dataset) if message["outcome"] in TERMINAL]

    told = eventually(outcomes, within=60, what=f"an end message about {dataset}")
    return execution["status"], len(stack.jobs(execution["name"])), told
