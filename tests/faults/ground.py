"""What the tests of permissions stand on: datasets that have started nothing, runs whose jobs have ended, functions
that can be called with what the state machine or a rule would give them."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.stack import FAST, Stack, dataset_files, eventually

SETTINGS = {
    "trained": FAST,
    "unarchived": FAST,
    "failed": FAST,
    "judged": FAST,
    "started": FAST + "force: true\n",
    "halted": FAST + "force: true\n",
    "overdue": FAST.replace("epochs: 3", "epochs: 600") + "force: true\n",
    "best": FAST + "model: best\nforce: true\n",
    "missing": FAST + "model: s3://{bucket}/models/needs-missing/none/best.pt\n",
}
"""The datasets, each under a name that begins with `needs-`, and their training.yaml."""


class Ground:
    """A stack with datasets and runs to begin with."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.cloud = stack, stack.cloud
        self._lambda, self._numbers = self.cloud.client("lambda"), itertools.count()
        tables = self.cloud.resource("dynamodb")
        self.runs = tables.Table(stack.outputs["RunsTableName"])
        self.claims = tables.Table(self.physical("ClaimsTable"))
        self._lay_datasets()
        self.trained, self.unarchived = self.run_with_job("trained"), self.run_with_job("unarchived")
        self.stack.s3.delete_object(Bucket=stack.artifact_bucket, Key=archive_of(self.unarchived))
        self.failed = self.run_with_job("failed", stub_fails_with="CUDA out of memory")

    def physical(self, logical_id: str) -> str:
        """The name that a resource has in the stack."""
        found = self.cloud.client("cloudformation").describe_stack_resource(
            StackName="traindrop", LogicalResourceId=logical_id
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def number(self) -> int:
        """A number that was not given out before."""
        return next(self._numbers)

    def call(self, function: str, event: Any) -> tuple[str, Any]:
        """What the error of a function says, and what the function answers."""
        answer = self._lambda.invoke(FunctionName=self.physical(f"{function}Function"), Payload=json.dumps(event))
        document = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            return f"{document['errorType']}: {document['errorMessage']}", document
        return "", document

    def _lay_datasets(self) -> None:
        """Put the datasets without any event of it, so that no run begins."""
        dropped = self.log_lines("event dropped: Object Created")
        self.cloud.inject({"events": {"drop": ["Object Created"]}})
        for name, settings in SETTINGS.items():
            files = dataset_files(marker=name, settings=settings.format(bucket=self.stack.artifact_bucket))
            self.stack.drop_zip(f"needs-{name}", files)
        wanted = dropped + len(SETTINGS)
        eventually(
            lambda: self.log_lines("event dropped: Object Created") >= wanted, within=60, what="the events being lost"
        )
        self.cloud.clear_faults()

    def log_lines(self, *words: str) -> int:
        """How many lines of the local cloud's log have all these words."""
        lines = self.cloud.log_path.read_text(errors="replace").splitlines()
        return sum(all(word in line for word in words) for line in lines)

    def new_run_id(self, name: str) -> str:
        """The name of an execution for a dataset."""
        return f"needs-{name}-20260101T000000-{self.number():08x}"

    def judge(self, name: str, run_id: str, wanted: str = "ready") -> str:
        """Have the gate judge a dataset as that run would; say what went wrong, another verdict included."""
        drop = {"bucket": self.stack.dataset_bucket, "key": f"datasets/needs-{name}.zip"}
        execution = {
            "arn": f"{self.stack.machine.replace(':stateMachine:', ':execution:')}:{run_id}",
            "name": run_id,
            "started_at": datetime.now(UTC).isoformat(),
        }
        error, answer = self.call("ValidateDataset", {"drop": drop, "execution": execution})
        return error or ("" if answer["verdict"] == wanted else f"the verdict is {answer['verdict']}")

    def start(self, run_id: str) -> str:
        """Have the training of a run started; say what went wrong."""
        event = {"run_id": run_id, "attempt": 1, "redrives": 0, "task_token": "nobody waits with this"}
        return self.call("StartTraining", event)[0]

    def judged(self, name: str) -> str:
        """A new run whose dataset was found right."""
        run_id = self.new_run_id(name)
        error = self.judge(name, run_id)
        assert not error, error
        return run_id

    def run_with_job(self, name: str, **faults: str) -> str:
        """A new run whose job has ended and was reported."""
        run_id = self.judged(name)
        wanted = "Failed" if faults else "Completed"
        self.cloud.inject({"training": faults})
        assert self.start(run_id) == ""
        eventually(lambda: self._reported(run_id) == wanted, within=120, what=f"the job of {run_id}")
        self.cloud.clear_faults()
        return run_id

    def _reported(self, run_id: str) -> str:
        jobs = self.stack.run(run_id).get("jobs") or [{"status": ""}]
        return str(jobs[0]["status"])

    def set(self, run_id: str, field: str, value: Any) -> None:
        """Write one field of a run's record."""
        self.runs.update_item(
            Key={"run_id": run_id},
            UpdateExpression="SET #f = :v",
            ExpressionAttributeNames={"#f": field},
            ExpressionAttributeValues={":v": value},
        )

    def unset(self, run_id: str, field: str) -> None:
        """Remove one field of a run's record."""
        self.runs.update_item(
            Key={"run_id": run_id}, UpdateExpression="REMOVE #f", ExpressionAttributeNames={"#f": field}
        )

    def put_artifact(self, key: str, body: bytes) -> None:
        """Put an object into the artifact bucket."""
        self.stack.s3.put_object(Bucket=self.stack.artifact_bucket, Key=key, Body=body)

    def remove_artifacts(self, prefix: str, ending: str = "") -> None:
        """Remove objects from the artifact bucket."""
        for key in self.stack.artifacts(prefix):
            if key.endswith(ending):
                self.stack.s3.delete_object(Bucket=self.stack.artifact_bucket, Key=key)

    @contextmanager
    def archive(self, run_id: str, files: Mapping[str, bytes]) -> Iterator[None]:
        """Another archive in place of the one that a run's job left."""
        kept = self.stack.s3.get_object(Bucket=self.stack.artifact_bucket, Key=archive_of(run_id))["Body"].read()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
        try:
            self.put_artifact(archive_of(run_id), buffer.getvalue())
            yield
        finally:
            self.put_artifact(archive_of(run_id), kept)

    def clients_of(self, role: str) -> Callable[[str], Any]:
        """Clients that may do what a role may."""
        arn = self.cloud.client("iam").get_role(RoleName=self.physical(role))["Role"]["Arn"]
        given = self.cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="tests")["Credentials"]
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        return lambda service: self.cloud.client(service, **keys)

    def queued(self, queue: str, word: str) -> bool:
        """Whether a message with this word lies in a queue; it is taken out."""
        sqs, url = self.cloud.client("sqs"), self.physical(queue)
        found = False
        for item in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            found = found or word in item["Body"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=item["ReceiptHandle"])
        return found

    def arrives(self, queue: str, word: str, *, unless: Callable[[], bool]) -> str:
        """Wait for a message in a queue; say so when `unless` comes true and it is not there a moment later."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            given_up = unless()
            if given_up:
                time.sleep(1)
            if self.queued(queue, word):
                return ""
            if given_up:
                return f"nothing lies in {queue}"
            time.sleep(0.1)
        raise AssertionError(f"{queue}: neither a message nor a refusal")


def archive_of(run_id: str) -> str:
    """Where the first job of a run leaves its archive."""
    return f"training-output/{run_id}-1/output/model.tar.gz"
