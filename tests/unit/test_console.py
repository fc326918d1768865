"""Links into the console, as its own addresses are."""

import pytest

from traindrop import console

ARN = "arn:aws:states:eu-west-1:123456789012:execution:traindrop-Train:rooms-1"
HOME = "https://eu-west-1.console.aws.amazon.com"


def test_an_execution() -> None:
    assert console.execution_link(ARN) == f"{HOME}/states/home?region=eu-west-1#/v2/executions/details/{ARN}"


def test_a_job_and_its_log_streams() -> None:
    assert console.job_link(ARN, "rooms-1-1") == f"{HOME}/sagemaker/home?region=eu-west-1#/jobs/rooms-1-1"
    # As aws-samples/sagemaker-ssh-helper makes it.
    assert console.log_link(ARN, "rooms-1-1") == (
        f"{HOME}/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs"
        "$3FlogStreamNameFilter$3Drooms-1-1$252F"
    )


def test_a_folder_and_an_object_in_s3() -> None:
    assert console.folder_link(ARN, "s3://b/models/rooms/") == (
        f"{HOME}/s3/buckets/b?region=eu-west-1&prefix=models/rooms/"
    )
    assert console.object_link(ARN, "s3://b/a b&c#d/é.json") == (
        f"{HOME}/s3/object/b?region=eu-west-1&prefix=a%20b%26c%23d/%C3%A9.json"
    )


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "us-east-1", "us-east-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("aws-eusc", "eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_each_partition_has_its_own_console(partition: str, region: str, host: str) -> None:
    arn = f"arn:{partition}:states:{region}:1:execution:m:n"
    links = [
        console.execution_link(arn),
        console.job_link(arn, "j"),
        console.log_link(arn, "j"),
        console.folder_link(arn, "s3://b/f/"),
        console.object_link(arn, "s3://b/o"),
        console.quotas_link(arn),
    ]
    assert all(link.startswith(f"https://{host}/") for link in links)
