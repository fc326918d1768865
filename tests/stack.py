"""A deployed stack as its users see it: buckets to drop into, executions to look at, a mailbox to read."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from local_cloud.deploy import deploy
from local_cloud.process import ROOT, LocalCloud

YAML = "train: images/train\nval: images/val\nnames: [room]\n"
POLYGON = "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n"
FAST = "epochs: 3\nimgsz: 64\nbatch: 2\n"
UNTIL_STOPPED = "epochs: 5000\nimgsz: 64\nbatch: 2\n"
"""Settings of a training that no machine is too slow to stop half-way."""
T = TypeVar("T")


def dataset_files(train: int = 4, val: int = 2, settings: str | None = FAST, marker: str = "") -> dict[str, bytes]:
    """A small dataset that passes the gate; `marker` makes its content, and so its fingerprint, its own."""
    files = {"data.yaml": YAML.encode()}
    if settings is not None:
        files["training.yaml"] = settings.encode()
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            files[f"labels/{split}/{number}.txt"] = POLYGON.encode()
            files[f"images/{split}/{number}.png"] = png(f"{marker}{split}{number}")
    return files


def png(marker: str = "") -> bytes:
    """A white image of 16 by 16 pixels; `marker`, a comment in it, makes its content its own."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff" * 16) * 16)
    comment = b"Comment\0" + marker.encode()
    chunks = [(b"IHDR", header), (b"tEXt", comment), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The files as a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def eventually(look: Callable[[], T | None], *, within: float, what: str, every: float = 0.1) -> T:
    """What `look` answers as soon as it is true; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"{what}: not within {within} s")


class Stack:
    """One deployed stack and a queue that receives what its topic publishes."""

    def __init__(self, cloud: LocalCloud, outputs: Mapping[str, str]) -> None:
        self.cloud, self.outputs = cloud, outputs
        self.s3, self.sfn, self.sagemaker = cloud.client("s3"), cloud.client("stepfunctions"), cloud.client("sagemaker")
        self.dataset_bucket, self.artifact_bucket = outputs["DatasetBucketName"], outputs["ArtifactBucketName"]
        self.machine = outputs["StateMachineArn"]
        self._messages: list[dict[str, Any]] = []
        self._sqs = cloud.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        topic = outputs["NotificationTopicArn"]
        self._sqs.set_queue_attributes(
            QueueUrl=self._queue,
            Attributes={
                "Policy": json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "sns.amazonaws.com"},
                                "Action": "sqs:SendMessage",
                                "Resource": arn,
                                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
                            }
                        ],
                    }
                )
            },
        )
        cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def redeploy(self, parameters: Mapping[str, str]) -> None:
        """Deploy the stack again with other parameters."""
        deploy(self.cloud, parameters=parameters)

    def put(self, key: str, body: bytes) -> None:
        """Put one object into the dataset bucket."""
        self.s3.put_object(Bucket=self.dataset_bucket, Key=key, Body=body)

    def drop_zip(self, name: str, files: Mapping[str, bytes] | None = None) -> None:
        """Drop a dataset as a zip."""
        self.put(f"datasets/{name}.zip", zipped(files or dataset_files(marker=name)))

    def executions(self, dataset: str) -> list[dict[str, Any]]:
        """Every execution for a dataset, described."""
        found = []
        for page in self.sfn.get_paginator("list_executions").paginate(stateMachineArn=self.machine):
            for item in page["executions"]:
                described = self.sfn.describe_execution(executionArn=item["executionArn"])
                if re.search(rf'"datasets/{re.escape(dataset)}(\.zip|/)', described["input"], re.IGNORECASE):
                    found.append(described)
        return found

    def execution(self, dataset: str, *, within: float = 20) -> dict[str, Any]:
        """The one execution for a dataset, as soon as there is one."""
        found = eventually(lambda: self.executions(dataset), within=within, what=f"an execution for {dataset}")
        assert len(found) == 1, [item["name"] for item in found]
        return found[0]

    def ended(self, dataset: str, *, within: float = 60) -> dict[str, Any]:
        """The one execution for a dataset when it has ended."""
        arn = self.execution(dataset, within=within)["executionArn"]
        return eventually(lambda: self._if_ended(arn), within=within, what=f"the end of {dataset}'s execution")

    def all_ended(self, count: int, slug: str, *, within: float) -> list[dict[str, Any]]:
        """So many executions whose names begin with this, oldest first, as they are listed when none runs any more."""

        def look() -> list[dict[str, Any]] | None:
            pages = self.sfn.get_paginator("list_executions").paginate(stateMachineArn=self.machine)
            found = [item for page in pages for item in page["executions"] if item["name"].startswith(slug)]
            return found if len(found) >= count and all(item["status"] != "RUNNING" for item in found) else None

        found = eventually(look, within=within, what=f"the end of {count} executions of {slug}…", every=1)
        assert len(found) == count, sorted(item["name"] for item in found)
        return sorted(found, key=lambda item: item["startDate"])

    def _if_ended(self, arn: str) -> dict[str, Any] | None:
        described: dict[str, Any] = self.sfn.describe_execution(executionArn=arn)
        return None if described["status"] == "RUNNING" else described

    def messages(self, dataset: str) -> list[dict[str, Any]]:
        """Messages about a dataset so far: `subject`, `body`, `outcome`, `run_id`."""
        while True:
            batch = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
            for item in batch:
                document = json.loads(item["Body"])
                attributes = {key: value["Value"] for key, value in document.get("MessageAttributes", {}).items()}
                if attributes:  # an alarm has none
                    self._messages.append({"subject": document["Subject"], "body": document["Message"], **attributes})
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=item["ReceiptHandle"])
            if not batch:
                return [message for message in self._messages if message["dataset"] == dataset]

    def message(self, dataset: str, outcome: str, *, within: float = 20) -> dict[str, Any]:
        """The one message about a dataset with this outcome."""

        def look() -> list[dict[str, Any]]:
            return [message for message in self.messages(dataset) if message["outcome"] == outcome]

        try:
            found = eventually(look, within=within, what=f"the message {outcome} about {dataset}")
        except AssertionError as error:
            error.add_note(f"what was told: {[message['outcome'] for message in self.messages(dataset)]}")
            raise
        time.sleep(0.3)
        assert len(look()) == 1, f"{outcome} came {len(look())} times"
        return found[0]

    def do_as_told(self, body: str, label: str, folder: Path = ROOT) -> None:
        """Run the plain `aws` command below a label of a message, as it stands, in a shell in a folder."""
        lines = body.splitlines()
        below = lines[lines.index(f"{label}:") + 1 :]
        command = next(line.strip() for line in below if line.startswith("  aws "))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        path = f"{ROOT / '.venvs/aws/bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**kept, **self.cloud.environment, "PATH": path, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            ["sh", "-c", command], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def run(self, run_id: str) -> dict[str, Any]:
        """The run record, in plain values."""
        table = self.cloud.resource("dynamodb").Table(self.outputs["RunsTableName"])
        item: dict[str, Any] = table.get_item(Key={"run_id": run_id}, ConsistentRead=True)["Item"]
        return item

    def jobs(self, run_id: str) -> list[dict[str, Any]]:
        """The training jobs of a run, described."""
        found = self.sagemaker.list_training_jobs(NameContains=run_id)["TrainingJobSummaries"]
        return [self.sagemaker.describe_training_job(TrainingJobName=item["TrainingJobName"]) for item in found]

    def artifacts(self, prefix: str) -> list[str]:
        """Keys in the artifact bucket below a prefix."""
        found = self.s3.list_objects_v2(Bucket=self.artifact_bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def history(self, arn: str) -> list[dict[str, Any]]:
        """An execution's history."""
        pages = self.sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def in_state(self, arn: str, name: str) -> bool:
        """Whether a state was entered."""
        return any(event.get("stateEnteredEventDetails", {}).get("name") == name for event in self.history(arn))
