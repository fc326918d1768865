"""The life of training jobs on a running local cloud, as DescribeTrainingJob, events, logs and S3 show it."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud
from tests.contract.training_jobs import Account, channel, request, statuses, until

METRICS = 'for e in 1 2 3; do echo "METRIC epoch=$e; epochs=3; map50_mask=0.$e;"; done; '
ROOT = 'root=$(dirname "$(dirname "$(dirname "$(dirname "$0")")")"); '


@pytest.fixture(scope="module")
def real() -> Iterator[Account]:
    """A cloud whose jobs run their own entry."""
    with LocalCloud.start(trainer="real", provision_seconds=0.1, stop_grace_seconds=2.0) as cloud:
        yield Account(cloud)


@pytest.fixture(scope="module")
def stub() -> Iterator[Account]:
    """A cloud whose jobs run the stand-in."""
    with LocalCloud.start(trainer="stub", provision_seconds=0.1, stop_grace_seconds=2.0) as cloud:
        yield Account(cloud)


@pytest.fixture(autouse=True)
def _without_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in ("real", "stub"):
        if name in request.fixturenames:
            request.getfixturevalue(name).cloud.clear_faults()


def members(account: Account, job: str, name: str = "model") -> dict[str, bytes]:
    """The files of an output archive."""
    packed = account.body(f"training-output/{job}/output/{name}.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}  # type: ignore[union-attr]


def test_a_job_runs_its_entry_and_leaves_its_model(real: Account) -> None:
    script = f'{ROOT}{METRICS}echo weights > "$root/model/best.pt"; echo more > "$root/output/data/log.txt"'
    name = real.submit(script)
    done = real.ended(name)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Completed", "Completed")
    assert statuses(done) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert members(real, name) == {"best.pt": b"weights\n"}
    assert members(real, name, "output") == {"log.txt": b"more\n"}
    uri = f"s3://artifacts/training-output/{name}/output/model.tar.gz"
    assert done["ModelArtifacts"] == {"S3ModelArtifacts": uri}


def test_times_and_transitions_follow_each_other(real: Account) -> None:
    done = real.ended(real.submit("sleep 0.3"))
    steps = done["SecondaryStatusTransitions"]
    assert all(step["StartTime"] <= step["EndTime"] and step["StatusMessage"] for step in steps)
    assert all(earlier["EndTime"] == later["StartTime"] for earlier, later in pairwise(steps))
    assert done["CreationTime"] <= steps[0]["StartTime"]
    assert done["TrainingStartTime"] <= steps[1]["EndTime"] <= done["TrainingEndTime"] <= done["LastModifiedTime"]
    assert done["TrainingTimeInSeconds"] == 1
    assert done["BillableTimeInSeconds"] == 1


def test_every_change_is_an_event_in_awss_shape(real: Account) -> None:
    name = real.submit(METRICS)
    done = real.ended(name)
    events = real.changes(name, len(statuses(done)))
    assert [event["detail"]["SecondaryStatus"] for event in events] == statuses(done)
    last = events[-1]
    assert last["source"] == "aws.sagemaker"
    assert last["detail-type"] == "SageMaker Training Job State Change"
    assert last["resources"] == [done["TrainingJobArn"]]
    detail = last["detail"]
    assert detail["TrainingJobStatus"] == "Completed"
    assert detail["RoleArn"] == done["RoleArn"]
    assert detail["Tags"] == {"traindrop:dataset": "Büro 1+2"}
    assert detail["CreationTime"] == round(done["CreationTime"].timestamp() * 1000)
    assert isinstance(detail["SecondaryStatusTransitions"][0]["StartTime"], int)
    assert not {"FailureReason", "BillableTimeInSeconds", "TrainingTimeInSeconds"} & set(detail)
    assert set(detail) >= SHAPE


SHAPE = set(
    json.loads("""[
    "TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "HyperParameters", "RoleArn",
    "AlgorithmSpecification", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition",
    "CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime", "SecondaryStatusTransitions", "Tags"
]""")
)


def test_what_a_job_prints_is_in_its_log_while_it_runs(real: Account) -> None:
    name = real.submit("echo early; echo 'über' >&2; sleep 1.5; echo late")
    until(lambda: _log_or_none(real, name) == ["early", "über"], what="the first lines")
    assert real.describe(name)["TrainingJobStatus"] == "InProgress"
    real.ended(name)
    assert real.log(name) == ["early", "über", "late"]


def _log_or_none(account: Account, name: str) -> list[str] | None:
    """What the job has printed; None before its first line, for the stream is there before its events are."""
    try:
        return account.log(name) or None
    except ClientError:
        return None


def test_metric_definitions_become_final_metrics_and_cloudwatch_metrics(real: Account) -> None:
    name = real.submit(METRICS)
    done = real.ended(name)
    assert [(item["MetricName"], item["Value"]) for item in done["FinalMetricDataList"]] == [
        ("map50_mask", pytest.approx(0.3))
    ]
    cloudwatch: Any = real.cloud.client("cloudwatch")
    found = cloudwatch.list_metrics(
        Namespace="/aws/sagemaker/TrainingJobs", Dimensions=[{"Name": "TrainingJobName", "Value": name}]
    )
    assert [item["MetricName"] for item in found["Metrics"]] == ["map50_mask"]


def test_a_failing_entry_fails_the_job_with_its_reason(real: Account) -> None:
    name = real.submit(f'{ROOT}printf "CUDA out of memory %01100d" 0 > "$root/output/failure"; exit 15')
    failed = real.ended(name)
    assert failed["TrainingJobStatus"] == "Failed"
    assert failed["FailureReason"].startswith("AlgorithmError: CUDA out of memory 000")
    assert len(failed["FailureReason"]) == 1024
    assert real.changes(name, len(statuses(failed)))[-1]["detail"]["FailureReason"] == failed["FailureReason"]
    name = real.submit(f'{ROOT}echo partial > "$root/model/best.pt"; exit 2')
    assert real.ended(name)["FailureReason"] == "AlgorithmError: , exit code: 2"
    assert real.keys(f"training-output/{name}/") == []


def test_a_reason_shows_the_exit_code(real: Account) -> None:
    name = real.submit(f'{ROOT}echo -n "no images" > "$root/output/failure"; exit 11')
    assert real.ended(name)["FailureReason"] == "AlgorithmError: no images, exit code: 11"


def test_a_stopped_job_gets_sigterm_and_still_delivers(real: Account) -> None:
    name = real.submit(f"{ROOT}trap 'echo best > \"$root/model/best.pt\"; exit 143' TERM; while :; do sleep 0.1; done")
    real.at(name, "Training")
    time.sleep(0.3)
    real.sagemaker.stop_training_job(TrainingJobName=name)
    assert real.describe(name)["TrainingJobStatus"] == "Stopping"
    done = real.ended(name)
    assert statuses(done)[-4:] == ["Training", "Stopping", "Uploading", "Stopped"]
    assert done["TrainingJobStatus"] == "Stopped"
    assert members(real, name) == {"best.pt": b"best\n"}
    with pytest.raises(ClientError, match="The request was rejected because the training job is in status Stopped"):
        real.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_deaf_to_sigterm_is_killed_after_the_grace_period(real: Account) -> None:
    name = real.submit("trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    real.at(name, "Training")
    time.sleep(0.3)
    real.sagemaker.stop_training_job(TrainingJobName=name)
    began = time.monotonic()
    assert real.ended(name)["SecondaryStatus"] == "Stopped"
    assert 1.5 < time.monotonic() - began < 6


def test_a_job_past_its_runtime_is_stopped_and_delivers(real: Account) -> None:
    script = f'{ROOT}echo best > "$root/model/best.pt"; trap "exit 143" TERM; while :; do sleep 0.1; done'
    name = real.submit(script, StoppingCondition={"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 60})
    done = real.ended(name)
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert members(real, name) == {"best.pt": b"best\n"}


def test_a_single_object_arrives_under_its_name_with_its_neighbours(real: Account) -> None:
    real.put("datasets/rooms.zip", "zip")
    real.put("datasets/rooms.zip.bak", "old")
    real.put("code/list/entry.sh", f'{ROOT}cd "$root/input/data"; find . -type f | sort')
    channels = [channel("code", "s3://artifacts/code/list/"), channel("dataset", "s3://artifacts/datasets/rooms.zip")]
    name = real.submit("", InputDataConfig=channels)
    real.ended(name)
    assert real.log(name) == ["./code/entry.sh", "./dataset/rooms.zip", "./dataset/rooms.zip.bak"]


def test_an_input_that_vanished_fails_the_job(real: Account) -> None:
    real.cloud.inject({"training": {"spot_never_arrives": True}})
    name = real.submit("true")
    real.s3.delete_object(Bucket="artifacts", Key=f"config/{name}/job.json")
    real.cloud.clear_faults()
    failed = real.ended(name)
    assert failed["FailureReason"].startswith("ClientError: Data download failed:No S3 objects found under S3 URL")
    assert statuses(failed)[-2:] == ["Downloading", "Failed"]


def test_checkpoints_are_in_s3_while_the_job_runs(real: Account) -> None:
    name = real.submit(f'{ROOT}mkdir "$root/checkpoints/a"; echo 1 > "$root/checkpoints/a/last.pt"; sleep 30')
    until(lambda: real.keys(f"checkpoints/{name}/") == [f"checkpoints/{name}/a/last.pt"], what="the checkpoint")
    assert real.describe(name)["SecondaryStatus"] == "Training"
    real.sagemaker.stop_training_job(TrainingJobName=name)
    real.ended(name)


def test_an_interrupted_job_goes_on_from_its_checkpoint_on_an_empty_host(stub: Account) -> None:
    stub.cloud.inject({"training": {"interrupt_after_epochs": [2, 3]}})
    name = stub.submit("", job={"arguments": {"epochs": 5}})
    done = stub.ended(name)
    again = ["Interrupted", "Starting", "Downloading", "Training"]
    assert statuses(done) == ["Starting", "Downloading", "Training", *again, *again, "Uploading", "Completed"]
    lines = [line if not line.startswith("METRIC") else line.split(";")[0] for line in stub.log(name)]
    assert lines == [
        "FRESH start",
        "METRIC epoch=1",
        "METRIC epoch=2",
        "RESUME from epoch 2",
        "METRIC epoch=3",
        "RESUME from epoch 3",
        "METRIC epoch=4",
        "METRIC epoch=5",
    ]
    metrics = json.loads(members(stub, name)["metrics.json"])
    assert (metrics["host_starts"], metrics["resumed_from_epochs"]) == (3, [2, 3])


def test_an_interruption_kills_the_entry_at_once_and_waits_for_its_checkpoint(real: Account) -> None:
    script = (
        f'{ROOT}c="$root/checkpoints/n"; [ -e "$root/model/x" ] && echo "not emptied"; touch "$root/model/x"; '
        'trap "echo was told" TERM; n=$(cat "$c" 2>/dev/null || echo 0); echo "from $n"; '
        'while [ $n -lt 4 ]; do n=$((n+1)); sleep 0.4; echo $n > "$c"; echo "METRIC epoch=$n; epochs=4;"; done'
    )
    real.cloud.inject({"training": {"interrupt_after_epochs": [2]}})
    name = real.submit(script)
    done = real.ended(name)
    assert done["TrainingJobStatus"] == "Completed"
    lines = real.log(name)
    assert "was told" not in lines
    assert "not emptied" not in lines
    resumed = [line for line in lines if line.startswith("from")]
    assert resumed[0] == "from 0"
    assert resumed[1] in ("from 2", "from 3")
    assert len(resumed) == 2


def test_an_interruption_at_a_moment_kills_the_entry_wherever_it_is_and_keeps_what_the_folder_holds(
    real: Account,
) -> None:
    script = (
        f'{ROOT}c="$root/checkpoints/n"; n=$(cat "$c" 2>/dev/null || echo 0); '
        'echo "from $n"; sleep 1; while [ $n -lt 60 ]; do n=$((n+1)); echo $n > "$c"; sleep 0.05; '
        'echo "METRIC epoch=$n; epochs=60;"; done; echo "whole way"'
    )
    real.cloud.inject({"training": {"interrupt_after_seconds": [0.3, 0.2]}})
    name = real.submit(script)
    done = real.ended(name, 60)
    assert done["TrainingJobStatus"] == "Completed"
    assert statuses(done).count("Interrupted") == 2
    lines = [line for line in real.log(name) if not line.startswith("METRIC")]
    assert [line.split()[0] for line in lines] == ["from", "from", "from", "whole"]
    reached = [int(line.split()[1]) for line in lines[:3]]
    assert reached[0] == 0 < reached[1] < reached[2] < 60


def test_on_demand_jobs_are_not_interrupted(stub: Account) -> None:
    stub.cloud.inject({"training": {"interrupt_after_epochs": [1]}})
    name = stub.submit("", EnableManagedSpotTraining=None, StoppingCondition={"MaxRuntimeInSeconds": 60})
    done = stub.ended(name)
    assert "Interrupted" not in statuses(done)
    assert done["BillableTimeInSeconds"] == done["TrainingTimeInSeconds"]


def test_no_capacity_fails_the_job_with_capacity_error(stub: Account) -> None:
    stub.cloud.inject({"training": {"capacity_errors": 1}})
    failed = stub.ended(stub.submit(""))
    assert failed["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity.")
    assert statuses(failed) == ["Starting", "Failed"]
    assert "TrainingStartTime" not in failed
    assert "BillableTimeInSeconds" not in failed
    assert stub.ended(stub.submit(""))["TrainingJobStatus"] == "Completed"


def test_spot_that_never_arrives_ends_at_the_wait_limit(stub: Account) -> None:
    stub.cloud.inject({"training": {"spot_never_arrives": True}})
    name = stub.submit("", StoppingCondition={"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1})
    assert stub.describe(name)["SecondaryStatus"] == "Starting"
    stopped = stub.ended(name)
    assert statuses(stopped) == ["Starting", "Stopping", "MaxWaitTimeExceeded"]
    assert stopped["TrainingJobStatus"] == "Stopped"
    assert "TrainingStartTime" not in stopped


def test_a_waiting_job_can_be_stopped(stub: Account) -> None:
    stub.cloud.inject({"training": {"spot_never_arrives": True}})
    name = stub.submit("")
    stub.at(name, "Starting")
    stub.sagemaker.stop_training_job(TrainingJobName=name)
    assert statuses(stub.ended(name)) == ["Starting", "Stopping", "Stopped"]


def test_a_spent_quota_refuses_the_job(stub: Account) -> None:
    stub.cloud.inject({"training": {"quota_errors": 1}})
    with pytest.raises(ClientError) as caught:
        stub.submit("")
    error = caught.value.response["Error"]
    assert error["Code"] == "ResourceLimitExceeded"
    assert error["Message"].startswith(
        "The account-level service limit 'ml.g4dn.xlarge for spot training job usage' is 0 Instances, with current"
        " utilization of 0 Instances and a request delta of 1 Instances."
    )


def test_internal_errors_are_retried_as_often_as_the_job_says(stub: Account) -> None:
    stub.cloud.inject({"training": {"internal_errors": 1}})
    done = stub.ended(stub.submit(""))
    assert done["TrainingJobStatus"] == "Completed"
    assert statuses(done)[:4] == ["Starting", "Downloading", "Restarting", "Starting"]
    stub.cloud.inject({"training": {"internal_errors": 1}})
    failed = stub.ended(stub.submit("", RetryStrategy=None))
    assert failed["FailureReason"] == "InternalServerError: We encountered an internal error. Please try again."


def test_the_stand_in_leaves_what_the_training_leaves(stub: Account) -> None:
    name = stub.submit("", job={"arguments": {"epochs": 4}, "data": {"names": {"0": "room"}}})
    stub.ended(name)
    files = members(stub, name)
    expected = {"best.pt", "best.onnx", "metrics.json", "results.csv", "args.yaml", "samples/sample_0.jpg"}
    assert set(files) == expected
    rows = files["results.csv"].decode().splitlines()
    assert rows[0].startswith("epoch,time,train/box_loss,train/seg_loss,")
    assert len(rows) == 5
    metrics = json.loads(files["metrics.json"])
    assert metrics["epochs_trained"] == 4
    assert metrics["classes"]["room"]["map50_mask"] == pytest.approx(0.93)


def test_the_stand_in_ends_in_the_middle_of_an_epoch_with_the_best_so_far(stub: Account) -> None:
    name = stub.submit("", job={"arguments": {"epochs": 60}})
    until(lambda: any("epoch=2;" in line for line in _log_or_none(stub, name) or []), what="two epochs")
    stub.sagemaker.stop_training_job(TrainingJobName=name)
    stub.ended(name)
    assert 2 <= json.loads(members(stub, name)["metrics.json"])["epochs_trained"] < 60


def test_the_stand_in_fails_when_told_to(stub: Account) -> None:
    name = stub.submit("", job={"arguments": {"epochs": 4, "stub": {"fail": "CUDA out of memory"}}})
    assert stub.ended(name)["FailureReason"] == "AlgorithmError: RuntimeError: CUDA out of memory, exit code: 1"


def test_names_are_used_once_until_deleted(stub: Account) -> None:
    name = stub.submit("")
    with pytest.raises(ClientError, match=r"ResourceInUse.*must be unique within an AWS account and region"):
        stub.sagemaker.create_training_job(**request(TrainingJobName=name, InputDataConfig=None))
    stub.ended(name)
    stub.sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found"):
        stub.describe(name)


def test_jobs_are_listed_by_page_filter_and_order(stub: Account) -> None:
    for number in range(5):
        stub.submit("", TrainingJobName=f"listed-{number}")
        stub.ended(f"listed-{number}")
    pages = stub.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="LISTED", SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
    )
    found = [[item["TrainingJobName"] for item in page["TrainingJobSummaries"]] for page in pages]
    assert found == [["listed-4", "listed-3"], ["listed-2", "listed-1"], ["listed-0"]]
    listed = stub.sagemaker.list_training_jobs
    assert listed(NameContains="listed", StatusEquals="Failed")["TrainingJobSummaries"] == []
    first, last = (stub.describe(f"listed-{number}")["CreationTime"] for number in (0, 4))
    hour = timedelta(hours=1)
    assert listed(NameContains="listed", CreationTimeAfter=last + hour)["TrainingJobSummaries"] == []
    assert listed(NameContains="listed", LastModifiedTimeBefore=first - hour)["TrainingJobSummaries"] == []
    around = listed(NameContains="listed", CreationTimeAfter=first - hour, CreationTimeBefore=last + hour)
    assert [item["TrainingJobName"] for item in around["TrainingJobSummaries"]] == [f"listed-{n}" for n in range(5)]
    with pytest.raises(ClientError, match="Invalid pagination token"):
        listed(NextToken="x")


def test_tags_can_be_added_and_listed(stub: Account) -> None:
    arn = stub.describe(stub.submit(""))["TrainingJobArn"]
    stub.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "plans"}])
    tags = stub.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert {item["Key"]: item["Value"] for item in tags} == {"traindrop:dataset": "Büro 1+2", "team": "plans"}


def test_bad_requests_are_refused_over_the_wire(stub: Account) -> None:
    with pytest.raises(ClientError, match="1 validation error detected: Value 'a_b' at 'trainingJobName'"):
        stub.sagemaker.create_training_job(**request(TrainingJobName="a_b"))


def test_a_quota_counts_running_jobs_of_one_instance_type_and_kind() -> None:
    quota = {"TRAINDROP_INSTANCE_QUOTA": "1", "TRAINDROP_STUB_SECONDS": "30"}
    with LocalCloud.start(trainer="stub", provision_seconds=0.0, environment=quota) as cloud:
        account = Account(cloud)
        first = account.submit("")
        with pytest.raises(ClientError, match="is 1 Instances, with current utilization of 1 Instances"):
            account.submit("")
        account.submit("", EnableManagedSpotTraining=None, StoppingCondition={"MaxRuntimeInSeconds": 60})
        account.submit("", ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1})
        account.sagemaker.stop_training_job(TrainingJobName=first)
        account.ended(first)
        account.submit("")


def test_a_server_that_ends_takes_its_jobs_with_it() -> None:
    with LocalCloud.start(trainer="real", provision_seconds=0.0, stop_grace_seconds=60.0) as cloud:
        account = Account(cloud)
        name = account.submit("trap '' TERM; echo $$; while :; do sleep 0.1; done")
        process = int(until(lambda: _log_or_none(account, name), what="its number")[0])
        assert Path(f"/proc/{process}").exists() or not Path("/proc").exists()
        began = time.monotonic()
    assert time.monotonic() - began < 15
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert not Path(cloud.state_dir).exists()


def test_many_jobs_leave_nothing_behind() -> None:
    with LocalCloud.start(trainer="stub", provision_seconds=0.0) as cloud:
        account = Account(cloud)
        state = Path(cloud.state_dir)
        before = _threads(cloud)
        names = [account.submit("") for _ in range(20)]
        for name in names:
            assert account.ended(name, 60)["TrainingJobStatus"] == "Completed"
        until(lambda: not any((state / "hosts").iterdir()), what="the removal of every host")
        until(lambda: _threads(cloud) <= before + 4, what="the end of every job's threads")


def _threads(cloud: LocalCloud) -> int:
    """Threads of the server, which its keeper started; 0 where the system does not tell."""
    keeper = cloud._process.pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children")
    tasks = Path(f"/proc/{children.read_text().split()[0]}/task") if children.is_file() else Path("/none")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 0
