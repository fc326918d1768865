"""Reads what a container prints while it runs: to CloudWatch Logs, and line by line to the job's metrics."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.metrics import Observation

logger = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
FLUSH_SECONDS = 0.5
_MAX_LINE_BYTES = 256 * 1024 - 26
_MAX_BATCH_BYTES = 1024 * 1024
_MAX_BATCH_EVENTS = 10_000


class LogPump:
    """A thread that ends with the stream."""

    def __init__(
        self,
        stream: IO[bytes],
        *,
        deliver: Delivery,
        on_line: Callable[[str, float], list[Observation]],
        on_end: Callable[[], None],
    ):
        """`on_line` gets each line and the time it was read, and answers the metrics in it."""
        self._stream = stream
        self._deliver = deliver
        self._on_line = on_line
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name="sagemaker-log-pump", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait until everything that was printed has been delivered."""
        self._thread.join(timeout)

    def _run(self) -> None:
        descriptor = self._stream.fileno()
        poll = select.poll()  # no select: the server may have more files open than that can name
        poll.register(descriptor, select.POLLIN)
        rest = b""
        last_flush = time.monotonic()
        try:
            while True:
                chunk = os.read(descriptor, 65_536) if poll.poll(FLUSH_SECONDS * 1000) else None
                if chunk:
                    *lines, rest = (rest + chunk).split(b"\n")
                    self._take(lines)
                if chunk == b"":
                    break
                if time.monotonic() - last_flush >= FLUSH_SECONDS:
                    self._deliver.flush()
                    last_flush = time.monotonic()
            if rest:
                self._take([rest])
            self._deliver.flush()
        finally:
            self._stream.close()
            self._on_end()

    def _take(self, lines: list[bytes]) -> None:
        for raw in lines:
            now = time.time()
            line = raw.decode("utf-8", "replace").rstrip("\r")
            self._deliver.add(line, now, self._on_line(line, now))


class Delivery:
    """Log lines and metric values on their way to CloudWatch, sent in batches with the execution role's credentials.

    Where the role may not write logs or metrics there are none and the job goes on, as on AWS.
    """

    def __init__(self, logs: Any, cloudwatch: Any, *, job: str, stream: str):
        self._logs = logs
        self._cloudwatch = cloudwatch
        self._job = job
        self._stream = stream
        self._open: bool | None = None
        self._lines: list[dict[str, Any]] = []
        self._values: list[Observation] = []

    def add(self, line: str, now: float, observations: list[Observation]) -> None:
        """Keep a line and the metrics in it for the next flush. CloudWatch takes no empty message."""
        encoded = line.encode()
        for start in range(0, len(encoded), _MAX_LINE_BYTES):
            message = encoded[start : start + _MAX_LINE_BYTES].decode("utf-8", "replace")
            self._lines.append({"timestamp": int(now * 1000), "message": message})
        self._values += observations

    def flush(self) -> None:
        """Send what has come together; a refusal is logged and the data dropped."""
        lines, self._lines = self._lines, []
        values, self._values = self._values, []
        try:
            if lines and self._create():
                for batch in _batches(lines):
                    self._logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=self._stream, logEvents=batch)
            for start in range(0, len(values), 500):
                self._cloudwatch.put_metric_data(
                    Namespace=LOG_GROUP,
                    MetricData=[self._datum(item) for item in values[start : start + 500]],
                )
        except (ClientError, BotoCoreError) as error:
            logger.warning("logs or metrics of %s were not delivered: %s", self._job, error)

    def _datum(self, item: Observation) -> dict[str, Any]:
        dimensions = [{"Name": "TrainingJobName", "Value": self._job}]
        return {"MetricName": item.name, "Value": item.value, "Timestamp": item.time, "Dimensions": dimensions}

    def _ensure(self, create: Callable[..., Any], **names: str) -> None:
        try:
            create(**names)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "AccessDeniedException" and "logStreamName" not in names:
                return  # the group may be there already, made by a role that may
            if code != "ResourceAlreadyExistsException":
                raise

    def _create(self) -> bool:
        """Create group and stream before the first line."""
        if self._open is None:
            self._open = False
            self._ensure(self._logs.create_log_group, logGroupName=LOG_GROUP)
            # Two short-lived hosts of a job may have started in one second and share a stream, then.
            self._ensure(self._logs.create_log_stream, logGroupName=LOG_GROUP, logStreamName=self._stream)
            self._open = True
        return self._open


def _batches(lines: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Split by what one PutLogEvents takes."""
    batches: list[list[dict[str, Any]]] = [[]]
    size = 0
    for line in lines:
        weight = len(line["message"].encode()) + 26
        if batches[-1] and (size + weight > _MAX_BATCH_BYTES or len(batches[-1]) >= _MAX_BATCH_EVENTS):
            batches.append([])
            size = 0
        batches[-1].append(line)
        size += weight
    return batches
