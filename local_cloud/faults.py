"""Faults that a user or a test injects: what is to go wrong with training jobs, events, functions and API calls.

The state lives in the server's process. What is to happen a number of times is taken one by one, whoever comes first.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TrainingFaults(_Part):
    """What goes wrong with training jobs."""

    interrupt_after_epochs: list[PositiveInt] = []
    interrupt_after_seconds: list[NonNegativeFloat] = []
    capacity_errors: NonNegativeInt = 0
    quota_errors: NonNegativeInt = 0
    zero_quotas: list[str] = []
    spot_never_arrives: bool = False
    spot_never_arrives_for: list[str] = []
    spot_never_returns: bool = False
    internal_errors: NonNegativeInt = 0
    stub_fails_with: str = ""


class EventFaults(_Part):
    """What goes wrong with every event on its way to the rules.

    Each delivery of it waits `delay_seconds` and a random share of `jitter_seconds`, drawn in turn from `jitter_seed`.
    """

    duplicate: PositiveInt = 1
    drop: list[str] = []
    delay_seconds: NonNegativeFloat = 0
    jitter_seconds: NonNegativeFloat = 0
    jitter_seed: int = 0
    reorder: bool = False


class ApiFault(_Part):
    """What happens to calls of an operation, to a number of them or to a share.

    `service` and `operation` may be `*`. A call is held for `delay_seconds`; then it answers `error`, or goes on where
    none is given. `reset` closes the connection without an answer. With `after_work` the service does its work and only
    the answer is lost. With `containing` only calls are meant that have all these texts in their path or body.

    `times` calls are met, whoever makes them; or a `share` of those that roles make (functions, the state machine,
    training jobs), picked by a generator with this `seed`, so that whoever tests is undisturbed.
    """

    service: str
    operation: str
    error: str = ""
    after_work: bool = False
    delay_seconds: NonNegativeFloat = 0
    containing: list[str] = []
    times: PositiveInt = 1
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.error or self.delay_seconds):
            raise ValueError("give error, delay_seconds or both")
        if self.after_work and not self.error:
            raise ValueError("after_work goes with an error")
        if self.share and "times" in self.model_fields_set:
            raise ValueError("give times or share")
        if "seed" in self.model_fields_set and not self.share:
            raise ValueError("seed goes with share")
        return self

    def concerns(self, service: str, operation: str | None) -> bool:
        """Whether an operation of a service is meant."""
        return self.service in ("*", service) and self.operation in ("*", operation)


class FunctionFault(_Part):
    """What happens to invocations of a function a number of times.

    `function` is a part of its name. An invocation is held for `delay_seconds`; then it fails, before its handler runs
    or, with `after_work`, after it: the work is done and the answer lost. With `containing` only invocations are meant
    that have all these texts in their event.
    """

    function: str
    fails: Literal["throws", "times_out", "throttled"] | None = None
    after_work: bool = False
    delay_seconds: NonNegativeFloat = 0
    containing: list[str] = []
    times: PositiveInt = 1

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.fails or self.delay_seconds):
            raise ValueError("give fails, delay_seconds or both")
        if self.after_work and self.fails not in ("throws", "times_out"):
            raise ValueError("after_work goes with throws and times_out only")
        return self


class Faults(_Part):
    """Everything injected."""

    training: TrainingFaults = TrainingFaults()
    events: EventFaults = EventFaults()
    functions: list[FunctionFault] = []
    api: list[ApiFault] = []


class Shares:
    """Which calls a fault of a share meets, and how many calls there were to be met."""

    def __init__(self, faults: Faults) -> None:
        self._dice = {index: random.Random(fault.seed) for index, fault in enumerate(faults.api) if fault.share}
        self.calls = self.failed = 0

    def pick(self, fitting: list[tuple[int, ApiFault]]) -> ApiFault | None:
        """The first of these faults that falls on this call; every one of them throws its dice."""
        fallen = [fault for index, fault in fitting if self._dice[index].random() < (fault.share or 0)]
        self.calls += bool(fitting)
        self.failed += bool(fallen)
        return fallen[0] if fallen else None


_lock = threading.Lock()
_current = Faults()
_shares = Shares(_current)
_draws = random.Random()


def current() -> Faults:
    """The faults as they stand."""
    return _current


def put(faults: Faults) -> None:
    """Set the faults in place of the present ones."""
    global _current, _shares
    with _lock:
        _current, _shares = faults, Shares(faults)
        _draws.seed(faults.events.jitter_seed)


def event_delay() -> float:
    """How long the next delivery of an event is held."""
    with _lock:
        return _current.events.delay_seconds + _draws.uniform(0, _current.events.jitter_seconds)


def shares() -> Shares:
    """How many calls of roles there have been since the faults were put, and how many of them failed."""
    return _shares


def take_capacity_error() -> bool:
    """Whether the next job finds no capacity."""
    return _take("capacity_errors")


def take_quota_error() -> bool:
    """Whether the next CreateTrainingJob is above its quota."""
    return _take("quota_errors")


def take_internal_error() -> bool:
    """Whether the next job fails with an internal error of the service."""
    return _take("internal_errors")


def spot_never_arrives(instance_type: str, host: int) -> bool:
    """Whether a spot job stays without its n-th host (1, 2, …)."""
    faults = _current.training
    return (
        faults.spot_never_arrives
        or instance_type in faults.spot_never_arrives_for
        or (faults.spot_never_returns and host > 1)
    )


def stub_failure() -> str:
    """The reason that the stub trainer fails with; empty while it does not."""
    return _current.training.stub_fails_with


def interruption_for(host: int) -> int | None:
    """After which epoch the n-th host of a job (1, 2, …) is taken away; None if it is not."""
    epochs = _current.training.interrupt_after_epochs
    return epochs[host - 1] if 1 <= host <= len(epochs) else None


def interruption_seconds_for(host: int) -> float | None:
    """How many seconds after its first epoch the n-th host of a job is taken away; None if it is not."""
    seconds = _current.training.interrupt_after_seconds
    return seconds[host - 1] if 1 <= host <= len(seconds) else None


def take_api_fault(
    service: str, operation: str | None, request: Callable[[], str], *, by_role: bool = False
) -> ApiFault | None:
    """What happens to this call, or None; `request` answers its path and body."""

    def fits(fault: ApiFault) -> bool:
        return fault.concerns(service, operation) and _has(request, fault.containing)

    found: ApiFault | None = _take_first("api", lambda fault: not fault.share and fits(fault))
    if found or not by_role:
        return found
    with _lock:
        return _shares.pick([(index, fault) for index, fault in enumerate(_current.api) if fault.share and fits(fault)])


def take_function_fault(name: str, event: Any, *, throttled: bool) -> FunctionFault | None:
    """What happens to this invocation, or None: to be throttled, or whatever else."""
    found: FunctionFault | None = _take_first(
        "functions",
        lambda fault: (
            fault.function in name
            and (fault.fails == "throttled") == throttled
            and _has(lambda: json.dumps(event, ensure_ascii=False), fault.containing)
        ),
    )
    return found


def _has(text: Callable[[], str], wanted: list[str]) -> bool:
    return not wanted or all(part in text() for part in wanted)


def _take_first(part: str, fits: Callable[[Any], bool]) -> Any:
    """The first of these faults that fits, once."""
    if not getattr(_current, part):
        return None
    with _lock:
        faults = getattr(_current, part)
        for index, fault in enumerate(faults):
            if fits(fault):
                left = [fault.model_copy(update={"times": fault.times - 1})] if fault.times > 1 else []
                _replace(**{part: [*faults[:index], *left, *faults[index + 1 :]]})
                return fault
    return None


def _take(name: str) -> bool:
    with _lock:
        left: int = getattr(_current.training, name)
        if left:
            _replace(training=_current.training.model_copy(update={name: left - 1}))
        return left > 0


def _replace(**parts: Any) -> None:
    global _current
    _current = _current.model_copy(update=parts)
