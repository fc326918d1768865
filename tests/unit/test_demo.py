"""How the demo follows a run and what it accepts; the cloud here answers from a script."""

from __future__ import annotations

import io
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from demo import demo, floor_plans
from demo.following import Notification, Run
from demo.screen import Screen
from demo.verdict import faults_of, how_long, receipt_lines
from local_cloud.asked import SIGNALS
from local_cloud.process import LocalCloud

JOB = "rooms-20261124t010203-0a1b2c3d-1"


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(1_800_000_000 + seconds, UTC)


def entered(name: str, seconds: float) -> dict[str, Any]:
    return {"timestamp": at(seconds), "stateEnteredEventDetails": {"name": name}}


class Script:
    """A cloud whose services answer what a test put there."""

    class exceptions:  # noqa: N801
        class ResourceNotFoundException(Exception):
            pass

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.status = "RUNNING"
        self.transitions: list[dict[str, Any]] = []
        self.streams: dict[str, list[tuple[float, str]]] = {}
        self.inbox: list[dict[str, Any]] = []
        self.record: dict[str, Any] = {"job_name": {"S": JOB}}

    def client(self, service: str) -> Any:
        assert service in ("stepfunctions", "sagemaker", "logs", "sqs", "dynamodb")
        return self

    def list_executions(self, **_: Any) -> Any:
        return {"executions": [{"executionArn": "arn:aws:states:us-east-1:0:execution:t:run-1"}]}

    def describe_execution(self, **_: Any) -> Any:
        return {"status": self.status, "error": "TrainingCodeError", "cause": "the code is broken"}

    def get_paginator(self, operation: str) -> Script:
        assert operation == "get_execution_history"
        return self

    def paginate(self, **_: Any) -> Any:
        return [{"events": self.history[:2]}, {"events": self.history[2:]}]

    def get_item(self, **_: Any) -> Any:
        return {"Item": self.record}

    def describe_training_job(self, **_: Any) -> Any:
        return {"TrainingJobName": JOB, "SecondaryStatusTransitions": self.transitions}

    def describe_log_streams(self, **_: Any) -> Any:
        if not self.streams:
            raise self.exceptions.ResourceNotFoundException
        return {"logStreams": [{"logStreamName": name} for name in reversed(self.streams)]}

    def get_log_events(self, *, logStreamName: str, nextToken: str = "0", **_: Any) -> Any:  # noqa: N803
        events = self.streams[logStreamName][int(nextToken) :]
        shown = [{"timestamp": at(seconds).timestamp() * 1000, "message": line} for seconds, line in events]
        return {"events": shown, "nextForwardToken": str(len(self.streams[logStreamName]))}

    def receive_message(self, **_: Any) -> Any:
        taken, self.inbox = self.inbox, []
        return {"Messages": taken} if taken else {}

    def delete_message(self, **_: Any) -> None:
        pass


def metric(epoch: int) -> str:
    return f"METRIC epoch={epoch}; epochs=8; box_loss=1.5; seg_loss=1.25; map50_mask=0.5;"


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def run(script: Script, shown: io.StringIO) -> Run:
    return Run(script, {"StateMachineArn": "arn", "RunsTableName": "runs"}, "queue", Screen(shown))


def test_what_happens_is_shown_once_and_in_order(script: Script, run: Run, shown: io.StringIO) -> None:
    script.history = [entered("ValidateDataset", 1), entered("RouteByVerdict", 3), entered("TrainModel", 4)]
    script.transitions = [{"Status": "Starting", "StartTime": at(5), "StatusMessage": "Preparing the instances"}]
    script.streams = {f"{JOB}/algo-1-1": [(6, "FRESH start"), (8, metric(1))]}
    run.poll()
    run.poll()
    order = ["state ValidateDataset", "state TrainModel", "job Starting: Preparing the instances", "epoch 1/8"]
    text = shown.getvalue()
    assert [text.count(words) for words in order] == [1] * 4
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert "box loss 1.500  mask loss 1.250  mask mAP50 0.500" in text
    assert run.state == "TrainModel"


def test_a_resumed_job_lost_no_finished_epoch(script: Script, run: Run, shown: io.StringIO) -> None:
    script.streams = {
        f"{JOB}/algo-1-1": [(1, "FRESH start"), (2, metric(1)), (3, metric(2))],
        f"{JOB}/algo-1-2": [(9, "RESUME from epoch 2"), (10, metric(3))],
    }
    script.transitions = [{"Status": "Interrupted", "StartTime": at(4), "StatusMessage": "…"}]
    run.poll()
    assert (run.resumed_from, run.epochs_lost) == ([2], [0])
    assert "spot interruption: the job's host is taken away" in shown.getvalue()
    assert "2 epochs were already done" in shown.getvalue()


@pytest.mark.parametrize(("line", "lost"), [("RESUME from epoch 1", [1]), ("FRESH start", [2])])
def test_finished_epochs_that_are_trained_again_are_counted(
    script: Script, run: Run, line: str, lost: list[int]
) -> None:
    script.streams = {
        f"{JOB}/algo-1-1": [(1, "FRESH start"), (2, metric(1)), (3, metric(2))],
        f"{JOB}/algo-1-2": [(9, line)],
    }
    run.poll()
    assert run.epochs_lost == lost


def test_messages_are_read_from_the_queue(script: Script, run: Run) -> None:
    script.inbox = [
        {
            "ReceiptHandle": "1",
            "Attributes": {"SentTimestamp": "1800000000500"},
            "Body": json.dumps(
                {
                    "Subject": "Completed: rooms",
                    "Message": "mask mAP50 0.946",
                    "MessageAttributes": {"outcome": {"Type": "String", "Value": "Completed"}},
                }
            ),
        }
    ]
    run.poll()
    assert [(m.outcome, m.subject, m.body) for m in run.messages] == [
        ("Completed", "Completed: rooms", "mask mAP50 0.946")
    ]
    assert run.messages[0].at == 1_800_000_000.5


def test_a_failed_execution_is_told_with_its_cause(script: Script, run: Run) -> None:
    script.status = "FAILED"
    run.poll()
    assert run.why_it_ended() == "FAILED (TrainingCodeError: the code is broken)"


def good(run: Run) -> dict[str, Any]:
    run.status, run.resumed_from, run.epochs_lost = "SUCCEEDED", [2], [0]
    run.messages = [
        Notification(at(9).timestamp(), "Started", "", ""),
        Notification(at(9).timestamp(), "Completed", "", ""),
    ]
    return {"metrics": {"map50_mask": 0.9}}


def test_a_showing_with_everything_is_accepted(run: Run) -> None:
    assert faults_of(run, good(run), []) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"status": "FAILED"}, "ended as FAILED"),
        ({"resumed_from": []}, "never interrupted"),
        ({"epochs_lost": [1]}, "trained again"),
        ({"messages": []}, "0 messages say Completed"),
    ],
)
def test_a_showing_that_lacks_something_is_refused(run: Run, spoil: dict[str, Any], words: str) -> None:
    record = good(run)
    for name, value in spoil.items():
        setattr(run, name, value)
    assert [fault for fault in faults_of(run, record, []) if words in fault]


def test_a_bad_model_two_messages_and_missing_files_are_refused(run: Run) -> None:
    record = good(run)
    run.messages += run.messages
    faults = faults_of(run, record | {"metrics": {"map50_mask": 0.79}}, ["best.onnx"])
    assert faults == ["2 messages say Completed, not one", "mask mAP50 is 0.79, below 0.8", "not delivered: best.onnx"]


def test_own_times_are_taken_from_the_job_and_the_message(run: Run) -> None:
    good(run)
    run.job = {"CreationTime": at(3.25), "TrainingEndTime": at(7.5)}
    first, second = how_long(run, at(1).timestamp())
    assert first.startswith("  2.2 s")
    assert second.startswith("  1.5 s")


def test_a_receipt_says_what_was_paid_and_saved() -> None:
    receipt = {
        "jobs": [{"instance_type": "ml.g4dn.xlarge", "spot": True}],
        "seconds_trained": 80,
        "seconds_billed": 40,
        "cost_usd": 0.0082,
        "saved_usd": 0.0081,
        "price_region": "us-east-1",
        "price_date": "2026-11-01",
    }
    text = "\n".join(receipt_lines({"receipt": receipt, "interruptions": 1}))
    assert "ml.g4dn.xlarge, managed spot" in text
    assert "$0.0082 it would cost on AWS, $0.0081 saved by spot" in text


def test_a_stream_that_is_no_terminal_gets_plain_lines(shown: io.StringIO) -> None:
    screen = Screen(shown)
    screen.line("job [bold]Training[/bold]", style="bold red")
    screen.epoch(4, 8, "box loss 1.0")
    assert "\x1b" not in shown.getvalue()
    assert "job [bold]Training[/bold]" in shown.getvalue()
    assert "epoch 4/8  ██████████░░░░░░░░░░  box loss 1.0" in shown.getvalue()


def test_a_terminal_that_cannot_spell_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    screen.epoch(1, 2, "Wohnfläche")
    assert b"##########..........  Wohnfl?che" in raw.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color", [True, False])
def test_a_terminal_gets_colours_unless_they_are_refused(monkeypatch: pytest.MonkeyPatch, no_color: bool) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    screen = Screen(terminal)
    screen.line("an [unmarked] line", style="red")
    assert "an [unmarked] line" in terminal.getvalue()
    assert ("\x1b[31m" in terminal.getvalue()) is not no_color


@pytest.fixture
def no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor_plans, "generate", lambda directory: directory.mkdir())


@pytest.mark.usefixtures("no_plans")
def test_a_failure_names_the_stage_and_a_log_file_and_shows_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> None:
        raise OSError("no port is free")

    monkeypatch.setattr(LocalCloud, "start", refuse)
    assert demo.main(["--folder", str(tmp_path / "demo")]) == 1
    text = capsys.readouterr().out
    assert "FAILED while starting the local cloud: no port is free" in text
    assert f"look at {tmp_path / 'demo' / 'demo.log'}" in text
    assert "Traceback" not in text
    assert "OSError" in (tmp_path / "demo" / "demo.log").read_text()


@pytest.mark.usefixtures("no_plans")
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    monkeypatch.setattr(LocalCloud, "start", lambda **_: signal.raise_signal(number))
    assert demo.main(["--folder", str(tmp_path / "demo")]) == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert "nothing is left running" in capsys.readouterr().out


@pytest.mark.usefixtures("no_plans")
def test_a_second_demo_in_the_same_folder_is_refused_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    codes = []

    def meanwhile(**_: Any) -> None:
        codes.append(demo.main(["--folder", str(folder)]))
        assert folder.exists()
        raise OSError("enough")

    monkeypatch.setattr(LocalCloud, "start", meanwhile)
    assert demo.main(["--folder", str(folder)]) == 1
    assert codes == [1]
    assert "another demo is using" in capsys.readouterr().out
