"""Links into the AWS console, of the partition and region that an execution is in."""

from __future__ import annotations

from urllib.parse import quote

_HOSTS = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def execution_link(execution_arn: str) -> str:
    """An execution, with its graph and events."""
    home, region = _home(execution_arn)
    return f"{home}/states/home?region={region}#/v2/executions/details/{quote(execution_arn, safe=':')}"


def job_link(execution_arn: str, job_name: str) -> str:
    """A training job beside an execution."""
    home, region = _home(execution_arn)
    return f"{home}/sagemaker/home?region={region}#/jobs/{job_name}"


def quotas_link(execution_arn: str, code: str = "") -> str:
    """SageMaker's page of Service Quotas, where the execution is, or that of the quota with this code."""
    home, _ = _home(execution_arn)
    return f"{home}/servicequotas/home/services/sagemaker/quotas{f'/{code}' if code else ''}"


def _home(execution_arn: str) -> tuple[str, str]:
    _, partition, _, region, *_ = execution_arn.split(":")
    return f"https://{region}.{_HOSTS.get(partition, 'console.aws.amazon.com')}", region
