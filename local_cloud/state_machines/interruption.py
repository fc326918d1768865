"""Waiting that ends when the execution does.

moto's tasks and retry pauses sleep on when an execution is stopped or has timed out, so its end is late and its thread
stays; the environment tells its end by an event that is set and cleared at once, which a late waiter misses.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.stepfunctions.parser.asl.eval.environment import Environment

from local_cloud import hooks


def install() -> None:
    """Wake whoever waits in an environment when it ends."""
    hooks.replace(Environment, "set_ended", "self", _waking)
    hooks.replace(Environment, "set_error", "self error", _waking)
    hooks.replace(Environment, "set_timed_out", "self", _waking)
    hooks.replace(Environment, "set_stop", "self stop_date cause error", _waking)


def _waking(original: Callable[..., None]) -> Callable[..., None]:
    def end(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        with self._state_mutex:
            waiting = list(self.__dict__.get("_waiting", ()))
        for event in waiting:
            event.set()

    return end


@contextmanager
def woken_at_the_end_of(environment: Any) -> Iterator[threading.Event]:
    """An event that is set when the environment ends, at once if it has ended; others may set it too."""
    event = threading.Event()
    with environment._state_mutex:
        environment.__dict__.setdefault("_waiting", set()).add(event)
        if not environment.is_running():
            event.set()
    try:
        yield event
    finally:
        with environment._state_mutex:
            environment._waiting.discard(event)


def pause(environment: Any, seconds: float) -> None:
    """Sleep, but not beyond the end of the environment."""
    if seconds > 0:
        with woken_at_the_end_of(environment) as end:
            end.wait(min(seconds, threading.TIMEOUT_MAX))


class Deadlines:
    """Calls at given moments, all from one thread however many there are."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._started = False

    def after(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call after so many seconds unless the function returned here is called first."""
        with self._condition:
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, daemon=True, name="execution-deadlines").start()
            number = next(self._numbers)
            heapq.heappush(self._due, (time.monotonic() + seconds, number, call))
            self._condition.notify()

        def cancel() -> None:
            with self._condition:
                self._due = [item for item in self._due if item[1] != number]
                heapq.heapify(self._due)

        return cancel

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._due or self._due[0][0] > time.monotonic():
                    left = self._due[0][0] - time.monotonic() if self._due else None
                    self._condition.wait(left if left is None else min(left, threading.TIMEOUT_MAX))
                call = heapq.heappop(self._due)[2]
            call()


deadlines = Deadlines()
