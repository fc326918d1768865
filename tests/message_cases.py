"""Every message that there is, composed by the steps that compose it, and how it was when somebody last read it.

`python -m tests.message_cases` writes tests/golden/messages anew, in which every change of a message is to be read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.message_world import SETTINGS, World
from tests.stack import POLYGON, YAML, dataset_files
from traindrop.errors import AccessDenied

GOLDEN = Path(__file__).parent / "golden/messages"
METRICS = {
    "task": "segment",
    "names": ["room"],
    "map50_mask": 0.9461,
    "map50_95_mask": 0.6019,
    "map50_box": 0.9388,
    "map50_95_box": 0.7543,
    "epochs_trained": 50,
    "epochs_requested": 50,
    "validation_images": 400,
    "validation_instances": 3012,
    "classes": {"room": {"map50_mask": 0.9461, "map50_95_mask": 0.6019, "instances": 3012}},
}
LOG = [
    "Starting training for 50 epochs...",
    "      1/50      9.87G      1.521      2.874      2.012      1.417         63       1024: 100% 525/525",
    "METRIC epoch=1; box_loss=1.521;",
]
OUT_OF_MEMORY = (
    "AlgorithmError: The GPU ran out of memory with batch 32 and imgsz 1536; set a smaller batch or imgsz in "
    "training.yaml, or an instance type with more GPU memory., exit code: 15"
)
CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
MIXED = {
    "data.yaml": b"train: images/train\nval: images/val\nnames: [room, door]\n",
    "labels/train/1.txt": b"2 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n0 0.1 0.1 0.9 0.1 0.9 0.9\n5 0.1 0.1 0.9 0.1 0.9 0.9\n",
    "labels/train/2.txt": b"0 10 10 90 10 90 90 10 90\n",
    "labels/val/3.txt": b"0 0.1 0.1 0.9 0.1 0.9 0.9 0.1\n",
    "labels/val/4.txt": b"door 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n",
    "images/train/7.png": b"",
}

Case = Callable[[World], None]
CASES: dict[str, Case] = {}
REGIONS = {
    "completed_detection_in_china": ("aws-cn", "cn-north-1"),
    "failed_training_code_in_govcloud": ("aws-us-gov", "us-gov-west-1"),
}


def case(make: Case) -> Case:
    CASES[make.__name__] = make
    return make


def composed(name: str, client: Callable[[str], Any]) -> str:
    """The message of a case: its subject on the first line, then its body, then its attributes."""
    partition, region = REGIONS.get(name, ("aws", "us-east-1"))
    world = World(client, partition=partition, region=region)
    CASES[name](world)
    message = world.message()
    attributes = "".join(f"{key}: {value}\n" for key, value in message["attributes"].items())
    return f"{message['subject']}\n\n{message['body']}\n---\n{attributes}"


def place(name: str) -> Path:
    return GOLDEN / f"{name}.txt"


# --- Started, Waiting -------------------------------------------------------------------------------------------------


@case
def started(world: World) -> None:
    world.drop_zip()
    world.start()


@case
def started_of_a_dataset_with_oddities(world: World) -> None:
    files = dataset_files(20, 10, settings=SETTINGS)
    files |= {f"images/train/more {number}.png": files["images/train/0.png"] for number in range(8)}
    world.drop_zip("Grundrisse Straße 5 \N{EN DASH} 2. OG", files)
    world.start()


@case
def waiting_for_a_quota(world: World) -> None:
    world.drop_zip()
    world.services.refused = partial(_limit, quota=1)
    world.start()
    world.after(minutes=31)
    world.start()


@case
def waiting_for_capacity_after_an_interruption(world: World) -> None:
    world.drop_zip()
    world.start()
    world.job("InProgress", "Starting", hours=0.5, interruptions=1)
    job = world.services.jobs[f"{world.run_id}-1"]
    job["SecondaryStatusTransitions"] = [
        *job["SecondaryStatusTransitions"][:4],
        {"Status": "Starting", "StartTime": world.now},
    ]
    world.after(minutes=32)
    world.look()


# --- Completed --------------------------------------------------------------------------------------------------------


def _trained(world: World, metrics: Mapping[str, Any], **fields: Any) -> None:
    world.drop_zip()
    world.start()
    world.end("Completed", **{"hours": 2.4, "epochs": metrics["epochs_trained"], **fields})
    world.deliver(metrics)


@case
def completed_first(world: World) -> None:
    _trained(world, METRICS, interruptions=1)


def _second(world: World, metrics: Mapping[str, Any], **fields: Any) -> None:
    """A run after one of the same dataset that reached 0.571."""
    _trained(world, {**METRICS, "map50_95_mask": 0.571})
    first = world.run_id
    world.after(days=1)
    met = {"run_id": first, "map50_mask": 0.93, "map50_95_mask": 0.571}
    classes = {"room": {"map50_95_mask": 0.571}, "door": {"map50_95_mask": 0.48}}
    world.drop_zip(settings="epochs: 100\nimgsz: 1024\nbatch: 8\n")
    world.start()
    if fields.pop("climbs", False):
        world.end("Failed", FailureReason=CAPACITY)
    world.end("Completed", **{"hours": 3.1, "epochs": metrics["epochs_trained"], **fields})
    world.deliver({**metrics, "epochs_requested": 100, "champion": {**met, "classes": classes}})


@case
def completed_better_after_a_climb(world: World) -> None:
    figures = {"room": (0.612, 2600), "door": (0.471, 412)}
    classes = {name: {"map50_95_mask": score, "instances": count} for name, (score, count) in figures.items()}
    metrics = {**METRICS, "epochs_trained": 71, "stopped_early": True, "classes": classes}
    _second(world, metrics, climbs=True, interruptions=2)


@case
def completed_worse_with_shortcomings(world: World) -> None:
    short = {
        "left_out": 3,
        "missing": {"best.onnx": "Differs: its predictions differ by up to 0.2"},
        "checkpoints_rejected": ["0017-1.zip: its digest differs; 0016-1.zip was used"],
    }
    classes = {"room": {"map50_95_mask": 0.55, "instances": 3012}}
    figures = {"map50_mask": 0.91, "map50_95_mask": 0.55, "classes": classes}
    _second(world, {**METRICS, "epochs_trained": 100, **figures, **short})


@case
def completed_detection_in_china(world: World) -> None:
    files = dataset_files(20, 10, settings="model: yolov8n.pt\nepochs: 50\nspot: false\n")
    boxes = {name: b"0 0.5 0.5 0.2 0.2\n" for name in files if name.startswith("labels/")}
    world.drop_zip("平面図", {**files, **boxes})
    world.start()
    world.end("Completed", hours=1.2, epochs=50, billed=1)
    metrics = {key: value for key, value in METRICS.items() if "mask" not in key and key != "classes"}
    world.deliver({**metrics, "task": "detect"})


# --- Stopped ----------------------------------------------------------------------------------------------------------


def _stopped(world: World, secondary: str, **fields: Any) -> None:
    world.drop_zip()
    world.start()
    world.end("Stopped", secondary, **fields)
    world.deliver({**METRICS, "epochs_trained": fields["epochs"]})


@case
def stopped_at_its_cap_with_a_model(world: World) -> None:
    _stopped(world, "MaxRuntimeExceeded", hours=3.55, epochs=41)


@case
def stopped_job_with_a_model(world: World) -> None:
    _stopped(world, "Stopped", hours=0.8, epochs=12)


@case
def stopped_without_capacity_with_a_model(world: World) -> None:
    world.drop_zip()
    world.start()
    world.end("Failed", FailureReason=CAPACITY, hours=0.8, epochs=12)
    world.end("Failed", FailureReason=CAPACITY)
    world.deliver({**METRICS, "epochs_trained": 12})


@case
def stopped_execution_while_it_trains(world: World) -> None:
    world.drop_zip()
    world.start()
    world.job("InProgress", "Training", hours=0.4)
    world.abort("I forgot a floor.")


@case
def stopped_execution_after_it_trained(world: World) -> None:
    _trained_until_extracted(world)
    world.abort("Wrong floor.")


@case
def stopped_execution_before_it_trains(world: World) -> None:
    files = dataset_files(20, 10)
    world.drop_folder("rooms", {name: files[name] for name in ("data.yaml", "labels/train/1.txt")}, waited=False)
    world.abort()


# --- Rejected ---------------------------------------------------------------------------------------------------------


@case
def rejected_for_its_data(world: World) -> None:
    world.drop_zip("rooms", {**dataset_files(20, 10, settings=SETTINGS), **MIXED})


@case
def rejected_for_one_label(world: World) -> None:
    world.drop_zip("rooms", {**dataset_files(20, 10), "labels/train/2.txt": b"3 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n"})


@case
def rejected_for_its_settings(world: World) -> None:
    world.drop_zip(settings="epoch: 50\nimgsz: 1024\n")


@case
def rejected_as_no_zip(world: World) -> None:
    world.drop_zip()
    world.s3.put_object(Bucket="traindrop-datasetbucket-1a2b3c4d5e6f", Key=world.key, Body=b"PK but not for long")
    world.judge()


@case
def rejected_as_incomplete(world: World) -> None:
    files = {"data.yaml": YAML.encode(), **{f"labels/train/{n}.txt": POLYGON.encode() for n in range(7)}}
    world.drop_folder("rooms", files)


@case
def rejected_as_misplaced_data(world: World) -> None:
    world.stray("datasets/Roboflow export/rooms/data.yaml")


@case
def rejected_as_misplaced_zip(world: World) -> None:
    world.stray("rooms v2.zip")


# --- Failed -----------------------------------------------------------------------------------------------------------


def _failed(world: World, reason: str, **fields: Any) -> None:
    world.drop_zip()
    world.start()
    world.services.log = LOG
    world.end("Failed", **{"hours": 0.3, "FailureReason": reason, **fields})
    world.fail()


@case
def failed_out_of_memory(world: World) -> None:
    world.services.log = LOG
    _failed(world, OUT_OF_MEMORY, hours=0.1)


@case
def failed_training_code_in_govcloud(world: World) -> None:
    reason = (
        "AlgorithmError: The training failed with RuntimeError: stack expects each tensor to be equal size, but got "
        "[3, 1024, 1024] at entry 0 and [3, 1024, 1000] at entry 3; the job's log has the rest., exit code: 1"
    )
    _failed(world, reason, hours=0.9, epochs=17)


@case
def failed_inside_sagemaker(world: World) -> None:
    _failed(world, "InternalServerError: We encountered an internal error. Please try again.", hours=0.9, epochs=17)


@case
def failed_as_its_data_changed(world: World) -> None:
    reason = (
        "AlgorithmError: DatasetChanged: 2 files differ from what was checked (labels/train/3.txt was replaced, "
        "images/train/3.png is gone). The dataset was changed after it was checked, so it was not trained on. Drop it "
        "again to train what is there now; or bring back what was there (the bucket keeps old versions) and redrive "
        "the execution., exit code: 16"
    )
    _failed(world, reason, hours=0.1)


@case
def failed_without_capacity(world: World) -> None:
    world.drop_zip()
    world.start()
    for hours in (2, 10):
        world.runs.update(world.run_id, given_up=f"{world.run_id}-{world.attempt}")
        world.end("Stopped", "Stopped", waits=hours * 3600)
    world.fail()


@case
def failed_for_a_quota_of_zero(world: World) -> None:
    world.drop_zip()
    world.services.refused = partial(_limit, quota=0)
    world.start()
    world.attempt = 2
    world.start()
    world.fail()


@case
def failed_before_its_first_epoch_at_its_cap(world: World) -> None:
    world.drop_zip(settings="epochs: 50\nmax_cost_usd: 0.1\n")
    world.start()
    world.end("Stopped", "MaxRuntimeExceeded", hours=0.07)
    world.fail()


@case
def failed_without_access(world: World) -> None:
    _trained_until_extracted(world)
    said = (
        "An error occurred (AccessDenied) when calling the PutObject operation: User: arn:aws:sts::123456789012:"
        "assumed-role/traindrop-ExtractModelFunctionRole-Q1/traindrop-ExtractModelFunction-R2 is not authorized to "
        'perform: s3:PutObject on resource: "arn:aws:s3:::traindrop-artifactbucket-6f5e4d3c2b1a/models/rooms/best.pt" '
        "because no identity-based policy allows the s3:PutObject action"
    )
    world.fail_in_function("AccessDenied", str(AccessDenied(said)))


@case
def failed_as_a_bucket_is_gone(world: World) -> None:
    world.dataset, world.key, world.run_id = "rooms", "datasets/rooms.zip", "rooms-20261112T093000-1a2b3c4d"
    said = "An error occurred (NoSuchBucket) when calling the HeadObject operation: The specified bucket does not exist"
    world.fail_in_function("NoSuchBucket", said)


@case
def failed_in_a_function(world: World) -> None:
    _trained_until_extracted(world)
    world.fail_in_function("Sandbox.Timedout", "RequestId: 1-2 Error: Task timed out after 900.00 seconds")


@case
def failed_as_started_with_nonsense(world: World) -> None:
    world.dataset, world.run_id = "rooms", "try-this"
    said = (
        'the input must name a drop, such as {"bucket": "…", "key": "datasets/rooms.zip"}; it is {"dataset": "rooms"}'
    )
    world.fail_in_function("InvalidInput", said)


def _trained_until_extracted(world: World) -> None:
    world.drop_zip()
    world.start()
    world.end("Completed", hours=2.4, epochs=50)


def _limit(request: Mapping[str, Any], *, quota: int) -> ClientError:
    name = f"{request['ResourceConfig']['InstanceType']} for spot training job usage"
    text = (
        f"The account-level service limit '{name}' is {quota} Instances, with current utilization of {quota} Instances "
        "and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase for this quota."
    )
    return ClientError({"Error": {"Code": "ResourceLimitExceeded", "Message": text}}, "CreateTrainingJob")


# --- Unchanged --------------------------------------------------------------------------------------------------------


@case
def unchanged_since_it_was_trained(world: World) -> None:
    _trained(world, METRICS)
    world.after(days=3)
    world.drop_zip()


@case
def unchanged_while_it_is_trained(world: World) -> None:
    world.drop_zip()
    world.start()
    world.after(minutes=5)
    world.drop_zip()


def write_anew() -> None:
    import boto3
    from moto import mock_aws

    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for file in GOLDEN.glob("*.txt"):
        file.unlink()
    for name in CASES:
        with mock_aws():
            place(name).write_text(composed(name, partial(boto3.client, region_name="us-east-1")))


if __name__ == "__main__":
    write_anew()
