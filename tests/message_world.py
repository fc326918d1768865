"""An account in which a run's steps are taken one by one, by the functions that the state machine calls."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.moto_account import make_buckets, make_tables
from tests.plain_reads import PlainReads
from tests.stack import dataset_files, zipped
from traindrop.delivery import Delivery
from traindrop.drops import slug_of
from traindrop.ending import Ending
from traindrop.gate import Gate
from traindrop.intake import Arrival, Reception
from traindrop.jobs import Places
from traindrop.quotas import Quotas
from traindrop.runs import Claims, Runs
from traindrop.starting import Starter
from traindrop.training import Trainer
from traindrop.training_code import ENTRY_POINT, code, digest
from traindrop.waiting import WaitingNotice
from traindrop.watch import Watch

DATA, ARTIFACTS = "traindrop-datasetbucket-1a2b3c4d5e6f", "traindrop-artifactbucket-6f5e4d3c2b1a"
BEGAN = datetime(2026, 11, 12, 9, 30, tzinfo=UTC)
LONG_AFTER = datetime(2100, 1, 1, tzinfo=UTC)
"""Long after anything was put into moto's buckets, which have the time of the test."""
TOPIC = "arn:aws:sns:us-east-1:123456789012:traindrop-NotificationTopic"
SETTINGS = "epochs: 50\nimgsz: 1024\nbatch: 8\n"
SIZES: dict[str, Any] = {"images": {"train": 4195, "val": 400}, "dataset_bytes": 3_100_000_000}
"""Of the floor plans that are trained by hand so far; a zip of them would be too long to make."""


class Services:
    """The state machine, SageMaker, its logs and SNS, as far as a run asks them anything."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.execution_input = ""
        self.refused: Callable[[dict[str, Any]], Exception] | None = None

    def publish(self, **request: Any) -> None:
        self.published.append(request)

    def send_task_success(self, **request: Any) -> None:
        self.answers.append(request)

    send_task_failure = send_task_success

    def describe_execution(self, **_: Any) -> dict[str, Any]:
        return {"input": self.execution_input}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "get_execution_history"
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"events": []}]

    def create_training_job(self, **request: Any) -> None:
        if self.refused:
            raise self.refused(request)
        self.jobs[request["TrainingJobName"]] = {"TrainingJobStatus": "InProgress", **request}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        if TrainingJobName not in self.jobs:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": ""}}, "DescribeTrainingJob")
        return self.jobs[TrainingJobName]

    def stop_training_job(self, TrainingJobName: str) -> None:  # noqa: N803
        job = self.describe_training_job(TrainingJobName)
        if job["TrainingJobStatus"] == "InProgress":
            job["TrainingJobStatus"] = "Stopping"

    def describe_log_streams(self, **_: Any) -> dict[str, Any]:
        return {"logStreams": [{"logStreamName": "job/algo-1-1"}]}

    def get_log_events(self, **_: Any) -> dict[str, Any]:
        return {"events": [{"message": line} for line in self.log]}


class World:
    """One account, one dataset at a time; `now` is the clock of every step."""

    def __init__(self, client: Callable[[str], Any], *, partition: str = "aws", region: str = "us-east-1") -> None:
        self.s3, self.services = client("s3"), Services()
        make_buckets(self.s3, DATA, ARTIFACTS)
        make_tables(client("dynamodb"))
        self.s3.put_object(Bucket=ARTIFACTS, Key=f"code/{digest(code())}/{ENTRY_POINT}", Body=b"")  # as if uploaded
        self.runs, self.claims = Runs(client("dynamodb"), "runs"), Claims(client("dynamodb"), "claims")
        self.now, self.home = BEGAN, f"arn:{partition}:states:{region}:123456789012"
        self.dataset, self.key, self.run_id, self.attempt = "", "", "", 1
        self.gate_message: dict[str, Any] | None = None
        anything: Any = self.services
        self.trainer = Trainer(anything, anything, self.runs, anything)
        self.notice = WaitingNotice(self.runs, anything, TOPIC, 1800)

    def clock(self) -> float:
        return self.now.timestamp()

    @property
    def arn(self) -> str:
        return f"{self.home}:execution:traindrop-TrainDataset:{self.run_id}"

    def after(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    # --- the drop -----------------------------------------------------------------------------------------------------

    def drop_zip(
        self, dataset: str = "rooms", files: Mapping[str, bytes] | None = None, *, settings: str | None = SETTINGS
    ) -> None:
        """Lay a zip into the bucket and have it judged."""
        files = dataset_files(20, 10, settings=settings) if files is None else files
        self._dropped(dataset, f"datasets/{dataset}.zip")
        self.s3.put_object(Bucket=DATA, Key=self.key, Body=zipped(files))
        self.judge()

    def drop_folder(self, dataset: str, files: Mapping[str, bytes], *, waited: bool = True) -> None:
        """Lay a folder into the bucket and have it judged, when nothing more can be waited for or at once."""
        self._dropped(dataset, f"datasets/{dataset}/data.yaml")
        for name, content in files.items():
            self.s3.put_object(Bucket=DATA, Key=f"datasets/{dataset}/{name}", Body=content)
        self.judge(LONG_AFTER if waited else self.now)

    def stray(self, key: str) -> None:
        """Lay an object where none starts a run."""
        anything: Any = self.services
        reception = Reception(
            sfn=anything,
            sns=anything,
            claims=self.claims,
            state_machine_arn="",
            topic_arn=TOPIC,
            upload_window_seconds=21_600,
            seconds_between_runs=1,
            clock=self.clock,
        )
        assert reception.receive(Arrival(DATA, key, "etag", self.now)) == "told"

    def _dropped(self, dataset: str, key: str) -> None:
        self.dataset, self.key, self.attempt = dataset, key, 1
        self.run_id = f"{slug_of(dataset)}-{self.now:%Y%m%dT%H%M%S}-1a2b3c4d"

    def judge(self, at: datetime | None = None) -> None:
        """ValidateDataset, as the execution calls it."""
        reads: Any = lambda bucket: PlainReads(self.s3, bucket)  # noqa: E731
        when = at or self.now
        gate = Gate(self.s3, reads, self.runs, self.claims, ARTIFACTS, 120, 21_600, when.timestamp)
        execution = {"arn": self.arn, "name": self.run_id, "started_at": self.now.isoformat(), "redrives": 0}
        answer = gate.judge({"bucket": DATA, "key": self.key}, execution)
        self.gate_message = answer.get("message")
        if answer["verdict"] == "ready":
            self.runs.update(self.run_id, **SIZES)

    # --- the training -------------------------------------------------------------------------------------------------

    def start(self) -> str:
        """TrainModel: start the job of the present attempt."""
        anything: Any = self.services
        starter = Starter(
            self.trainer,
            self.s3,
            anything,
            Places(DATA, ARTIFACTS, "arn:aws:iam::123456789012:role/traindrop-TrainingRole", "image"),
            TOPIC,
            10,
            self.clock,
            Quotas(None, self.claims, self.clock),
            self.notice,
        )
        self.claims.take("quotas#sagemaker", "sagemaker", now=self.clock(), lasts_seconds=10**6, zeros={})
        return starter.start(self.run_id, attempt=self.attempt, redrives=0, task_token="token")

    def job(self, status: str, secondary: str = "", *, waits: float = 240, hours: float = 0.0, **fields: Any) -> None:
        """Have the present job waited for an instance (seconds), trained so long, and be of this status now.

        `fields` are `epochs`, `interruptions`, `billed` (a share of the seconds), and members of DescribeTrainingJob's
        answer.
        """
        epochs, interruptions = fields.pop("epochs", 0), fields.pop("interruptions", 0)
        billed = fields.pop("billed", 0.35)
        job = self.services.jobs[f"{self.run_id}-{self.attempt}"]
        created = self.now
        self.after(seconds=waits)
        steps = [{"Status": "Starting", "StartTime": created}]
        if hours:
            part = timedelta(hours=hours) / (interruptions + 1)
            for number in range(interruptions + 1):
                at = self.now + number * part
                steps += [{"Status": "Downloading", "StartTime": at}, {"Status": "Training", "StartTime": at}]
                if number < interruptions:
                    steps.append({"Status": "Interrupted", "StartTime": at + part})
            job |= {"TrainingStartTime": self.now}
            self.after(hours=hours)
        seconds = round(hours * 3600)
        job |= {
            "TrainingJobStatus": status,
            "SecondaryStatus": secondary or status,
            "CreationTime": created,
            "LastModifiedTime": self.now,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": round(seconds * billed),
            "SecondaryStatusTransitions": steps,
            **({"TrainingEndTime": self.now} if status != "InProgress" else {}),
            **({"FinalMetricDataList": [{"MetricName": "epoch", "Value": epochs}]} if epochs else {}),
            **fields,
        }

    def look(self) -> None:
        """ReconcileJob: nothing was heard of the job."""
        Watch(self.trainer, self.notice).look(self.run_id, self.now)

    def end(self, status: str, secondary: str = "", **fields: Any) -> None:
        """The job ends, and its end is reported; a failure that leads up the ladder does so."""
        self.job(status, secondary, **fields)
        self.report()

    def report(self) -> None:
        self.trainer.report(self.runs.get(self.run_id), self.services.jobs[f"{self.run_id}-{self.attempt}"])
        if self.services.answers[-1].get("error") in ("CapacityError", "SpotNeverArrived", "QuotaError"):
            self.attempt += 1
            self.start()

    # --- the end ------------------------------------------------------------------------------------------------------

    def deliver(self, metrics: Mapping[str, Any], *, seconds_an_epoch: float = 120) -> None:
        """ExtractModel, PublishMetrics, WriteReport."""
        rows = [f"{number},{number * seconds_an_epoch}" for number in range(1, metrics["epochs_trained"] + 1)]
        results = "epoch,time\n" + "\n".join(rows)
        files = {
            "best.pt": b"p" * 6_800_000,
            "metrics.json": json.dumps(metrics).encode(),
            "results.csv": results.encode(),
        }
        self.s3.put_object(
            Bucket=ARTIFACTS,
            Key=f"training-output/{self.run_id}-{self.attempt}/output/model.tar.gz",
            Body=_archive({"best.onnx": b"o" * 13_300_000, **files}),
        )
        delivery = Delivery(self.s3, self.runs, self.claims, ARTIFACTS, self.clock)
        delivery.extract(self.run_id)
        delivery.measure(self.run_id)
        self.gate_message = delivery.report(self.run_id)["message"]

    def fail(self, error: str = "", cause: str = "") -> None:
        """The execution fails with an error of its own, or with the one that the job's report was answered with."""
        answer = self.services.answers[-1] if self.services.answers else {}
        self._concluded("FAILED", error or answer["error"], cause or answer["cause"])

    def fail_in_function(self, kind: str, message: str) -> None:
        """The execution fails with an exception of a function, whose cause is Lambda's JSON."""
        cause = {"errorMessage": message, "errorType": kind, "requestId": "1-2", "stackTrace": ["  File …"]}
        self._concluded("FAILED", kind, json.dumps(cause))

    def abort(self, cause: str = "") -> None:
        """Somebody stops the execution."""
        self._concluded("ABORTED", "", cause)

    def _concluded(self, status: str, error: str, cause: str) -> None:
        anything: Any = self.services
        ending = Ending(anything, anything, self.runs, self.claims, self.trainer, TOPIC, ARTIFACTS, self.clock)
        given = {"bucket": DATA, "key": self.key} if self.key else {"dataset": self.dataset}
        self.services.execution_input = json.dumps(given)
        detail = {
            "executionArn": self.arn,
            "name": self.run_id,
            "status": status,
            "startDate": round(BEGAN.timestamp() * 1000),
            **({"error": error} if error else {}),
            **({"cause": cause} if cause else {}),
        }
        assert ending.conclude(detail).done in ("Failed", "Stopped")

    def message(self, outcome: str = "") -> dict[str, Any]:
        """The last message, or the last of an outcome: subject, body, attributes."""
        found = [
            {
                "subject": item["Subject"],
                "body": item["Message"],
                "attributes": {key: value["StringValue"] for key, value in item["MessageAttributes"].items()},
            }
            for item in self.services.published
        ]
        found += [self.gate_message] if self.gate_message else []
        return [item for item in found if outcome in ("", item["attributes"]["outcome"])][-1]


def _archive(files: Mapping[str, bytes]) -> bytes:
    """A model.tar.gz as SageMaker makes it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), 1, mtime=0)
