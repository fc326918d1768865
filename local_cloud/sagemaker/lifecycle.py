"""The life of one training job over its hosts, from Starting to its final status.

Managed spot: SageMaker warns a host two minutes before it takes it away, and the checkpoint folder is synced in that
time. Here the interruption comes as one SIGKILL to the whole group, a moment after the line of the chosen epoch,
once the checkpoint of that epoch is in S3 (waiting ten seconds at most), so that at most the epoch then running is
lost. Or it comes at a moment that was chosen beforehand, wherever the entry is then, in the middle of writing a
checkpoint too; what lies in the checkpoint folder is still synced, as it is. The next host starts empty; only the
checkpoint folder is restored, and only from S3.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, Protocol

from local_cloud.sagemaker import archive, billing, rules
from local_cloud.sagemaker.checkpoints import CheckpointSync
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.errors import Cancelled, InternalFailure, JobFailure
from local_cloud.sagemaker.host import Host
from local_cloud.sagemaker.interruption import Interruption
from local_cloud.sagemaker.job import Job, now_in_milliseconds
from local_cloud.sagemaker.log_pump import Delivery, LogPump
from local_cloud.sagemaker.metrics import MetricDefinitions, Observation
from local_cloud.sagemaker.reaper import Reaper
from local_cloud.sagemaker.settings import Settings

logger = logging.getLogger(__name__)

CAPACITY_ERROR = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
INTERRUPTION_DELAY_SECONDS = 0.2
INTERRUPTION_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.1
_LOG_PATIENCE_SECONDS = 15.0


class Faults(Protocol):
    """The faults of training that the local cloud can inject."""

    def take_capacity_error(self) -> bool: ...  # noqa: D102
    def take_internal_error(self) -> bool: ...  # noqa: D102
    def interruption_for(self, host: int) -> int | None: ...  # noqa: D102
    def interruption_seconds_for(self, host: int) -> float | None: ...  # noqa: D102
    def spot_never_arrives(self, instance_type: str, host: int) -> bool: ...  # noqa: D102
    def stub_failure(self) -> str: ...  # noqa: D102


class RoleSession(Protocol):
    """Clients and credentials of a job's execution role."""

    region: str

    def client(self, service: str) -> Any: ...  # noqa: D102
    def credentials(self) -> dict[str, str]: ...  # noqa: D102


@dataclass(frozen=True)
class Ending:
    """Why the entry no longer runs: `exit`, `stopped`, `max_runtime`, `max_wait` or `interrupted`."""

    cause: str
    exit_code: int = 0


class TrainingRun:
    """Runs one job in the calling thread."""

    def __init__(self, job: Job, settings: Settings, faults: Faults, role: RoleSession, reaper: Reaper):
        self._job = job
        self._settings = settings
        self._faults = faults
        self._role = role
        self._reaper = reaper
        self._host_seconds: list[float] = []
        self._host_since: float | None = None
        self._restarts_left = int(job.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0))

    def run(self) -> None:
        """Take the job to a final status, whatever happens."""
        try:
            status, secondary = self._over_hosts()
            self._finish(status, secondary)
        except JobFailure as failure:
            self._finish("Failed", "Failed", str(failure))
        except Exception:
            logger.exception("training job %s", self._job.name)
            self._finish("Failed", "Failed", str(InternalFailure()))

    def _finish(self, status: str, secondary: str, reason: str | None = None) -> None:
        fields = {}
        if self._host_seconds:
            training = billing.training_seconds(self._host_seconds)
            billable = billing.billable_seconds(training, spot=self._job.spot)
            fields = {"TrainingTimeInSeconds": training, "BillableTimeInSeconds": billable}
        if status == "Stopped" and self._job.status == "InProgress":
            self._job.stopping()
        self._job.finish(status, secondary, reason=reason, **fields)

    def _over_hosts(self) -> tuple[str, str]:
        """Status and secondary status at the end."""
        number = 0
        message = None
        while True:
            number += 1
            self._job.advance("Starting", message)
            if (early := self._provision(number)) is not None:
                return early
            try:
                ending = self._on_host(number)
            except InternalFailure:
                if self._restarts_left == 0:
                    raise
                self._restarts_left -= 1
                self._job.advance("Restarting")
                continue
            if ending.cause != "interrupted":
                return _final_status(ending)

    def _provision(self, number: int) -> tuple[str, str] | None:
        """Wait for capacity; the final status of a job that ends before it gets any.

        A job that had a host waits for the next one; only the first can end in CapacityError.
        """
        instance_type = self._job.request["ResourceConfig"]["InstanceType"]
        ready = time.monotonic() + self._settings.provision_seconds
        while time.monotonic() < ready or (self._job.spot and self._faults.spot_never_arrives(instance_type, number)):
            if (cause := self._reason_to_stop()) is not None:
                self._job.stopping()
                return _final_status(Ending(cause))
            self._pause(min(_POLL_SECONDS, max(0.0, ready - time.monotonic()) or _POLL_SECONDS))
        if number == 1 and self._faults.take_capacity_error():
            raise JobFailure(CAPACITY_ERROR)
        return None

    def _on_host(self, number: int) -> Ending:
        """Everything that one host does for the job, from Downloading on; the host is gone afterwards."""
        host = Host(self._job, self._settings, self._reaper)
        self._host_since = time.monotonic()
        try:
            started: dict[str, Any] = {} if self._host_seconds else {"TrainingStartTime": now_in_milliseconds()}
            self._job.advance("Downloading", **started)
            try:
                return self._train(host, number)
            except Cancelled:
                self._job.stopping()
                return Ending(self._reason_to_stop() or "stopped")
        finally:
            self._host_seconds.append(time.monotonic() - self._host_since)
            self._host_since = None
            host.remove()

    def _train(self, host: Host, number: int) -> Ending:
        if self._faults.take_internal_error():
            raise InternalFailure
        s3 = self._role.client("s3")
        sync = self._checkpoint_sync(host, s3)
        host.download_inputs(s3, cancelled=self._must_stop)
        if sync is not None:
            sync.restore(role_arn=self._job.request["RoleArn"], cancelled=self._must_stop)
        host.write_configuration()
        if self._must_stop():
            raise Cancelled
        after_epoch = self._faults.interruption_for(number) if self._job.spot else None
        after_seconds = self._faults.interruption_seconds_for(number) if self._job.spot else None
        container = host.start(
            self._role.credentials(),
            self._role.region,
            hold_after_epoch=after_epoch,
            stub_failure=self._faults.stub_failure(),
        )
        try:
            self._job.advance("Training")
            interruption = Interruption(time.time(), after_epoch, after_seconds)
            pump = self._pump(container, interruption)
            ending = self._watch(container, sync, interruption)
        finally:
            container.kill()
        pump.join(_LOG_PATIENCE_SECONDS)
        if ending.cause == "interrupted":
            self._job.advance("Interrupted")
            return ending
        if sync is not None:
            sync.push()
        self._upload(host, s3, ending)
        return ending

    def _checkpoint_sync(self, host: Host, s3: Any) -> CheckpointSync | None:
        configuration = self._job.request.get("CheckpointConfig")
        return CheckpointSync(s3, configuration["S3Uri"], host.checkpoints) if configuration else None

    def _pump(self, container: Container, interruption: Interruption) -> LogPump:
        definitions = MetricDefinitions(self._job.request["AlgorithmSpecification"].get("MetricDefinitions", []))

        def on_line(line: str, now: float) -> list[Observation]:
            values = definitions.observe(line, now)
            if values:
                self._job.observed(values)
            if interruption.line(line, now):
                self._job.wake.set()
            return values

        stream = f"{self._job.name}/algo-1-{int(time.time())}"
        role = self._role
        deliver = Delivery(role.client("logs"), role.client("cloudwatch"), job=self._job.name, stream=stream)
        return LogPump(container.output, deliver=deliver, on_line=on_line, on_end=self._job.wake.set)

    def _watch(self, container: Container, sync: CheckpointSync | None, interruption: Interruption) -> Ending:
        """Keep syncing checkpoints until the entry ends or must end."""
        next_sync = time.monotonic() + self._settings.checkpoint_sync_seconds
        while True:
            if (code := container.exit_code()) is not None:
                return Ending("exit", code)
            if (cause := self._reason_to_stop()) is not None:
                self._job.stopping()
                return self._terminate(container, sync, cause)
            if interruption.is_over(time.time()):
                return self._take_away(container, sync)
            if interruption.due is not None:
                return self._interrupt(container, sync, interruption)
            if sync is not None and time.monotonic() >= next_sync:
                sync.push()
                next_sync = time.monotonic() + self._settings.checkpoint_sync_seconds
            self._pause(_POLL_SECONDS)

    def _terminate(self, container: Container, sync: CheckpointSync | None, cause: str) -> Ending:
        """SIGTERM, the grace period, SIGKILL."""
        container.terminate()
        deadline = time.monotonic() + self._settings.stop_grace_seconds
        next_sync = time.monotonic()
        while time.monotonic() < deadline and container.exit_code() is None:
            if sync is not None and time.monotonic() >= next_sync:
                sync.push()
                next_sync = time.monotonic() + self._settings.checkpoint_sync_seconds
            self._pause(_POLL_SECONDS)
        container.kill()
        return Ending(cause, container.exit_code() or 0)

    def _take_away(self, container: Container, sync: CheckpointSync | None) -> Ending:
        """Take the host away in the middle of whatever it is doing."""
        container.kill()
        if sync is not None:
            sync.push()
        return Ending("interrupted")

    def _interrupt(self, container: Container, sync: CheckpointSync | None, interruption: Interruption) -> Ending:
        """Take the host away once the epoch's checkpoint is in S3; the entry may end by itself before."""
        due = interruption.due or time.time()
        while time.time() < due + INTERRUPTION_PATIENCE_SECONDS:
            busy = sync is not None and sync.push()
            written = sync is None or sync.newest_change() >= interruption.epoch_began()
            if written and not busy and time.time() >= due + INTERRUPTION_DELAY_SECONDS:
                break
            if (code := container.exit_code()) is not None:
                return Ending("exit", code)
            time.sleep(_POLL_SECONDS / 2)
        if self._job.stop_requested:
            return self._terminate(container, sync, "stopped")
        container.kill()
        return Ending("interrupted")

    def _upload(self, host: Host, s3: Any, ending: Ending) -> None:
        """Upload what the job produced; raise JobFailure for an entry that failed, as its last act.

        A failed job's model is not uploaded, its output/data is.
        """
        failed = ending.cause == "exit" and ending.exit_code != 0
        self._job.advance("Uploading")
        outputs = [("output", host.opt_ml / "output" / "data")]
        if not failed:
            outputs.insert(0, ("model", host.opt_ml / "model"))
        for name, folder in outputs:
            packed = host.folder / f"{name}.tar.gz"
            if archive.pack(folder, packed):
                archive.upload(s3, packed, archive.output_uri(self._job.request, packed.name))
        if failed:
            raise JobFailure(f"AlgorithmError: {host.failure_message()}, exit code: {ending.exit_code}")

    def _reason_to_stop(self) -> str | None:
        """`stopped`, `max_runtime` or `max_wait` when the job's time is over."""
        if self._job.stop_requested:
            return "stopped"
        running = time.monotonic() - self._host_since if self._host_since is not None else 0.0
        if sum(self._host_seconds) + running > rules.max_runtime(self._job.request):
            return "max_runtime"
        wait = rules.max_wait(self._job.request)
        return "max_wait" if wait is not None and time.time() - self._job.created > wait else None

    def _must_stop(self) -> bool:
        return self._reason_to_stop() is not None

    def _pause(self, seconds: float) -> None:
        """Sleep, but not past a stop request, a due interruption or the end of the log."""
        if self._job.wake.wait(seconds):
            self._job.wake.clear()


def _final_status(ending: Ending) -> tuple[str, str]:
    return {
        "exit": ("Completed", "Completed"),
        "stopped": ("Stopped", "Stopped"),
        "max_runtime": ("Stopped", "MaxRuntimeExceeded"),
        "max_wait": ("Stopped", "MaxWaitTimeExceeded"),
    }[ending.cause]
