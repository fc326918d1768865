"""Where instances do not come, or do not come back: each rung has its time, the run has one, no epoch is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Rows
from tests.faults.ends import physical_id
from tests.faults.training import epochs_of, hosts, plans, resumed_from
from tests.stack import FAST, Stack, dataset_files, eventually

pytestmark = pytest.mark.long
TYPES = ("ml.g4dn.xlarge", "ml.g5.xlarge")
EPOCHS = 60
LIMITS = "max_runtime_hours: 0.02\nmax_wait_hours: 0.02\ncapacity_patience_hours: 0.002\n"
"""72 seconds in all, 7.2 for each rung but the last."""
QUOTAS = [f"{name} for spot training job usage" for name in TYPES]


@pytest.fixture
def nothing_known_of_quotas(stack: Stack) -> Iterator[None]:
    """What Service Quotas said is kept for a day: it is forgotten before and after."""
    claims = stack.cloud.resource("dynamodb").Table(physical_id(stack, "ClaimsTable"))
    claims.delete_item(Key={"claim": "quotas#sagemaker"})
    yield
    claims.delete_item(Key={"claim": "quotas#sagemaker"})


def jobs_of(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    return sorted(stack.jobs(run_id), key=lambda job: str(job["TrainingJobName"]))


def instances(jobs: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(job["ResourceConfig"]["InstanceType"], job["EnableManagedSpotTraining"]) for job in jobs]


def was_taken(stack: Stack, run_id: str) -> bool:
    """Whether a job of the run has lost its host and waits for another one."""
    return any(
        "TrainingStartTime" in job and job["SecondaryStatus"] in ("Interrupted", "Starting")
        for job in stack.jobs(run_id)
    )


def loses_spot_half_way(stack: Stack, name: str) -> str:
    """A run whose spot instance is taken back after epoch 20 of 60, and has no other of its type."""
    stack.cloud.inject({"training": {"interrupt_after_epochs": [20], "spot_never_returns": True}})
    settings = FAST.replace("epochs: 3", f"epochs: {EPOCHS}") + "capacity_patience_hours: 0.001\n"
    stack.drop_zip(name, dataset_files(marker=name, settings=settings))
    return str(stack.execution(name, within=60)["name"])


def test_all_spot_in_vain_ends_on_demand_within_the_one_time_of_the_run(stack: Stack, row: Rows) -> None:
    line = row(
        8,
        fault="no spot of any type",
        injected="two types, 7 s of patience for each, 72 s in all, on-demand fallback",
        promise="on demand at last; Waiting once",
    )
    stack.cloud.inject({"training": {"spot_never_arrives": True}})
    settings = f"{FAST}{LIMITS}on_demand_fallback: true\n"
    stack.drop_zip("spot-in-vain", dataset_files(marker="spot-in-vain", settings=settings))
    execution = stack.ended("spot-in-vain", within=240)
    stack.message("spot-in-vain", "Completed", within=60)
    jobs = jobs_of(stack, execution["name"])
    climb = stack.run(execution["name"])["climb"]
    caps = [job["StoppingCondition"] for job in jobs]
    waits = [int(entry["waited_seconds"]) for entry in climb]
    began = jobs[0]["CreationTime"]
    latest = max(
        job["CreationTime"] + timedelta(seconds=cap.get("MaxWaitTimeInSeconds", cap["MaxRuntimeInSeconds"])) - began
        for job, cap in zip(jobs, caps, strict=True)
    )
    told = [message["outcome"] for message in stack.messages("spot-in-vain")]
    line.figure(
        f"{len(jobs)} jobs, waited {waits[0]} and {waits[1]} s; the last may end {latest.total_seconds():.0f} s after "
        f"the first began, of 72; told {', '.join(told)}"
    )
    assert instances(jobs) == [(TYPES[0], True), (TYPES[1], True), (TYPES[0], False)]
    assert latest <= timedelta(seconds=73)
    assert all(cap["MaxRuntimeInSeconds"] <= cap.get("MaxWaitTimeInSeconds", 72) for cap in caps)
    assert min(waits[:2]) >= 7
    assert told.count("Waiting") <= 1
    assert sorted(set(told) - {"Waiting"}) == ["Completed", "Started"]


def test_waiting_is_told_once_and_a_run_without_time_left_ends_clearly(stack: Stack, row: Rows) -> None:
    line = row(
        8,
        fault="no spot of any type",
        injected="two types, 30 s of patience, 72 s in all, no fallback; notice after 20 s",
        promise="Waiting once, then a clear failure; no second time of waiting",
    )
    stack.cloud.inject({"training": {"spot_never_arrives": True}})
    settings = f"{FAST}{LIMITS}".replace("0.002", "1")
    stack.drop_zip("in-vain", dataset_files(marker="in-vain", settings=settings))
    execution = stack.ended("in-vain", within=300)
    failed = stack.message("in-vain", "Failed", within=60)
    waiting = [message for message in stack.messages("in-vain") if message["outcome"] == "Waiting"]
    jobs = jobs_of(stack, execution["name"])
    seconds = (jobs[-1]["TrainingEndTime"] - jobs[0]["CreationTime"]).total_seconds()
    line.figure(f"Waiting {len(waiting)} times; {execution['error']} after {seconds:.0f} s over {len(jobs)} jobs")
    assert len(waiting) == 1
    assert "waiting for ml.g" in waiting[0]["subject"]
    assert "Nothing is charged while it waits" in waiting[0]["body"]
    assert execution["error"] == "CapacityExhausted"
    assert instances(jobs) == [(name, True) for name in TYPES]
    assert 60 < seconds < 100
    assert f"Instances tried: {TYPES[0]} spot: no capacity in " in failed["body"]
    assert "within max_wait_hours" in failed["body"]


def test_spot_that_does_not_come_back_is_left_for_the_next_rung_from_the_same_checkpoints(
    stack: Stack, row: Rows
) -> None:
    line = row(
        8,
        fault="spot is taken back and never returns",
        injected="after epoch 20 of 60; the next rung is another type",
        promise="trains on from the same checkpoints, with what is left of time and money",
    )
    run_id = loses_spot_half_way(stack, "no-return")
    eventually(lambda: was_taken(stack, run_id), within=120, what="the interruption")
    stack.cloud.inject({"training": {"spot_never_returns": True}})
    execution = stack.ended("no-return", within=180)
    body = stack.message("no-return", "Completed", within=60)["body"]
    jobs = jobs_of(stack, run_id)
    trained = [epochs_of(lines) for job in jobs for lines in hosts(stack, job["TrainingJobName"])]
    resumed = [resumed_from(lines) for job in jobs for lines in hosts(stack, job["TrainingJobName"])]
    caps = [job["StoppingCondition"]["MaxRuntimeInSeconds"] for job in jobs]
    again = len([epoch for epochs in trained for epoch in epochs]) - EPOCHS
    line.figure(
        f"hosts trained epochs {', '.join(f'{epochs[0]}-{epochs[-1]}' for epochs in trained)}, {again} twice; runtime "
        f"caps {caps[0]} and {caps[1]} s"
    )
    assert execution["status"] == "SUCCEEDED"
    assert instances(jobs) == [(name, True) for name in TYPES]
    assert trained[-1][-1] == EPOCHS
    assert resumed[1] == trained[1][0] - 1 >= 20
    assert again <= 1
    assert caps[1] < caps[0]
    assert "epochs, then no capacity in " in body
    assert {job["CheckpointConfig"]["S3Uri"] for job in jobs} == {jobs[0]["CheckpointConfig"]["S3Uri"]}


def test_a_climb_in_vain_after_training_delivers_the_best_model_so_far(stack: Stack, row: Rows) -> None:
    line = row(
        8,
        fault="spot is taken back and none is left of any type",
        injected="after epoch 20 of 60; every job after that without capacity",
        promise="the model that was paid for is delivered",
    )
    run_id = loses_spot_half_way(stack, "paid-for")
    eventually(
        lambda: any(job["SecondaryStatus"] in ("Downloading", "Training") for job in stack.jobs(run_id)),
        within=60,
        what="the first host",
    )
    stack.cloud.inject({"training": {"interrupt_after_epochs": [20], "spot_never_returns": True, "capacity_errors": 9}})
    execution = stack.ended("paid-for", within=180)
    message = stack.message("paid-for", "Stopped", within=60)
    run = stack.run(run_id)
    model = f"models/{run['slug']}/{run_id}/best.pt" in stack.artifacts(f"models/{run['slug']}/{run_id}/")
    line.figure(f"execution {execution['status']}, ended as {run['ended']}, model delivered = {model}")
    assert model
    assert execution["status"] == "SUCCEEDED"
    assert run["ended"] == "capacity_exhausted"
    assert "No instance could be had to train on; this is the best model so far." in message["body"]


@pytest.mark.usefixtures("nothing_known_of_quotas")
def test_quotas_of_zero_are_skipped_and_all_of_them_end_the_run_with_their_names(stack: Stack, row: Rows) -> None:
    line = row(
        8,
        fault="quota known to be 0",
        injected="of the first type; of both",
        promise="skipped before it is tried; all 0: told by their names",
    )
    stack.cloud.inject({"training": {"zero_quotas": QUOTAS}})
    stack.drop_zip("no-quotas")
    none = stack.ended("no-quotas", within=120)
    message = stack.message("no-quotas", "Failed", within=60)
    stack.cloud.inject({"training": {"zero_quotas": QUOTAS[:1]}})
    stack.drop_zip("one-quota")
    one = stack.ended("one-quota", within=120)
    made = {name: instances(stack.jobs(end["name"])) for name, end in (("no-quotas", none), ("one-quota", one))}
    skipped = [entry["result"] for end in (none, one) for entry in stack.run(end["name"])["climb"]]
    of_zero = len(made["no-quotas"]) + sum(name == TYPES[0] for name, _ in made["one-quota"])
    line.figure(f"jobs for quotas of 0 = {of_zero}; rungs: {', '.join(skipped)}")
    assert made == {"no-quotas": [], "one-quota": [(TYPES[1], True)]}
    assert skipped == ["quota 0, skipped"] * 3 + ["trained"]
    assert (none["error"], one["status"]) == ("QuotaExhausted", "SUCCEEDED")
    assert all(name in message["body"] for name in QUOTAS)
    assert "servicequotas/home/services/sagemaker/quotas" in message["body"]


def test_a_real_training_goes_on_where_the_instance_was_taken_on_another_type(
    real_stack: Stack, row: Rows, tmp_path: Path
) -> None:
    epochs, taken_after = 6, 3
    line = row(
        8,
        fault="spot is taken back and never returns",
        injected=f"real training, after epoch {taken_after} of {epochs}",
        promise="trains on from the same checkpoints on the next type",
    )
    real_stack.cloud.inject({"training": {"interrupt_after_epochs": [taken_after], "spot_never_returns": True}})
    files = plans(tmp_path / "plans", epochs=epochs, marker="another type")
    files["training.yaml"] += b"capacity_patience_hours: 0.002\n"
    real_stack.drop_zip("another-type", files)
    execution = real_stack.execution("another-type", within=60)
    eventually(lambda: was_taken(real_stack, execution["name"]), within=240, what="the interruption")
    real_stack.cloud.inject({"training": {"spot_never_returns": True}})
    ended = real_stack.ended("another-type", within=240)
    jobs = jobs_of(real_stack, execution["name"])
    logs = [lines for job in jobs for lines in hosts(real_stack, job["TrainingJobName"])]
    trained = [epochs_of(lines) for lines in logs]
    line.figure(
        f"{', '.join(name for name, _ in instances(jobs))} trained epochs "
        f"{', '.join(f'{found[0]}-{found[-1]}' for found in trained)} of {epochs}"
    )
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert instances(jobs) == [(name, True) for name in TYPES]
    # The next epoch may be done as well by the time that the instance is taken, which waits for the checkpoint's sync.
    done, resumed = trained[0][-1], int(resumed_from(logs[-1]) or 0)
    assert taken_after <= done < epochs
    assert resumed in (done, done - 1)
    assert trained[-1] == list(range(resumed + 1, epochs + 1))
    body = real_stack.message("another-type", "Completed", within=60)["body"]
    assert f"{epochs} of {epochs} epochs" in body
    told = re.search(r"ml\.g4dn\.xlarge spot: trained (\d+) epochs, then no capacity in ", body)
    assert told
    assert int(told[1]) in (done, resumed)
