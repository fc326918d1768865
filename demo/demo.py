"""The main job: a dataset is dropped into the local cloud's bucket, and a trained model comes out.

Nothing here knows Traindrop from the inside: the stack is deployed from its template, the dataset is put into S3, and
everything else is watched as a user of AWS could watch it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from demo import floor_plans
from demo.following import Run
from demo.screen import Screen
from demo.verdict import MINIMUM_MAP50, faults_of, how_long, receipt_lines
from local_cloud import deploy
from local_cloud.asked import Asked, unasked, until_asked
from local_cloud.process import ROOT, LocalCloud

FOLDER = ROOT / ".local" / "demo"
DATASET = "floor plans"
INTERRUPTION = {"training": {"interrupt_after_epochs": [2]}}
# On AWS as here a lost report is found by looking at the job; every ten seconds would be distracting to watch.
PARAMETERS = {"ReconcilePeriodSeconds": "300", "WaitingNoticeSeconds": "300"}
START_SECONDS = 90.0
RUN_SECONDS = 900.0
MESSAGE_SECONDS = 30.0
_POLL_SECONDS = 0.4
_DELIVERED = ("best.pt", "best.onnx", "report.html")


class DemoFailed(Exception):
    """The demo did not do what it must; the message says what is missing."""


class Demo:
    """One showing, with its files in a folder."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        self.screen, self.folder = screen, folder
        self.stage = "start"
        self.run: Run | None = None
        self.cloud: LocalCloud | None = None
        self.log = folder / "demo.log"

    def show(self) -> None:
        """Show everything from an empty folder to the model; DemoFailed where it is not as it must be."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        archive = self.folder / "floor-plans.zip"
        with self._stage("drawing 125 floor plans"):
            floor_plans.generate(self.folder / "floor-plans")
            floor_plans.pack(self.folder / "floor-plans", archive)
            self.screen.line(f"{archive.stat().st_size / 1e6:.1f} MB, to look at in {_short(self.folder)}/floor-plans")
        with self._stage("starting the local cloud"):
            cloud = self.cloud = LocalCloud.start(trainer="real", provision_seconds=0.5)
        with contextlib.ExitStack() as last:
            last.callback(_stop, cloud)
            last.callback(self.keep_logs)
            self._on(cloud, archive)

    def _on(self, cloud: LocalCloud, archive: Path) -> None:
        with self._stage("building template.yaml with the SAM CLI"):
            deploy.build()
        with self._stage("deploying it to the local cloud"):
            outputs = deploy.deploy(cloud, parameters=PARAMETERS)
            queue_url = _inbox(cloud, outputs["NotificationTopicArn"])
            cloud.inject(INTERRUPTION)
        with self._stage("dropping the dataset, and following its run"):
            run = self.run = Run(cloud, outputs, queue_url, self.screen)
            key = f"datasets/{DATASET}.zip"
            dropped_at = time.time()
            cloud.client("s3").upload_file(str(archive), outputs["DatasetBucketName"], key)
            self.screen.line(f"s3://{outputs['DatasetBucketName']}/{key}", style="bold blue", at=dropped_at)
            self._follow(run)
        with self._stage("fetching what was delivered"):
            record = run.record()
            missing = self._fetch(cloud, outputs["ArtifactBucketName"], record)
        self._tell(run, record, dropped_at)
        faults = faults_of(run, record, missing)
        if faults:
            raise DemoFailed("; ".join(faults))

    def _follow(self, run: Run) -> None:
        """Poll until the run has ended and its message is there."""
        began = time.monotonic()
        ended: float | None = None
        while True:
            run.poll()
            now = time.monotonic()
            if not run.execution_arn and now - began > START_SECONDS:
                raise DemoFailed(f"the drop started no execution within {START_SECONDS:g} s")
            if run.status not in ("NOT STARTED", "RUNNING"):
                ended = ended or now
                if run.status != "SUCCEEDED":
                    raise DemoFailed(f"the execution ended in state {run.state} as {run.why_it_ended()}")
                # A second message would be a fault, so the inbox is watched for a moment longer than it takes one.
                told = any(message.outcome == "Completed" for message in run.messages)
                if now - ended > (2.0 if told else MESSAGE_SECONDS):
                    return
            elif now - began > RUN_SECONDS:
                raise DemoFailed(f"the run was still in state {run.state} after {RUN_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)

    def _fetch(self, cloud: LocalCloud, bucket: str, record: dict[str, Any]) -> list[str]:
        """Download what was delivered; answer the names of what is not there."""
        prefix = f"models/{record.get('slug')}/{record.get('run_id')}/"
        missing = []
        for name in _DELIVERED:
            try:
                cloud.client("s3").download_file(bucket, prefix + name, str(self.folder / name))
            except ClientError:
                missing.append(name)
        return missing

    def _tell(self, run: Run, record: dict[str, Any], dropped_at: float) -> None:
        for message in run.messages:
            if message.outcome == "Completed":
                self.screen.block(f"In the inbox: {message.subject}", message.body)
        self.screen.block("Receipt", "\n".join(receipt_lines(record)))
        self.screen.block("Traindrop's own time", "\n".join(how_long(run, dropped_at)))
        here = [f"{name:<12} {_short(self.folder / name)}" for name in _DELIVERED if (self.folder / name).exists()]
        self.screen.block("On this disk", "\n".join(here) or "nothing was delivered")

    def keep_logs(self) -> None:
        """Save what the local cloud and the job said before they are gone; `log` is the one to look at first."""
        if self.cloud is not None and self.cloud.log_path.exists():
            self.log = self.folder / "local-cloud.log"
            shutil.copyfile(self.cloud.log_path, self.log)
        if self.run is not None and self.run.log:
            training = self.folder / "training.log"
            training.write_text("\n".join(self.run.log) + "\n", encoding="utf-8")
            if self.run.state == "TrainModel":
                self.log = training

    @contextlib.contextmanager
    def _stage(self, words: str) -> Iterator[None]:
        self.stage = words
        with self.screen.busy(words[0].upper() + words[1:]):
            yield


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else shows a demo in this folder; nobody else can while this is held."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder.parent / f"{folder.name}.lock"
    with place.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            place.unlink(missing_ok=True)


def _stop(cloud: LocalCloud) -> None:
    """Stop a cloud; what has been shown to its end is not taken back by an interrupt now."""
    with unasked():
        cloud.stop()


def _inbox(cloud: LocalCloud, topic_arn: str) -> str:
    """A queue that gets every message of the topic."""
    sqs = cloud.client("sqs")
    url: str = sqs.create_queue(QueueName="demo-inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    cloud.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    return url


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the demo; 0 only if all of it happened, 130 after Ctrl-C, 143 after a termination."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="Train a model on the local cloud, and watch.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="emptied first, then holds what was delivered")
    folder = parser.parse_args(arguments).folder.resolve()
    screen = Screen(sys.stdout)
    with until_asked(), _alone(folder) as alone:
        if alone:
            return _guarded(Demo(screen, folder))
        screen.line(f"another demo is using {_short(folder)}: let it end, or give --folder", style="bold red")
        return 1


def _guarded(demo: Demo) -> int:
    """Show it; whatever happens, a user gets a sentence and never a traceback."""
    screen, folder = demo.screen, demo.folder
    try:
        demo.show()
    except Asked as asked:
        shutil.rmtree(folder, ignore_errors=True)
        screen.line("stopped; nothing is left running, and what was made so far is removed", style="bold")
        return asked.exit_code
    except Exception as error:  # noqa: BLE001 - its traceback goes into a file
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "demo.log").write_text(traceback.format_exc(), encoding="utf-8")
        screen.line(f"FAILED while {demo.stage}: {error or type(error).__name__}", style="bold red")
        screen.line(f"look at {_short(demo.log)}")
        return 1
    screen.line(
        f"all of it happened: trained, interrupted, resumed, mask mAP50 at least {MINIMUM_MAP50}", style="bold green"
    )
    return 0
