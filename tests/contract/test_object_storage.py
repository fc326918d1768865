"""S3 on the local cloud: the shape of its events, and what the AWS CLI does with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from local_cloud.process import ACCOUNT, ROOT, LocalCloud
from tests.contract.lambdas import Queue, rule, unique

KEY = "datasets/My rooms + más %20&.zip"


class Bucket:
    """A bucket whose events arrive in a queue."""

    def __init__(self, cloud: LocalCloud, versioned: bool = False) -> None:
        self.s3, self.name = cloud.client("s3"), unique("bucket")
        self.s3.create_bucket(Bucket=self.name)
        if versioned:
            self.s3.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        self.s3.put_bucket_notification_configuration(
            Bucket=self.name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        self._received: list[dict[str, Any]] = []
        self._queue = Queue(cloud, "events.amazonaws.com")
        rule(cloud, {"source": ["aws.s3"], "detail": {"bucket": {"name": [self.name]}}}, Arn=self._queue.arn)

    def event(self) -> dict[str, Any]:
        """The next event."""
        if not self._received:
            self._received = [message["body"] for message in self._queue.receive_some()]
        return self._received.pop(0)


def test_an_object_created_event_has_awss_shape(cloud: LocalCloud) -> None:
    bucket = Bucket(cloud, versioned=True)
    put = bucket.s3.put_object(Bucket=bucket.name, Key=KEY, Body=b"abc")
    event = bucket.event()
    assert (event["detail-type"], event["source"]) == ("Object Created", "aws.s3")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])
    assert event["resources"] == [f"arn:aws:s3:::{bucket.name}"]
    detail = event["detail"]
    assert list(detail) == ["version", "bucket", "object", "request-id", "requester", "source-ip-address", "reason"]
    stored = detail["object"]
    assert list(stored) == ["key", "size", "etag", "version-id", "sequencer"]
    assert stored["key"] == KEY
    assert stored["size"] == 3
    assert stored["etag"] == put["ETag"].strip('"')
    assert stored["version-id"] == put["VersionId"]
    assert detail["reason"] == "PutObject"
    assert event["id"] != detail["request-id"]
    sample = json.loads((Path(__file__).parent / "s3_object_created.json").read_text())
    assert set(event) == set(sample)
    assert set(detail) == set(sample["detail"])
    assert set(stored) == set(sample["detail"]["object"])


def test_a_duplicated_event_of_a_bucket_has_one_id_and_keeps_its_version(cloud: LocalCloud) -> None:
    bucket = Bucket(cloud, versioned=True)
    cloud.inject({"events": {"duplicate": 2, "delay_seconds": 0.2}})
    try:
        version = bucket.s3.put_object(Bucket=bucket.name, Key="k", Body=b"1")["VersionId"]
        first, second = bucket.event(), bucket.event()
    finally:
        cloud.clear_faults()
    assert first == second
    assert first["detail"]["object"]["version-id"] == version


def test_sequencers_of_a_key_grow(cloud: LocalCloud) -> None:
    bucket = Bucket(cloud)
    found = []
    for body in (b"1", b"2", b"3"):
        bucket.s3.put_object(Bucket=bucket.name, Key="k", Body=body)
        stored = bucket.event()["detail"]["object"]
        assert "version-id" not in stored
        found.append(stored["sequencer"])
    assert found == sorted(found)
    assert len({len(sequencer) for sequencer in found}) == 1


def test_each_way_to_create_an_object_has_its_reason(cloud: LocalCloud) -> None:
    bucket = Bucket(cloud)
    s3, name = bucket.s3, bucket.name
    s3.put_object(Bucket=name, Key="one", Body=b"1")
    assert bucket.event()["detail"]["reason"] == "PutObject"
    s3.copy_object(Bucket=name, Key="two", CopySource={"Bucket": name, "Key": "one"})
    assert bucket.event()["detail"]["reason"] == "CopyObject"
    upload = s3.create_multipart_upload(Bucket=name, Key="three")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="three", UploadId=upload, PartNumber=1, Body=b"3")
    s3.complete_multipart_upload(
        Bucket=name, Key="three", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    detail = bucket.event()["detail"]
    assert detail["reason"] == "CompleteMultipartUpload"
    assert detail["object"]["etag"].endswith("-1")
    form = s3.generate_presigned_post(Bucket=name, Key="four")
    boundary = "----boundary"
    fields = {**form["fields"], "file": "4"}
    body = (
        "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        )
        + f"--{boundary}--\r\n"
    )
    request = urllib.request.Request(  # noqa: S310
        form["url"],
        data=body.encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        assert answer.status == 204
    assert bucket.event()["detail"]["reason"] == "POST Object"


def aws(cloud: LocalCloud, *arguments: str, stdin: bytes = b"") -> str:
    """What the AWS CLI prints."""
    command = ROOT / ".venvs/aws/bin/aws"
    environment = {"PATH": os.environ["PATH"], "HOME": os.devnull, "LC_ALL": "C.UTF-8", **cloud.environment}
    done = subprocess.run(
        [str(command), *arguments], input=stdin, env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.slow
def test_the_aws_cli_copies_and_syncs_any_key(cloud: LocalCloud, tmp_path: Path) -> None:
    bucket = Bucket(cloud)
    name = bucket.name
    content = {"a b.txt": b"1", "c+d.txt": b"2", "más/ñ & 100%.txt": b"3" * 100_000, "big.bin": os.urandom(9_000_000)}
    source = tmp_path / "source"
    for path, body in content.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(body)
    aws(cloud, "s3", "sync", "--only-show-errors", str(source), f"s3://{name}/datasets/x y+z")
    keys = {item["Key"] for item in bucket.s3.list_objects_v2(Bucket=name)["Contents"]}
    assert keys == {f"datasets/x y+z/{path}" for path in content}
    aws(cloud, "s3", "sync", "--only-show-errors", f"s3://{name}/datasets/x y+z", str(tmp_path / "back"))
    for path, body in content.items():
        assert (tmp_path / "back" / path).read_bytes() == body
    aws(cloud, "s3", "cp", "--only-show-errors", "-", f"s3://{name}/{KEY}", stdin=b"piped")
    assert aws(cloud, "s3", "cp", "--only-show-errors", f"s3://{name}/{KEY}", "-") == "piped"
    for algorithm in ("CRC32", "SHA256", "SHA1"):
        aws(
            cloud,
            "s3api",
            "put-object",
            "--bucket",
            name,
            "--key",
            algorithm,
            "--body",
            str(source / "big.bin"),
            "--checksum-algorithm",
            algorithm,
        )
        assert bucket.s3.get_object(Bucket=name, Key=algorithm)["Body"].read() == content["big.bin"]
    assert json.loads(aws(cloud, "stepfunctions", "list-state-machines", "--max-items", "1", "--output", "json"))
    assert json.loads(aws(cloud, "sts", "get-caller-identity", "--output", "json"))["Account"] == ACCOUNT


def test_uploads_in_chunks_with_a_trailing_checksum_are_stored_as_they_are(cloud: LocalCloud) -> None:
    bucket = Bucket(cloud)

    class Unseekable:
        def __init__(self, body: bytes) -> None:
            self._body = body

        def read(self, size: int = -1) -> bytes:
            taken, self._body = (self._body, b"") if size < 0 else (self._body[:size], self._body[size:])
            return taken

    bucket.s3.upload_fileobj(Unseekable(b"x" * 70_000), bucket.name, "chunked")
    assert bucket.s3.get_object(Bucket=bucket.name, Key="chunked")["Body"].read() == b"x" * 70_000
