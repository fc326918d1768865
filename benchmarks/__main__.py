"""`make bench`: run every benchmark, or those named, and write the figures to benchmarks/results.json."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results.json"
BENCHMARKS = (
    "artefacts",
    "check",
    "estimates",
    "labels",
    "polygons",
    "restarts",
    "training_speed",
    "upload",
    "validation_in_s3",
    "warm_start",
)
"""Modules of this package; each has `measure()`, which answers figures, and `show(figures)`, which prints them and
answers 1 if a figure is worse than is promised."""


def main(names: list[str]) -> int:
    """Measure, print, write; answer a process exit code."""
    figures: dict[str, Any] = json.loads(RESULTS.read_text()) if names and RESULTS.exists() else {}
    figures |= {"python": sys.version.split()[0], "machine": platform.machine()}
    worst = 0
    for name in names or BENCHMARKS:
        benchmark = importlib.import_module(f"benchmarks.{name}")
        print(f"--- {name}", flush=True)
        figures[name] = benchmark.measure()
        worst = max(worst, benchmark.show(figures[name]))
        RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    return worst


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
