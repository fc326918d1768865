"""The stack, deployed once by the real SAM CLI for all tests of the flow."""

from __future__ import annotations

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.stack import Stack


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud) -> Stack:
    """A deployed stack with a mailbox; tests tell their runs apart by the dataset's name."""
    return Stack(cloud, deploy(cloud))
