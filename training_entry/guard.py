"""The last guard: what ultralytics would drop in silence, or end the whole job for, is left out and said.

Labels and images are judged by the very rules that the dataset was checked by. Where all of it could be looked at then,
nothing is found here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from traindrop.images import HEAD_BYTES, TAIL_BYTES, look
from traindrop.labels import Fault, judge
from training_entry.failure import BadDataset
from training_entry.job import Job
from training_entry.manifest import Pair

_MOST_TOLD = 20


def usable(folder: Path, splits: Mapping[str, Sequence[Pair]], job: Job) -> tuple[dict[str, list[Pair]], int]:
    """The pairs of each split that ultralytics can use, and how many it cannot; the first 20 of those are printed.

    Raises:
        BadDataset: nothing is left of a split, or no label is left to train on.
    """
    started = time.monotonic()
    # With single_cls ultralytics takes every class for the first one and does not compare it with `names`.
    classes = sys.maxsize if job.arguments.get("single_cls") else len(job.names)
    pairs = list(dict.fromkeys(chain.from_iterable(splits.values())))
    segments = job.task == "segment"
    faults = {pair: why for pair in pairs if (why := _fault(folder, classes, pair, segments=segments))}
    print(f"JUDGED {len(pairs)} images in {time.monotonic() - started:.1f} s", flush=True)
    for pair, why in list(faults.items())[:_MOST_TOLD]:
        print(f"LEFT OUT {pair.image}: {why}", flush=True)
    if len(faults) > _MOST_TOLD:
        print(f"LEFT OUT {len(faults) - _MOST_TOLD} more", flush=True)
    kept = {split: [pair for pair in found if pair not in faults] for split, found in splits.items()}
    for split, found in splits.items():
        if not kept[split]:
            raise BadDataset(_told(f"None of the {len(found)} images of the {split} split can be used", found, faults))
    if not any(pair.label for pair in kept["train"]):
        what = "No image of the train split has a label and can be used"
        raise BadDataset(_told(what, splits["train"], faults))
    return kept, len(faults)


def _told(what: str, pairs: Sequence[Pair], faults: Mapping[Pair, str]) -> str:
    example = next((f", for instance {pair.image}: {faults[pair]}" for pair in pairs if pair in faults), "")
    return f"{what}{example}. Look at the dataset with `traindrop check`, correct it and drop it again."


def _fault(folder: Path, classes: int, pair: Pair, *, segments: bool) -> str:
    """What makes a pair unusable, in words; nothing for a good one, and for one that the rules themselves fail on."""
    try:
        return _judged(folder, classes, pair, segments=segments)
    except Exception as error:  # noqa: BLE001  (a fault of the guard must not end a training that would go well)
        print(f"NOT JUDGED {pair.image}: {type(error).__name__}: {error}", flush=True)
        return ""


def _judged(folder: Path, classes: int, pair: Pair, *, segments: bool) -> str:
    if fault := _image_fault(folder / pair.image):
        return fault.words
    if not pair.label:
        return ""
    label = judge((folder / pair.label).read_bytes(), classes, search_crossings=False)
    if fault := label.fault:
        return f"{pair.label}{f':{fault.line}' if fault.line else ''}: {fault.words}"
    if segments and label.task == "detect":
        return f"{pair.label} holds boxes, and to learn masks all labels must be polygons"
    return ""


def _image_fault(image: Path) -> Fault | None:
    """What is wrong with an image by its ends; one that seems cut may go on with other data, and is read whole."""
    with image.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(HEAD_BYTES)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read()
    fault = look(image.name, size, head, tail).fault
    if fault and fault.code == "image.truncated" and size > len(head):
        return look(image.name, size, image.read_bytes(), tail).fault
    return fault
