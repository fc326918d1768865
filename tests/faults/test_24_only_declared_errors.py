"""Whatever comes in, by key, file, archive or event: it is taken, or refused by an error that says so."""

from __future__ import annotations

import copy
import gzip
import io
import json
import math
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import events
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.conftest import Rows
from tests.stack import dataset_files, zipped
from traindrop import dataset as rules
from traindrop import drops, messages, model_archive
from traindrop.data_yaml import describe
from traindrop.ending import explain
from traindrop.errors import InvalidInput, MalformedEvent
from traindrop.intake import drop_of
from traindrop.problems import Problem
from traindrop.settings import Layer, merge
from traindrop.sources import ArchiveSource, SourceError
from traindrop.validation import validate
from training_entry import archive
from training_entry.failure import BadDataset

EXAMPLES = pytest.mark.parametrize("examples", [200, pytest.param(10_000, marks=pytest.mark.long)])
MOMENT = datetime(2026, 11, 12, 1, 2, 3, tzinfo=UTC)
SUBJECT = re.compile(r"[!-~][ -~]{0,99}")
JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
EXECUTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
ANY_TEXT = st.text(max_size=60) | st.sampled_from(
    ["\ud800", "a\r\nSubject: x", "\u202e", "x" * 3000, "\0", "'; rm -rf /"]
)


def hold(examples: int, property_: Callable[[Any], None], values: st.SearchStrategy[Any]) -> None:
    """Try a property on so many values; whatever it raises is the test's failure."""
    tried = given(values)(property_)
    settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples <= 200,
        suppress_health_check=list(HealthCheck),
    )(tried)()


def fill(row: Rows, what: str, injected: str, examples: int, property_: Callable[[Any], None], values: Any) -> None:
    """Fill a row of the table with one property."""
    line = row(24, fault=what, injected=f"{examples:,} {injected}", promise="no error but the declared ones")
    line.figure("an undeclared error")
    hold(examples, property_, values)
    line.figure(f"undeclared errors = 0 of {examples:,}")


def declared(right: bool) -> None:
    """An error says what is wrong in the way that is promised."""
    assert right


def acceptable(message: messages.Message) -> None:
    """SNS takes the message, and so does the state machine's data, however it is escaped on its way."""
    assert SUBJECT.fullmatch(message.subject)
    body = message.body.encode()
    assert len(body) + sum(len((key + value).encode()) for key, value in message.attributes.items()) <= 262_144
    assert len(json.dumps(message.as_dict())) < 240_000
    assert all(line.isprintable() for line in message.body.split("\n"))
    assert all(value and value.isprintable() for value in message.attributes.values())


# --- keys -------------------------------------------------------------------------------------------------------------

FILES = st.sampled_from(["data.yaml", "data.yml", "training.yaml", "Data.yaml", "x.zip", ".zip", "a.ZIP", "1.png", ""])
KEYS = st.builds(
    lambda root, parts, file: (root + "/".join([*parts, file]))[:1024],
    st.sampled_from(["datasets/", "", "/", "datasets//", "Datasets/"]),
    st.lists(TEXT | st.sampled_from(["..", ".", "a" * 129, "\U0001f600", " "]), max_size=4),
    FILES | st.builds(lambda text: f"{text}.zip", TEXT),
)


def any_key(key: str) -> None:
    found = drops.recognise(key)
    if isinstance(found, drops.Misplaced):
        assert all(isinstance(drops.recognise(right), drops.Drop) for right in found.right_keys)
        acceptable(messages.misplaced(found.dataset, "bucket", found.key, found.right_keys, found.reason))
    elif found is not None:
        run_id = drops.run_id_of(found.dataset, MOMENT, key)
        assert re.fullmatch(r"[a-z0-9-]{1,35}", drops.slug_of(found.dataset))
        assert drops.RUN_ID.fullmatch(run_id)
        assert EXECUTION_NAME.fullmatch(run_id)
        assert JOB_NAME.fullmatch(f"{run_id}-99")
        assert drop_of({"bucket": "bucket", "key": key})["dataset"] == found.dataset


@EXAMPLES
def test_any_key_is_a_drop_a_misplaced_one_or_nothing(examples: int, row: Rows) -> None:
    fill(row, "any key", "keys", examples, any_key, KEYS)


def two_names(names: tuple[str, str]) -> None:
    one, other = names
    assert (drops.slug_of(one) == drops.slug_of(other)) == (one == other)


@EXAMPLES
def test_different_names_never_share_a_slug(examples: int, row: Rows) -> None:
    near = st.text(st.sampled_from("aAbB-_ 0é"), min_size=1, max_size=40)
    fill(row, "names alike", "pairs of names", examples, two_names, st.tuples(near | TEXT, near | TEXT))


# --- settings, data.yaml, labels --------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.dates() | st.datetimes()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers() | TEXT, inner, max_size=4)
)
TOKENS = r"""names: train: val: test: path: nc: download: epochs: expect: model: instance_types: max_cost_usd: - [ ] { }
& * ! &a *a <<: | > ' " # % @ ~ .nan .inf -.inf 0x1f 1:2:3 1e9 null yes 2001-99-99 !!python/object/apply:os.system !!int
!!float !!bool !!timestamp !!binary !!set !!omap !!pairs !!null !!str !!map "\ud800" images/train ../x a b 0 1
99999999999 ? = , :"""
WORDS = st.sampled_from([*TOKENS.split(), "\n", "\n  ", " ", "\t", "\x00", "\ufeff"])
KEYWORDS = [
    "names",
    "train",
    "val",
    "test",
    "path",
    "nc",
    "epochs",
    "model",
    "expect",
    "instance_types",
    "spot",
    "batch",
]
YAML_FILES = (
    st.binary(max_size=200)
    | st.lists(WORDS, max_size=40).map(lambda words: " ".join(words).encode(errors="surrogatepass"))
    | st.dictionaries(st.sampled_from(KEYWORDS), TREES, max_size=8).map(
        lambda tree: yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogatepass")
    )
)


def any_settings(files: list[bytes]) -> None:
    found, problems = merge([Layer(f"{number}/training.yaml", text) for number, text in enumerate(files)])
    assert all(problem.message.isprintable() and problem.message for problem in problems)
    numbers = [value for value in found.train_arguments().values() if isinstance(value, float)]
    assert all(map(math.isfinite, [*numbers, found.max_cost_usd, found.max_runtime_hours, found.max_wait_hours]))
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


@EXAMPLES
def test_any_training_yaml_is_taken_or_explained(examples: int, row: Rows) -> None:
    fill(
        row, "any training.yaml", "pairs of files", examples, any_settings, st.lists(YAML_FILES, min_size=1, max_size=2)
    )


def any_data_yaml(text: bytes) -> None:
    description, problems = describe(text, "data.yaml")
    assert (description is None) == bool(problems)
    assert all(problem.message.isprintable() and problem.code.startswith("data_yaml.") for problem in problems)
    if description:
        json.dumps(description.names, ensure_ascii=False).encode()
        assert not any(
            ".." in path.split("/") or path.startswith("/") for found in description.splits.values() for path in found
        )
        names = ["images/train/1.png", "a", "a.png", "train.txt", "labels/train/1.txt", "labels/train/2.txt"]
        files = {name: rules.File(name, 10, "0") for name in names}
        splits, _ = rules.resolve(description, files, lambda _: text)
        rules.fingerprint(description, splits, {})


@EXAMPLES
def test_any_data_yaml_is_taken_or_explained(examples: int, row: Rows) -> None:
    known = st.builds(
        lambda names, train, extra: yaml.safe_dump({"names": names, "train": train, "val": "a", **extra}).encode(),
        TREES | st.lists(TEXT, min_size=1, max_size=3),
        TREES | st.sampled_from(["a", "images/train", "train.txt", ["..", "/"], "../../../etc", "C:\\x"]),
        st.dictionaries(st.sampled_from(["path", "nc", "download", "test"]), TREES, max_size=2),
    )
    fill(row, "any data.yaml", "files", examples, any_data_yaml, YAML_FILES | known)


@EXAMPLES
def test_any_label_is_for_a_task_or_for_none(examples: int, row: Rows) -> None:
    def any_labels(labels: list[bytes]) -> None:
        assert rules.task_of(labels) in ("segment", "detect", None)

    rows = st.text(st.sampled_from("0123456789. \n\t-e\u2028\ufeff"), max_size=80).map(str.encode)
    fill(row, "any label", "sets of labels", examples, any_labels, st.lists(st.binary(max_size=80) | rows, max_size=4))


# --- archives ---------------------------------------------------------------------------------------------------------


class Objects:
    """As much of an S3 client as reading and writing archives takes, over one object."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.written: dict[str, bytes] = {}

    def head_object(self, **_: Any) -> dict[str, Any]:
        return {"ContentLength": len(self._content), "ETag": '"e"', "LastModified": MOMENT}

    def get_object(self, **request: Any) -> dict[str, Any]:
        if "Range" not in request:
            return {"Body": io.BytesIO(self._content)}
        first, last = map(int, request["Range"].removeprefix("bytes=").split("-"))
        assert 0 <= first <= last < len(self._content)
        return {"Body": io.BytesIO(self._content[first : last + 1])}

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
        source = ArchiveSource(Objects(content), "bucket", "datasets/x.zip")  # type: ignore[arg-type]
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
        {"bucket": st.just("bucket") | JSON, "key": KEYS | JSON}, optional={"x": JSON, "form": JSON}
    )
    fill(row, "any input by hand", "inputs", examples, any_input, JSON | like)


def test_our_own_payloads_hold_nothing_else() -> None:
    for kind, event in REAL[3:]:
        with pytest.raises(MalformedEvent, match="surprise"):
            events.received(kind, {**event, "surprise": 1})


# --- messages ---------------------------------------------------------------------------------------------------------

LONG = ANY_TEXT | st.builds(lambda text, times: text * times, ANY_TEXT, st.integers(1, 5000))


@EXAMPLES
def test_any_message_is_one_that_sns_takes(examples: int, row: Rows) -> None:
    def any_message(parts: tuple[str, str, str, str]) -> None:
        dataset, headline, cause, key = parts
        run = {"dataset": dataset, "run_id": "r-1", "bucket": "b", "key": key, "execution_arn": ARN, "jobs": []}
        problems = [Problem("a.b", text).as_dict() for text in (headline, cause, dataset, key)]
        acceptable(messages.compose("Failed", headline, [cause, dataset], run))
        acceptable(messages.rejected(run, problems, "s3://b/verdict", incomplete_after="6 hours"))
        acceptable(messages.ended_early("Failed", run, "Error", explain(cause), headline))
        acceptable(messages.ended_early("Stopped", run, "Error", explain(cause), headline))
        acceptable(messages.misplaced(dataset, "b", key, [key], cause))

    fill(
        row,
        "any text in a message",
        "messages of each kind",
        examples,
        any_message,
        st.tuples(ANY_TEXT, LONG, LONG, ANY_TEXT),
    )
