"""Names of the errors that services answer a task with, as Step Functions names them.

An optimised integration names an error that the service declares (`Lambda.ResourceNotFoundException`) and calls any
other by the service (`Lambda.AWSLambdaException`: that is how a missing permission looks); a call that did not come
through is `…SdkClientException`. AWS SDK integrations do the same in their own spelling (`S3.S3Exception`). moto
passes codes on as they come and takes failed connections for errors of the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.services import stepfunctions
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_dynamodb import (
    StateTaskServiceDynamoDB,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sns import (
    StateTaskServiceSns,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sqs import (
    StateTaskServiceSqs,
)

from local_cloud import hooks

OPTIMISED = (
    (StateTaskServiceLambda, "Lambda", "AWSLambdaException", "AWSLambda"),
    (StateTaskServiceSns, "SNS", "AmazonSNSException", "AmazonSNS"),
    (StateTaskServiceDynamoDB, "DynamoDB", "AmazonDynamoDBException", "AmazonDynamoDBv2"),
    (StateTaskServiceSqs, "SQS", "AmazonSQSException", "AmazonSQS"),
    (StateTaskServiceSfn, "StepFunctions", "AWSStepFunctionsException", "AWSStepFunctions"),
)
_OWN_NAMES = {"sagemaker": "SageMaker", "eventbridge": "EventBridge", "cloudformation": "CloudFormation"}
_HEAD = {"headObject": "NoSuchKeyException", "headBucket": "NoSuchBucketException"}
_KNOWN = frozenset(kind.to_name() for kind in StatesErrorNameType)
_NOT_WILD = frozenset({"States.DataLimitExceeded", "States.Runtime"})


def install() -> None:
    """Name errors, and match them, as AWS does."""
    for task, prefix, family, service in OPTIMISED:
        hooks.replace(task, "_from_error", "self env ex", _naming(prefix, family, service))
    hooks.replace(StateTaskServiceAwsSdk, "_from_error", "self env ex", _naming_sdk)
    hooks.replace(CustomErrorName, "__init__", "self error_name", lambda _: _custom_name)
    hooks.replace(ErrorEqualsDecl, "_eval_body", "self env", lambda _: _matches)


def sdk_service(api_name: str) -> str:
    """How the errors of an AWS SDK integration call its service."""
    name = api_name.lower()
    found: str = _OWN_NAMES.get(name) or stepfunctions._AWS_SDK_ERROR_PREFIX.get(name) or api_name.capitalize()
    return found


def _declared(error: ClientError) -> str | None:
    """The error's name in the service's model; None for one that the model does not have."""
    name = type(error).__name__
    if name == "ClientError" or error.response["Error"]["Code"].startswith("AccessDenied"):
        return None
    return name if name.endswith("Exception") else f"{name}Exception"


def _naming(prefix: str, family: str, service: str) -> Callable[[Any], Any]:
    def build(original: Any) -> Any:
        def from_error(self: Any, env: Any, ex: Exception) -> Any:
            if isinstance(ex, ClientError):
                error, metadata = ex.response["Error"], ex.response["ResponseMetadata"]
                cause = (
                    f"{error.get('Message', '')} (Service: {service}; Status Code: {metadata['HTTPStatusCode']}; "
                    f"Error Code: {error['Code']}; Request ID: {metadata.get('RequestId', 'null')}; Proxy: null)"
                )
                return _failed(self, env, f"{prefix}.{_declared(ex) or family}", cause)
            if isinstance(ex, BotoCoreError):
                return _failed(self, env, f"{prefix}.SdkClientException", str(ex))
            if prefix == "DynamoDB":
                # moto calls every other failure, a timeout for instance, an error of DynamoDB.
                return super(StateTaskService, self)._from_error(env=env, ex=ex)
            return original(self, env, ex)

        return from_error

    return build


def _naming_sdk(original: Any) -> Any:
    def from_error(self: Any, env: Any, ex: Exception) -> Any:
        service = sdk_service(self.resource.api_name)
        if isinstance(ex, ClientError):
            error, metadata = ex.response["Error"], ex.response["ResponseMetadata"]
            name = _declared(ex)
            if name is None and error["Code"] in ("404", "NotFound"):
                name = _HEAD.get(self.resource.api_action)
            cause = (
                f"{error.get('Message', '')} (Service: {service}, Status Code: {metadata['HTTPStatusCode']}, "
                f"Request ID: {metadata.get('RequestId', 'null')})"
            )
            return _failed(self, env, f"{service}.{name or service + 'Exception'}", cause)
        if isinstance(ex, BotoCoreError):
            return _failed(self, env, f"{service}.SdkClientException", str(ex))
        return original(self, env, ex)

    return from_error


def _failed(task: Any, env: Any, error: str, cause: str) -> Any:
    details = {
        "error": error,
        "cause": cause,
        "resource": task._get_sfn_resource(),
        "resourceType": task._get_sfn_resource_type(),
    }
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error),
        event_type=HistoryEventType.TaskFailed,
        event_details={"taskFailedEventDetails": details},
    )


def _custom_name(self: Any, error_name: str | None) -> None:
    """A branch or an iteration passes on AWS's own names too, on which moto stumbles."""
    if error_name is not None and error_name.startswith("States.") and error_name not in _KNOWN:
        raise ValueError(f"Error names must not begin with 'States.': '{error_name}'")
    self.error_name = error_name


def _matches(self: Any, env: Any) -> None:
    """`States.ALL` leaves out what AWS calls terminal; `States.TaskFailed` is any error but a timeout."""
    name = env.stack.pop().error_name
    wanted = {item.error_name for item in self.error_names}
    env.stack.append(
        name in wanted
        or ("States.ALL" in wanted and name not in _NOT_WILD)
        or ("States.TaskFailed" in wanted and not (name or "").startswith("States."))
    )
