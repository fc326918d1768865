"""Whatever archive or event comes in: it is taken, or refused by an error that says so."""

from __future__ import annotations

import copy
import gzip
import io
import json
import re
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import events
import pytest
from hypothesis import strategies as st

from tests.faults.conftest import Rows
from tests.faults.properties import ANY_TEXT, EXAMPLES, KEYS, MOMENT, declared, fill
from tests.plain_reads import PlainReads
from tests.stack import dataset_files, zipped
from traindrop import model_archive
from traindrop.errors import InvalidInput, MalformedEvent
from traindrop.intake import drop_of
from traindrop.sources import SourceError
from traindrop.validation import validate
from traindrop.zip_in_s3 import ArchiveSource
from training_entry import archive
from training_entry.failure import BadDataset

# --- archives ---------------------------------------------------------------------------------------------------------


class Objects:
    """As much of an S3 client as reading and writing archives takes, over one object."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.written: dict[str, bytes] = {}

    def get_object(self, **request: Any) -> dict[str, Any]:
        if "Range" not in request:
            return {"Body": io.BytesIO(self._content)}
        first, last = request["Range"].removeprefix("bytes=").split("-")
        size = len(self._content)
        start, end = (int(first), int(last) + 1) if first else (max(0, size - int(last)), size)
        assert 0 <= start < end <= size
        return {
            "Body": io.BytesIO(self._content[start:end]),
            "ContentRange": f"bytes {start}-{end - 1}/{size}",
            "ETag": '"e"',
            "LastModified": MOMENT,
        }

    def upload_fileobj(self, content: Any, _: str, key: str, **__: Any) -> None:
        self.written[key] = content.read()


def mutated(whole: list[bytes]) -> st.SearchStrategy[bytes]:
    """Archives of which some bytes were changed, cut out or doubled."""

    def change(archive_: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
        content = bytearray(archive_)
        for where, cut, put in changes:
            at = int(where * len(content))
            content[at : at + cut] = put
        return bytes(content)

    extreme = st.sampled_from([b"\xff", b"\xff\xff\xff\xff", b"\0", b"\0\0\0\0", b"\x01", b"\x7f\xff\xff\xff", b"\x80"])
    edits = st.tuples(st.floats(0, 1), st.integers(0, 8) | st.just(1), st.binary(max_size=4) | extreme)
    return st.builds(change, st.sampled_from(whole), st.lists(edits, min_size=1, max_size=4))


def good_zips() -> list[bytes]:
    files = dataset_files(train=1, val=1)
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            with target.open(name, "w", force_zip64=True) as member:
                member.write(content)
    return [zipped(files), deflated.getvalue()]


def any_zip(content: bytes) -> None:
    try:
        s3: Any = Objects(content)
        source = ArchiveSource(s3, PlainReads(s3, "bucket"), "bucket", "datasets/x.zip")
        verdict = validate("x", source, None).verdict
    except SourceError as error:
        declared(error.problem.code.startswith(("archive.", "data_yaml.")))
        return
    assert json.dumps(verdict.as_dict(), ensure_ascii=False).encode()


@EXAMPLES
def test_any_zip_is_judged(examples: int, row: Rows) -> None:
    fill(row, "any zip, before the gate", "zips with changed bytes", examples, any_zip, mutated(good_zips()))


@EXAMPLES
def test_any_zip_is_unpacked_below_its_folder_or_refused(examples: int, row: Rows, tmp_path: Path) -> None:
    packed, target = tmp_path / "job/x.zip", tmp_path / "job/out"
    target.mkdir(parents=True)

    def unpack(content: bytes) -> None:
        packed.write_bytes(content)
        try:
            archive.extract(packed, target, max_bytes=10_000_000)
        except BadDataset as error:
            declared(str(error).isprintable())
        assert [path.name for path in tmp_path.iterdir()] == ["job"]
        assert sorted(path.name for path in packed.parent.iterdir()) == ["out", "x.zip"]
        shutil.rmtree(target)
        target.mkdir()

    fill(row, "any zip, on the training host", "zips with changed bytes", examples, unpack, mutated(good_zips()))


def good_tars() -> list[bytes]:
    found = []
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=kind) as target:
            for name in ("best.pt", "samples/" + "x" * 80 + ".jpg", "n" * 120, "metrics.json"):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = 5, 1.5 if kind == tarfile.PAX_FORMAT else 1
                target.addfile(info, io.BytesIO(b"12345"))
        found.append(buffer.getvalue())
    return found


@EXAMPLES
def test_any_model_archive_delivers_what_is_expected_or_is_refused(examples: int, row: Rows) -> None:
    def any_tar(content: bytes) -> None:
        s3: Any = Objects(content)
        try:
            model_archive.extract(
                s3,
                bucket="b",
                archive_key="k",
                target_prefix="models/x/",
                weights_prefix="weights/",
            )
        except (model_archive.UnexpectedArchive, model_archive.NoModel) as error:
            declared("s3://b/k" in str(error))
        assert all(re.fullmatch(r"(models/x/(samples/)?|weights/)[A-Za-z0-9_.-]+", key) for key in s3.written)

    inside = mutated(good_tars()).map(lambda tar: gzip.compress(tar, 1, mtime=0))
    outside = mutated([gzip.compress(tar, mtime=0) for tar in good_tars()])
    fill(row, "any model.tar.gz", "archives with changed bytes", examples, any_tar, inside | outside)


# --- events -----------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
)
ARN = "arn:aws:states:us-east-1:000000000000:execution:m:n"
REAL: list[tuple[type[Any], dict[str, Any]]] = [
    (
        events.ObjectCreated,
        json.loads(Path(__file__).parents[1].joinpath("contract/s3_object_created.json").read_text()),
    ),
    (events.TrainingJobStateChange, {"detail": {"TrainingJobName": "n-1", "TrainingJobStatus": "Failed"}}),
    (
        events.ExecutionStatusChange,
        {
            "detail": {
                "executionArn": ARN,
                "name": "n",
                "status": "FAILED",
                "startDate": 1,
                "input": None,
                "redriveCount": 0,
            }
        },
    ),
    (events.Validate, {"drop": {}, "execution": {"arn": ARN, "name": "n", "started_at": "2026-11-12T01:02:03.456Z"}}),
    (events.Start, {"run_id": "r", "attempt": 1, "redrives": 0, "task_token": "t"}),
    (events.OfRun, {"run_id": "r"}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a member of an event can be changed."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [place for key, inner in value.items() for place in places(inner, (*path, key))]
    return found


def changed(real: tuple[type[Any], dict[str, Any]], where: int, put: Any, how: str) -> tuple[type[Any], Any]:
    kind, event = real[0], copy.deepcopy(real[1])
    if how == "replace":
        return kind, put
    path = places(event)[where % len(places(event))]
    inner = event
    for key in path[:-1]:
        inner = inner[key]
    if how == "remove":
        del inner[path[-1]]
    elif how == "add":
        inner["surprise"] = put
    else:
        inner[path[-1]] = put
    return kind, event


def any_event(case: tuple[type[Any], Any]) -> None:
    kind, event = case
    try:
        events.received(kind, event)
    except MalformedEvent as error:
        declared(len(str(error)) < 1000 and str(error).isprintable())


@EXAMPLES
def test_any_event_is_taken_or_named(examples: int, row: Rows) -> None:
    for kind, event in REAL:
        events.received(kind, event)
    how = st.sampled_from(["change", "remove", "add", "replace"])
    cases = st.builds(changed, st.sampled_from(REAL), st.integers(0, 30), JSON, how)
    fill(row, "any event or payload", "events with changed members", examples, any_event, cases)


@EXAMPLES
def test_any_input_of_an_execution_is_a_drop_or_named(examples: int, row: Rows) -> None:
    def any_input(given_: Any) -> None:
        try:
            assert drop_of(given_)["form"] in ("archive", "folder")
        except InvalidInput as error:
            declared("must name a drop" in str(error))

    like = st.fixed_dictionaries(
        {"bucket": st.just("bucket") | JSON, "key": KEYS | JSON}, optional={"x": JSON, "form": JSON, "settings": JSON}
    )
    fill(row, "any input by hand", "inputs", examples, any_input, JSON | like)


def test_our_own_payloads_hold_nothing_else() -> None:
    for kind, event in REAL[3:]:
        with pytest.raises(MalformedEvent, match="surprise"):
            events.received(kind, {**event, "surprise": 1})
