"""One object sent in parts side by side: it goes on where an earlier attempt ended, and is compared with what was sent.

s3transfer, which does the like for every AWS tool, begins anew each time. Rules of S3: 10,000 parts, each of 5 MiB at
least but for the last; an upload that was created with CRC32 lists the CRC32 of each part, and the object has as its
checksum the CRC32 of those, one behind the other (`COMPOSITE`).
"""

from __future__ import annotations

import base64
import io
import itertools
import queue
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from traindrop.objects import is_there
from traindrop.unfinished import Unfinished

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

AT_ONCE = 10
"""Parts on their way at the same time, as the command line of AWS has it."""
CLIENT: dict[str, Any] = {
    "max_pool_connections": AT_ONCE,
    "retries": {"mode": "standard", "total_max_attempts": 10},
    "tcp_keepalive": True,
    # botocore, given a checksum, signs the SHA-256 of each body as well, even over TLS: more work than all the rest.
    "s3": {"payload_signing_enabled": False},
}
"""What a client that sends is to be made with."""
_PART = 8 * 1024**2
_MOST_PARTS = 9_000
"""Of 10,000, as the size of an archive is not known exactly before it is packed."""
_BLOCK = 1024**2
_MIB = 1024**2


@dataclass(frozen=True)
class Sent:
    """An object that lies in S3 as it was sent: `kept` bytes were brought by an earlier attempt, `sent` by this one."""

    size: int
    etag: str
    checksum: str
    modified: datetime
    kept: int
    sent: int


class Damaged(Exception):
    """What lies in S3 is not what was sent."""


def part_size(total: int) -> int:
    """Bytes of a part of an object of about so many bytes."""
    return max(_PART, -(-total // _MOST_PARTS // _MIB) * _MIB)


def send(
    s3: S3Client,
    bucket: str,
    key: str,
    content: io.RawIOBase,
    *,
    size_of_part: int,
    unfinished: Unfinished,
    advance: Callable[[int], None],
) -> Sent:
    """Send an object, of which S3 keeps nothing visible before all of it is there.

    Parts that an earlier attempt brought are not sent again where their checksums are those of the parts now; so it
    does not matter what of the object was changed meanwhile.

    Args:
        s3: made with `CLIENT`.
        bucket: where it goes.
        key: what it will be called.
        content: its bytes, read once from beginning to end.
        size_of_part: as `part_size` has it.
        unfinished: remembers an upload from one attempt to the next.
        advance: told of bytes on their way, and of fewer than none when a part is sent again.

    Raises:
        Damaged: the object has another checksum or size than what was sent.
        ClientError: S3 does not take it.
    """
    upload_id, there = _earlier(s3, bucket, key, size_of_part, unfinished)
    if not upload_id:
        created = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="CRC32")
        upload_id = created["UploadId"]
        unfinished.remember(upload_id, size_of_part)
    sending = _Sending(s3, bucket, key, upload_id, there, advance)
    done = sending.run(content, size_of_part)
    listed = [done[number] for number in sorted(done)]
    size = sending.kept + sending.sent
    try:
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": listed},
            ChecksumType="COMPOSITE",
            MpuObjectSize=size,
        )
    except ClientError as error:
        # Where the answer to the first request was lost, the second finds no upload any more, but its object.
        if error.response["Error"]["Code"] != "NoSuchUpload" or not is_there(s3, bucket, key):
            raise
    unfinished.forget()
    checksum = composite([part["ChecksumCRC32"] for part in listed])
    found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    there_now = found.get("ChecksumCRC32", "").partition("-")[0]
    if (found["ContentLength"], there_now) != (size, checksum):
        raise Damaged(
            f"s3://{bucket}/{key} has {found['ContentLength']} bytes with the checksum {there_now or 'of none'}, and "
            f"{size} bytes with {checksum} were sent"
        )
    return Sent(size, found["ETag"].strip('"'), checksum, found["LastModified"], sending.kept, sending.sent)


def crc32(data: bytes | memoryview) -> str:
    """CRC32 as S3 writes it."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4)).decode()


def composite(checksums: Iterable[str]) -> str:
    """The checksum of an object that consists of parts with these checksums, without the number of them."""
    return crc32(b"".join(map(base64.b64decode, checksums)))


def _earlier(
    s3: S3Client, bucket: str, key: str, size_of_part: int, unfinished: Unfinished
) -> tuple[str, dict[int, CompletedPartTypeDef]]:
    """An upload that an earlier attempt began, and its parts; one with parts of another size is given up."""
    upload_id, size = unfinished.recall()
    if not upload_id:
        return "", {}
    try:
        if size == size_of_part:
            return upload_id, dict(_listed(s3, bucket, key, upload_id))
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
    return "", {}


def _listed(s3: S3Client, bucket: str, key: str, upload_id: str) -> Iterator[tuple[int, CompletedPartTypeDef]]:
    for page in s3.get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload_id):
        for part in page.get("Parts", []):
            number = part["PartNumber"]
            yield number, {"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": part.get("ChecksumCRC32", "")}


@dataclass
class _Sending:
    """The parts of one attempt: read one after the other, sent side by side."""

    s3: S3Client
    bucket: str
    key: str
    upload_id: str
    there: dict[int, CompletedPartTypeDef]
    advance: Callable[[int], None]
    kept: int = 0
    sent: int = 0
    _done: dict[int, CompletedPartTypeDef] = field(default_factory=dict)
    _failure: BaseException | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: queue.SimpleQueue[tuple[int, memoryview, bytearray] | None] = field(default_factory=queue.SimpleQueue)
    _free: queue.SimpleQueue[bytearray] = field(default_factory=queue.SimpleQueue)

    def run(self, content: io.RawIOBase, size_of_part: int) -> dict[int, CompletedPartTypeDef]:
        """Send the parts; answer what completes the upload.

        Whoever is interrupted does not wait for parts that are on their way: their threads end with the process.
        """
        _count_what_is_sent(self.s3)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        # Memory that was used before costs half of what fresh memory does.
        for _ in range(AT_ONCE + 1):
            self._free.put(bytearray(size_of_part))
        try:
            for number in itertools.count(1):
                buffer = self._free.get()
                if self._failure or not (part := _filled(content, memoryview(buffer))):
                    break
                self._waiting.put((number, part, buffer))
            for _ in threads:
                self._waiting.put(None)
            for thread in threads:
                thread.join()
        except BaseException as error:
            self._failure = error
            raise
        if self._failure:
            raise self._failure
        return self._done

    def _work(self) -> None:
        """Send parts until there are no more; after a failure they are only taken away, so that nobody waits."""
        while (item := self._waiting.get()) is not None:
            number, part, buffer = item
            if self._failure is None:
                try:
                    self._bring(number, part)
                except BaseException as error:  # noqa: BLE001 - raised where the parts are read
                    self._failure = error
            self._free.put(buffer)

    def _bring(self, number: int, part: memoryview) -> None:
        checksum = crc32(part)
        found = self.there.get(number)
        if found and found.get("ChecksumCRC32") == checksum:
            self.advance(len(part))
        else:
            answer = self.s3.upload_part(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=self.upload_id,
                PartNumber=number,
                Body=_Body(part, self.advance),  # type: ignore[arg-type]
                ChecksumCRC32=checksum,
            )
            found = {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": checksum}
        with self._lock:
            self._done[number] = found
            if found is self.there.get(number):
                self.kept += len(part)
            else:
                self.sent += len(part)


def _filled(content: io.RawIOBase, buffer: memoryview) -> memoryview:
    """As much of the buffer as the content fills."""
    filled = 0
    while filled < len(buffer) and (more := content.readinto(buffer[filled:])):
        filled += more
    return buffer[:filled]


class _Body:
    """A part as the file that botocore wants, which tells of what is read to be sent, not of what is read to be signed.

    What it gives is not copied.
    """

    def __init__(self, part: memoryview, advance: Callable[[int], None]) -> None:
        self._part, self._at, self._advance, self._counts, self._told = part, 0, advance, False, 0

    def count(self, *, counts: bool) -> None:
        """From now on reading is sending, or is not; what was sent before was in vain."""
        self._advance(-self._told)
        self._counts, self._told = counts, 0

    def tell(self) -> int:
        """Offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._part)}[whence]
        return self._at

    def read(self, size: int | None = None) -> memoryview:
        """The next bytes: more than asked for, as http.client asks for 16 KiB."""
        block = self._part[self._at : len(self._part) if size is None or size < 0 else self._at + max(size, _BLOCK)]
        self._at += len(block)
        if self._counts:
            self._told += len(block)
            self._advance(len(block))
        return block


def _count_what_is_sent(s3: S3Client) -> None:
    """Have bodies count from when a request is signed, as s3transfer has it; each attempt is signed anew."""

    def before_signing(request: Any, **_: Any) -> None:
        if isinstance(request.body, _Body):
            request.body.count(counts=False)

    def signed(request: Any, **_: Any) -> None:
        if isinstance(request.body, _Body):
            request.body.count(counts=True)

    s3.meta.events.register_first("request-created.s3.UploadPart", before_signing, unique_id=f"{__name__} before")
    s3.meta.events.register_last("request-created.s3.UploadPart", signed, unique_id=f"{__name__} signed")
