"""Keeps the checkpoint folder of a host and its S3 prefix in step, as SageMaker does.

Before training everything below the prefix is copied to the host; objects added to S3 later are not. While the job
runs, new and changed files go up, and a file that is deleted on the host is deleted in S3 too (AWS: "If a checkpoint
is deleted in the SageMaker container, it will also be deleted in the S3 folder"). Where the role may not delete, the
object stays. Nothing protects a file that is being written: it is copied in whatever state it is, like on AWS.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from local_cloud.sagemaker.errors import JobFailure
from local_cloud.sagemaker.inputs import download, list_keys
from local_cloud.sagemaker.s3_uri import split

logger = logging.getLogger(__name__)


class _State(NamedTuple):
    modified_ns: int
    size: int
    inode: int


class CheckpointSync:
    """One host's checkpoint folder and the S3 prefix it belongs to; used by one thread."""

    def __init__(self, s3: Any, uri: str, folder: Path):
        self._s3 = s3
        self._uri = uri.rstrip("/") + "/"
        self._bucket, self._prefix = split(self._uri)
        self._folder = folder
        self._known: dict[str, _State] = {}
        self._may_delete = True

    def restore(self, *, role_arn: str, cancelled: Callable[[], bool]) -> int:
        """Copy what S3 has to the host; answer the number of files (0 on a first start)."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            if not list_keys(self._s3, self._uri, limit=1):
                return 0
        except ClientError as error:
            reason = error.response["Error"]["Message"]
            raise JobFailure(f"ClientError: Checkpoint download failed:{self._uri} ({reason})") from error
        count = download(self._s3, self._uri, self._folder, role_arn=role_arn, cancelled=cancelled)
        self._known = self._scan()
        return count

    def push(self) -> bool:
        """Bring S3 to the host's state once; False when there was nothing to do.

        Raises JobFailure where the role may not write there.
        """
        now = self._scan()
        changed = [name for name, state in now.items() if self._known.get(name) != state]
        removed = [name for name in self._known if name not in now]
        for name in changed:
            if self._put(name):
                self._known[name] = now[name]
        for name in removed:
            self._delete(name)
            del self._known[name]
        return bool(changed or removed)

    def newest_change(self) -> float:
        """When a file in the folder was last written, in epoch seconds; 0 for an empty folder."""
        return max((state.modified_ns for state in self._scan().values()), default=0) / 1e9

    def _scan(self) -> dict[str, _State]:
        found = {}
        for path in sorted(self._folder.rglob("*")):
            try:
                if path.is_file():
                    stat = path.stat()
                    name = path.relative_to(self._folder).as_posix()
                    found[name] = _State(stat.st_mtime_ns, stat.st_size, stat.st_ino)
            except FileNotFoundError:
                continue
        return found

    def _put(self, name: str) -> bool:
        try:
            body = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return False
        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            raise JobFailure(
                f"ClientError: Checkpoint upload failed:Unable to upload object {self._uri}{name} ({code}: {message})"
            ) from error
        return True

    def _delete(self, name: str) -> None:
        if not self._may_delete:
            return
        try:
            self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + name)
        except ClientError as error:
            self._may_delete = False
            logger.warning("checkpoint %s%s stays in S3: %s", self._uri, name, error)
