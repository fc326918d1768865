"""Many executions wait at little cost, and what has ended costs no more than its history."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_cloud.process import LocalCloud
from tests.contract.lambdas import eventually
from tests.contract.state_machines import Machines, jsonata
from tests.contract.test_server import processes_naming

WAITING = 100
WORKERS = 64
"""Threads that MiniStack keeps for requests, at most; how many it has started depends on how many came at once."""


@pytest.fixture(scope="module")
def roomy_cloud() -> Iterator[LocalCloud]:
    """A local cloud whose account may start a function for each of the executions at once."""
    with LocalCloud.start(lambda_concurrency=2 * WAITING) as started:
        yield started


def server(cloud: LocalCloud) -> Path:
    """The server's own process in /proc."""
    (found,) = [
        Path("/proc", str(pid))
        for pid in processes_naming(str(cloud.state_dir))
        if b"-m\0local_cloud.server" in Path("/proc", str(pid), "cmdline").read_bytes()
        and b"keeper" not in Path("/proc", str(pid), "cmdline").read_bytes()
    ]
    return found


def status(process: Path, name: str) -> int:
    """A number of /proc/PID/status."""
    (line,) = [line for line in (process / "status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])


def cpu_seconds(process: Path) -> float:
    """What the process has used of the processors."""
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def start(machines: Machines, machine: str) -> dict[str, str]:
    """Executions that wait, and their tokens."""
    with ThreadPoolExecutor(8) as pool:
        executions = list(pool.map(lambda number: machines.start(machine, number), range(WAITING)))
        tokens = list(pool.map(machines.token, executions))
    listed = machines.api.list_executions(stateMachineArn=machine, statusFilter="RUNNING", maxResults=1000)
    assert len(listed["executions"]) == len(set(tokens)) == WAITING
    return dict(zip(executions, tokens, strict=True))


def end(machines: Machines, executions: dict[str, str]) -> None:
    """Answer every token with the number of its execution."""
    for number, token in enumerate(executions.values()):
        machines.api.send_task_success(taskToken=token, output=str(number))
    with ThreadPoolExecutor(8) as pool:
        outputs = [found["output"] for found in pool.map(machines.ended, executions)]
    assert outputs == list(range(WAITING))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hundred_executions_wait_and_end_without_a_trace(roomy_cloud: LocalCloud) -> None:
    machines = Machines(roomy_cloud)
    task = machines.waiting_task("a", TimeoutSeconds=300)
    machine = machines.create(jsonata({"A": task}, TimeoutSeconds=600))
    process = server(roomy_cloud)
    threads = status(process, "Threads") + WORKERS
    end(machines, start(machines, machine))  # starts as many functions and connections as there will be
    time.sleep(0.5)
    memory = status(process, "VmRSS")

    executions = start(machines, machine)
    assert status(process, "Threads") <= threads + 2 * WAITING
    assert (status(process, "VmRSS") - memory) / WAITING < 512
    used = cpu_seconds(process)
    time.sleep(1)
    assert cpu_seconds(process) - used < 0.5
    end(machines, executions)
    eventually(lambda: status(process, "Threads") <= threads, what="the end of the threads")
    assert (status(process, "VmRSS") - memory) / WAITING < 256
