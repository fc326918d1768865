"""One emptied host: its folders, the files SageMaker writes, the entry process; removed when the job leaves it."""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.errors import JobFailure
from local_cloud.sagemaker.inputs import download
from local_cloud.sagemaker.job import Job
from local_cloud.sagemaker.reaper import Reaper
from local_cloud.sagemaker.settings import Settings

OPT_ML = "/opt/ml"
FAILURE_LENGTH = 1024
_STUB = Path(__file__).with_name("stub_trainer.py")


class Host:
    """A fresh host for one attempt of a job. `/opt/ml` of the container is `<host>/opt/ml`."""

    def __init__(self, job: Job, settings: Settings, reaper: Reaper):
        self._job = job
        self._settings = settings
        self._reaper = reaper
        self.folder = settings.state_dir / "hosts" / f"{job.name}-{uuid.uuid4().hex[:8]}"
        for name in ("input/config", "input/data", "model", "output/data", "code"):
            (self.opt_ml / name).mkdir(parents=True)
        for name in ("root", "tmp"):
            (self.folder / name).mkdir()
        reaper.watch_folder(self.folder)
        self.checkpoints.mkdir(parents=True, exist_ok=True)

    @property
    def opt_ml(self) -> Path:
        """What the container sees as /opt/ml."""
        return self.folder / "opt" / "ml"

    @property
    def checkpoints(self) -> Path:
        """What the container sees as CheckpointConfig.LocalPath."""
        local = self._job.request.get("CheckpointConfig", {}).get("LocalPath", f"{OPT_ML}/checkpoints")
        return self.folder / str(local).lstrip("/")

    def download_inputs(self, s3: Any, *, cancelled: Callable[[], bool]) -> None:
        """Fetch every channel to /opt/ml/input/data/<channel>; JobFailure with SageMaker's text."""
        for channel in self._job.request.get("InputDataConfig", []):
            folder = self.opt_ml / "input" / "data" / channel["ChannelName"]
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            download(s3, uri, folder, role_arn=self._job.request["RoleArn"], cancelled=cancelled)

    def write_configuration(self) -> None:
        """Write /opt/ml/input/config as SageMaker does."""
        request = self._job.request
        channels = {
            channel["ChannelName"]: {
                "ContentType": channel.get("ContentType", ""),
                "TrainingInputMode": "File",
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in request.get("InputDataConfig", [])
        }
        instance = request["ResourceConfig"]["InstanceType"]
        group = {"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": ["algo-1"]}
        resources = {
            "current_host": "algo-1",
            "current_instance_type": instance,
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "instance_groups": [group],
            "network_interface_name": "lo",
        }
        files = {
            "hyperparameters": request.get("HyperParameters", {}),
            "inputdataconfig": channels,
            "resourceconfig": resources,
        }
        for name, content in files.items():
            (self.opt_ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")

    def start(
        self, credentials: dict[str, str], region: str, *, hold_after_epoch: int | None, stub_failure: str = ""
    ) -> Container:
        """Run the entry. With the stub trainer, `hold_after_epoch` makes it wait there to be interrupted."""
        environment = self._environment(credentials, region)
        if self._settings.trainer == "stub":
            command = [sys.executable, "-S", "-E", str(_STUB), str(self.opt_ml), str(self.checkpoints)]
            if self._settings.stub_seconds is not None:
                environment["TRAINDROP_STUB_SECONDS"] = str(self._settings.stub_seconds)
            if self._settings.stub_seconds_per_image is not None:
                environment["TRAINDROP_STUB_SECONDS_PER_IMAGE"] = str(self._settings.stub_seconds_per_image)
            if stub_failure:
                environment["TRAINDROP_STUB_FAILS_WITH"] = stub_failure
            if hold_after_epoch is not None:
                environment["TRAINDROP_STUB_HOLD_AFTER_EPOCH"] = str(hold_after_epoch)
        else:
            algorithm = self._job.request["AlgorithmSpecification"]
            command = [*algorithm.get("ContainerEntrypoint", []), *algorithm.get("ContainerArguments", [])]
            command = [self._translate(word) for word in command]
            if "ContainerEntrypoint" not in algorithm:
                raise JobFailure(
                    "ClientError: CannotStartContainerError. The local cloud has no image to run;"
                    " AlgorithmSpecification.ContainerEntrypoint is needed."
                )
        return Container(command, folder=self.folder, environment=environment, reaper=self._reaper)

    def failure_message(self) -> str:
        """The beginning of /opt/ml/output/failure, which becomes part of the FailureReason; empty without one."""
        with contextlib.suppress(OSError):
            return (self.opt_ml / "output" / "failure").read_text("utf-8", "replace")[:FAILURE_LENGTH]
        return ""

    def remove(self) -> None:
        """Leave nothing of the host."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():  # folders that the training made unwritable
            for folder in [self.folder, *self.folder.rglob("*/")]:
                with contextlib.suppress(OSError):
                    folder.chmod(stat.S_IRWXU)
            shutil.rmtree(self.folder, ignore_errors=True)
        self._reaper.forget_folder(self.folder)

    def _environment(self, credentials: dict[str, str], region: str) -> dict[str, str]:
        """What a container gets, and nothing of the server's own environment. As on AWS, no AWS_DEFAULT_REGION."""
        given = {name: self._translate(value) for name, value in self._job.request.get("Environment", {}).items()}
        return {
            "PATH": f"{self._settings.training_python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder / "root"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AWS_REGION": region,
            "AWS_ENDPOINT_URL": self._settings.endpoint,
            "TRAINING_JOB_NAME": self._job.name,
            "TRAINING_JOB_ARN": self._job.arn,
            **credentials,
            **given,
        }

    def _translate(self, word: str) -> str:
        """Map a path below /opt/ml to this host."""
        if word == OPT_ML or word.startswith(f"{OPT_ML}/"):
            return str(self.opt_ml) + word[len(OPT_ML) :]
        return word
