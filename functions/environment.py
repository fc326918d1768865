"""What the stack tells its functions, read once, and the AWS clients they share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import BaseModel, ConfigDict

from traindrop.errors import AccessDenied, TransientError
from traindrop.runs import Claims, Runs

if TYPE_CHECKING:
    from traindrop.jobs import Places
    from traindrop.object_reads import ObjectReads
    from traindrop.training import Trainer
    from traindrop.waiting import WaitingNotice

Handler = TypeVar("Handler", bound=Callable[..., Any])
_RETRIES = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=5, read_timeout=60)
_BRIEFLY = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=5)
"""For Service Quotas, whose answer is worth no wait."""
_TRANSIENT = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "InternalServiceException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "PreconditionFailed",
        "ConditionalRequestConflict",
    }
)
_DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})


class Environment(BaseModel):
    """Environment variables of the functions; each function has those that it uses, and no default names a resource."""

    model_config = ConfigDict(frozen=True)

    RUNS_TABLE: str = ""
    CLAIMS_TABLE: str = ""
    DATASET_BUCKET: str = ""
    ARTIFACT_BUCKET: str = ""
    TOPIC_ARN: str = ""
    STATE_MACHINE_ARN: str = ""
    EXTRACT_MODEL_FUNCTION: str = ""
    TRAINING_ROLE_ARN: str = ""
    TRAINING_IMAGE: str = ""
    MAX_COST_PER_RUN_USD: float = 0
    QUIET_PERIOD_SECONDS: float = 120
    UPLOAD_WINDOW_SECONDS: float = 21600
    SECONDS_BETWEEN_RUNS: float = 1
    WAITING_NOTICE_SECONDS: float = 1800


ENVIRONMENT = Environment.model_validate(dict(os.environ))
_clients: dict[str, Any] = {}


def client(service: str) -> Any:
    """The client of a service, made at its first use and kept for the warm invocations after it."""
    if service not in _clients:
        config = _BRIEFLY if service == "service-quotas" else _RETRIES
        _clients[service] = boto3.client(service, config=config)  # type: ignore[call-overload]
    return _clients[service]


def runs() -> Runs:
    """The run records."""
    return Runs(client("dynamodb"), ENVIRONMENT.RUNS_TABLE)


def claims() -> Claims:
    """The claims."""
    return Claims(client("dynamodb"), ENVIRONMENT.CLAIMS_TABLE)


def object_reads(bucket: str) -> ObjectReads:
    """Reads of many objects of a bucket, with endpoint and credentials of the S3 client; obstore is imported here."""
    from datetime import timedelta

    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store

    from traindrop.store_reads import StoreReads

    endpoint = client("s3").meta.endpoint_url
    return StoreReads(
        S3Store(
            bucket,
            endpoint=endpoint,
            region=client("s3").meta.region_name,
            credential_provider=Boto3CredentialProvider(boto3.DEFAULT_SESSION),
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(seconds=60),
            },
            retry_config={"max_retries": 8, "retry_timeout": timedelta(minutes=3)},
        )
    )


def places() -> Places:
    """Where things lie and what jobs run as."""
    from traindrop.jobs import Places

    return Places(
        ENVIRONMENT.DATASET_BUCKET,
        ENVIRONMENT.ARTIFACT_BUCKET,
        ENVIRONMENT.TRAINING_ROLE_ARN,
        ENVIRONMENT.TRAINING_IMAGE,
    )


def trainer() -> Trainer:
    """The trainer; imported here, because settings and their models are a quarter of a cold start."""
    from traindrop.training import Trainer

    return Trainer(client("sagemaker"), client("stepfunctions"), runs(), client("logs"))


def waiting_notice() -> WaitingNotice:
    """What tells of runs that wait."""
    from traindrop.waiting import WaitingNotice

    return WaitingNotice(runs(), client("sns"), ENVIRONMENT.TOPIC_ARN, ENVIRONMENT.WAITING_NOTICE_SECONDS)


def aws_errors_named(handler: Handler) -> Handler:
    """Name AWS's errors by what to do: `TransientError` is retried by the state machine, `AccessDenied` fails the run.

    botocore has retried by then. An error of any other kind keeps its own name and fails the run.
    """

    @functools.wraps(handler)
    def named(event: Any, context: Any) -> Any:
        try:
            return handler(event, context)
        except ClientError as error:
            answer = error.response
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if answer["Error"]["Code"] in _TRANSIENT or status == 429 or status >= 500:
                raise TransientError(str(error)) from error
            if answer["Error"]["Code"] in _DENIED:
                raise AccessDenied(error) from error
            raise
        except ParamValidationError:
            raise
        except BotoCoreError as error:
            raise TransientError(f"{type(error).__name__}: {error}") from error

    return named  # type: ignore[return-value]
