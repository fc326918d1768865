"""Links into the AWS console, of the partition and region that an execution is in.

AWS documents no addresses of pages. These are the ones that the console itself shows and that AWS's own code makes:
aws-samples/sagemaker-ssh-helper (`log.py`: jobs and their log streams), apache/airflow's Amazon provider (`links/`:
executions, buckets), aws-solutions' centralized-logging-with-opensearch (prefixes of buckets, China's host).
"""

from __future__ import annotations

from urllib.parse import quote

_HOSTS = {
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
JOB_LOGS = "/aws/sagemaker/TrainingJobs"


def execution_link(execution_arn: str) -> str:
    """An execution, with its graph and events."""
    home, region = _home(execution_arn)
    return f"{home}/states/home?region={region}#/v2/executions/details/{quote(execution_arn, safe=':')}"


def job_link(execution_arn: str, job_name: str) -> str:
    """A training job beside an execution."""
    home, region = _home(execution_arn)
    return f"{home}/sagemaker/home?region={region}#/jobs/{job_name}"


def log_link(execution_arn: str, job_name: str) -> str:
    """The log streams of a training job, one for each host on which it has run; their names begin with the job's."""
    home, region = _home(execution_arn)
    group, streams = _in_fragment(JOB_LOGS), _in_fragment(f"{job_name}/")
    return (
        f"{home}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}$3FlogStreamNameFilter$3D{streams}"
    )


def folder_link(execution_arn: str, uri: str) -> str:
    """A folder in S3, `s3://bucket/folder/`, of the region of an execution."""
    return _s3(execution_arn, "buckets", uri)


def object_link(execution_arn: str, uri: str) -> str:
    """An object in S3, `s3://bucket/key`, of the region of an execution; its page has buttons to open and download."""
    return _s3(execution_arn, "object", uri)


def quotas_link(execution_arn: str, code: str = "") -> str:
    """SageMaker's page of Service Quotas, where the execution is, or that of the quota with this code."""
    home, _ = _home(execution_arn)
    return f"{home}/servicequotas/home/services/sagemaker/quotas{f'/{code}' if code else ''}"


def _s3(execution_arn: str, page: str, uri: str) -> str:
    home, region = _home(execution_arn)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return f"{home}/s3/{page}/{bucket}?region={region}&prefix={quote(key)}"


def _in_fragment(text: str) -> str:
    """A name behind the `#` of CloudWatch's page: encoded twice, with `$` in place of the outer `%`."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")


def _home(execution_arn: str) -> tuple[str, str]:
    _, partition, _, region, *_ = execution_arn.split(":")
    return f"https://{region}.{_HOSTS.get(partition, 'console.aws.amazon.com')}", region
