"""Whatever a zip or a tar holds: it is rejected by name or handled, in bounded memory, and nothing lies outside."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Rows
from tests.faults.hostile_archives import FIRST, HANDLED, hostile_tars, hostile_zips
from tests.plain_reads import PlainReads
from tests.stack import Stack, eventually
from traindrop.sources import SourceError
from traindrop.zip_in_s3 import ArchiveSource

REPOSITORY = Path(__file__).resolve().parents[2]
UNPACK = """
import json, re, sys, time
from pathlib import Path
from training_entry import archive
from training_entry.failure import BadDataset
root = Path(sys.argv[1])
for zipped in sorted(root.glob("job/*.zip"), key=lambda path: int(path.stem)):
    started = time.monotonic()
    try:
        said = f"handled {len(archive.extract(zipped, root / 'job' / zipped.stem, max_bytes=500_000_000))} files"
    except BadDataset as error:
        said = str(error)
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
    print(json.dumps([zipped.stem, said, peak, time.monotonic() - started]), flush=True)
"""


def function(stack: Stack, name: str) -> str:
    """The physical name of a function of the stack."""
    found = stack.cloud.client("cloudformation").describe_stack_resource(
        StackName="traindrop", LogicalResourceId=f"{name}Function"
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def invoke(stack: Stack, name: str, payload: dict[str, Any]) -> dict[str, Any]:
    """What a function of the stack answers; its error document if it fails."""
    client = stack.cloud.client("lambda")
    answer: dict[str, Any] = json.loads(client.invoke(FunctionName=name, Payload=json.dumps(payload))["Payload"].read())
    return answer


def most_memory(stack: Stack, name: str) -> int:
    """The most that the function has used so far, in MB, as its REPORT lines say."""
    pages = stack.cloud.client("logs").get_paginator("filter_log_events")
    group = stack.cloud.client("lambda").get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
    lines = [event["message"] for page in pages.paginate(logGroupName=group) for event in page["events"]]
    return max(int(found[1]) for line in lines if (found := re.search(r"Max Memory Used: (\d+) MB", line)))


def forget(stack: Stack, bucket: str, prefix: str) -> None:
    """Delete objects with all their versions, which the local cloud keeps in memory."""
    for page in stack.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            stack.s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


def verdict_on(stack: Stack, name: str) -> str:
    """The code of the worst problem as the user's message names it, or HANDLED for a zip that was trained on."""
    message = eventually(
        lambda: next((found for found in stack.messages(name) if found["outcome"] != "Started"), None),
        within=180,
        what=f"the end of {name}",
    )
    if message["outcome"] == "Rejected":
        return str(re.findall(r"\[([a-z_.]+)\]", message["body"])[0])
    return HANDLED if message["outcome"] == "Completed" else f"{message['outcome']}: {message['body'][:300]}"


def requests_for(stack: Stack, key: str) -> int:
    """How many requests it takes to read a zip's directory and its data.yaml."""
    s3, calls = stack.cloud.client("s3"), []
    s3.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    with contextlib.suppress(SourceError):
        ArchiveSource(s3, PlainReads(s3, stack.dataset_bucket), stack.dataset_bucket, key).read("data.yaml")
    return len(calls)


@pytest.mark.long
def test_every_hostile_zip_is_rejected_by_name_or_handled(stack: Stack, row: Rows) -> None:
    cases = hostile_zips()
    line = row(
        16,
        fault="hostile zips",
        injected=f"{len(cases)} zips dropped, from traversal to a directory of 1,000,000 entries that says it has one",
        promise="rejected by name or handled, before anything is paid for",
    )
    wrong, most_requests, paid = [], 0, 0
    names = {what: f"hostile-zip-{number:03}" for number, what in enumerate(cases)}
    try:
        for what, (make, _) in cases.items():
            stack.put(f"datasets/{names[what]}.zip", make())
        for what, (_, expected) in cases.items():
            found = verdict_on(stack, names[what])
            most_requests = max(most_requests, requests_for(stack, f"datasets/{names[what]}.zip"))
            if found != expected:
                wrong.append(f"{what}: {found}, not {expected}")
            if expected != HANDLED:
                paid += len(stack.sagemaker.list_training_jobs(NameContains=names[what])["TrainingJobSummaries"])
    finally:
        forget(stack, stack.dataset_bucket, "datasets/hostile-zip-")
    memory = most_memory(stack, function(stack, "ValidateDataset"))
    line.figure(
        f"wrong = {len(wrong)} of {len(cases)}; paid = {paid}; peak RSS {memory} MB; at most {most_requests} requests"
    )
    assert not wrong
    assert paid == 0
    assert memory <= 200
    assert most_requests <= 12


@pytest.mark.long
def test_no_zip_unpacks_outside_of_its_folder(tmp_path: Path, row: Rows) -> None:
    cases = hostile_zips()
    line = row(
        16,
        fault="hostile zips on the training host",
        injected=f"the same {len(cases)} zips before the entry's own unpacking, as if the gate had not looked",
        promise="refused by name or handled",
    )
    (tmp_path / "job").mkdir()
    (tmp_path / "canary").write_text("alive")
    for number, (make, _) in enumerate(cases.values()):
        (tmp_path / "job" / f"{number}.zip").write_bytes(make())
        (tmp_path / "job" / str(number)).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", UNPACK, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    results = {
        int(name): (said, peak, seconds) for name, said, peak, seconds in map(json.loads, done.stdout.splitlines())
    }
    assert len(results) == len(cases), done.stderr[-2000:]
    outside = [path for path in tmp_path.iterdir() if path.name not in ("job", "canary")]
    outside += [path for path in (tmp_path / "job").iterdir() if path.stem not in map(str, results)]
    outside += [path for path in tmp_path.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())]
    outside += [path for path in (Path("/tmp/evil.png"), Path("/evil.png")) if path.exists()]
    unpacked = [
        what
        for number, (what, (_, code)) in enumerate(cases.items())
        if code.startswith("archive.") and results[number][0].startswith("handled")
    ]
    peak = max(peak for _, peak, _ in results.values())
    line.figure(f"files outside = {len(outside)}; hostile ones unpacked = {len(unpacked)}; peak RSS {peak} MB")
    assert not outside
    assert not unpacked
    assert (tmp_path / "canary").read_text() == "alive"
    assert peak <= 400


@pytest.mark.long
def test_every_hostile_model_archive_is_refused_or_delivers_its_model_alone(stack: Stack, row: Rows) -> None:
    cases = hostile_tars()
    line = row(
        16,
        fault="hostile model.tar.gz",
        injected=f"{len(cases)} archives, from traversal to endless headers, before the deployed function",
        promise="refused by name or handled",
    )
    extract = function(stack, "ExtractModel")
    table = stack.cloud.resource("dynamodb").Table(stack.outputs["RunsTableName"])
    before, wrong, outside, longest = set(stack.artifacts("")), [], set(), 0.0
    for number, (what, (make, expected)) in enumerate(cases.items()):
        run = f"hostile-tar-{number:03}"
        archive = f"training-output/{run}/output/model.tar.gz"
        table.put_item(Item={"run_id": run, "slug": run, "job_name": run, "dataset": run})
        stack.s3.put_object(Bucket=stack.artifact_bucket, Key=archive, Body=make())
        started = time.monotonic()
        answer = invoke(stack, extract, {"run_id": run})
        longest = max(longest, time.monotonic() - started)
        forget(stack, stack.artifact_bucket, archive)
        delivered = stack.artifacts(f"models/{run}/")
        right = answer.get("errorType") == expected and archive in answer["errorMessage"]
        if expected == HANDLED:
            best = f"models/{run}/{run}/best.pt"
            right = delivered == [best] and (
                stack.s3.get_object(Bucket=stack.artifact_bucket, Key=best)["Body"].read() == FIRST
            )
        if not right:
            wrong.append(f"{what}: {json.dumps(answer)[:300]} {delivered}")
        outside |= {key for key in set(stack.artifacts("")) - before if not key.startswith(f"models/{run}/{run}/")}
        before |= set(delivered)
    memory = most_memory(stack, extract)
    line.figure(
        f"objects outside = {len(outside)}; wrong = {len(wrong)} of {len(cases)}; peak RSS {memory} MB; "
        f"the longest {longest:.0f} s"
    )
    assert not outside
    assert not wrong
    assert memory <= 200
