"""Whatever is wrong with a dataset: it is rejected before anything is paid, or trains on exactly what was checked."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cloud.process import LocalCloud
from tests.faults import wrong_images, wrong_labels, wrong_structures
from tests.faults.conftest import Rows
from tests.faults.datasets import Made, mutated
from tests.oracle import Oracle
from tests.plain_reads import PlainReads
from traindrop.folder_in_s3 import FolderSource
from traindrop.gate import Gate
from traindrop.manifest import FILE as MANIFEST
from traindrop.manifest import manifest
from traindrop.on_disk import open_path
from traindrop.problems import Problem
from traindrop.read_ahead import ReadAhead
from traindrop.sources import Source, SourceError
from traindrop.validation import Validation, validate
from traindrop.zip_in_s3 import ArchiveSource

MUTATIONS = wrong_labels.MUTATIONS | wrong_images.MUTATIONS | wrong_structures.MUTATIONS
REJECTED_AT_LEAST = 0.4
RUN = {"run_id": "rooms-20261125T000000-00000000", "dataset": "rooms", "key": "datasets/rooms.zip"}


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    with Oracle(tmp_path_factory.mktemp("oracle")) as started:
        yield started


@dataclass
class Drop:
    """A dataset in the channel of a job, as it was dropped, and what validation found."""

    made: Made
    root: Path
    form: str
    source: Source | None
    found: Validation | None
    errors: list[Problem]

    @property
    def codes(self) -> set[str]:
        return {problem.code for problem in self.errors}

    def told(self) -> str:
        return f"{'; '.join(self.made.history) or 'nothing wrong'} ({self.form})"


def drop(seed: int, root: Path) -> Drop:
    """Every third dataset comes as a zip."""
    made = mutated(seed, MUTATIONS)
    channel = root / "input/data/dataset"
    form = "folder" if seed % 3 else "archive"
    place = made.write(channel) if form == "folder" else made.pack(channel / "rooms.zip")
    try:
        source = open_path(place)
        found = validate("rooms", source, None)
    except SourceError as error:
        return Drop(made, root, form, None, None, [error.problem])
    return Drop(made, root, form, source, found, found.verdict.errors)


def disagreements(oracle: Oracle, dropped: Drop, work: Path) -> list[str]:
    """What a training does otherwise than the verdict of an accepted dataset says."""
    assert dropped.source
    assert dropped.found
    config = dropped.root / "input/data/config"
    config.mkdir()
    run = {**RUN, "form": dropped.form}
    (config / "job.json").write_text(json.dumps(Gate.job(run, dropped.source, dropped.found)))
    (config / MANIFEST).write_bytes(manifest(dropped.source, dropped.found.splits))
    trained = oracle.ask("training.as_entry", str(dropped.root), str(work))
    if trained["error"]:
        return [trained["error"]]
    wrong = []
    for split in ("train", "val"):
        seen = trained[split]
        checked = {image.name for image in dropped.found.splits[split].images}
        if seen["corrupt"]:
            wrong.append(f"{split}: {seen['corrupt']} images were left out")
        if split == "train" and "fraction" in dropped.made.settings["train"]:
            continue
        if not checked - dropped.made.hidden <= set(seen["images"]) <= checked:
            wrong.append(f"{split}: trained on {seen['images']}, not on {sorted(checked)}")
        told = dropped.found.verdict.splits[split]["instances"]
        if len(seen["images"]) == len(checked) and seen["instances"] != told:
            wrong.append(f"{split}: {seen['instances']} instances, not {told}")
    return wrong


@pytest.mark.parametrize("seeds", [pytest.param(8, marks=pytest.mark.brief), pytest.param(520, marks=pytest.mark.long)])
def test_a_dataset_that_passes_trains(seeds: int, oracle: Oracle, row: Rows, tmp_path: Path) -> None:
    line = row(
        28,
        fault="anything wrong with a dataset",
        injected=f"{seeds} datasets with up to 3 of {len(MUTATIONS)} mutations",
        promise=f"what passes trains; {REJECTED_AT_LEAST:.0%} are rejected",
    )
    failed: list[str] = []
    rejected: Counter[str] = Counter()
    accepted = 0
    for seed in range(seeds):
        dropped = drop(seed, tmp_path / f"{seed}")
        if dropped.errors:
            rejected.update(dropped.codes)
        else:
            accepted += 1
            wrong = disagreements(oracle, dropped, tmp_path / "work")
            failed += [f"{seed}: {dropped.told()}: {'; '.join(wrong)}"] if wrong else []
        shutil.rmtree(dropped.root)
        share = 1 - accepted / (seed + 1)
        line.figure(
            f"failed in training = {len(failed)} of {accepted} accepted; "
            f"{seed + 1 - accepted} of {seed + 1} rejected ({share:.0%})"
        )
    print(json.dumps(rejected.most_common(), indent=0))
    assert not failed, "\n".join(failed)
    assert seeds < 100 or share >= REJECTED_AT_LEAST


STRICTER = {
    "expect.count_differs": "whoever counts wants to be told",
    "label.without_image": "an image was lost on its way",
    "label.wrong_suffix": "a label that training does not find makes a background of its image",
    "split.no_images": "one of several folders that are named lost its images on their way",
    "split.no_labels": "a val split without labels judges nothing",
    "split.no_objects": "a model is neither trained nor judged on backgrounds alone",
    "split.overlap": "a model is not judged on what it learned from",
    "task.model_differs": "a model of boxes would throw the polygons away",
    "task.unsupported": "keypoints would be thrown away",
}
"""Codes that reject what ultralytics would train on without a word, and why."""


@pytest.mark.parametrize("seeds", [pytest.param(8, marks=pytest.mark.brief), pytest.param(260, marks=pytest.mark.long)])
def test_a_dataset_that_is_rejected_would_not_have_trained(
    seeds: int, oracle: Oracle, row: Rows, tmp_path: Path
) -> None:
    line = row(
        28,
        fault="a gate that is too strict",
        injected="those that are rejected, trained as they are",
        promise="an error, or images left out",
    )
    trained: Counter[str] = Counter()
    unargued: list[str] = []
    rejected = harmless = 0
    for seed in range(seeds):
        dropped = drop(seed, tmp_path / f"{seed}")
        if dropped.errors and not any(code.startswith("settings.") for code in dropped.codes):
            rejected += 1
            answer = as_it_is(oracle, dropped, tmp_path / "work")
            if not answer["error"]:
                harmless += 1
                trained.update(dropped.codes)
                unargued += [f"{seed}: {dropped.told()}: {code}" for code in sorted(dropped.codes - STRICTER.keys())]
        shutil.rmtree(dropped.root)
        line.figure(
            f"{harmless} of {rejected} would have trained, each for an argued reason "
            f"({', '.join(f'{code} {count}' for code, count in trained.most_common())})"
        )
    assert not unargued, "\n".join(unargued)


def as_it_is(oracle: Oracle, dropped: Drop, work: Path) -> dict[str, Any]:
    """What ultralytics says to the dataset and its own data.yaml."""
    folder = dropped.made.write_at_home(dropped.root / "home")
    settings = dropped.made.settings
    arguments = {name: settings[name] for name in ("epochs", "imgsz", "batch")} | settings["train"]
    answer: dict[str, Any] = oracle.ask("training.as_is", str(folder), settings["model"], arguments, str(work))
    return answer


@pytest.mark.parametrize("seeds", [pytest.param(6, marks=pytest.mark.brief), pytest.param(60, marks=pytest.mark.long)])
def test_a_dataset_is_judged_alike_wherever_it_lies(seeds: int, cloud: LocalCloud, row: Rows, tmp_path: Path) -> None:
    line = row(
        28,
        fault="a verdict that hangs on the place",
        injected=f"{seeds} of them on disk and in S3, as folder and as zip",
        promise="the same codes everywhere",
    )
    s3 = cloud.client("s3")
    bucket = f"verdicts-{seeds}"
    s3.create_bucket(Bucket=bucket)
    reads = PlainReads(s3, bucket)
    differing: list[str] = []
    for seed in range(seeds):
        made = mutated(seed, MUTATIONS)
        made.settings["checks"] = {"images": "all"}  # a sample depends on what a place makes of a request
        made.settings.pop("expect", None)  # backgrounds that nobody counted are expected of a zip alone
        made.write(tmp_path / f"{seed}")
        made.pack(tmp_path / f"{seed}.zip")
        for path in (tmp_path / f"{seed}").rglob("*"):
            if path.is_file():
                s3.upload_file(str(path), bucket, path.relative_to(tmp_path).as_posix())
        s3.upload_file(str(tmp_path / f"{seed}.zip"), bucket, f"{seed}.zip")
        codes = {
            "folder on disk": codes_of(open_path, tmp_path / f"{seed}"),
            "zip on disk": codes_of(open_path, tmp_path / f"{seed}.zip"),
            "folder in S3": codes_of(FolderSource, s3, ReadAhead(reads), bucket, f"{seed}/"),
            "zip in S3": codes_of(ArchiveSource, s3, reads, bucket, f"{seed}.zip"),
        }
        differing += [f"{seed}: {codes}"] if len(set(map(str, codes.values()))) > 1 else []
        line.figure(f"different verdicts = {len(differing)} of {seed + 1}")
    assert not differing, "\n".join(differing)


def codes_of(source: Callable[..., Source], *place: Any) -> list[str]:
    try:
        verdict = validate("rooms", source(*place), None).verdict
    except SourceError as error:
        return [error.problem.code]
    return sorted({problem.code for problem in (*verdict.errors, *verdict.warnings)})
