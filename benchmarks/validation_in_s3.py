"""What it costs to judge a dataset in S3: beside the guide's own counting of it, beside boto3, and as it grows.

Against `benchmarks.s3_server`. Every measurement is a process of its own; those that are compared take turns.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.datasets import images
from benchmarks.s3_server import BUCKET, Server, running

ROOT = Path(__file__).resolve().parent.parent
AWS = ROOT / ".venvs/aws/bin/aws"
ROUNDS = 5
IMAGES = 4600
SIZES = (5_000, 20_000, 100_000)
PEER_THREADS = 32
MOST_REQUESTS, MOST_BYTES, MOST_SECONDS = 4, 3_000_000, 1.0
"""For a zip whose labels lie together."""
CPU_SHARE = 0.2
MOST_MEMORY_MB = 400
LAMBDA_SECONDS = 900
LINEAR = 1.5
"""How much more an image may cost in a dataset of 100,000 than in one of 5,000."""


# --- what a process of its own measures -------------------------------------------------------------------------------


def place_of(form: str, count: int) -> str:
    """Prefix or key of a dataset."""
    return f"datasets/folder-{count}/" if form == "folder" else f"datasets/{form}-{count}.zip"


def label_keys(count: int) -> list[str]:
    """Keys of the labels of a folder."""
    return [f"{place_of('folder', count)}labels/{split}/{stem}.txt" for split, stem, _ in images(count)]


def judged(form: str, count: int) -> Callable[[], int]:
    """The whole validation of a dataset, as the function does it; answers how many labels it read."""
    import environment

    from traindrop.folder_in_s3 import FolderSource
    from traindrop.read_ahead import ReadAhead
    from traindrop.sources import Source
    from traindrop.validation import validate
    from traindrop.zip_in_s3 import ArchiveSource

    s3 = environment.client("s3")

    def run() -> int:
        with ReadAhead(environment.object_reads(BUCKET)) as reads:
            kind = FolderSource if form == "folder" else ArchiveSource
            source: Source = kind(s3, reads, BUCKET, place_of(form, count))
            verdict = validate("bench", source, None).verdict
        if not verdict.ok:
            raise ValueError(f"the dataset of the benchmark is refused: {verdict.errors[0].message}")
        return sum(split.get("labels_read", 0) for split in verdict.splits.values())

    return run


def read_by_us(count: int) -> Callable[[], int]:
    """The labels of a folder read and not judged."""
    import environment

    from traindrop.object_reads import Piece

    def run() -> int:
        pieces = [Piece(key, 0, 16 * 1024) for key in label_keys(count)]
        return sum(1 for _ in environment.object_reads(BUCKET).fetch(pieces))

    return run


def read_by_boto3(count: int) -> Callable[[], int]:
    """The same by a pool of threads, as it is usually written."""
    import boto3
    from botocore.config import Config

    s3 = boto3.client("s3", config=Config(max_pool_connections=PEER_THREADS))

    def run() -> int:
        with ThreadPoolExecutor(PEER_THREADS) as threads:
            return sum(
                bool(body)
                for body in threads.map(
                    lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), label_keys(count)
                )
            )

    return run


def child(what: str, form: str, count: int) -> None:
    """Measure one thing and print its figures."""
    run = {"judge": lambda: judged(form, count), "us": lambda: read_by_us(count), "boto3": lambda: read_by_boto3(count)}
    ready = run[what]()
    cpu, wall = time.process_time(), time.perf_counter()
    labels = ready()
    figures = {
        "labels": labels,
        "seconds": round(time.perf_counter() - wall, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures))


# --- what the parent asks for -----------------------------------------------------------------------------------------


def compiled() -> dict[str, str]:
    """The environment, in which Python keeps what it compiled: from the second round on nobody's start waits for it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measured(server: Server, what: str, form: str, count: int) -> dict[str, Any]:
    """The figures of a fresh process, with what it asked of the server and how long it took from start to end."""
    environment = {**compiled(), **server.environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    server.counts()
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.validation_in_s3", what, form, str(count)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    figures: dict[str, Any] = json.loads(done.stdout)
    return {**figures, "seconds_with_start": round(time.perf_counter() - begun, 3), **server.counts()}


def counted_by_the_guide(server: Server) -> dict[str, Any]:
    """`aws s3 ls … | wc -l` of both splits, as the guide has it done by hand after an upload."""
    environment = {**compiled(), **server.environment}
    begun = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = 0
    for split in ("train", "val"):
        command = f"{AWS} s3 ls s3://{BUCKET}/{place_of('folder', IMAGES)}images/{split}/ --recursive | wc -l"
        done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
        total += int(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if total != IMAGES:
        raise ValueError(f"aws s3 ls counts {total} images of {IMAGES}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds_with_start": round(time.perf_counter() - begun, 3), "cpu_seconds": round(cpu, 3)}


def medians(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure."""
    return {key: round(statistics.median(item[key] for item in found), 3) for key in found[0]}


def measure() -> dict[str, Any]:
    """All figures: medians of rounds at 4,600 images, and one run of each size of growth."""
    with running() as server:
        for form in ("folder", "contiguous", "interleaved"):
            server.make(place_of(form, IMAGES) + ("data.yaml" if form == "folder" else ""))
        compared: dict[str, Callable[[], dict[str, Any]]] = {
            "guide": lambda: counted_by_the_guide(server),
            "folder": lambda: measured(server, "judge", "folder", IMAGES),
            "reads": lambda: measured(server, "us", "folder", IMAGES),
            "boto3_reads": lambda: measured(server, "boto3", "folder", IMAGES),
            "contiguous_zip": lambda: measured(server, "judge", "contiguous", IMAGES),
            "interleaved_zip": lambda: measured(server, "judge", "interleaved", IMAGES),
        }
        rounds = [{name: run() for name, run in compared.items()} for _ in range(ROUNDS)]
        figures: dict[str, Any] = {name: medians([one[name] for one in rounds]) for name in compared}
        figures["growth"] = {}
        for count in SIZES:
            for form in ("folder", "contiguous"):
                server.make(place_of(form, count) + ("data.yaml" if form == "folder" else ""))
                figures["growth"][f"{form} {count}"] = measured(server, "judge", form, count)
    return figures


def worse_than_promised(figures: dict[str, Any]) -> Iterator[str]:
    """Every figure that does not hold."""
    guide, folder, zipped = figures["guide"], figures["folder"], figures["contiguous_zip"]
    share = figures["reads"]["cpu_seconds"] / figures["boto3_reads"]["cpu_seconds"]
    if folder["seconds"] >= guide["seconds_with_start"]:
        yield f"a folder takes {folder['seconds']} s, counting it {guide['seconds_with_start']} s"
    if share > CPU_SHARE:
        yield f"reads take {share:.2f} of boto3's processor time, not {CPU_SHARE}"
    if zipped["requests"] > MOST_REQUESTS or zipped["bytes"] > MOST_BYTES or zipped["seconds"] > MOST_SECONDS:
        yield f"a zip takes {zipped['requests']} requests, {zipped['bytes']} bytes, {zipped['seconds']} s"
    for name in ("folder", "contiguous_zip", "interleaved_zip"):
        if figures[name]["labels"] != IMAGES:
            yield f"{name}: {figures[name]['labels']} of {IMAGES} labels were read"
    for name, found in figures["growth"].items():
        if found["max_rss_mb"] > MOST_MEMORY_MB or found["seconds"] > LAMBDA_SECONDS / 5:
            yield f"{name}: {found['max_rss_mb']} MB, {found['seconds']} s"
    for form in ("folder", "contiguous"):
        small, large = (figures["growth"][f"{form} {count}"]["cpu_seconds"] / count for count in (SIZES[0], SIZES[-1]))
        if large > small * LINEAR:
            yield f"{form}: an image of {SIZES[-1]} costs {large / small:.1f} times one of {SIZES[0]}"


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if one is worse than is promised."""
    print(f"{IMAGES} images and as many labels; a LIST takes 80 ms, a GET 25 ms; medians of {ROUNDS} rounds")
    print(f"{'':<36}{'wall s':>8}{'with start':>12}{'CPU s':>8}{'requests':>10}{'MB sent':>9}{'RSS MB':>8}")
    titles = {
        "guide": "the guide counts by aws s3 ls",
        "folder": "folder judged, every label",
        "reads": "  of that, labels read",
        "boto3_reads": f"  the same by boto3, {PEER_THREADS} threads",
        "contiguous_zip": "zip judged, every label",
        "interleaved_zip": "zip with labels between images",
    }
    rows = [(title, figures[name]) for name, title in titles.items()]
    rows += [(f"{name} images", found) for name, found in figures["growth"].items()]
    for title, found in rows:
        print(
            f"{title:<36}{found.get('seconds', ''):>8}{found['seconds_with_start']:>12}{found['cpu_seconds']:>8}"
            f"{found.get('requests', ''):>10}{found.get('bytes', 0) / 1e6:>9.2f}{found.get('max_rss_mb', ''):>8}"
        )
    share = figures["reads"]["cpu_seconds"] / figures["boto3_reads"]["cpu_seconds"]
    print(f"processor time of reads / boto3's: {share:.2f} (at most {CPU_SHARE})")
    for form in ("folder", "contiguous"):
        each = [figures["growth"][f"{form} {count}"]["cpu_seconds"] / count * 1e6 for count in SIZES]
        print(f"{form}: processor microseconds an image at {SIZES}: {', '.join(f'{item:.0f}' for item in each)}")
    bad = list(worse_than_promised(figures))
    for line in bad:
        print(f"WORSE THAN PROMISED: {line}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
