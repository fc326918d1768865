"""An upload that stops half-way, and goes on later or never: no zip, and no folder with `expect`, starts wrong."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.conftest import Rows
from tests.faults.ends import after_an_epoch, physical_id
from tests.stack import FAST, Stack, dataset_files, eventually, png, zipped

QUIET_SECONDS = 3  # of samconfig's `local`
WINDOW_SECONDS = 60
TRAIN, VAL = 6, 3
EXPECT = f"{FAST}expect: {{train: {TRAIN}, val: {VAL}}}\n"
UPLOADS = 20
ORDERS = ("sync", "images first", "labels first", "shuffled")


@dataclass
class Upload:
    """One folder that is uploaded in some order, up to some file; a resumed one goes on after the pause."""

    name: str
    files: dict[str, bytes]
    order: list[str]
    stop: int
    resumes: bool

    @property
    def opens(self) -> bool:
        """Whether a yaml file, which opens an upload, comes before the pause."""
        return any(key.endswith(".yaml") for key in self.order[: self.stop])

    def put(self, stack: Stack, keys: list[str]) -> None:
        for key in keys:
            stack.put(f"datasets/{self.name}/{key}", self.files[key])


def uploads(prefix: str, settings: str, *, first: tuple[str, ...], seed: int) -> list[Upload]:
    """Twenty folders, each with an order and a stopping point of its own; every other one is resumed."""
    draw = random.Random(seed)
    made = []
    for number in range(UPLOADS):
        name = f"{prefix}-{number:02}"
        files = dataset_files(train=TRAIN, val=VAL, settings=settings, marker=name)
        order = sorted(files)  # as `aws s3 sync` goes
        how = ORDERS[number % len(ORDERS)]
        if how == "shuffled":
            draw.shuffle(order)
        elif how != "sync":
            order.sort(key=lambda key: not key.startswith(how.split()[0]))
        order.sort(key=lambda key: key not in first)
        made.append(Upload(name, files, order, draw.randrange(max(1, len(first)), len(order)), number % 2 == 0))
    return made


@contextmanager
def upload_window(stack: Stack) -> Iterator[None]:
    """A window that a slow machine cannot miss; changed in place."""
    client = stack.cloud.client("lambda")
    names = [physical_id(stack, function) for function in ("AcceptDropFunction", "ValidateDatasetFunction")]
    kept = {name: client.get_function_configuration(FunctionName=name)["Environment"]["Variables"] for name in names}
    try:
        for name, variables in kept.items():
            longer = {**variables, "UPLOAD_WINDOW_SECONDS": str(WINDOW_SECONDS)}
            client.update_function_configuration(FunctionName=name, Environment={"Variables": longer})
        yield
    finally:
        for name, variables in kept.items():
            client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def seen_at_rest(stack: Stack, folder: Upload, moment: datetime) -> bool:
    """Whether the folder's run was checked after this moment, when nothing had come for a while, or has gone on."""
    return any(
        event.get("stateEnteredEventDetails", {}).get("name") in ("TrainModel", "PublishRejection")
        or (event["timestamp"] >= moment and event.get("stateExitedEventDetails", {}).get("name") == "ValidateDataset")
        for execution in stack.executions(folder.name)
        for event in stack.history(execution["executionArn"])
    )


def broken_off(stack: Stack, folders: list[Upload]) -> None:
    """Upload every folder up to its stopping point, pause until its run has seen it at rest, and go on with some."""
    for folder in folders:
        folder.put(stack, folder.order[: folder.stop])
    rests = datetime.now(UTC) + timedelta(seconds=QUIET_SECONDS + 1)
    opened = [folder for folder in folders if folder.opens]
    eventually(
        lambda: all(seen_at_rest(stack, folder, rests) for folder in opened), within=120, what="all seen", every=1
    )
    for folder in folders:
        if folder.resumes:
            folder.put(stack, folder.order[folder.stop :])


def ended(stack: Stack, folder: Upload) -> list[dict[str, Any]]:
    """Every execution of a folder, when all have ended; none for a folder that stopped before its first yaml file."""
    if not (folder.resumes or folder.opens):
        return []

    def look() -> list[dict[str, Any]]:
        found = stack.executions(folder.name)
        return found if found and all(item["status"] != "RUNNING" for item in found) else []

    return eventually(look, within=150, what=f"the end of {folder.name}'s executions", every=1)


def wrong_starts(stack: Stack, folder: Upload) -> int:
    """Jobs that were started for less than the whole folder, by the verdict that let them start."""
    whole = {"train": {"images": TRAIN, "labels": TRAIN}, "val": {"images": VAL, "labels": VAL}}
    count = 0
    for execution in stack.executions(folder.name):
        if not stack.jobs(execution["name"]):
            continue
        verdict = stack.s3.get_object(Bucket=stack.artifact_bucket, Key=f"verdicts/{execution['name']}.json")
        splits = json.loads(verdict["Body"].read())["splits"]
        seen = {split: {kind: counts[kind] for kind in ("images", "labels")} for split, counts in splits.items()}
        epochs = stack.run(execution["name"])["settings"]["epochs"]
        count += not (seen == whole and epochs == 3)
    return count


@pytest.mark.long
def test_a_folder_that_says_what_to_expect_never_starts_wrong(stack: Stack, row: Rows) -> None:
    line = row(
        14,
        fault="upload stops half-way (folder with `expect`)",
        injected=f"{UPLOADS} folders, training.yaml first, four orders, seeded stopping points, a pause until "
        "the upload was seen at rest; half are resumed, half never",
        promise="never a wrong start",
    )
    folders = uploads("half-expect", EXPECT, first=("training.yaml",), seed=14)
    with upload_window(stack):
        broken_off(stack, folders)
        ends = {folder.name: ended(stack, folder) for folder in folders}
    wrong = sum(wrong_starts(stack, folder) for folder in folders)
    line.figure(f"wrong starts = {wrong} of {UPLOADS}")
    assert wrong == 0
    for folder in folders:
        (execution,) = ends[folder.name]
        if folder.resumes:
            assert execution["status"] == "SUCCEEDED", folder
            stack.message(folder.name, "Completed", within=60)
        else:
            assert execution["cause"].startswith("incomplete: "), folder
            stack.message(folder.name, "Rejected", within=60)
    late = next(folder for folder in folders if not folder.resumes and "data.yaml" in folder.order[: folder.stop])
    late.put(stack, late.order[late.stop :])
    assert len(stack.executions(late.name)) == 1
    stack.do_as_told(stack.message(late.name, "Rejected")["body"], "Start this dataset again with")
    stack.message(late.name, "Completed", within=90)


@pytest.mark.long
def test_a_plain_folder_waits_its_window_or_starts_with_what_looks_complete(stack: Stack, row: Rows) -> None:
    line = row(
        14,
        fault="upload stops half-way (plain folder)",
        injected=f"{UPLOADS} folders, four orders, seeded stopping points, a pause until the upload was seen at rest; "
        "half are resumed, half never",
        promise="waits the window, then `Rejected: incomplete`; share of wrong starts stated",
    )
    folders = uploads("half-plain", FAST, first=(), seed=41)
    with upload_window(stack):
        broken_off(stack, folders)
        ends = {folder.name: ended(stack, folder) for folder in folders}
    wrong = {folder.name: wrong_starts(stack, folder) for folder in folders}
    hung = sum(item["status"] == "RUNNING" for found in ends.values() for item in found)
    share = sum(map(bool, wrong.values()))
    refused = [folder for folder in folders if ends[folder.name] and "error" in ends[folder.name][-1]]
    line.figure(
        f"wrong starts = {share} of {UPLOADS} (what had arrived looked complete), rejected as incomplete = "
        f"{len(refused)}, hung = {hung}"
    )
    assert hung == 0
    assert share < UPLOADS
    for folder in folders:
        for execution in ends[folder.name]:
            told = execution.get("error") == "DatasetChanged" or execution.get("cause", "").startswith("incomplete: ")
            assert execution["status"] == "SUCCEEDED" or told, (folder, execution)
    never = [folder for folder in folders if not folder.resumes and ends[folder.name] and not wrong[folder.name]]
    assert never
    assert all(item["status"] == "FAILED" for folder in never for item in ends[folder.name])


@pytest.mark.long
def test_a_zip_starts_when_it_is_whole_and_never_before(stack: Stack, row: Rows) -> None:
    line = row(
        14,
        fault="upload stops half-way (zip)",
        injected="nine multipart uploads: three completed after a pause, three aborted, three left as they are",
        promise="never a wrong start",
    )
    parts: dict[str, dict[str, Any]] = {}
    kinds = {f"half-zip-{number:02}": ("completed", "aborted", "left")[number % 3] for number in range(9)}
    for name in kinds:
        files = dataset_files(marker=name)
        files["images/train/0.png"] = png(name) + os.urandom(5 * 1024 * 1024)
        body, place = zipped(files), {"Bucket": stack.dataset_bucket, "Key": f"datasets/{name}.zip"}
        upload = stack.s3.create_multipart_upload(**place)["UploadId"]
        first = stack.s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=body[: 5 * 1024 * 1024])
        parts[name] = {"place": place, "upload": upload, "rest": body[5 * 1024 * 1024 :], "first": first["ETag"]}
    time.sleep(2 * QUIET_SECONDS)
    early = sum(len(stack.executions(name)) for name in kinds)
    for name, kind in kinds.items():
        part = parts[name]
        if kind == "aborted":
            stack.s3.abort_multipart_upload(**part["place"], UploadId=part["upload"])
        elif kind == "completed":
            last = stack.s3.upload_part(**part["place"], UploadId=part["upload"], PartNumber=2, Body=part["rest"])
            etags = [part["first"], last["ETag"]]
            listed = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
            stack.s3.complete_multipart_upload(
                **part["place"], UploadId=part["upload"], MultipartUpload={"Parts": listed}
            )
    whole = [name for name, kind in kinds.items() if kind == "completed"]
    for name in whole:
        assert stack.ended(name, within=120)["status"] == "SUCCEEDED"
        stack.message(name, "Completed", within=60)
    others = sum(len(stack.executions(name)) for name in kinds if name not in whole)
    line.figure(f"wrong starts = {early + others} of {len(kinds)}; completed later = {len(whole)} of 3, a run each")
    assert (early, others) == (0, 0)


def test_uploading_again_while_the_first_run_trains_trains_nothing_twice(stack: Stack, row: Rows) -> None:
    line = row(
        14,
        fault="upload repeated while its run trains",
        injected="the same folder, every file once more, in the middle of the training",
        promise="no double training",
    )
    name = "half-again"
    files = dataset_files(marker=name, settings="epochs: 60\nimgsz: 64\nbatch: 2\n")
    folder = Upload(name, files, sorted(files), len(files), resumes=False)
    folder.put(stack, folder.order)
    after_an_epoch(stack, name)
    time.sleep(1)  # events tell whole seconds: what comes in the second of the first look still belongs to it
    folder.put(stack, folder.order)
    executions = ended(stack, folder)
    stack.message(name, "Completed", within=60)
    stack.message(name, "Unchanged", within=60)
    jobs = sum(len(stack.jobs(execution["name"])) for execution in executions)
    line.figure(f"jobs = {jobs}, runs that ended Unchanged = {len(executions) - 1}")
    assert (jobs, len(executions)) == (1, 2)
