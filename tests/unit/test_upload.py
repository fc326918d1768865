"""What an upload remembers, how it is cut, and how its checksum is made."""

from __future__ import annotations

import base64
import io
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from traindrop.begun import run_of_drop
from traindrop.drops import run_id_of
from traindrop.unfinished import BusyUpload, unfinished
from traindrop.upload import Damaged, composite, crc32, part_size, send

MIB = 1024**2


def test_parts_have_eight_mebibytes_until_there_would_be_too_many() -> None:
    assert part_size(0) == part_size(70 * 10**9) == 8 * MIB
    for total in (10**11, 5 * 10**11, 5 * 10**12):
        assert part_size(total) % MIB == 0
        assert total / part_size(total) <= 9_000
        assert part_size(total) < 5 * 1024 * MIB


def test_a_composite_is_the_checksum_of_the_parts_checksums() -> None:
    parts = [b"north", b"south"]
    joined = b"".join(zlib.crc32(part).to_bytes(4) for part in parts)
    assert composite(map(crc32, parts)) == base64.b64encode(zlib.crc32(joined).to_bytes(4)).decode()


def test_an_upload_is_remembered_until_it_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with unfinished("endpoint", "bucket", "key") as kept:
        assert kept.recall() == ("", 0)
        kept.remember("a" * 90, 8)
        kept.remember("id", 9)
    with unfinished("endpoint", "bucket", "other") as other:
        assert other.recall() == ("", 0)
    with unfinished("endpoint", "bucket", "key") as kept:
        assert kept.recall() == ("id", 9)
        with pytest.raises(BusyUpload), unfinished("endpoint", "bucket", "key"):
            pass
        kept.forget()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_remembered_as_nonsense_counts_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with unfinished("x") as kept:
        kept.remember("id", 1)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    path.write_text("[")
    with unfinished("x") as kept:
        assert kept.recall() == ("", 0)


class Lying:
    """An S3 that damages what it gets."""

    class meta:  # noqa: N801
        class events:  # noqa: N801
            @staticmethod
            def register_first(*_: Any, **__: Any) -> None: ...

            @staticmethod
            def register_last(*_: Any, **__: Any) -> None: ...

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "1"}

    def upload_part(self, **_: Any) -> dict[str, str]:
        return {"ETag": "1"}

    def complete_multipart_upload(self, **_: Any) -> None: ...

    def head_object(self, **_: Any) -> dict[str, Any]:
        return {"ContentLength": 5, "ChecksumCRC32": "AAAAAA==-1"}


def test_an_object_that_is_not_what_was_sent_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    s3: Any = Lying()
    with unfinished("x") as kept, pytest.raises(Damaged, match=r"s3://b/k has 5 bytes with the checksum AAAAAA=="):
        send(s3, "b", "k", io.BytesIO(b"north"), size_of_part=8, unfinished=kept, advance=lambda _: None)  # type: ignore[arg-type]


def test_the_run_of_a_drop_is_the_first_of_its_dataset_since() -> None:
    moments = [datetime(2026, 11, 25, 8, 0, second, tzinfo=UTC) for second in range(4)]
    names = [run_id_of(dataset, moment) for moment in moments for dataset in ("rooms", "rooms-2")]

    class Sfn:
        asked = 0

        def list_executions(self, **_: Any) -> dict[str, Any]:
            self.asked += 1
            return {"executions": [{"name": name} for name in [*reversed(names), "by-hand"]] if self.asked > 1 else []}

    sfn: Any = Sfn()
    clock = iter(range(99))

    def look(dataset: str, moment: datetime) -> str:
        return run_of_drop(
            sfn, "arn", dataset, moment, within_seconds=5, sleep=lambda _: None, clock=lambda: next(clock)
        )

    assert look("rooms", moments[2]) == run_id_of("rooms", moments[2])
    assert sfn.asked == 2
    assert look("rooms-2", moments[0]) == run_id_of("rooms-2", moments[0])
    assert look("others", moments[0]) == ""
