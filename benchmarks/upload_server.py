"""The S3 of `benchmarks.s3_server` as one that is written to, and what else `traindrop drop` asks of AWS.

Bodies are taken in and thrown away; what is kept of a part is its size and the CRC32 that came with it. Each answer
takes 25 ms.
"""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from benchmarks.s3_server import BUCKET, DATE, GET_SECONDS, Connection, header_of, response, serve

_STACK = f"""<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
<Stacks><member><StackName>traindrop</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2025-11-25T08:00:00Z</CreationTime><Outputs>
<member><OutputKey>DatasetBucketName</OutputKey><OutputValue>{BUCKET}</OutputValue></member>
<member><OutputKey>StateMachineArn</OutputKey><OutputValue>arn:aws:states:us-east-1:000000000000:stateMachine:bench</OutputValue></member>
</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
_BEGUN = json.dumps(
    {
        "executions": [
            {
                "executionArn": "arn:aws:states:us-east-1:000000000000:execution:bench:bench",
                "stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:bench",
                "name": "bench-20251125T080000-00000000",
                "status": "RUNNING",
                "startDate": 1764057600.0,
            }
        ]
    }
)


class Upload(asyncio.BufferedProtocol, Connection):
    """One client's connection; the bodies of its requests are counted and forgotten."""

    space: ClassVar[bytearray] = bytearray(1024**2)

    parts: ClassVar[dict[str, dict[int, tuple[int, bytes]]]] = {}
    objects: ClassVar[dict[str, tuple[int, str]]] = {}

    def __init__(self) -> None:
        """Wait for a request."""
        super().__init__()
        self._head = b""
        self._missing = self._size = 0

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        """Where the next bytes go."""
        return self.space

    def buffer_updated(self, nbytes: int) -> None:
        """Answer a request when its body is there and the latency is over."""
        if not self._head:
            self._buffer += self.space[:nbytes]
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if head.startswith(b"GET /-/"):
                self.data_received(b"")
                return
            header = header_of(head)
            self._head, self._buffer, nbytes = head, b"", len(rest)
            self._size = self._missing = int(header("content-length") or 0)
            if header("expect"):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # type: ignore[attr-defined]
        self._missing -= nbytes
        if self._missing > 0:
            return
        method, url, _ = self._head[: self._head.index(b"\r\n")].decode("latin-1").split(" ")
        target = urlsplit(url)
        self.counts["requests"] += 1
        self.counts["bytes"] += self._size
        answer = self._answer(target.path, target.query, header_of(self._head), put=method == "PUT")
        self._head = b""
        asyncio.get_running_loop().call_later(GET_SECONDS, self._transport.write, answer)  # type: ignore[attr-defined]

    def _answer(self, path: str, query: str, header: Callable[[str], str], *, put: bool) -> bytes:
        if path == "/":
            return response(200, (_BEGUN if header("x-amz-target") else _STACK).encode())
        asked = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        checksum = header("x-amz-checksum-crc32")
        if "uploads" in asked:
            self.parts[path] = {}
            return response(
                200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            )
        if "partNumber" in asked:
            number = int(asked["partNumber"])
            self.parts[path][number] = self._size, base64.b64decode(checksum)
            return response(200, b"", 'ETag: "0"', f"x-amz-checksum-crc32: {checksum}")
        if "uploadId" in asked:
            parts = [part for _, part in sorted(self.parts.pop(path).items())]
            joined = zlib.crc32(b"".join(crc for _, crc in parts)).to_bytes(4)
            self.objects[path] = sum(size for size, _ in parts), base64.b64encode(joined).decode()
            return response(200, b'<CompleteMultipartUploadResult><ETag>"0-1"</ETag></CompleteMultipartUploadResult>')
        if put:
            return response(200, b"", 'ETag: "0"')
        size, crc = self.objects[path]
        facts = (f"Content-Length: {size}", f"x-amz-checksum-crc32: {crc}-1", 'ETag: "0-1"', f"Last-Modified: {DATE}")
        return response(200, b"", *facts)


if __name__ == "__main__":
    asyncio.run(serve(Upload))
