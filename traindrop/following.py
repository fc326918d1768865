"""A run followed from outside, with one question to AWS at a time: its record, its job, the job's log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from traindrop.errors import RunNotFound
from traindrop.job_log import LOG_GROUP, Begun, Epoch, read
from traindrop.running import execution_arn
from traindrop.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient

ENDS = frozenset({"Completed", "Rejected", "Failed", "Stopped", "Unchanged"})
_PAGE = 2000
"""Lines of the log that one question brings at most."""
_PATIENCE = 20
"""How often to ask for the end of a run whose execution is over, before the execution's own end has to do."""


@dataclass(frozen=True)
class Seen:
    """Something that happened to a run: `kind` is state, job, epoch, resumed, log or end; `words` are for people."""

    kind: str
    words: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Follower:
    """One run. Each `look` asks AWS one question and answers what is new; `record` is the run as last read."""

    sfn: SFNClient
    sagemaker: SageMakerClient
    logs: CloudWatchLogsClient
    runs: Runs
    machine_arn: str
    run_id: str
    with_log: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    epochs: int = 0
    interruptions: int = 0
    _questions: Iterator[Callable[[], list[Seen]]] = field(init=False)
    _states_told: int = 0
    _status: str = ""
    _since: int = 0
    _latest: int = 0
    _lines: dict[str, int] = field(default_factory=dict)
    _more: str = ""
    _over: int = 0

    def __post_init__(self) -> None:
        self._questions = self._in_turn()

    @property
    def execution_arn(self) -> str:
        """Of the run's execution, which has the run's name unless somebody started it by hand under another."""
        return str(self.record.get("execution_arn") or execution_arn(self.machine_arn, self.run_id))

    def look(self) -> list[Seen]:
        """Ask the next question; the last thing to be seen is of kind `end`.

        Raises:
            RunNotFound: there is no such run.
        """
        return next(self._questions)()

    def _in_turn(self) -> Iterator[Callable[[], list[Seen]]]:
        """Which question is next: only those that can bring something new."""
        while True:
            yield self._ask_record
            if self.record.get("status") in ENDS:
                # What the log told last is worth two more questions.
                if self.job:
                    yield self._ask_log
                yield self._end
            if not self.record or self.record.get("status") in ("Uploading", "Extracting"):
                yield self._ask_execution
            elif self.record.get("job_name"):
                yield self._ask_job
                yield self._ask_log
                while self._more:
                    yield self._ask_log
                yield self._ask_execution

    def _ask_record(self) -> list[Seen]:
        found = self.runs.find(self.run_id)
        if found is None:
            return []
        self.record = found
        status = str(found.get("status", ""))
        if status == self._status or status in ENDS:
            return []
        self._status = status
        return [Seen("state", _STATES.get(status, status), {"status": status})]

    def _ask_execution(self) -> list[Seen]:
        """Whether it runs at all: one that was ended by force may leave no end in the record for a moment."""
        try:
            found = self.sfn.describe_execution(executionArn=self.execution_arn)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn") and not self.record:
                raise RunNotFound(f"there is no run {self.run_id}; `traindrop runs` lists them") from error
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return []
        if found["status"] != "RUNNING":
            self._over += 1
            if self._over < _PATIENCE:
                return []
            outcome = {"SUCCEEDED": "Completed", "ABORTED": "Stopped"}.get(found["status"], "Failed")
            return [Seen("end", outcome, {"outcome": outcome})]
        self._over = 0
        if self.record or self._status:
            return []
        self._status = "Begun"
        return [Seen("state", _STATES["Begun"], {"status": "Begun"})]

    def _ask_job(self) -> list[Seen]:
        name = str(self.record["job_name"])
        try:
            job: dict[str, Any] = dict(self.sagemaker.describe_training_job(TrainingJobName=name))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
                return []  # the record names a job just before it is created
            raise
        if job["TrainingJobName"] != self.job.get("TrainingJobName"):
            self._states_told = 0
        self.job = job
        transitions = job.get("SecondaryStatusTransitions", [])
        new, self._states_told = transitions[self._states_told :], len(transitions)
        market = "spot" if job.get("EnableManagedSpotTraining") else "on demand"
        where = f"{job['ResourceConfig']['InstanceType']}, {market}"
        return [self._of_transition(name, where, item) for item in new]

    def _of_transition(self, name: str, where: str, item: Mapping[str, Any]) -> Seen:
        status = str(item["Status"])
        said = str(item.get("StatusMessage") or "")
        values = {"job": name, "status": status, "instance": where}
        if status == "Interrupted":
            self.interruptions += 1
            return Seen("job", "spot interruption: AWS took the instance back; it goes on from its checkpoint", values)
        words = {"Starting": f"waits for an instance ({where})"}.get(status, said or status)
        return Seen("job", f"job {status}: {words}", values)

    def _ask_log(self) -> list[Seen]:
        if not self.job:
            return []
        request: dict[str, Any] = {
            "logGroupName": LOG_GROUP,
            "logStreamNamePrefix": f"{self.job['TrainingJobName']}/",
            "startTime": self._since,
            "limit": _PAGE,
        }
        if self._more:
            request["nextToken"] = self._more
        try:
            page = self.logs.filter_log_events(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []  # the first job of an account makes the group when it prints
            raise
        new = [event for event in page["events"] if event["eventId"] not in self._lines]
        self._lines |= {event["eventId"]: event["timestamp"] for event in new}
        self._latest = max([self._latest, *(event["timestamp"] for event in new)])
        self._more = page.get("nextToken", "")
        if not self._more and self._latest > self._since:
            # That moment is asked for again, since more of its lines may come; those that were seen are known by id.
            self._since = self._latest
            self._lines = {line: at for line, at in self._lines.items() if at == self._latest}
        return [seen for event in new for seen in self._of_line(str(event["message"]))]

    def _of_line(self, line: str) -> Iterator[Seen]:
        found = read(line)
        if isinstance(found, Epoch):
            self.epochs = found.number
            yield Seen("epoch", f"epoch {found.number}/{found.of}", {**found.values})
        elif isinstance(found, Begun) and found.after:
            yield Seen("resumed", f"went on from its checkpoint, after epoch {found.after}", {"epoch": found.after})
        elif self.with_log:
            yield Seen("log", line.rstrip(), {})

    def _end(self) -> list[Seen]:
        status = str(self.record["status"])
        return [Seen("end", status, {"outcome": status})]


_STATES = {
    "Begun": "the run has begun",
    "Uploading": "files are still arriving: it waits until the upload has come to rest",
    "Training": "the dataset can train",
    "Extracting": "the training has ended: bringing the model to its place",
}
