"""`make bench`: run every benchmark and write its figures to benchmarks/results.json."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from benchmarks import artefacts

RESULTS = Path(__file__).resolve().parent / "results.json"


def main() -> int:
    """Measure, print, write; answer a process exit code."""
    found = artefacts.measure()
    figures = {"python": sys.version.split()[0], "machine": platform.machine(), "artefacts": found}
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    return artefacts.show(found)


if __name__ == "__main__":
    raise SystemExit(main())
