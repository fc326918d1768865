"""FilterLogEvents on the local cloud answers what AWS would of the streams whose names begin alike."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

from local_cloud.process import LocalCloud


def test_lines_of_the_streams_that_begin_alike_and_no_others(cloud: LocalCloud) -> None:
    logs, group, now = cloud.client("logs"), "/tests/log-events", int(time.time() * 1000)
    logs.create_log_group(logGroupName=group)
    for number, stream in enumerate(("job-1/a", "job-1/b", "job-2/a")):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        lines = [{"timestamp": now + 10 * number + at, "message": f"{stream} {at}"} for at in range(2)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=lines)

    def told(prefix: str, since: int = 0) -> list[str]:
        page = logs.filter_log_events(logGroupName=group, logStreamNamePrefix=prefix, startTime=since)
        assert len({event["eventId"] for event in page["events"]}) == len(page["events"])
        return [event["message"] for event in page["events"]]

    assert told("job-1/") == ["job-1/a 0", "job-1/a 1", "job-1/b 0", "job-1/b 1"]
    assert told("job-1/", now + 1) == ["job-1/a 1", "job-1/b 0", "job-1/b 1"]
    assert told("job-2/") == ["job-2/a 0", "job-2/a 1"]
    assert told("job-3/") == []
    logs.delete_log_group(logGroupName=group)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        told("job-1/")
