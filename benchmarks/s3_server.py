"""An S3 that is as far away as AWS's: 80 ms for a LIST and 25 ms for a GET, on loopback, in a process of its own.

It holds the bucket `bench` with `datasets/folder-<n>/`, `datasets/contiguous-<n>.zip` and
`datasets/interleaved-<n>.zip` for any number of images, reads ListObjectsV2 (1,000 keys a page), GET and HEAD with
ranges and If-Match, believes every signature, and counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from benchmarks import datasets

ROOT = Path(__file__).resolve().parent.parent
BUCKET = "bench"
LIST_SECONDS, GET_SECONDS = 0.08, 0.025
_PAGE = 1000
DATE = "Tue, 25 Nov 2025 08:00:00 GMT"
_ISO_DATE = "2025-11-25T08:00:00.000Z"
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def find(key: str) -> datasets.Content | None:
    """The object of a key."""
    if found := re.fullmatch(r"datasets/(contiguous|interleaved)-(\d+)\.zip", key):
        return datasets.archive(int(found[2]), interleaved=found[1] == "interleaved")
    if found := re.fullmatch(r"datasets/folder-(\d+)/(.+)", key):
        return datasets.folder(int(found[1])).get(found[2])
    return None


@functools.cache
def keys_below(root: str) -> list[str]:
    """The sorted keys of one dataset."""
    found = re.fullmatch(r"datasets/folder-(\d+)/", root)
    return sorted(root + name for name in datasets.folder(int(found[1]))) if found else []


def page(prefix: str, delimiter: str, after: str, limit: int) -> bytes:
    """One page of ListObjectsV2."""
    root = "/".join(prefix.split("/")[:2]) + "/"
    contents: list[str] = []
    folders: list[str] = []
    last, more = after, False
    for key in keys_below(root):
        if not key.startswith(prefix) or key <= after or (folders and key.startswith(folders[-1])):
            continue
        if len(contents) + len(folders) >= limit:
            more = True
            break
        inner = key[len(prefix) :]
        if delimiter and delimiter in inner:
            folders.append(prefix + inner[: inner.index(delimiter) + 1])
            last = folders[-1] + "\uffff"
        else:
            contents.append(key)
            last = key
    rows = []
    for key in contents:
        content = datasets.folder(int(root.split("-")[1][:-1]))[key[len(root) :]]
        rows.append(
            f"<Contents><Key>{quote(key)}</Key><LastModified>{_ISO_DATE}</LastModified><ETag>&quot;{content.etag}&quot;"
            f"</ETag><Size>{content.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    rows += [f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>" for folder in folders]
    token = f"<NextContinuationToken>{escape(quote(last))}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix>{quote(prefix)}</Prefix><KeyCount>{len(contents) + len(folders)}</KeyCount>"
        f"<MaxKeys>{limit}</MaxKeys><EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>"
        f"{token}{''.join(rows)}</ListBucketResult>"
    ).encode()


class Connection(asyncio.Protocol):
    """One client's connection; requests come one by one and have no body."""

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        """Wait for a request."""
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request when the latency is over."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        self._buffer = rest
        request = head[: head.index(b"\r\n")].decode("latin-1")
        method, target, _ = request.split(" ")
        if target == "/-/counts":
            body = json.dumps(self.counts).encode()
            self.counts.clear()
            seconds, answer = 0.0, response(200, body)
        else:
            kind, seconds, sent, answer = answered(method, target, *map(header_of(head), ("range", "if-match")))
            self.counts["requests"] += 1
            self.counts[kind] += 1
            self.counts["bytes"] += sent
        asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)  # type: ignore[attr-defined]


def header_of(head: bytes) -> Callable[[str], str]:
    """A way to read single headers."""
    lowered = head.lower()

    def value(name: str) -> str:
        start = lowered.find(b"\r\n%s:" % name.encode())
        if start < 0:
            return ""
        begin = start + len(name) + 3
        end = head.find(b"\r\n", begin)
        return head[begin : None if end < 0 else end].decode("latin-1").strip()

    return value


@functools.lru_cache(60_000)
def answered(method: str, target: str, span: str, etag: str) -> tuple[str, float, int, bytes]:
    """Kind of a request, latency in seconds, bytes of the body, and the answer.

    Kept, so that asking again costs the processor little: it is shared with those that are measured.
    """
    parts = urlsplit(target)
    key = unquote(parts.path)[len(BUCKET) + 2 :]
    if not key:
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        after = unquote(query.get("continuation-token", query.get("start-after", "")))
        body = page(query.get("prefix", ""), query.get("delimiter", ""), after, int(query.get("max-keys", _PAGE)))
        return "lists", LIST_SECONDS, len(body), response(200, body, "Content-Type: application/xml")
    content = find(key)
    if content is None:
        return "gets", GET_SECONDS, 0, response(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
    if etag and etag.strip('"') != content.etag:
        wrong = b"<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>"
        return "gets", GET_SECONDS, 0, response(412, wrong)
    facts = [f'ETag: "{content.etag}"', f"Last-Modified: {DATE}", "Accept-Ranges: bytes"]
    if method == "HEAD":
        return "gets", GET_SECONDS, 0, response(200, b"", *facts, f"Content-Length: {content.size}")
    start, end, status = 0, content.size, 200
    if found := re.fullmatch(r"bytes=(\d*)-(\d*)", span):
        start = int(found[1]) if found[1] else max(0, content.size - int(found[2]))
        end = min(content.size, int(found[2]) + 1) if found[1] and found[2] else content.size
        facts.append(f"Content-Range: bytes {start}-{end - 1}/{content.size}")
        status = 206
    body = content.read(start, end)
    return "gets", GET_SECONDS, len(body), response(status, body, *facts)


def response(status: int, body: bytes, *facts: str) -> bytes:
    """An answer with these header lines."""
    lines = [f"HTTP/1.1 {status} -", "Server: bench", "x-amz-request-id: 0", *facts]
    if not any(fact.startswith("Content-Length") for fact in facts):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Server:
    """The running server: where it listens, and what it was asked since the last time."""

    def __init__(self, endpoint: str) -> None:
        """Keep the endpoint."""
        self.endpoint = endpoint
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }

    def counts(self) -> dict[str, int]:
        """Requests, of which LISTs, and bytes sent since this was asked last."""
        with _direct.open(f"{self.endpoint}/-/counts", timeout=60) as answer:
            found: dict[str, int] = {"requests": 0, "lists": 0, "bytes": 0, **json.load(answer)}
        return found

    def make(self, key: str) -> None:
        """Have a dataset made now rather than at its first reading."""
        request = urllib.request.Request(f"{self.endpoint}/{BUCKET}/{key}", method="HEAD")  # noqa: S310
        _direct.open(request, timeout=300).close()
        self.counts()


@contextlib.contextmanager
def running(module: str = __name__) -> Iterator[Server]:
    """A server in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout  # noqa: S101
        yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.wait()
        assert process.stdout  # noqa: S101
        process.stdout.close()


async def serve(connection: type[Connection]) -> None:
    """Listen, print the port, and serve until killed."""
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Connection))
