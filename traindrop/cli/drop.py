"""`traindrop drop`: a dataset of this machine's disk judged, packed and brought to where a run begins."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from traindrop.begun import run_of_drop
from traindrop.cli import Answer, CannotDo, UsageError, say
from traindrop.cli.check import judge, shown
from traindrop.cli.stack import Stack
from traindrop.cli.terminal import Advance, transfer
from traindrop.dataset import Split
from traindrop.drops import ROOT, Drop, recognise
from traindrop.figures import gigabytes
from traindrop.packing import Joined, WholeFile, pack, packed_bytes, packed_names, reader
from traindrop.plain_text import printable, shell_word
from traindrop.problems import Verdict
from traindrop.settings_layers import Layer, merge
from traindrop.sources import Source, SourceError
from traindrop.unfinished import BusyUpload, unfinished
from traindrop.upload import CLIENT, Damaged, part_size, send
from traindrop.upload_folder import AT_ONCE, Strangers, send_folder
from traindrop.validation import SETTINGS_FILES, Validation, layers_of

_PERMISSIONS = (
    "cloudformation:DescribeStacks, states:ListExecutions, and of datasets/* in the DatasetBucket s3:PutObject, "
    "s3:GetObject, s3:ListMultipartUploadParts and s3:AbortMultipartUpload, with --folder s3:ListBucket"
)
_SETTINGS = SETTINGS_FILES[0]
_LOOK_SECONDS, _LOOK_SECONDS_TO_WATCH = 15.0, 120.0
"""How long to look for the run that was begun."""


@dataclass(frozen=True)
class _Dataset:
    """What is sent: the files of a dataset, some of them with other contents than on the disk."""

    path: Path
    name: str
    source: Source
    found: Validation
    instead: Mapping[str, bytes]

    @property
    def names(self) -> list[str]:
        """The files, in the order in which they are packed."""
        superseded = set(SETTINGS_FILES) if self.instead else set()
        return packed_names((set(self.source.files) - superseded) | set(self.instead))

    def size_of(self, name: str) -> int:
        """Bytes of a file."""
        return len(self.instead[name]) if name in self.instead else self.source.files[name].size

    def read(self) -> Callable[[str], bytes]:
        """Reads whole files."""
        return reader(self.path, self.source, self.instead)


@dataclass(frozen=True)
class _Arrived:
    """What lies in the bucket now, and what of it was there before."""

    key: str
    size: int
    kept: int
    checksum: str
    modified: datetime


def drop(
    place: str,
    *,
    name: str | None,
    settings: Mapping[str, Any],
    folder: bool,
    watch: bool,
    stack: Stack,
    as_json: bool,
) -> Answer:
    """Judge a dataset, bring it to the bucket, and say which run began.

    Args:
        place: a folder that holds data.yaml, or a zip.
        name: the dataset's name, by default the folder's or the zip's.
        settings: those that rank above the dataset's own; they go into what is sent, never onto the disk.
        folder: whether its files are sent as they are instead of as one zip.
        watch: whether the run is followed until it has ended.
        stack: where it goes.
        as_json: whether the answer is a document instead of text for people.

    Raises:
        UsageError: nothing lies there that could be a dataset, or none may have that name.
        CannotDo: it cannot be brought there.
    """
    given = Layer("the command line", dict(settings)) if settings else None
    asked = stack.asked_ahead()
    judged = judge(place, name, given)
    name = judged.verdict.dataset
    _refuse_name(name)
    if not (judged.source and judged.found and judged.verdict.ok):
        return Answer(shown(judged.verdict, as_json=as_json), 1)
    dataset = _Dataset(
        judged.path, name, judged.source, judged.found, _instead(judged.source, judged.found, given, folder=folder)
    )
    if not as_json:
        say(shown(judged.verdict, as_json=False))
    with stack.needing(_PERMISSIONS, so="nothing was uploaded: "):
        asked.result()
        bucket, machine = stack.output("DatasetBucketName"), stack.output("StateMachineArn")
    if not as_json:
        say("\n".join(_plan(dataset, bucket, settings, folder=folder)))
    arrived = _send(dataset, bucket, stack, folder=folder)
    with stack.needing(_PERMISSIONS, so="the dataset was uploaded and its run begins, but it cannot be seen: "):
        seconds = _LOOK_SECONDS_TO_WATCH if watch else _LOOK_SECONDS
        run_id = run_of_drop(stack.client("stepfunctions"), machine, name, arrived.modified, within_seconds=seconds)
    text = _document(judged.verdict, bucket, arrived, run_id) if as_json else "\n".join(_told(dataset, arrived, run_id))
    if not watch:
        return Answer(text)
    say(text)
    if not run_id:
        raise CannotDo(
            f"no run of {printable(name)} is to be seen yet; `traindrop watch {shell_word(name)}` looks again"
        )
    from traindrop.cli import watch as following

    return following.watch(run_id, stack=stack, with_log=False, as_json=as_json)


def _refuse_name(name: str) -> None:
    found = recognise(f"{ROOT}{name}.zip")
    if not (isinstance(found, Drop) and found.dataset == name):
        raise UsageError(
            f"no dataset can be called {printable(name)!r:.200}: a name has 1 to 128 printable characters and no "
            "slash; give another by --name"
        )


def _instead(source: Source, found: Validation, given: Layer | None, *, folder: bool) -> dict[str, bytes]:
    """The training.yaml that is sent where it is not the dataset's own.

    A folder's says how many images it has, so that no run begins before all of them are there.
    """
    if not (given or folder):
        return {}
    settings, _ = merge([layer for layer in [*layers_of(source), given] if layer])
    values = settings.model_dump(mode="json", exclude_unset=True)
    if folder:
        values["expect"] = _counts(found.splits)
    return {_SETTINGS: yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode()}


def _counts(splits: Mapping[str, Split]) -> dict[str, int]:
    counts = {name: split.counts() for name, split in splits.items()}
    unlabelled = sum(split["backgrounds"] for name, split in counts.items() if name != "test")
    return {**{name: split["images"] for name, split in counts.items() if split["images"]}, "backgrounds": unlabelled}


def _plan(dataset: _Dataset, bucket: str, settings: Mapping[str, Any], *, folder: bool) -> Iterator[str]:
    """What is going to be sent, and where."""
    place = f"s3://{bucket}/{ROOT}{printable(dataset.name)}{'/' if folder else '.zip'}"
    if dataset.source.archive_bytes and not (dataset.instead or folder):
        yield f"Uploading {gigabytes(dataset.source.archive_bytes)}, the zip as it is, to {place}"
        return
    names = dataset.names
    size = gigabytes(sum(map(dataset.size_of, names)))
    yield f"Uploading {len(names):,} files ({size}) {'one by one' if folder else 'as one zip'} to {place}"
    if settings:
        changed = ", ".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())
        yield f"  with {changed} in its training.yaml; that on this disk stays as it is"
    left_out = sorted(set(dataset.source.files) - set(names) - set(SETTINGS_FILES))
    if left_out:
        yield f"  without {len(left_out):,} that no training reads, such as {printable(left_out[0])}"


def _send(dataset: _Dataset, bucket: str, stack: Stack, *, folder: bool) -> _Arrived:
    """Bring the dataset to the bucket.

    Raises:
        CannotDo: with what is the matter; the same command goes on.
    """
    moved = 0

    def counted(advance: Advance) -> Advance:
        def count(more: int) -> None:
            nonlocal moved
            moved += more
            advance(more)

        return count

    so = "the upload is not complete, and the same command goes on where it stopped: "
    try:
        with stack.needing(_PERMISSIONS, so=so):
            return (_send_folder if folder else _send_zip)(dataset, bucket, stack, counted)
    except KeyboardInterrupt:
        print(
            f"traindrop: interrupted after {gigabytes(max(0, moved))}; the same command goes on there", file=sys.stderr
        )
        raise
    except SourceError as error:
        raise CannotDo(f"{error.problem.message}. No run was started") from error
    except Damaged as error:
        raise CannotDo(f"{error}; drop it again") from error
    except BusyUpload as error:
        raise CannotDo("another `traindrop drop` of this dataset is on at this moment") from error
    except Strangers as error:
        key = f"s3://{bucket}/{error.keys[0]}"
        raise CannotDo(
            f"{len(error.keys)} objects of another upload lie there, such as {printable(key)}, and would be trained on "
            "too. Delete them (`aws s3 rm`), or drop without --folder: a zip takes the place of all that lies there"
        ) from error
    except OSError as error:
        raise CannotDo(f"{so}{error}") from error


def _send_zip(dataset: _Dataset, bucket: str, stack: Stack, counted: Callable[[Advance], Advance]) -> _Arrived:
    key = f"{ROOT}{dataset.name}.zip"
    if dataset.source.archive_bytes and not dataset.instead:
        total = dataset.source.archive_bytes
        content: io.RawIOBase = WholeFile(dataset.path)
    else:
        names = dataset.names
        total = packed_bytes(names, dataset.size_of)
        content = Joined(pack(names, dataset.read()))
    size = part_size(total)
    s3 = stack.client("s3", **CLIENT)
    with content, unfinished(s3.meta.endpoint_url, bucket, key) as kept, transfer("uploading", total) as advance:
        sent = send(s3, bucket, key, content, size_of_part=size, unfinished=kept, advance=counted(advance))
    return _Arrived(key, sent.size, sent.kept, sent.checksum, sent.modified)


def _send_folder(dataset: _Dataset, bucket: str, stack: Stack, counted: Callable[[Advance], Advance]) -> _Arrived:
    prefix = f"{ROOT}{dataset.name}/"
    s3 = stack.client("s3", **{**CLIENT, "max_pool_connections": AT_ONCE})
    names = dataset.names
    with transfer("uploading", sum(map(dataset.size_of, names))) as advance:
        sent = send_folder(s3, bucket, prefix, names, dataset.read(), advance=counted(advance))
    return _Arrived(prefix, sent.kept + sent.sent, sent.kept, "", sent.modified)


def _document(verdict: Verdict, bucket: str, arrived: _Arrived, run_id: str) -> str:
    """On one line, as what `watch` prints may follow."""
    return json.dumps(
        {
            "kind": "dropped",
            "dataset": verdict.dataset,
            "place": f"s3://{bucket}/{arrived.key}",
            "bytes": arrived.size,
            "bytes_kept": arrived.kept,
            "checksum_crc32": arrived.checksum or None,
            "run_id": run_id or None,
            "warnings": [problem.as_dict() for problem in verdict.warnings],
        }
    )


def _told(dataset: _Dataset, arrived: _Arrived, run_id: str) -> Iterator[str]:
    kept = f", {gigabytes(arrived.kept)} of which lay there already" if arrived.kept else ""
    yield f"{printable(dataset.name)} lies in S3 as it was sent ({gigabytes(arrived.size)}{kept})."
    if run_id:
        yield f"Its run is {run_id}. A message comes by e-mail when it starts and when it ends; to follow it:"
        yield f"  traindrop watch {run_id}"
    else:
        yield "Its run is not to be seen yet. A message comes by e-mail when it starts and when it ends; to follow it:"
        yield f"  traindrop watch {shell_word(dataset.name)}"
