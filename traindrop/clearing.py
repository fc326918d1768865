"""Which of a stack's holdings go when somebody cleans up, and which stay, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from traindrop import champion
from traindrop.drops import ROOT, slug_of, slug_of_run
from traindrop.holdings import Holding

if TYPE_CHECKING:
    from collections.abc import Collection


class Reason(StrEnum):
    """Why something stays."""

    ON = "a run that is on needs it"
    CHAMPION = "it is the best model of its dataset"
    DATA = "it is data that was dropped"


@dataclass(frozen=True)
class Kept:
    """A group of holdings that stay: a run, a dataset or a kind of things, and why."""

    what: str
    reason: Reason


@dataclass
class Clearing:
    """What goes and what stays of the holdings that were asked about.

    Args:
        dataset_bucket: where the dropped data lie; everything else is in the artifact bucket.
        on: runs that are on.
        needed: runs whose models those started from.
        champions: the run of each dataset's best model, where that is there.
        with_champions: whether best models go too.
        with_data: whether the dropped data go too.
    """

    dataset_bucket: str
    on: Collection[str] = ()
    needed: Collection[str] = ()
    champions: Collection[str] = ()
    with_champions: bool = False
    with_data: bool = False
    goes: list[Holding] = field(default_factory=list)
    stays: dict[Kept, list[Holding]] = field(default_factory=dict)

    def take(self, found: Iterable[Holding]) -> None:
        """Put each holding on one side or the other."""
        busy = {slug_of_run(run_id) for run_id in self.on}
        for item in found:
            kept = self._why_dropped(item, busy) if item.bucket == self.dataset_bucket else self._why(item, busy)
            if kept:
                self.stays.setdefault(kept, []).append(item)
            else:
                self.goes.append(item)

    @property
    def dethroned(self) -> dict[str, str]:
        """The runs whose models were the best of their datasets and go, by slug; not where best.json goes with them."""
        gone = {item.run_id for item in self.goes}
        keys = {item.key for item in self.goes}
        runs = {slug_of_run(run_id): run_id for run_id in self.champions if run_id in gone}
        return {slug: run_id for slug, run_id in runs.items() if champion.key(slug) not in keys}

    def _why_dropped(self, item: Holding, busy: set[str]) -> Kept | None:
        name = _dataset(item.key)
        if slug_of(name) in busy:
            return Kept(f"the data of {name}", Reason.ON)
        return None if self.with_data else Kept(f"the data of {name}" if name else "other data", Reason.DATA)

    def _why(self, item: Holding, busy: set[str]) -> Kept | None:
        run_id, slug = item.run_id, item.slug
        if run_id:
            if run_id in self.on or run_id in self.needed or (run_id in self.champions and slug in busy):
                return Kept(run_id, Reason.ON)
            return Kept(run_id, Reason.CHAMPION) if self._stays_best(run_id) else None
        if slug in busy or (item.kind in ("training code", "pretrained weights") and not slug and busy):
            return Kept(item.kind if not slug else f"{item.kind} of {slug}", Reason.ON)
        best = next((run_id for run_id in self.champions if slug_of_run(run_id) == slug), "")
        return Kept(best, Reason.CHAMPION) if item.key == champion.key(slug) and self._stays_best(best) else None

    def _stays_best(self, run_id: str) -> bool:
        return bool(run_id) and run_id in self.champions and not self.with_champions


def _dataset(key: str) -> str:
    """The dataset of an object of the dataset bucket; empty where it is of none."""
    if not key.startswith(ROOT):
        return ""
    name, slash, _ = key.removeprefix(ROOT).partition("/")
    return name if slash else name[:-4] if name.lower().endswith(".zip") else ""
