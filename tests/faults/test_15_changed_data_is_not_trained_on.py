"""Data that changes between its check and its training is found out: no run is trained on a mixture."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Rows
from tests.faults.training import epochs_of, hosts, plans
from tests.stack import Stack, eventually, zipped

IMAGE, LABEL, OTHER = "images/train/plan 3.png", "labels/train/plan 3.txt", "images/val/plan 1.png"
ALL, A_BACKGROUND = (("12", "0", "0"), ("4", "0", "0")), (("11", "1", "0"), ("4", "0", "0"))
"""Labelled images, backgrounds and corrupt ones of train and val, as ultralytics counts what it is given."""


class Dropped:
    """A dataset in the bucket, as a zip or as a folder."""

    def __init__(self, stack: Stack, name: str, form: str, files: dict[str, bytes]) -> None:
        self.name, self.files = name, files
        self._stack = stack
        self._key = f"datasets/{name}.zip" if form == "zip" else f"datasets/{name}/"

    def put(self, changes: dict[str, bytes] | None = None) -> None:
        """Upload it, or what changes: some files of a folder, the whole of a zip."""
        if self._key.endswith(".zip"):
            self._stack.put(self._key, zipped(dict(sorted({**self.files, **(changes or {})}.items()))))
            return
        for name, content in sorted((changes or self.files).items(), key=lambda item: item[0].endswith(".yaml")):
            self._stack.put(self._key + name, content)

    def delete(self, name: str = "") -> None:
        """Delete a file of a folder, or the zip."""
        self._stack.s3.delete_object(Bucket=self._stack.dataset_bucket, Key=self._key + name)


@dataclass(frozen=True)
class Case:
    """What happens to a dataset while its job waits for an instance.

    `told` is what the user has to read of it; where that is nothing, `counts` is what is to be trained on.
    """

    title: str
    form: str
    change: Callable[[Dropped], None]
    told: str = ""
    counts: tuple[tuple[str, str, str], ...] = ALL
    without: str = ""


CASES = (
    Case("image overwritten", "folder", lambda it: it.put({IMAGE: it.files[OTHER]}), f"{IMAGE} was changed"),
    Case(
        "label overwritten by one of its size",
        "folder",
        lambda it: it.put({LABEL: it.files[LABEL].replace(b"0.1", b"0.2").replace(b"0.5", b"0.6")}),
        f"{LABEL} was changed",
    ),
    Case("image deleted", "folder", lambda it: it.delete(OTHER), f"{OTHER} is missing"),
    Case("label deleted", "folder", lambda it: it.delete(LABEL), f"{LABEL} is missing"),
    Case(
        "image and label added",
        "folder",
        lambda it: it.put({"images/train/new.png": it.files[IMAGE], "labels/train/new.txt": it.files[LABEL]}),
    ),
    Case(
        "label of a background added",
        "folder",
        lambda it: it.put({LABEL: b"0 0.1 0.1 0.9 0.1 0.9 0.9\n"}),
        counts=A_BACKGROUND,
        without=LABEL,
    ),
    Case("zip replaced", "zip", lambda it: it.put({IMAGE: it.files[OTHER]}), f"{IMAGE} was changed"),
    Case("zip deleted", "zip", lambda it: it.delete(), "was deleted"),
    Case("nothing, for comparison", "folder", lambda _: None),
    Case("the same files dropped again", "zip", lambda it: it.put()),
)


def epochs_trained(stack: Stack, run_id: str) -> list[int]:
    """What all jobs of a run trained."""
    names = [job["TrainingJobName"] for job in stack.jobs(run_id)]
    return [epoch for name in names for lines in hosts(stack, name) for epoch in epochs_of(lines)]


def trained_on(stack: Stack, run_id: str) -> tuple[tuple[str, str, str], ...]:
    """Labelled images, backgrounds and corrupt ones of each split that ultralytics found in the jobs of a run."""
    lines = [line for job in stack.jobs(run_id) for host in hosts(stack, job["TrainingJobName"]) for line in host]
    found = re.findall(r"(\d+) images, (\d+) backgrounds, (\d+) corrupt", "\n".join(lines))
    return tuple(dict.fromkeys(found))


def ended(stack: Stack, arn: str) -> dict[str, Any]:
    """An execution when it has ended."""

    def look() -> dict[str, Any] | None:
        described: dict[str, Any] = stack.sfn.describe_execution(executionArn=arn)
        return None if described["status"] == "RUNNING" else described

    return eventually(look, within=300, what=f"the end of {arn}", every=0.5)


def newest(stack: Stack, name: str, *, of: int) -> dict[str, Any]:
    """The newest execution for a dataset when there are so many and it has ended."""

    def all_there() -> list[dict[str, Any]] | None:
        found = stack.executions(name)
        return found if len(found) == of else None

    found = eventually(all_there, within=60, what=f"{of} executions for {name}")
    return ended(stack, max(found, key=lambda item: item["startDate"])["executionArn"])


@pytest.mark.long
def test_no_run_is_trained_on_data_that_changed_after_its_check(real_stack: Stack, row: Rows, tmp_path: Path) -> None:
    line = row(
        15,
        fault="data changes between validation and training",
        injected=f"{len(CASES)} jobs held back after the check, then: {', '.join(case.title for case in CASES)}",
        promise="the entry compares what it got with the verdict's manifest",
    )
    real_stack.cloud.inject({"training": {"spot_never_arrives": True}})
    dropped = {}
    for number, case in enumerate(CASES):
        name = f"changing-{number:02}"
        files = plans(tmp_path / name, epochs=1, marker=name)
        files.pop(case.without, None)
        dropped[case] = Dropped(real_stack, name, case.form, files)
        dropped[case].put()
    first = {case: real_stack.execution(it.name, within=120) for case, it in dropped.items()}
    for case, execution in first.items():
        eventually(partial(real_stack.jobs, execution["name"]), within=180, what=f"a job for {case.title}")
    for case, it in dropped.items():
        case.change(it)
    real_stack.cloud.clear_faults()
    ends = {case: ended(real_stack, execution["executionArn"]) for case, execution in first.items()}
    epochs = {case: epochs_trained(real_stack, execution["name"]) for case, execution in first.items()}
    counts = {case: trained_on(real_stack, execution["name"]) for case, execution in first.items()}
    bodies = {
        case: [message["body"] for message in real_stack.messages(it.name) if message["outcome"] == "Failed"]
        for case, it in dropped.items()
    }
    changed, same = [case for case in CASES if case.told], [case for case in CASES if not case.told]
    mixed = [case.title for case in changed if epochs[case] or ends[case]["status"] != "FAILED"]
    mixed += [case.title for case in same if epochs[case] and counts[case] != case.counts]
    clear = [
        case
        for case in changed
        if ends[case].get("error") == "DatasetChanged"
        and len(bodies[case]) == 1
        and all(words in bodies[case][0] for words in (case.told, "after it was checked", "again", "redrive"))
    ]
    trained = [case for case in same if ends[case]["status"] == "SUCCEEDED" and epochs[case] == [1]]
    figure = f"mixed runs = {len(mixed)} of {len(CASES)}, {len(clear)} messages name file and cure"
    figure += f"; {len(trained)} of {len(same)} unchanged or only added to trained on what was checked"
    line.figure(figure)
    assert mixed == []
    assert [case.title for case in changed if case not in clear] == [], bodies
    assert trained == same

    by_title = {case.title: it for case, it in dropped.items()}
    replaced = newest(real_stack, by_title["zip replaced"].name, of=2)
    by_title["zip deleted"].put()
    back = by_title["image deleted"]
    back.put({OTHER: back.files[OTHER]})
    redriven = next(execution for case, execution in first.items() if case.title == "image deleted")
    real_stack.sfn.redrive_execution(executionArn=redriven["executionArn"])
    cured = [
        (replaced["status"], epochs_trained(real_stack, replaced["name"])),
        *(
            (execution["status"], epochs_trained(real_stack, execution["name"]))
            for execution in (
                newest(real_stack, by_title["zip deleted"].name, of=2),
                ended(real_stack, redriven["executionArn"]),
            )
        ),
    ]
    healed = cured.count(("SUCCEEDED", [1]))
    line.figure(f"{figure}; cures that train: {healed} of 3")
    assert healed == 3, cured
