"""However the demo and the local cloud are interrupted: no process, no port, no file is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from local_cloud.deploy import SOURCES, build
from local_cloud.process import ROOT
from tests.faults.conftest import Rows
from tests.stack import dataset_files, eventually, zipped

PROC = Path("/proc")
DEMO, LOCAL = ("-m", "demo"), ("-m", "local_cloud")
STUBBED_DEMO = (
    "-c",
    "import sys; from demo import demo; from local_cloud.process import LocalCloud; real = LocalCloud.start\n"
    "LocalCloud.start = lambda **options: real(**{**options, 'trainer': 'stub'}); sys.exit(demo.main())",
)
"""The demo with training swapped for one that ends in a second, where training is not the point."""
SLOW = "epochs: 600\nimgsz: 64\nbatch: 2\n"
MINUTES = 180.0

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PROC.joinpath("self/net/tcp").exists(), reason="reads /proc"),
]


class Program:
    """A program in the foreground of a terminal, with a checkout, a TMPDIR and a process group of its own."""

    def __init__(self, place: Path, command: tuple[str, ...], *, built: bool = True) -> None:
        self.place, self.checkout, self.temporary = place, place / "checkout", place / "tmp"
        self.log = place.with_suffix(".log")
        self.temporary.mkdir(parents=True)
        self.checkout.mkdir()
        for name in (*SOURCES, "local_cloud", "demo", "requirements"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.checkout / name)
        (self.checkout / ".venvs").symlink_to(ROOT / ".venvs")
        if built:
            (self.checkout / ".cache").symlink_to(ROOT / ".cache")
        self._files_before = self._files()
        self._sockets: set[str] = set()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.checkout,
                env={**os.environ, "TMPDIR": str(self.temporary), "TRAINER": "stub", "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """All that was on its screen."""
        return self.log.read_text(errors="replace")

    def says(self, words: str) -> None:
        """Wait until it has said so."""
        self._until(lambda: words in self.said, words)

    def runs(self, *arguments: str) -> None:
        """Wait until there is a process of it with all these arguments, programs by their names."""
        self._until(
            lambda: any(set(arguments) <= {Path(part).name for part in command} for command in self.commands()),
            " ".join(arguments),
        )

    def loads(self, library: str) -> None:
        """Wait until it has loaded a shared library whose path has this."""
        self._until(lambda: library in (PROC / str(self.process.pid) / "maps").read_text(), library)

    def interrupt(self, number: signal.Signals) -> None:
        """Ctrl-C reaches the whole foreground group, as from a terminal; any other signal the program alone."""
        self._sockets = self._listening(self._own())
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def leftovers(self, *, keeps: str = "") -> list[str]:
        """Processes, ports, temporary files, and files of the checkout whose path has not what it keeps."""
        added = sorted(path for path in self._files() - self._files_before if not (keeps and keeps in path))
        temporary = [f"{at}/{name}" for at, *names in os.walk(self.temporary) for kind in names for name in kind]
        return [
            *(f"process {' '.join(command)}" for command in self.commands()),
            *(f"listening socket {inode}" for inode in self._sockets & self._listening()),
            *(f"file {path}" for path in temporary + added),
        ]

    def commands(self) -> list[list[str]]:
        """Command lines of all processes of this place."""
        found = []
        for entry in self._own():
            with contextlib.suppress(OSError):
                found.append((entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0"))
        return found

    def clear(self) -> None:
        """Whatever was found, nothing of it stays."""
        while left := self._own():
            for entry in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
            self.process.poll()
        self.process.wait()
        shutil.rmtree(self.place, ignore_errors=True)

    def _until(self, look: Callable[[], bool], what: str) -> None:
        eventually(lambda: self.process.poll() is not None or look(), within=MINUTES, what=what, every=0.02)
        assert self.process.poll() is None, f"ended before {what}:\n{self.said}"

    def _own(self) -> list[Path]:
        """The processes whose command line, environment or folder names this place."""
        found = []
        for entry in PROC.glob("[0-9]*"):
            with contextlib.suppress(OSError):
                seen = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if os.fsencode(self.place) in seen + os.fsencode((entry / "cwd").readlink()):
                    found.append(entry)
        return found

    def _listening(self, entries: list[Path] | None = None) -> set[str]:
        """Inodes of listening sockets: of these processes, or all."""
        tables = [(PROC / "self/net" / table).read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
        inodes = {fields[9] for table in tables for fields in map(str.split, table) if fields[3] == "0A"}
        if entries is None:
            return inodes
        held = set()
        for entry in entries:
            with contextlib.suppress(OSError):
                for descriptor in (entry / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        held.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
        return inodes & held

    def _files(self) -> set[str]:
        """The checkout's files but for the lock of a cached build."""
        found = (path for path in self.checkout.rglob("*") if path.is_symlink() or not path.is_dir())
        return {str(path) for path in found if path.parent.name != "sam" or path.suffix != ".lock"}


def loading(program: Program) -> None:
    program.loads("numpy")


def building(program: Program) -> None:
    program.runs("uv", "pip")


def deploying(program: Program) -> None:
    program.runs("sam", "deploy")
    time.sleep(3)


def starting(program: Program) -> None:
    program.says("Starting the local cloud")


def dropping(program: Program) -> None:
    program.says("state ValidateDataset")


def training(program: Program) -> None:
    program.says("job Training")


def at_its_end(program: Program) -> None:
    program.says("Receipt")


def ready(program: Program) -> None:
    program.says("READY")


def job_training(program: Program) -> None:
    """READY, and a dataset dropped by a user who sourced `.local/env`, whose job trains."""
    ready(program)
    pairs = [line.split("=", 1) for line in shlex.split((program.checkout / ".local/env").read_text()) if "=" in line]
    found = dict(pair for pair in pairs if pair[0].startswith("AWS_"))
    outputs = json.loads((program.checkout / ".local/outputs.json").read_text())
    s3 = boto3.client(
        "s3",
        endpoint_url=found["AWS_ENDPOINT_URL"],
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    body = zipped(dataset_files(settings=SLOW))
    s3.put_object(Bucket=outputs["DatasetBucketName"], Key="datasets/rooms.zip", Body=body)
    program.runs("stub_trainer.py")


def by_chance(program: Program) -> None:
    program.says("Drawing")
    time.sleep(random.Random(program.place.name).uniform(0, 15))


@dataclass(frozen=True)
class Case:
    """When which program is asked to end, its exit codes (by default what shells call the signal), what it keeps."""

    name: str
    command: tuple[str, ...]
    moment: Callable[[Program], None]
    codes: tuple[int, ...] = ()
    built: bool = True
    keeps: str = ""


CASES = (
    Case("demo loading", DEMO, loading),
    Case("demo building", DEMO, building, built=False),
    Case("demo deploying", DEMO, deploying),
    Case("demo dropping", STUBBED_DEMO, dropping),
    Case("demo training", DEMO, training),
    # All was delivered by then: it stays, and the demo has done what it is for.
    Case("demo at its end", STUBBED_DEMO, at_its_end, codes=(0,), keeps=".local/demo/"),
    Case("demo by chance", DEMO, by_chance),
    Case("local cloud starting", LOCAL, starting),
    Case("local cloud deploying", LOCAL, deploying),
    # Once it was READY, being told to end is how it succeeds.
    Case("local cloud ready", LOCAL, ready, codes=(0,)),
    Case("local cloud with a job", LOCAL, job_training, codes=(0,)),
)


@dataclass(frozen=True)
class Ending:
    """What an interrupted program left, what it answered, what was on its screen, and how long its end took."""

    leftovers: list[str]
    code: int
    said: str
    seconds: float


def interrupted(case: Case, number: signal.Signals, folder: Path) -> Ending:
    """Start the program, interrupt it at the moment, and look at once when it has ended."""
    program = Program(folder / f"{case.name}-{number.name}".replace(" ", "-"), case.command, built=case.built)
    try:
        case.moment(program)
        began = time.monotonic()
        program.interrupt(number)
        code = program.process.wait(60)
        return Ending(program.leftovers(keeps=case.keeps), code, program.said, time.monotonic() - began)
    finally:
        program.clear()


def test_nothing_is_left_behind(tmp_path: Path, row: Rows) -> None:
    build()
    asked = [(case, number) for case in CASES for number in (signal.SIGINT, signal.SIGTERM)]
    line = row(
        20,
        fault="demo and local cloud interrupted",
        injected=f"Ctrl-C and SIGTERM at {len(CASES)} moments: " + ", ".join(case.name for case in CASES),
        promise="no process, port or file left behind",
    )
    with ThreadPoolExecutor(3) as pool:
        endings = list(pool.map(lambda pair: interrupted(pair[0], pair[1], tmp_path), asked))
    left = [
        (case.name, number.name, ending.leftovers)
        for (case, number), ending in zip(asked, endings, strict=True)
        if ending.leftovers
    ]
    line.figure(
        f"leftovers = {len(left)} of {len(endings)} interruptions; "
        f"the slowest end took {max(ending.seconds for ending in endings):.1f} s"
    )
    assert left == []
    for (case, number), ending in zip(asked, endings, strict=True):
        # A program that has nothing to clean up yet is ended by the signal itself, which shells call 128 + its number.
        expected = {*(case.codes or (128 + number,)), *((-number,) if case.moment is loading else ())}
        assert ending.code in expected, (case.name, number.name, ending.code, ending.said)
        assert "Traceback" not in ending.said, (case.name, number.name, ending.said)


def test_nothing_is_left_running_by_a_starter_that_was_killed(tmp_path: Path, row: Rows) -> None:
    build()
    line = row(
        20,
        fault="demo and local cloud killed",
        injected="SIGKILL of the starter: building, deploying, a job training",
        promise="no process, port or temporary file left behind",
    )
    cases = [case for case in CASES if case.moment in (building, deploying, job_training)]

    def killed(case: Case) -> tuple[str, list[str]]:
        program = Program(tmp_path / f"{case.name}-killed".replace(" ", "-"), case.command, built=case.built)
        try:
            case.moment(program)
            program.interrupt(signal.SIGKILL)
            program.process.wait(60)
            with contextlib.suppress(AssertionError):
                eventually(lambda: not program.leftovers(keeps="checkout/."), within=60, what="the end of everything")
            return case.name, program.leftovers(keeps="checkout/.")
        finally:
            program.clear()

    with ThreadPoolExecutor(3) as pool:
        endings = list(pool.map(killed, cases))
    left = [(name, found) for name, found in endings if found]
    line.figure(f"leftovers = {len(left)} of {len(endings)}")
    assert left == []
