"""What the labels and images of a dataset hold, each file judged on its own, and told together by code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from traindrop.dataset import TRAINED_ON, Split, label_of, sample
from traindrop.file_problems import LABEL_LIMIT, OF_LABELS_AND_IMAGES, TINY_PIXELS
from traindrop.images import look
from traindrop.labels import Label, judge
from traindrop.problems import Problem, Tally
from traindrop.settings import TrainingSettings
from traindrop.sources import Source

_CROSSINGS_SEARCHED = 500
"""Label files in S3 whose polygons are searched for edges that cross; on disk all are."""
_CUT_ENOUGH = 20
"""So many truncated images are made sure of by reading them whole, and any number of those that turn out not to be."""
_ANY_CLASS = 1 << 24


@dataclass
class Holding:
    """What a split holds: objects by class index, and which of its label files hold any, by task."""

    labels: int
    labels_read: int = 0
    faulty: int = 0
    images_opened: int = 0
    instances: Counter[int] = field(default_factory=Counter)
    with_boxes: set[str] = field(default_factory=set)
    with_polygons: set[str] = field(default_factory=set)

    @property
    def all_read(self) -> bool:
        """Whether every label was judged."""
        return self.labels_read == self.labels

    def counts(self) -> dict[str, int]:
        """The figures for the verdict."""
        return {
            "instances": self.instances.total(),
            "labels_read": self.labels_read,
            "images_opened": self.images_opened,
        }

    def count(self, name: str, label: Label, images: int) -> None:
        """Count a label file that was judged; its objects once for each of the images that it is the label of."""
        self.labels_read += 1
        self.faulty += label.fault is not None
        for _ in range(images):
            self.instances.update(label.instances)
        if label.task == "segment":
            self.with_polygons.add(name)
        elif label.task == "detect":
            self.with_boxes.add(name)

    def has_objects(self, image: str) -> bool:
        """Whether the label of an image holds an object."""
        label = label_of(image)
        return label in self.with_boxes or label in self.with_polygons


class Inspection:
    """The train and the val split looked into: every label that the source affords, and the images asked for."""

    def __init__(
        self, source: Source, splits: Mapping[str, Split], class_count: int, settings: TrainingSettings
    ) -> None:
        """Look; with `single_cls` every class is the first, so none is out of range."""
        self._source, self._settings = source, settings
        self._splits = {name: splits[name] for name in TRAINED_ON if name in splits}
        self._class_count = _ANY_CLASS if settings.train.single_cls else class_count
        self._tally = Tally()
        self.holdings = {name: Holding(len(split.labels)) for name, split in self._splits.items()}
        self._judge_labels()
        self.task = self._task()
        if self.task == "segment":
            for name in chain.from_iterable(sorted(holding.with_boxes) for holding in self.holdings.values()):
                self._tally.add("label.box_only", name)
        self._open_images()

    @property
    def problems(self) -> list[Problem]:
        """Errors: what ultralytics would drop or stumble over. Warnings: what it accepts though it is surely wrong."""
        return [*self._tally.problems(OF_LABELS_AND_IMAGES), *self._unread()]

    def _unread(self) -> Iterator[Problem]:
        for name, holding in self.holdings.items():
            if not holding.all_read:
                yield Problem(
                    "label.sampled",
                    f"{holding.labels_read} of {holding.labels} labels of the {name} split were read, because they lie "
                    "scattered in the zip; the rest is judged when the training begins, and left out if it is wrong. "
                    "Pack labels together (traindrop drop does) to have all of them judged before",
                    count=holding.labels - holding.labels_read,
                    warning=True,
                )

    def _task(self) -> str:
        """What most labels are made for; boxes among polygons are all the same to a detection model."""
        boxes = sum(len(holding.with_boxes) for holding in self.holdings.values())
        polygons = sum(len(holding.with_polygons) for holding in self.holdings.values())
        if boxes and (boxes > polygons or self._settings.task == "detect"):
            return "detect"
        return "segment" if polygons else ""

    def _judge_labels(self) -> None:
        holdings_of: dict[str, list[tuple[Holding, int]]] = {}
        for split, found in self._splits.items():
            holding = self.holdings[split]
            images = Counter(label_of(image.name) for image in found.images)
            for file in found.labels:
                if 0 < file.size <= LABEL_LIMIT:
                    holdings_of.setdefault(file.name, []).append((holding, images[file.name]))
                    continue
                holding.labels_read += 1
                if file.size:
                    holding.faulty += 1
                    self._tally.add("label.too_large", file.name, f"{file.size} bytes")
        names = list(holdings_of)
        searched = set(names if self._source.image_sample is None else sample(names, _CROSSINGS_SEARCHED))
        for name, content in self._source.contents(self._source.affordable(names)):
            label = judge(
                content,
                self._class_count,
                search_crossings=name in searched,
                tiny_below=TINY_PIXELS / self._settings.imgsz,
            )
            self._tell(name, label)
            for holding, shared_by in holdings_of[name]:
                holding.count(name, label, shared_by)

    def _tell(self, name: str, label: Label) -> None:
        if label.fault:
            place = f"{name}:{label.fault.line}" if label.fault.line else name
            self._tally.add(label.fault.code, place, label.fault.words)
        for oddity, lines in label.oddities.items():
            self._tally.add(f"label.{oddity}", f"{name}:{lines[0]}", count=len(lines))

    def _open_images(self) -> None:
        sizes: dict[str, int] = {}
        for number, (split, found) in enumerate(self._splits.items()):
            for file in found.images:
                if not file.size:
                    self._tally.add("image.empty", file.name)
            opened = self._opened([file.name for file in found.images if file.size], number)
            self.holdings[split].images_opened = len(opened)
            sizes |= {name: self._source.files[name].size for name in opened}
        cut = 0
        for name, head, tail in self._source.ends(list(sizes)):
            image = look(name, sizes[name], head, tail)
            if image.unsure and cut < _CUT_ENOUGH:
                image = look(name, sizes[name], self._source.read(name), tail)
                cut += image.fault is not None
            if image.fault:
                self._tally.add(image.fault.code, name, image.fault.words)
            for oddity in image.oddities:
                self._tally.add(oddity.code, name, oddity.words)

    def _opened(self, names: list[str], number: int) -> list[str]:
        """The images of a split, the first or the second, that are opened: all, or its share of the source's sample."""
        most = self._source.image_sample
        if most is None or self._settings.checks.images == "all":
            return names
        share, more = divmod(most, len(self._splits))
        count = share + (number < more)
        return sample(names, count) if count else []
