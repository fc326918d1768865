"""The local cloud starts with what it needs, opens one port, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local_cloud import hooks
from local_cloud.process import ROOT, LocalCloud, LocalCloudError
from tests.contract.lambdas import eventually, function, invoke

PROC = Path("/proc")
needs_proc = pytest.mark.skipif(not PROC.joinpath("self/net/tcp").exists(), reason="reads /proc")


def processes_naming(text: str) -> list[int]:
    """Processes whose command line or environment has the text, this one not counted."""
    found = []
    for entry in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            seen = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if text.encode() in seen and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def listening(pids: list[int]) -> list[str]:
    """Local addresses on which these processes listen, Runtime APIs of functions included."""
    inodes = set()
    for pid in pids:
        for descriptor in (PROC / str(pid) / "fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = []
    for table in ("tcp", "tcp6"):
        for line in PROC.joinpath("self/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.append(fields[1])
    return found


@needs_proc
def test_one_port_is_open_and_only_on_loopback() -> None:
    with LocalCloud.start() as cloud:
        cloud.client("sts").get_caller_identity()
        pids = processes_naming(str(cloud.state_dir))
        assert len(pids) >= 2
        assert listening(pids) == [f"0100007F:{cloud.port:04X}"]


@needs_proc
def test_after_the_end_there_is_no_process_no_port_and_no_file() -> None:
    with LocalCloud.start() as cloud:
        assert invoke(cloud, function(cloud, "def handler(event, context): return 1")) == (1, None)
        state, port = str(cloud.state_dir), cloud.port
        assert processes_naming(state)
        with pytest.raises(LocalCloudError, match="already in use"):
            LocalCloud.start(port=port)
    assert not processes_naming(state)
    assert not Path(state).exists()
    cloud.stop()
    with LocalCloud.start(port=port) as again:
        assert again.port == port


STARTER = """
import sys, time
from local_cloud.process import LocalCloud
cloud = LocalCloud.start()
print(cloud.state_dir, flush=True)
time.sleep(60)
"""


@needs_proc
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_starter_however_that_one_ends(ending: signal.Signals) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert starter.stdout is not None
    state = starter.stdout.readline().strip()
    assert processes_naming(state)
    starter.send_signal(ending)
    starter.wait(10)
    starter.stdout.close()
    eventually(lambda: not processes_naming(state) and not Path(state).exists(), what="the end of everything")


@needs_proc
@pytest.mark.parametrize("victim", ["keeper.py", "local_cloud.server"])
def test_it_ends_when_one_of_its_own_processes_is_killed(victim: str) -> None:
    cloud = LocalCloud.start()
    invoke(cloud, function(cloud, "def handler(event, context): return 1"))
    state = str(cloud.state_dir)
    (pid,) = [
        pid
        for pid in processes_naming(state)
        if victim.encode() in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[3 if victim == "keeper.py" else 2]
    ]
    os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: not processes_naming(state) and not Path(state).exists(), within=20, what="the end of everything"
    )
    with pytest.raises(LocalCloudError, match=r"ended by itself:\n(.|\n)*Running on http"):
        cloud.wait()
    cloud.stop()


def test_it_is_ready_within_seconds_and_several_run_side_by_side() -> None:
    started = time.monotonic()
    with LocalCloud.start() as one, LocalCloud.start() as two:
        assert time.monotonic() - started < 30
        assert one.port != two.port
        one.client("s3").create_bucket(Bucket="only-in-one")
        assert two.client("s3").list_buckets()["Buckets"] == []


def test_a_state_directory_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(LocalCloudError, match="not empty"):
        LocalCloud.start(state_dir=tmp_path)
    assert (tmp_path / "mine").exists()


def test_the_starters_credentials_and_endpoint_do_not_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("SECRET_OF_THE_STARTER", "x")
    monkeypatch.delenv("AWS_PROFILE")
    with LocalCloud.start() as cloud:
        name = function(cloud, "import os\ndef handler(event, context): return dict(os.environ)")
        environment, _ = invoke(cloud, name)
        assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint
        assert "SECRET_OF_THE_STARTER" not in environment


def test_another_version_of_ministack_or_moto_is_refused_with_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.check_versions()
    monkeypatch.setitem(hooks.VERSIONS, "ministack", "9.9")
    with pytest.raises(hooks.HookMissing, match=r"needs ministack 9\.9 and found 1\.5\.33"):
        hooks.check_versions()


def test_a_hook_that_is_gone_or_changed_is_named() -> None:
    with pytest.raises(hooks.HookMissing, match=r"hooks\.nothing does not exist"):
        hooks.replace(hooks, "nothing", "", lambda original: original)
    with pytest.raises(hooks.HookMissing, match=r"takes \(\) and not \(a b\)"):
        hooks.replace(hooks, "check_versions", "a b", lambda original: original)
    with pytest.raises(hooks.HookMissing, match="has no nothing"):
        hooks.require(hooks, "nothing", "check_versions")


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(LocalCloudError, match="TRAINDROP_TRAINER"):
        LocalCloud.start(trainer="none")
