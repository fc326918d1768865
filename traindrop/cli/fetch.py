"""`traindrop fetch`: a run's model, report and what else belongs to it, brought to this machine's disk."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traindrop import champion
from traindrop.cli import Answer, CannotDo, UsageError
from traindrop.cli.stack import Stack
from traindrop.cli.terminal import Advance, transfer
from traindrop.drops import RUN_ID, slug_of, slug_of_run
from traindrop.figures import gigabytes
from traindrop.objects import listed
from traindrop.plain_text import printable, shell_word

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PERMISSIONS = "cloudformation:DescribeStacks, and of the ArtifactBucket s3:ListBucket, and s3:GetObject of models/*"
_FILES_AT_ONCE = 4


def fetch(wanted: str, *, to: str | None, stack: Stack, as_json: bool) -> Answer:
    """Bring the model folder of a run; files that are there already and equal in size and time are not brought again.

    Args:
        wanted: a run, or a dataset for its best run.
        to: the folder, by default one with the run's name in the current one.
        stack: where it is.
        as_json: whether the answer is a document instead of text for people.

    Raises:
        UsageError: the folder cannot be written to.
        CannotDo: nothing of that name has a model, or AWS does not let us.
    """
    with stack.needing(_PERMISSIONS):
        bucket, s3 = stack.output("ArtifactBucketName"), stack.client("s3")
        slug, run_id = _which(s3, bucket, wanted)
        prefix = f"models/{slug}/{run_id}/"
        there = [item for item in listed(s3, bucket, prefix) if not item["Key"].endswith("/")]
        if not there:
            raise CannotDo(
                f"the run {run_id} has no model (nothing lies in s3://{bucket}/{prefix}): it delivered none, or it was "
                "deleted; `traindrop runs` says what became of it"
            )
        folder = Path(to if to is not None else run_id)
        try:
            files = _bring(s3, bucket, prefix, there, folder)
        except OSError as error:
            raise UsageError(f"{printable(str(folder))} cannot be written to: {error.strerror or error}") from error
    if as_json:
        document = {"run_id": run_id, "from": f"s3://{bucket}/{prefix}", "files": [str(path) for path in files]}
        return Answer(json.dumps(document, indent=2))
    size = gigabytes(sum(path.stat().st_size for path in files))
    lines = [f"{len(files)} files ({size}) of run {run_id} are in {printable(str(folder))}"]
    for name, use in (
        ("report.html", "the report"),
        ("best.pt", "the model"),
        ("best.onnx", "the same without PyTorch"),
    ):
        if folder / name in files:
            lines.append(f"  {folder / name}: {use}")
    if folder / "best.onnx" in files:
        model = shell_word(str(folder / "best.onnx"))
        lines.append(f"Ask it about an image: traindrop polygons --model {model} --image plan.png --overlay rooms.png")
    return Answer("\n".join(printable(line) for line in lines))


def _which(s3: S3Client, bucket: str, wanted: str) -> tuple[str, str]:
    """Slug and run id of a run, or of a dataset's best one."""
    if RUN_ID.fullmatch(wanted):
        return slug_of_run(wanted), wanted
    slug = slug_of(wanted)
    now = champion.read(s3, bucket, slug).now
    if now is None:
        raise CannotDo(
            f"there is no model of {printable(wanted)}: no run of that name, and no dataset whose run promoted one; "
            "`traindrop runs` lists them"
        )
    return slug, str(now["run_id"])


def _bring(s3: S3Client, bucket: str, prefix: str, there: list[dict[str, Any]], folder: Path) -> list[Path]:
    places = {item["Key"]: folder / str(item["Key"]).removeprefix(prefix) for item in there}
    if not all(place.resolve().is_relative_to(folder.resolve()) for place in places.values()):
        raise CannotDo(f"s3://{bucket}/{prefix} holds names that lead out of the folder; nothing was fetched")
    missing = [item for item in there if not _is_there(places[item["Key"]], item)]
    with (
        transfer("fetching", sum(item["Size"] for item in missing)) as advance,
        ThreadPoolExecutor(_FILES_AT_ONCE) as pool,
    ):
        list(pool.map(lambda item: _bring_one(s3, bucket, item, places[item["Key"]], advance), missing))
    return sorted(places.values())


def _is_there(place: Path, item: Mapping[str, Any]) -> bool:
    with contextlib.suppress(OSError):
        found = place.stat()
        return bool(found.st_size == item["Size"] and found.st_mtime == item["LastModified"].timestamp())
    return False


def _bring_one(s3: S3Client, bucket: str, item: Mapping[str, Any], place: Path, advance: Advance) -> None:
    """Download one file; it is at its place only when it is whole, with the object's time."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f"{place.name}.part")
    s3.download_file(bucket, item["Key"], str(draft), Callback=advance)
    moment = item["LastModified"].timestamp()
    os.utime(draft, (moment, moment))
    draft.replace(place)
