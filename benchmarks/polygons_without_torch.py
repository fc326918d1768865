"""`python -m benchmarks.polygons_without_torch MODEL`: images named on stdin, what is found in them on stdout.

It may import neither torch nor ultralytics.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main(path: Path) -> None:
    """Answer outlines as traced, simplified, and simplified but not straightened, and seconds."""
    sys.modules.update(dict.fromkeys(("torch", "ultralytics")))  # type: ignore[arg-type]
    images = json.load(sys.stdin)
    before = time.perf_counter()
    import cv2

    from traindrop import outlines, polygons
    from traindrop.onnx_model import Model

    model = Model.open(path)
    started = time.perf_counter() - before
    first: Any = cv2.imread(images[0])
    # The first answer of a session takes longer than those that follow.
    polygons.find(model, first)
    seconds, processor_seconds = [], []
    found: dict[str, list[list[list[list[float]]]]] = {"traced": [], "simplified": [], "not_straightened": []}
    for name in images:
        before, before_on_cores = time.perf_counter(), time.process_time()
        picture: Any = cv2.imread(name)
        simplified = polygons.find(model, picture)
        seconds.append(time.perf_counter() - before)
        processor_seconds.append(time.process_time() - before_on_cores)
        traced = polygons.find(model, picture, simplified=False)
        found["simplified"].append([polygon.points.tolist() for polygon in simplified])
        found["traced"].append([polygon.points.tolist() for polygon in traced])
        found["not_straightened"].append([outlines.simplify(polygon.points).tolist() for polygon in traced])
    times = {"seconds": seconds, "processor_seconds": processor_seconds, "start_seconds": started}
    json.dump({**found, **times}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
