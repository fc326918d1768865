"""A stack can be deleted and deployed again; what its user owns stays where it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local_cloud.deploy import SAM_BIN, deploy
from local_cloud.process import LocalCloud


@pytest.mark.slow
def test_a_deleted_stack_leaves_the_users_data_and_can_be_deployed_again(tmp_path: Path) -> None:
    with LocalCloud.start(trainer="stub") as cloud:
        s3 = cloud.client("s3")
        first = deploy(cloud)
        s3.put_object(Bucket=first["ArtifactBucketName"], Key="models/rooms/run/best.pt", Body=b"model")
        done = subprocess.run(
            [str(SAM_BIN / "sam"), "delete", "--no-prompts", "--stack-name", "traindrop", "--region", "us-east-1"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={
                **os.environ,
                **cloud.environment,
                "SAM_CLI_TELEMETRY": "0",
                "__SAM_CLI_APP_DIR": str(tmp_path),
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "NO_PROXY": "127.0.0.1",
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        body = s3.get_object(Bucket=first["ArtifactBucketName"], Key="models/rooms/run/best.pt")["Body"]
        assert body.read() == b"model"
        kept = cloud.client("dynamodb").list_tables()["TableNames"]
        assert [name for name in kept if name == first["RunsTableName"]]
        assert not [name for name in kept if "ClaimsTable" in name]
        assert not cloud.client("lambda").list_functions()["Functions"]
        second = deploy(cloud)
        assert second["ArtifactBucketName"] != first["ArtifactBucketName"]
        assert second["DatasetBucketName"] != first["DatasetBucketName"]
