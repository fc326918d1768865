"""The process of a training container: its own session and group, a clean environment, killed as one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from local_cloud.sagemaker.errors import JobFailure
from local_cloud.sagemaker.reaper import Reaper


class Container:
    """A started entry process and everything it starts."""

    def __init__(self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], reaper: Reaper):
        """Start it; JobFailure with SageMaker's text where the command cannot be run."""
        self._reaper = reaper
        try:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise JobFailure(
                "ClientError: CannotStartContainerError. Please make sure the container can be run with"
                f" 'docker run <image> train'. ({error})"
            ) from error
        reaper.watch_group(self._process.pid)

    @property
    def group(self) -> int:
        """The process group, which has the number of its first process."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """Stdout and stderr, as one stream."""
        assert self._process.stdout is not None  # noqa: S101 - Popen was given a pipe
        return self._process.stdout

    def exit_code(self) -> int | None:
        """The exit code as a container reports it (128 + signal); None while the entry runs."""
        code = self._process.poll()
        if code is None:
            return None
        return 128 - code if code < 0 else code

    def terminate(self) -> None:
        """SIGTERM to the entry alone, as Docker sends it to process 1."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group, at once; returns when the entry is gone. Also ends what a finished entry left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reaper.forget_group(self._process.pid)
