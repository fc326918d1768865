"""SageMaker's training API, registered in MiniStack as the service `sagemaker`.

Times of the API are epoch seconds; jobs run in threads of the server and in processes of their own, which are gone
when the server is, however it ends.
"""

from __future__ import annotations

import atexit
import json
import logging
import shutil
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import ClientError
from ministack import app
from ministack.core import router
from ministack.core.concurrency import run_reentrant
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from local_cloud import hooks
from local_cloud.sagemaker import authorisation, inputs, quotas, rules, validation
from local_cloud.sagemaker.authorisation import ExecutionRole
from local_cloud.sagemaker.errors import ApiError, ValidationError
from local_cloud.sagemaker.job import TERMINAL, Job
from local_cloud.sagemaker.lifecycle import Faults, TrainingRun
from local_cloud.sagemaker.listing import list_jobs
from local_cloud.sagemaker.reaper import Reaper
from local_cloud.sagemaker.settings import Settings

logger = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], bytes]
EVENT = "SageMaker Training Job State Change"


class ServiceFaults(Faults, Protocol):
    """The faults of the API and of jobs."""

    def take_quota_error(self) -> bool: ...  # noqa: D102


Emit = Callable[[str, str, dict[str, Any], list[str], str, str], None]


class TrainingService:
    """The jobs of this server and the operations on them."""

    def __init__(self, settings: Settings, *, emit: Emit, faults: ServiceFaults):
        self.settings = settings
        self._emit = emit
        self._faults = faults
        self._jobs: Any = AccountRegionScopedDict()
        self._creating = threading.Lock()
        self._reaper = Reaper()
        self._threads: set[threading.Thread] = set()

    def create(self, headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob: everything that AWS finds out at once is answered here, the rest fails the job."""
        authorisation.check_create(headers, request)
        rules.check_create(request)
        name, arn = request["TrainingJobName"], authorisation.job_arn(request["TrainingJobName"])
        self._refuse_repeated(name)
        authorisation.check_role(request["RoleArn"], arn)
        region, account = get_region(), get_account_id()
        role = ExecutionRole(request["RoleArn"], self.settings.endpoint)
        try:
            for channel in request.get("InputDataConfig", []):
                _check_input(role, channel["DataSource"]["S3DataSource"]["S3Uri"], request["RoleArn"])
            with self._creating:
                self._refuse_repeated(name)
                self._check_quota(request)
                job = Job(
                    request,
                    arn=arn,
                    publish=lambda detail: self._emit("aws.sagemaker", EVENT, detail, [arn], region, account),
                )
                self._jobs[name] = job
        except BaseException:
            role.close()
            raise
        thread = threading.Thread(target=self._run, args=(job, role), name=f"sagemaker-{name}", daemon=True)
        self._threads.add(thread)
        thread.start()
        return {"TrainingJobArn": arn}

    def describe(self, headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
        """DescribeTrainingJob."""
        return self._find(headers, "DescribeTrainingJob", request["TrainingJobName"]).describe()

    def stop(self, headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
        """StopTrainingJob: the job is Stopping when this returns."""
        self._find(headers, "StopTrainingJob", request["TrainingJobName"]).request_stop()
        return {}

    def delete(self, headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
        """DeleteTrainingJob: only a finished job; its name is free again."""
        job = self._find(headers, "DeleteTrainingJob", request["TrainingJobName"])
        if job.status not in TERMINAL:
            raise ApiError("ResourceInUse", f"Training job {job.name} cannot be deleted in status {job.status}.")
        del self._jobs[job.name]
        return {}

    def list(self, headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs."""
        authorisation.check(headers, "sagemaker:ListTrainingJobs", "*")
        return list_jobs(request, self._jobs.values())

    def add_tags(self, headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
        """AddTags to a job; existing keys get the new value."""
        added = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        job = self._tagged(headers, "AddTags", request, authorisation.tag_context(added))
        rules.check_tags(request["Tags"])
        if len(job.tags | added) > 50:
            raise ApiError("ResourceLimitExceeded", "The number of tags exceeds the limit of 50.")
        job.tags |= added
        return {"Tags": _tag_list(job)}

    def list_tags(self, headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
        """ListTags of a job, in one page."""
        return {"Tags": _tag_list(self._tagged(headers, "ListTags", request))}

    def reset(self) -> None:
        """Stop and forget every job."""
        for job in list(self._jobs._data.values()):
            if job.status not in TERMINAL:
                job.request_stop()
        self._jobs.clear()

    def close(self) -> None:
        """Kill what runs and remove what is on disk."""
        self._reaper.close()
        shutil.rmtree(self.settings.state_dir / "hosts", ignore_errors=True)

    def _run(self, job: Job, role: ExecutionRole) -> None:
        try:
            TrainingRun(job, self.settings, self._faults, role, self._reaper).run()
        finally:
            role.close()
            self._threads.discard(threading.current_thread())

    def _refuse_repeated(self, name: str) -> None:
        if name in self._jobs:
            raise ApiError(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a training job with this"
                f" name already exists ({authorisation.job_arn(name)})",
            )

    def _check_quota(self, request: dict[str, Any]) -> None:
        """Refuse a job above the quota of its instance type; spot and on-demand have quotas of their own."""
        instance, spot = request["ResourceConfig"]["InstanceType"], bool(request.get("EnableManagedSpotTraining"))
        name = quotas.name_of(instance, spot=spot)
        quota = quotas.value_of(name, self.settings.instance_quota)
        used = sum(
            job.status not in TERMINAL and job.spot == spot
            for job in self._jobs.values()
            if job.request["ResourceConfig"]["InstanceType"] == instance
        )
        if self._faults.take_quota_error():
            quota, used = 0, 0
        if used >= quota:
            raise ApiError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{name}' is {quota} Instances, with current utilization of {used}"
                " Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase"
                " for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase"
                " for this quota.",
            )

    def _find(self, headers: dict[str, str], operation: str, name: str) -> Job:
        job: Job | None = self._jobs.get(name)
        tags = job.tags if job is not None else {}
        context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        authorisation.check(headers, f"sagemaker:{operation}", authorisation.job_arn(name), context)
        if job is None:
            raise ValidationError("Requested resource not found.")
        return job

    def _tagged(
        self, headers: dict[str, str], operation: str, request: dict[str, Any], context: dict[str, Any] | None = None
    ) -> Job:
        arn = request["ResourceArn"]
        authorisation.check(headers, f"sagemaker:{operation}", arn, context)
        jobs: list[Job] = self._jobs.values()
        for job in jobs:
            if job.arn == arn:
                return job
        raise ValidationError("Requested resource not found.")


def _check_input(role: ExecutionRole, uri: str, role_arn: str) -> None:
    """AWS looks at every input prefix with the execution role before it accepts the job."""
    try:
        found = inputs.list_keys(role.client("s3"), uri, limit=1)
    except ClientError as error:
        raise ValidationError(inputs.no_objects(uri, role_arn, error)) from error
    if not found:
        raise ValidationError(inputs.no_objects(uri, role_arn))


def _tag_list(job: Job) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in job.tags.items()]


_service: TrainingService | None = None
_OPERATIONS: dict[str, Callable[[TrainingService, dict[str, str], dict[str, Any]], dict[str, Any]]] = {
    "CreateTrainingJob": TrainingService.create,
    "DescribeTrainingJob": TrainingService.describe,
    "ListTrainingJobs": TrainingService.list,
    "StopTrainingJob": TrainingService.stop,
    "DeleteTrainingJob": TrainingService.delete,
    "AddTags": TrainingService.add_tags,
    "ListTags": TrainingService.list_tags,
}


async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Response:  # noqa: ARG001
    """MiniStack's entry to the service: one JSON 1.1 request."""
    return await run_reentrant(_answer, headers, body, thread_name="sagemaker-api")  # type: ignore[no-any-return]


def _answer(headers: dict[str, str], body: bytes) -> Response:
    try:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ApiError("SerializationException", "") from error
        validation.validate(operation, request)
        if operation not in _OPERATIONS or _service is None:
            raise ApiError("UnknownOperationException", f"The local cloud does not have SageMaker's {operation}.")
        return _response(200, _OPERATIONS[operation](_service, headers, request))
    except ApiError as error:
        return _response(error.status, {"__type": error.code, "message": error.message})


def _response(status: int, content: dict[str, Any]) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()


def reset() -> None:
    """What MiniStack calls for `/_ministack/reset`."""
    if _service is not None:
        _service.reset()


def install(*, settings: Settings | None = None, emit: Emit | None = None, faults: ServiceFaults | None = None) -> None:
    """Register the service in MiniStack; called once, before the server starts."""
    global _service
    if emit is None:
        from local_cloud import events

        emit = events.emit
    if faults is None:
        from local_cloud import faults as injected

        faults = injected
    hooks.require(app, "SERVICE_REGISTRY", "SERVICE_HANDLERS", "_loaded_modules", "_lazy_handler", "AUTH")
    hooks.require(router, "SERVICE_PATTERNS")
    authorisation.require_hooks()
    _service = TrainingService(settings or Settings.from_environment(), emit=emit, faults=faults)
    atexit.register(_service.close)
    app.SERVICE_REGISTRY["sagemaker"] = {"module": "sagemaker"}
    app._loaded_modules["sagemaker"] = sys.modules[__name__]
    app.SERVICE_HANDLERS["sagemaker"] = app._lazy_handler("sagemaker")
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker."], "host_patterns": [r"api\.sagemaker\."]}
