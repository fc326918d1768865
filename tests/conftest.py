"""One local cloud for the whole test session, with the stub trainer."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from local_cloud.process import LocalCloud

# A shell that starts the tests in the background leaves SIGINT ignored, and all they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    """A local cloud; tests use names of their own in it and leave no faults behind."""
    with LocalCloud.start(trainer="stub", lambda_retry_seconds=0.2) as started:
        yield started
