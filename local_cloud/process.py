"""The local cloud as an object: started, asked for clients, given faults, ended without a trace."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
ACCOUNT = "000000000000"
REGION = "us-east-1"
START_SECONDS = 60.0
KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "OMP_NUM_THREADS",
    "TORCH_HOME",
    "SYSTEMROOT",
)
"""What the server gets of the starter's environment: what a training job needs to fetch weights, no credentials."""
KEEPER = (sys.executable, "-S", "-E", str(Path(__file__).with_name("keeper.py")))
"""Begins a command that is to end with its starter, however that one ends."""
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LocalCloudError(Exception):
    """The local cloud did not start, or refused what was asked; the message says why."""


class LocalCloud:
    """A running local cloud; a context manager. It ends with the process that started it, however that one ends."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, keys: tuple[str, str], state_dir: Path) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.port = port
        self.state_dir = state_dir
        self.log_path = state_dir / "server.log"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": keys[0],
            "AWS_SECRET_ACCESS_KEY": keys[1],
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }
        self._process = process
        self._log = os.open(self.log_path, os.O_RDONLY)
        self._session = boto3.session.Session(
            aws_access_key_id=keys[0], aws_secret_access_key=keys[1], region_name=REGION
        )
        self._session_lock = threading.Lock()

    @classmethod
    def start(
        cls,
        *,
        trainer: str = "stub",
        state_dir: Path | None = None,
        port: int | None = None,
        provision_seconds: float = 0.2,
        stop_grace_seconds: float = 5.0,
        checkpoint_sync_seconds: float = 1.0,
        lambda_retry_seconds: float = 0.5,
        lambda_concurrency: int = 10,
        environment: Mapping[str, str] | None = None,
    ) -> LocalCloud:
        """Start one and return when it answers.

        `lambda_concurrency` is how many functions the account may run at once; 10 is what a new account has.
        `environment` adds TRAINDROP_* variables of the adapters. Without `port` a free one is taken. LocalCloudError
        carries the end of the server's log.
        """
        for attempt in range(5):
            state = _new_state_dir(state_dir)
            chosen = port or _free_port()
            keys = _new_keys()
            settings = {
                "TRAINDROP_TRAINER": trainer,
                "TRAINDROP_PROVISION_SECONDS": str(provision_seconds),
                "TRAINDROP_STOP_GRACE_SECONDS": str(stop_grace_seconds),
                "TRAINDROP_CHECKPOINT_SYNC_SECONDS": str(checkpoint_sync_seconds),
                "TRAINDROP_LAMBDA_RETRY_SECONDS": str(lambda_retry_seconds),
                "TRAINDROP_LAMBDA_CONCURRENCY": str(lambda_concurrency),
                "TRAINDROP_TRAINING_PYTHON": str(ROOT / ".venvs/training/bin/python"),
                "TRAINDROP_LAMBDA_PYTHON": str(ROOT / ".venvs/lambda/bin/python"),
                **(environment or {}),
            }
            try:
                cloud = cls(_spawn(state, chosen, keys, settings), chosen, keys, state)
            except BaseException:
                shutil.rmtree(state, ignore_errors=True)
                raise
            atexit.register(cloud.stop)
            try:
                cloud._wait_until_ready()
            except BaseException as error:
                cloud.stop()
                if port is None and attempt < 4 and "already in use" in str(error):
                    continue
                raise
            return cloud
        raise AssertionError("unreachable")

    def __enter__(self) -> LocalCloud:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of the administrator; `options` go to boto3."""
        return self._make("client", service, options)

    def resource(self, service: str, **options: Any) -> Any:
        """A boto3 resource of the administrator."""
        return self._make("resource", service, options)

    def inject(self, faults: Mapping[str, Any]) -> None:
        """Set the faults in place of the present ones; LocalCloudError says what is wrong with them."""
        self._ask("PUT", "faults", json.dumps(faults).encode())

    def clear_faults(self) -> None:
        """No faults any more."""
        self._ask("DELETE", "faults")

    def faults(self) -> dict[str, Any]:
        """The faults as they stand; what was taken is gone."""
        found: dict[str, Any] = json.loads(self._ask("GET", "faults"))
        return found

    def shares(self) -> dict[str, int]:
        """How many `calls` the faults of a share could meet since they were injected, and how many `failed`."""
        found: dict[str, int] = json.loads(self._ask("GET", "shares"))
        return found

    def wait(self) -> NoReturn:
        """Block while it runs; LocalCloudError carries the end of its log if it ends by itself."""
        self._process.wait()
        raise LocalCloudError(f"The local cloud ended by itself:\n{self._process_log()}")

    def stop(self) -> None:
        """End every process of it and remove its files; a second call does nothing."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            shutil.rmtree(self.state_dir, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._log)
        atexit.unregister(self.stop)

    def _make(self, kind: str, service: str, options: dict[str, Any]) -> Any:
        config = Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=60)
        if given := options.pop("config", None):
            config = config.merge(given)
        with self._session_lock:
            return getattr(self._session, kind)(service, **{"endpoint_url": self.endpoint, "config": config, **options})

    def _ask(self, method: str, name: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.endpoint}/_traindrop/{name}", data=body, method=method)  # noqa: S310
        try:
            with _direct.open(request, timeout=10) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise LocalCloudError(json.loads(error.read()).get("error", str(error))) from error

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise LocalCloudError(f"The local cloud ended at its start:\n{self._process_log()}")
            with contextlib.suppress(OSError, LocalCloudError, HTTPException, ValueError, KeyError):
                # Another local cloud on this port answers with another directory; the one started here then ends.
                if json.loads(self._ask("GET", "ready"))["state_dir"] == str(self.state_dir):
                    return
            time.sleep(0.05)
        raise LocalCloudError(f"The local cloud did not answer within {START_SECONDS:g} s:\n{self._process_log()}")

    def _process_log(self) -> str:
        """The end of what the server said; readable through the open file when the file itself is removed."""
        size = os.fstat(self._log).st_size
        return os.pread(self._log, 4000, max(0, size - 4000)).decode(errors="replace")


def _spawn(state: Path, port: int, keys: tuple[str, str], settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the keeper, which starts the server, both with an environment that holds nothing but this."""
    (state / "tmp").mkdir()
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment = {
        **kept,
        **settings,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "HOME": str(state),
        "TMPDIR": str(state / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "TRAINDROP_STATE_DIR": str(state),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": keys[0],
        "AWS_SECRET_ACCESS_KEY": keys[1],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with (state / "server.log").open("wb") as log:
        return subprocess.Popen(
            [*KEEPER, str(state), sys.executable, "-m", "local_cloud.server"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _new_state_dir(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="traindrop-")).resolve()
    wanted.mkdir(parents=True, exist_ok=True)
    if any(wanted.iterdir()):
        raise LocalCloudError(f"{wanted} is not empty; it is removed at the end, so give a folder of its own")
    return wanted.resolve()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def _new_keys() -> tuple[str, str]:
    """The administrator's access key of one local cloud; other users of the machine do not know it."""
    letters = string.ascii_uppercase + "234567"
    return "AKIA" + "".join(secrets.choice(letters) for _ in range(16)), secrets.token_urlsafe(30)
