"""`make deploy`: from an AWS account to a working stack, and from a stack to its next version."""

from __future__ import annotations


class CannotDeploy(Exception):
    """It cannot go on; the message says what is so and what to do. Nothing has been deployed."""


class Misused(CannotDeploy):
    """A value that was given beforehand is missing or wrong."""
