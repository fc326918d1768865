"""One local cloud for the whole test session, with the stub trainer, and the stack in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.stack import Stack

# A shell that starts the tests in the background leaves SIGINT ignored, and all they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    """A local cloud; tests use names of their own in it and leave no faults behind."""
    with LocalCloud.start(trainer="stub", lambda_retry_seconds=0.2) as started:
        yield started


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud) -> Stack:
    """The stack, deployed once by the real SAM CLI, with a mailbox; tests tell runs apart by the dataset."""
    return Stack(cloud, deploy(cloud))
