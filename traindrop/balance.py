"""What a dataset is like as a whole: warnings with numbers for what trains, but hardly as it was meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from traindrop.dataset import Split
from traindrop.inspection import Holding
from traindrop.problems import EXAMPLES, Problem
from traindrop.sources import Source

_IMBALANCE = 100
_SHOWN = 5
_ABSENT = {
    "train": (
        "dataset.class_absent_in_train",
        "the model cannot learn what it never sees: label some, or take the class out of `names`",
    ),
    "val": (
        "dataset.class_absent_in_val",
        "its mAP will not be measured: move some images that show it to the val split",
    ),
}


def classes(holdings: Mapping[str, Holding], names: Mapping[int, str]) -> Iterator[Problem]:
    """Classes without an object in train or in val, and classes that are a hundred times rarer than another."""
    for split, holding in holdings.items():
        absent = [name for index, name in names.items() if not holding.instances[index]]
        if absent and holding.instances and holding.all_read:
            code, cure = _ABSENT[split]
            yield Problem(
                code,
                f"{len(absent)} of {len(names)} classes have no object in the {split} split "
                f"({_listed(absent)}); {cure}",
                absent,
                len(absent),
                warning=True,
            )
    counts = {names[index]: count for index, count in holdings["train"].instances.items() if index in names}
    if counts and max(counts.values()) >= _IMBALANCE * min(counts.values()):
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        yield Problem(
            "dataset.imbalance",
            f"class {least} has {counts[least]} objects in the train split, {most} has {counts[most]}; the rare one "
            "will be learned badly: label more of it",
            [least],
            warning=True,
        )


def backgrounds(splits: Mapping[str, Split], holdings: Mapping[str, Holding], share: float) -> Iterator[Problem]:
    """More images without an object than `share` of a split whose every label was read and can be."""
    for name, holding in holdings.items():
        images = splits[name].images if holding.all_read and not holding.faulty else []
        empty = [image.name for image in images if not holding.has_objects(image.name)]
        if images and len(empty) > share * len(images):
            yield Problem(
                "dataset.backgrounds",
                f"{len(empty)} of {len(images)} images of the {name} split have no object "
                f"({len(empty) / len(images):.0%}, above {share:.0%}), such as {empty[0]}; if that is meant, "
                "raise `checks: {backgrounds: …}` in training.yaml, else upload the missing labels",
                empty[:EXAMPLES],
                len(empty),
                warning=True,
            )


def same_content(source: Source, splits: Mapping[str, Split]) -> Iterator[Problem]:
    """Images whose content is in train and in val; only images of one size are compared by their digests."""
    if not {"train", "val"} <= splits.keys():
        return
    trained: defaultdict[int, list[str]] = defaultdict(list)
    for image in splits["train"].images:
        trained[image.size].append(image.name)
    alike = {image.name: trained[image.size] for image in splits["val"].images if image.size and image.size in trained}
    digests = source.digests([*alike, *dict.fromkeys(name for names in alike.values() for name in names)])
    found = []
    for name, candidates in alike.items():
        twin = next((other for other in candidates if other != name and digests[other] == digests[name] != ""), None)
        if twin:
            found.append(f"{name} = {twin}")
    if found:
        yield Problem(
            "split.same_content",
            f"{len(found)} of {len(splits['val'].images)} images of the val split are in the train split under another "
            f"name, such as {found[0]}; the metrics will flatter the model: keep each image in one split",
            found[:EXAMPLES],
            len(found),
            warning=True,
        )


def older_files(splits: Mapping[str, Split], window_seconds: float) -> Iterator[Problem]:
    """Files that came long before the others: what an earlier upload left in the folder is trained on as well."""
    files = [file for split in splits.values() for file in (*split.images, *split.labels) if file.modified]
    if not files:
        return
    begin = max(file.modified for file in files) - window_seconds
    older = sorted((file for file in files if file.modified < begin), key=lambda file: file.modified)
    if older:
        yield Problem(
            "folder.older_files",
            f"{len(older)} of {len(files)} files came more than {window_seconds / 3600:g} hours before the last one, "
            f"such as {older[0].name}; if an earlier dataset left them, delete them "
            "(aws s3 sync --delete does) and drop again",
            [file.name for file in older[:EXAMPLES]],
            len(older),
            warning=True,
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
