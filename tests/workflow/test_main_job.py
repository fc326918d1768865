"""From a drop to a model in the inbox, with the shipped state machine, functions and policies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.stack import POLYGON, YAML, Stack, dataset_files, eventually, zipped
from traindrop import champion


def test_a_zip_gives_one_execution_one_job_one_message_and_a_record_that_agrees_with_sagemaker(stack: Stack) -> None:
    stack.drop_zip("plain")
    execution = stack.ended("plain")
    assert execution["status"] == "SUCCEEDED", execution
    run_id = execution["name"]
    message = stack.message("plain", "Completed")
    assert message["run_id"] == run_id
    started = stack.message("plain", "Started")["body"]
    assert re.search(r"Estimate: \$\S+ to \$\S+ for .* of training, as this dataset has no earlier run\.", started)
    assert "at most $5.00 and 3.6 hours of training, all attempts together. Prices of us-east-1, 2026-11-01." in started
    (job,) = stack.jobs(run_id)
    assert job["TrainingJobName"] == f"{run_id}-1"
    run = stack.run(run_id)
    assert run["status"] == "Completed"
    assert run["training_seconds"] == job["TrainingTimeInSeconds"]
    assert run["billable_seconds"] == job["BillableTimeInSeconds"]
    assert run["receipt"]["cost_usd"] == round(job["BillableTimeInSeconds"] * Decimal("0.7364") / 3600, 4)
    assert run["receipt"]["storage"]["model_bytes"] > 0
    entered = sum("stateEnteredEventDetails" in event for event in stack.history(execution["executionArn"]))
    assert run["receipt"]["orchestration"]["state_transitions"] == entered
    assert run["pace"]["epoch_seconds"] > 0
    assert run["jobs"][0]["instance_type"] == job["ResourceConfig"]["InstanceType"] == "ml.g4dn.xlarge"
    found = {key.rsplit("/", 1)[-1] for key in stack.artifacts(f"models/plain/{run_id}/")}
    assert {"best.pt", "best.onnx", "metrics.json", "results.csv", "args.yaml", "report.html"} <= found
    assert stack.artifacts("models/plain/best.json")
    counts = run["contents"]["splits"]["train"]
    assert counts["images"] == run["images"]["train"] > 0
    assert run["contents"]["classes"][0][1] == counts["instances"] > 0
    place = {"Bucket": stack.artifact_bucket, "Key": f"models/plain/{run_id}/report.html"}
    report = stack.s3.get_object(**place)["Body"].read().decode()
    assert f'train</th><td class="n">{counts["images"]}</td>' in report
    for word in ("mAP50", "mAP50-95", "epochs", "Paid ", "saved", "best.pt", "report.html", "aws s3 cp"):
        assert word in message["body"], word


def test_a_dataset_without_settings_trains_with_the_defaults(stack: Stack) -> None:
    stack.drop_zip("defaults", dataset_files(settings=None, marker="defaults"))
    run = stack.run(stack.ended("defaults")["name"])
    assert run["settings"]["model"] == "yolov8n-seg.pt"
    assert int(run["settings"]["epochs"]) == 50
    assert run["status"] == "Completed"


@pytest.mark.parametrize("first", [True, False], ids=["data.yaml-first", "data.yaml-last"])
def test_a_folder_in_any_order_with_a_pause_gives_one_run(stack: Stack, first: bool) -> None:
    name = f"My rooms + más {first}"
    files = dataset_files(marker=name, settings=None)
    order = sorted(files, key=lambda key: (key != "data.yaml") if first else (key == "data.yaml"))
    for index, key in enumerate(order):
        stack.put(f"datasets/{name}/{key}", files[key])
        if index == len(order) // 2:
            time.sleep(4)
    execution = stack.ended(name)
    assert execution["status"] == "SUCCEEDED"
    assert len(stack.jobs(execution["name"])) == 1
    message = stack.message(name, "Completed")
    assert message["dataset"] == name
    run = stack.run(execution["name"])
    assert run["dataset"] == name


def test_both_yaml_files_of_an_upload_start_one_run(stack: Stack) -> None:
    files = dataset_files(marker="both")
    for key in sorted(files, key=lambda key: key.endswith(".yaml")):
        stack.put(f"datasets/both/{key}", files[key])
    execution = stack.ended("both")
    assert execution["status"] == "SUCCEEDED"
    stack.message("both", "Completed")
    assert len(stack.executions("both")) == 1
    assert int(stack.run(execution["name"])["settings"]["epochs"]) == 3


def without(*names: str) -> dict[str, bytes]:
    return {name: body for name, body in dataset_files(marker="bad").items() if name not in names}


@pytest.mark.parametrize(
    ("name", "body", "named"),
    [
        (
            "no-val",
            zipped({**without(), "data.yaml": b"train: images/train\nnames: [room]\n"}),
            ["`val:`", "data.yaml"],
        ),
        (
            "empty-val",
            zipped({**without(), "data.yaml": YAML.replace("images/val", "images/valid").encode()}),
            ["images/valid", "where no image lies"],
        ),
        ("orphan", zipped(without("images/train/1.png")), ["labels/train/1.txt", "Upload the missing image"]),
        ("unknown-key", zipped({**without(), "training.yaml": b"epoch: 3"}), ["'epoch'", "did you mean 'epochs'"]),
        ("no-zip", b"this is no zip", ["not a readable zip", "pack the dataset again"]),
        (
            "boxes",
            zipped({**without(), **{f"labels/train/{n}.txt": b"0 .5 .5 .1 .1" for n in range(4)}}),
            ["boxes", "yolov8n.pt"],
        ),
    ],
)
def test_a_dataset_that_cannot_train_is_rejected_before_any_job(
    stack: Stack, name: str, body: bytes, named: list[str]
) -> None:
    stack.put(f"datasets/{name}.zip", body)
    execution = stack.ended(name)
    assert (execution["status"], execution["error"]) == ("FAILED", "DatasetRejected")
    message = stack.message(name, "Rejected")
    for word in named:
        assert word in message["body"], message["body"]
    assert stack.jobs(execution["name"]) == []
    verdict = json.loads(
        stack.s3.get_object(Bucket=stack.artifact_bucket, Key=f"verdicts/{execution['name']}.json")["Body"].read()
    )
    assert verdict["ok"] is False
    assert verdict["errors"]
    assert named[0].strip("`':") in execution["cause"]


def test_an_upload_that_never_becomes_complete_is_rejected_after_the_window(stack: Stack) -> None:
    stack.put("datasets/half/data.yaml", YAML.encode())
    stack.put("datasets/half/labels/train/1.txt", POLYGON.encode())
    execution = stack.ended("half", within=60)
    assert execution["error"] == "DatasetRejected"
    assert execution["cause"].startswith("incomplete: ")
    assert "did not become complete" in stack.message("half", "Rejected")["body"]


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("datasets/a/b/data.yaml", "datasets/a/data.yaml"),
        ("x.zip", "datasets/x.zip"),
        ("datasets/a/images.zip", "datasets/images.zip"),
    ],
)
def test_a_misplaced_drop_gets_one_message_and_no_execution(stack: Stack, key: str, right: str) -> None:
    stack.put(key, b"content")
    name = right.removeprefix("datasets/").removesuffix(".zip").removesuffix("/data.yaml")
    assert right in stack.message(name, "Rejected")["body"]
    listed = stack.sfn.list_executions(stateMachineArn=stack.machine)["executions"]
    assert not [
        item for item in listed if key in stack.sfn.describe_execution(executionArn=item["executionArn"])["input"]
    ]


def test_a_misplaced_folder_trains_when_it_is_moved_as_told_and_its_model_comes_as_told(
    stack: Stack, tmp_path: Path
) -> None:
    files = dataset_files(marker="strayed")
    for name in sorted(files, key="data.yaml".__eq__):
        stack.put(f"datasets/strayed/deep down/{name}", files[name])
    told = stack.message("strayed", "Rejected")["body"]
    stack.do_as_told(told, "Move it to one of these places, its images and labels with it")
    body = stack.message("strayed", "Completed", within=60)["body"]
    stack.do_as_told(body, "Fetch it with one of these", tmp_path)
    assert (tmp_path / "best.pt").stat().st_size


def test_the_same_data_with_the_same_settings_is_not_trained_twice_unless_forced(stack: Stack) -> None:
    stack.drop_zip("twice")
    first = stack.ended("twice")
    stack.message("twice", "Completed")
    time.sleep(1)
    stack.drop_zip("twice")
    message = stack.message("twice", "Unchanged")
    assert f"/{first['name']}/report.html" in message["body"]
    assert quote(first["executionArn"], safe=":") in message["body"]
    assert message["run_id"] != first["name"]
    time.sleep(1)
    stack.drop_zip(
        "twice", {**dataset_files(marker="twice"), "training.yaml": b"epochs: 3\nimgsz: 64\nbatch: 2\nforce: true\n"}
    )

    def second() -> bool:
        outcomes = [message["outcome"] for message in stack.messages("twice")]
        return outcomes.count("Completed") == 2

    eventually(second, within=30, what="the second Completed")


def test_a_run_can_be_started_anew_from_the_console_with_the_same_input(stack: Stack) -> None:
    stack.put("datasets/anew.zip", b"no zip")
    rejected = stack.ended("anew")
    stack.s3.put_object(Bucket=stack.dataset_bucket, Key="datasets/anew.zip.tmp", Body=b"")
    stack.drop_zip("anew")
    eventually(lambda: len(stack.executions("anew")) == 2, within=20, what="the second execution")
    started = stack.sfn.start_execution(stateMachineArn=stack.machine, input=rejected["input"])

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = stack.sfn.describe_execution(executionArn=started["executionArn"])
        return described if described["status"] != "RUNNING" else None

    by_hand = eventually(ended, within=40, what="the execution by hand")
    assert by_hand["status"] == "SUCCEEDED"
    assert json.loads(by_hand["output"])["run_id"].startswith("anew-")


def test_execution_names_are_legible_and_state_data_stays_small(stack: Stack) -> None:
    stack.drop_zip("legible")
    execution = stack.ended("legible")
    slug, moment, digest = execution["name"].split("-")
    assert slug == "legible"
    assert len(moment) == 15
    assert len(digest) == 8
    for event in stack.history(execution["executionArn"]):
        for details in event.values():
            if isinstance(details, dict):
                assert len(json.dumps(details)) < 12_000


def test_a_run_competes_with_the_best_and_after_a_rollback_with_the_one_that_came_back(stack: Stack) -> None:
    runs: list[str] = []

    def dropped() -> tuple[str, dict[str, Any]]:
        stack.drop_zip("rivals", dataset_files(settings=f"epochs: {2 + len(runs)}\nimgsz: 64\nbatch: 2\n"))
        found = stack.all_ended(len(runs) + 1, "rivals-", within=60)
        runs.append(found[-1]["name"])
        said = eventually(
            lambda: [
                item
                for item in stack.messages("rivals")
                if (item["run_id"], item["outcome"]) == (runs[-1], "Completed")
            ],
            within=20,
            what="the end message",
        )
        return said[0]["body"], stack.run(runs[-1])

    first, _ = dropped()
    assert "It is this dataset's first model, and so its best." in first
    # The stand-in is as good every time, and does not measure the best itself.
    second, run = dropped()
    assert f"As good: mask mAP50-95 0.698 against 0.698 of the best so far (run {runs[0]}), on 2 validation" in second
    assert "Not promoted: the earlier model stays the best, since it is no better." in second
    assert (run["promoted"], run["comparison"]["basis"]) == (False, "recorded")
    (job,) = stack.jobs(runs[1])
    uris = {item["ChannelName"]: item["DataSource"]["S3DataSource"]["S3Uri"] for item in job["InputDataConfig"]}
    assert uris["champion"] == f"s3://{stack.artifact_bucket}/models/rivals/{runs[0]}/best.pt"
    assert job["HyperParameters"]["champion"] == runs[0]
    done = subprocess.run(
        [sys.executable, "-m", "traindrop", "rollback", "rivals", "--to", runs[1], "--json"],
        env={**os.environ, **stack.cloud.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["to"]["run_id"] == runs[1]
    third, _ = dropped()
    assert f"of the best so far (run {runs[1]})" in third
    (item,) = stack.artifacts("models/rivals/best.json")
    best = json.loads(stack.s3.get_object(Bucket=stack.artifact_bucket, Key=item)["Body"].read())
    assert [(entry["run_id"], entry["how"]) for entry in best["history"]] == [
        (runs[0], "promoted"),
        (runs[1], "rolled back"),
    ]


def test_of_many_runs_that_end_together_the_best_is_the_best_and_no_promotion_is_lost(stack: Stack) -> None:
    scores = [0.3, 0.8, 0.5, 0.1, 0.7, 0.2]
    together = threading.Barrier(len(scores))

    def end(score: float) -> bool:
        waited: list[bool] = []

        def decide(best: champion.Best) -> tuple[bool, dict[str, Any] | None]:
            if not waited:
                waited.append(True)
                together.wait(timeout=30)
            better = best.now is None or score > best.now["score"]
            entry = champion.entry(f"run{score}", "", "together", score=score, at="", how=champion.PROMOTED, why="")
            return better, entry if better else None

        return champion.change(stack.cloud.client("s3"), stack.artifact_bucket, "together", decide)

    with ThreadPoolExecutor(len(scores)) as pool:
        promoted = list(pool.map(end, scores))
    history = champion.read(stack.s3, stack.artifact_bucket, "together").history
    kept = [entry["score"] for entry in history]
    assert kept == sorted(kept)
    assert kept[-1] == max(scores)
    assert sorted(kept) == sorted(score for score, won in zip(scores, promoted, strict=True) if won)
