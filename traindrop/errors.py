"""Errors, named by the reaction they ask for; the class name is the error name that the state machine sees."""

from __future__ import annotations

from traindrop.cures import cure_of


class TraindropError(Exception):
    """Base of the errors that Traindrop raises on purpose."""


class TransientError(TraindropError):
    """AWS was busy or broken for a moment: the state machine tries again."""


class AccessDenied(TraindropError):
    """A role of the stack lacks a permission: somebody changed a policy, or an organisation's rule forbids the call."""

    def __init__(self, said: object) -> None:
        """Add what to do to what AWS said."""
        cure = cure_of(type(self).__name__, str(said))
        super().__init__(f"{said}. {cure.todo if cure else ''}".strip())


class RunNotFound(TraindropError):
    """No run record of that id: the state machine was started with an input that no drop made."""


class MalformedEvent(TraindropError):
    """A function was called with what none of its senders sends."""


class InvalidInput(TraindropError):
    """The state machine was started, by hand, with an input that names no drop."""


class StillRunning(TraindropError):
    """A training job that was stopped has not ended: it is looked at again."""
