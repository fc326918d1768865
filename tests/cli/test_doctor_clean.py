"""`traindrop doctor` and `traindrop clean` on a deployed stack: what they say, what is gone, and who may run them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local_cloud.process import REGION
from tests.cli.conftest import Command
from tests.cli.users import minimal_policy, user
from tests.stack import UNTIL_STOPPED, Stack, dataset_files, eventually
from traindrop import champion
from traindrop.champion import DELETED, PROMOTED

OLD, BEST = (f"tidy-20261101T000000-0000000{letter}" for letter in "ab")
LOOK_ALIKE = "tidy-2-20261101T000000-0000000c"


def checks(traindrop: Command, **environment: str) -> tuple[int, list[dict[str, str]]]:
    """The exit code of doctor, and what it found."""
    done = traindrop("doctor", "--json", **environment)
    assert not done.stderr
    return done.returncode, json.loads(done.stdout)["checks"]


def of(found: list[dict[str, str]], check: str, state: str) -> list[dict[str, str]]:
    return [item for item in found if (item["check"], item["state"]) == (check, state)]


def troubles(found: list[dict[str, str]]) -> list[dict[str, str]]:
    """Problems but for those that other tests' failed runs have left on this stack: alarms, and events put aside."""
    return [item for item in found if item["state"] == "problem" and item["check"] not in ("alarms", "dead letters")]


@pytest.fixture
def wounded(stack: Stack) -> Iterator[None]:
    """A stack of which much is wrong, and mended again."""
    resources = {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for page in stack.cloud.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName="traindrop")
        for item in page["StackResourceSummaries"]
    }
    rule, queue = resources["AcceptDropFunctionObjectCreated"], resources["StopTrainingDeadLetters"]
    alarm = resources["RunsFailedAlarm"]
    events, sqs, watch = (stack.cloud.client(name) for name in ("events", "sqs", "cloudwatch"))
    table = stack.cloud.resource("dynamodb").Table(stack.outputs["RunsTableName"])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    records = [
        {"status": "Failed", "error": "UnexpectedArchive", "reason": "its archive is cut"},
        {"status": "Rejected", "reason": "labels/train/a.txt:2 has class 7", "verdict_uri": "s3://a/verdicts/x.json"},
    ]
    ids = [f"wounded{number}-20261101T000000-00000000" for number in range(len(records))]
    try:
        for run_id, record in zip(ids, records, strict=True):
            slug = run_id.partition("-")[0]
            table.put_item(Item={"run_id": run_id, "slug": slug, "dataset": slug, "created_at": now, **record})
        events.disable_rule(Name=rule)
        sqs.send_message(QueueUrl=queue, MessageBody="{}")
        watch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
        stack.cloud.inject({"training": {"zero_quotas": ["ml.g5.2xlarge for spot training job usage"]}})
        # While its rule is off no bucket settings start anything, and no other test drops.
        stack.put("datasets/training.yaml", b"instance_types: [ml.g5.2xlarge]\n")
        yield
    finally:
        stack.s3.delete_object(Bucket=stack.dataset_bucket, Key="datasets/training.yaml")
        stack.cloud.clear_faults()
        watch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="a test")
        sqs.purge_queue(QueueUrl=queue)
        events.enable_rule(Name=rule)
        for run_id in ids:
            table.delete_item(Key={"run_id": run_id})


def test_a_sound_stack_has_no_problem(stack: Stack, traindrop: Command) -> None:
    done = traindrop("doctor")
    assert done.stderr == ""
    assert f"ok       region         {REGION}, at {stack.cloud.endpoint}\n" in done.stdout
    assert re.search(r"ok +stack +traindrop is (CREATE|UPDATE)_COMPLETE\n", done.stdout)
    assert "ok       quotas         ml.g4dn.xlarge spot: 100 at once\n" in done.stdout
    assert "\x1b" not in done.stdout
    code, found = checks(traindrop)
    assert not troubles(found)
    assert code == any(item["state"] == "problem" for item in found)


@pytest.mark.usefixtures("wounded")
def test_each_wound_is_found_with_its_cure(traindrop: Command) -> None:
    code, found = checks(traindrop)
    assert code == 1
    (rule,) = of(found, "rules", "problem")
    assert "AcceptDropFunctionObjectCreated is DISABLED" in rule["found"]
    assert rule["cure"].startswith("aws events enable-rule --name traindrop-AcceptDrop")
    letters = next(item for item in of(found, "dead letters", "problem") if "StopTraining" in item["found"])
    assert re.match(r"StopTrainingDeadLetters holds \d+ ", letters["found"])
    assert "make replay STACK=traindrop" in letters["cure"]
    alarm = next(item for item in of(found, "alarms", "problem") if "RunsFailedAlarm" in item["found"])
    assert "says what happened and what to do" in alarm["cure"]
    (quota,) = of(found, "quotas", "problem")
    assert quota["found"] == "ml.g5.2xlarge spot: 0, and so are all that runs ask for"
    link = r"https://us-east-1\.console\.aws\.amazon\.com/servicequotas/home/services/sagemaker/quotas/L-[0-9A-F]{8}$"
    assert re.search(link, quota["cure"])
    assert any("UnexpectedArchive, the last run of wounded0: its" in item["found"] for item in found)
    assert any("wounded1 was rejected: labels/train/a.txt:2" in item["found"] for item in found)


def test_who_may_nothing_learns_what_he_may_not(stack: Stack, traindrop: Command) -> None:
    with user(stack, None) as keys:
        code, found = checks(traindrop, **keys)
    assert code == 1
    assert of(found, "credentials", "ok")
    (item,) = of(found, "stack", "problem")
    assert item["cure"] == "allow cloudformation:DescribeStacks"
    (quotas,) = of(found, "quotas", "warning")
    assert quotas["cure"] == "allow servicequotas:ListServiceQuotas"


def test_a_check_that_may_not_be_done_does_not_end_the_others(stack: Stack, traindrop: Command) -> None:
    policy = minimal_policy("doctor", stack)
    policy["Statement"] = [
        item for item in policy["Statement"] if item["Action"] not in ("dynamodb:Scan", "sns:ListSubscriptionsByTopic")
    ]
    with user(stack, policy) as keys:
        _, found = checks(traindrop, **keys)
    assert not troubles(found)
    missing = {item["check"] for item in found if item["found"].startswith("not looked at")}
    assert missing == {"e-mail", "runs", "failures", "rejections"}


def test_the_policy_of_the_page_is_enough_for_doctor(stack: Stack, traindrop: Command) -> None:
    with user(stack, minimal_policy("doctor", stack)) as keys:
        _, found = checks(traindrop, **keys)
    assert not troubles(found)
    assert not [item for item in found if item["found"].startswith("not looked at")]


@pytest.fixture
def tidy(stack: Stack) -> Stack:
    """A dataset `tidy` with two runs, of which the second is the best, and one whose slug goes on after its."""
    s3, bucket = stack.s3, stack.artifact_bucket
    for run_id in (OLD, BEST, LOOK_ALIKE):
        slug = run_id[:-25]
        for key in (f"models/{slug}/{run_id}/best.pt", f"verdicts/{run_id}.json", f"checkpoints/{run_id}/last.tar"):
            for _ in range(2):
                s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 1000)
        s3.put_object(Bucket=bucket, Key=f"training-output/{run_id}-1/output/model.tar.gz", Body=b"x" * 1000)
    s3.put_object(Bucket=bucket, Key="weights/tidy/yolov8n-seg.pt", Body=b"x" * 1000)
    upload = s3.create_multipart_upload(Bucket=bucket, Key=f"models/tidy/{OLD}/best.onnx")["UploadId"]
    s3.upload_part(Bucket=bucket, Key=f"models/tidy/{OLD}/best.onnx", UploadId=upload, PartNumber=1, Body=b"x" * 1000)
    stack.put("datasets/tidy/images/a.png", b"x" * 1000)
    stack.put("datasets/tidy-2/images/a.png", b"x" * 1000)
    for run_id in (OLD, BEST):
        entry = champion.entry(run_id, bucket, "tidy", score=0.5, at="", how=PROMOTED, why="")
        champion.change(s3, bucket, "tidy", lambda _, entry=entry: (None, entry))  # type: ignore[misc]
    return stack


def kept(stack: Stack, prefix: str, *, bucket: str = "") -> int:
    """How many versions and delete markers there are below a prefix."""
    found = stack.s3.list_object_versions(Bucket=bucket or stack.artifact_bucket, Prefix=prefix)
    return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))


def test_nothing_is_deleted_without_yes_and_all_that_is_asked_with_it(tidy: Stack, traindrop: Command) -> None:
    done = traindrop("clean", OLD)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"in all +4 +3 +1 +7.81 KB  \$0.00", done.stdout)
    assert f"Nothing was deleted yet. This deletes it:\n  traindrop clean {OLD} --yes" in done.stdout
    assert kept(tidy, f"models/tidy/{OLD}/") == 2
    with user(tidy, minimal_policy("clean", tidy)) as keys:
        done = traindrop("clean", OLD, "--yes", "--json", **keys)
        document = json.loads(done.stdout)
        assert (done.returncode, document["deleted"], document["failed"]) == (0, True, [])
        assert (document["objects"], document["old_versions"], document["unfinished_uploads"]) == (4, 3, 1)
        assert document["bytes"] == 8000
        refused = traindrop("clean", BEST, "--yes", **keys)
        assert refused.returncode == 1
        assert f"the model of {BEST} is the best of tidy" in refused.stderr
        assert kept(tidy, f"models/tidy/{BEST}/") == 2
        done = traindrop("clean", "tidy", "--data", "--yes", **keys)
        assert done.returncode == 0
        assert f"Kept: {BEST}, as it is the best model of its dataset" in done.stdout
        assert kept(tidy, f"models/tidy/{BEST}/") == 2
        assert traindrop("clean", BEST, "--yes", "--champion", **keys).returncode == 0
    places = ("models", "checkpoints", "training-output", "verdicts")
    assert not any(
        kept(tidy, f"{place}/{run}") for place in places for run in (OLD, BEST, f"tidy/{OLD}", f"tidy/{BEST}")
    )
    assert not kept(tidy, "weights/tidy/")
    assert not kept(tidy, "datasets/tidy/", bucket=tidy.dataset_bucket)
    assert "Uploads" not in tidy.s3.list_multipart_uploads(Bucket=tidy.artifact_bucket, Prefix="models/tidy/")
    now = champion.read(tidy.s3, tidy.artifact_bucket, "tidy").now
    assert now
    assert (now["run_id"], now["how"]) == (BEST, DELETED)
    assert "has no model any more" in traindrop("rollback", "tidy", "--to", OLD).stderr
    assert kept(tidy, f"models/tidy-2/{LOOK_ALIKE}/") == 2
    assert kept(tidy, f"checkpoints/{LOOK_ALIKE}/") == 2
    assert kept(tidy, "datasets/tidy-2/", bucket=tidy.dataset_bucket) > 0
    assert "Nothing is to be deleted" in traindrop("clean", BEST).stdout


def test_what_a_run_that_is_on_needs_is_never_deleted(stack: Stack, traindrop: Command) -> None:
    stack.drop_zip("clean-busy", dataset_files(settings=UNTIL_STOPPED, marker="clean-busy"))
    execution = stack.execution("clean-busy")
    run_id, arn = execution["name"], execution["executionArn"]
    try:
        eventually(lambda: stack.artifacts(f"training-input/{run_id}/"), within=30, what="the job's description")
        done = traindrop("clean", run_id, "--yes", "--champion")
        assert done.returncode == 1
        assert "a run that is on needs" in done.stderr
        done = traindrop("clean", "clean-busy", "--data", "--champion", "--yes")
        assert f"Kept: {run_id}, as a run that is on needs it" in done.stdout
        assert "Kept: the data of clean-busy, as a run that is on needs it" in done.stdout
        assert kept(stack, f"training-input/{run_id}/")
        assert kept(stack, "datasets/clean-busy.zip", bucket=stack.dataset_bucket) == 1
        document = json.loads(traindrop("clean", "--all", "--data", "--champion", "--json").stdout)
        assert "training code" not in document["kinds"]
        assert {"what": "training code", "flag": None}.items() <= next(
            item.items() for item in document["kept"] if item["what"] == "training code"
        )
    finally:
        stack.sfn.stop_execution(executionArn=arn)


def test_data_whose_model_was_deleted_is_trained_again(stack: Stack, traindrop: Command) -> None:
    files = dataset_files(marker="clean-again")
    stack.drop_zip("clean-again", files)
    first = stack.ended("clean-again")["name"]
    assert traindrop("clean", first, "--champion", "--yes").returncode == 0
    stack.drop_zip("clean-again", files)
    stack.all_ended(2, "clean-again-", within=60)
    second = next(
        item for item in stack.messages("clean-again") if item["run_id"] != first and item["outcome"] != "Started"
    )
    assert second["outcome"] == "Completed"
    now = champion.read(stack.s3, stack.artifact_bucket, "clean-again").now
    assert now
    assert (now["run_id"], now["how"]) == (second["run_id"], PROMOTED)
