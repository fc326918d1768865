"""`traindrop drop` beside `aws s3 cp` of the same zip and the same folder: what they take.

Against `benchmarks.upload_server`, which takes bytes as fast as they come. The zip has the size of our users' datasets,
3 GB; the folder, which AWS's command copies file by file, is smaller. What `drop` does besides counts: it judges the
dataset, asks for the stack, compares the object's checksum, and looks for the run. Run by
`.venvs/dev/bin/python -m benchmarks upload`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import datasets
from benchmarks.s3_server import BUCKET, ROOT, Server, running
from traindrop.packing import pack, packed_names

AWS = ROOT / ".venvs/aws/bin/aws"
ROUNDS = 5
ZIPPED_IMAGES, IMAGES = 4600, 1000
"""Images of the zip, and of the folder."""
MOST = 1.0
"""Of the seconds that a copy takes."""


def measured(server: Server, command: Sequence[str], home: Path, config: str) -> dict[str, float]:
    """What one command took, in a process of its own with a configuration of AWS, a file below its home."""
    environment = {**os.environ, **server.environment, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment["AWS_CONFIG_FILE"] = str(home / config)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    server.counts()
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:3]} ended with {process.returncode}")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "max_rss_mb": usage.ru_maxrss / 1024,
        **server.counts(),
    }


def measure() -> dict[str, Any]:
    """Medians of rounds in which the commands take turns."""
    with tempfile.TemporaryDirectory() as scratch, running("benchmarks.upload_server") as server:
        folder, zipped = Path(scratch, "bench"), Path(scratch, "bench.zip")
        for name, content in datasets.folder(IMAGES).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content.read(0, content.size))
        files = datasets.folder(ZIPPED_IMAGES)
        with zipped.open("wb") as file:
            for block in pack(packed_names(files), lambda name: files[name].read(0, files[name].size)):
                file.write(block)
        # Over TLS neither signs the SHA-256 of what it sends; without TLS that of AWS does unless it is told not to.
        Path(scratch, "unsigned").write_text("[default]\ns3 =\n  payload_signing_enabled = false\n")
        drop = [sys.executable, "-m", "traindrop", "drop"]
        copy = [str(AWS), "s3", "cp", "--only-show-errors"]
        compared = {
            "check": [sys.executable, "-m", "traindrop", "check", str(zipped)],
            "aws": [*copy, str(zipped), f"s3://{BUCKET}/datasets/bench.zip"],
            "aws_signed": [*copy, str(zipped), f"s3://{BUCKET}/datasets/bench.zip"],
            "zip": [*drop, str(zipped)],
            "aws_folder": [*copy, "--recursive", str(folder), f"s3://{BUCKET}/datasets/bench/"],
            "folder": [*drop, str(folder)],
        }

        def one_round() -> dict[str, dict[str, float]]:
            return {
                name: measured(server, argv, Path(scratch), "none" if name == "aws_signed" else "unsigned")
                for name, argv in compared.items()
            }

        one_round()  # what Python compiles is compiled, what the disk holds is in memory
        rounds = [one_round() for _ in range(ROUNDS)]
        figures: dict[str, Any] = {"bytes": zipped.stat().st_size, "images": ZIPPED_IMAGES, "folder_images": IMAGES}
    for name in compared:
        figures[name] = {key: round(statistics.median(one[name][key] for one in rounds), 2) for key in rounds[0][name]}
    figures["ratios"] = {
        f"{name} / {peer}": round(statistics.median(one[name]["seconds"] / one[peer]["seconds"] for one in rounds), 2)
        for name, peer in (("zip", "aws"), ("zip", "aws_signed"), ("folder", "aws_folder"))
    }
    return figures


def show(figures: dict[str, Any]) -> int:
    """Print the figures; 1 if a drop takes longer than a copy."""
    size = figures["bytes"] / 1e6
    print(f"zip: {figures['images']:,} images, {size:,.0f} MB; folder: {figures['folder_images']:,} images")
    print(f"an answer takes 25 ms; medians of {ROUNDS} rounds in turns")
    print(f"{'':<36}{'wall s':>8}{'CPU s':>8}{'RSS MB':>8}{'requests':>10}{'MB sent':>9}")
    titles = {
        "check": "traindrop check of a zip",
        "aws": "aws s3 cp of a zip",
        "aws_signed": "aws s3 cp that signs what it sends",
        "zip": "traindrop drop of the zip",
        "aws_folder": "aws s3 cp --recursive of a folder",
        "folder": "traindrop drop of the folder",
    }
    for name, title in titles.items():
        found = figures[name]
        print(
            f"{title:<36}{found['seconds']:>8.2f}{found['cpu_seconds']:>8.2f}{found['max_rss_mb']:>8.0f}"
            f"{found['requests']:>10.0f}{found['bytes'] / 1e6:>9.0f}"
        )
    ratios = figures["ratios"]
    print(f"seconds / seconds: {', '.join(f'{name} {ratio}' for name, ratio in ratios.items())}")
    slow = [name for name, ratio in ratios.items() if ratio > MOST]
    if slow:
        print(f"slower than a copy: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0
