"""What a person is asked, unless it was said beforehand; who cannot be asked gets what is missing named."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deployment import CannotDeploy, Misused, template

NOBODY = "none"
"""What is typed in place of an e-mail address for no address."""
_STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class Given:
    """What was said beforehand, by variables of make or of the environment."""

    email: str | None = None
    max_cost: str | None = None
    region: str | None = None
    stack: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Given:
        """EMAIL, MAX_COST, REGION, STACK, and PARAMETERS as `Name=value Name=value`; empty is not given.

        Raises:
            Misused: one of them will not do.
        """
        email, max_cost, region, stack = (
            environment.get(name) or None for name in ("EMAIL", "MAX_COST", "REGION", "STACK")
        )
        if stack and not _STACK.fullmatch(stack):
            raise Misused(f"STACK={stack} will not do: a stack's name is letters, digits and dashes, a letter first")
        parameters: dict[str, str] = {}
        for pair in environment.get("PARAMETERS", "").split():
            name, equals, value = pair.partition("=")
            if not equals:
                raise Misused(f"PARAMETERS has {pair!r}, which is not of the form Name=value")
            parameters[name] = template.checked(name, value)
        return cls(
            email and email_address(email),
            max_cost and template.checked("MaxCostPerRunUsd", max_cost),
            region and template.region(region),
            stack,
            parameters,
        )


def email_address(typed: str) -> str:
    """The address, or NOBODY.

    Raises:
        Misused: it is neither.
    """
    if typed.lower() == NOBODY:
        return NOBODY
    if not typed:
        raise Misused(f"type an address, or `{NOBODY}` for nobody")
    return template.checked("NotificationEmail", typed)


def cost(typed: str) -> str:
    """Dollars, with or without their sign.

    Raises:
        Misused: it is no number that the stack takes.
    """
    return template.checked("MaxCostPerRunUsd", typed.removeprefix("$"))


def address_of(arn: str) -> str | None:
    """The e-mail address by which whoever deploys logged in, if they did by one: SSO names its sessions so."""
    session = arn.rpartition("/")[2]
    return session if _ADDRESS.fullmatch(session) else None


@dataclass(frozen=True)
class Person:
    """Whoever deploys; `present` where a terminal is there to ask on."""

    present: bool
    read: Callable[[str], str] = input

    @classmethod
    def at_terminal(cls) -> Person:
        """Whoever sits before stdin and stdout, if anybody does."""
        return cls(sys.stdin.isatty() and sys.stdout.isatty())

    def answer(
        self, question: str, given: str | None, *, named: str, default: str | None, check: Callable[[str], str]
    ) -> str:
        """What was given, what is typed, or the default, which Enter stands for; asked again until it will do.

        `named` is what gives the answer beforehand.

        Raises:
            Misused: nobody can be asked, and there is no default.
            CannotDeploy: the terminal was closed.
        """
        if given is not None:
            return given
        if not self.present:
            if default is None:
                raise Misused(f"{question.lower()}: nobody can be asked here, so give it: make deploy {named}")
            return default
        while True:
            try:
                typed = self.read(f"{question}{f' [{default}]' if default else ''}: ").strip()
            except EOFError as error:
                raise CannotDeploy("\nno answer; nothing was deployed") from error
            if not typed and default is not None:
                return default
            try:
                return check(typed)
            except Misused as why:
                print(f"  {why}")
