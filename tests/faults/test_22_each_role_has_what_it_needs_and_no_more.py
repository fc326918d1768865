"""Take any permission away, and something that the stack does fails; give it back, and the same thing works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_cloud.deploy import deploy
from local_cloud.process import LocalCloud
from tests.faults import deeds_of_delivery  # noqa: F401  (registers its deeds)
from tests.faults.conftest import Rows
from tests.faults.deeds import DEEDS
from tests.faults.ground import Ground
from tests.faults.jobs import JOB_NEEDS, Jobs
from tests.faults.permissions import permissions, without
from tests.stack import Stack

pytestmark = pytest.mark.long
KNOWN = {str(permission): permission for permission in permissions()}
DENIED = ("AccessDenied", "not authorized", "403", "Forbidden", "Could not assume role")


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    """A stack of its own, whose jobs run what the test gives them."""
    with LocalCloud.start(trainer="real", provision_seconds=0.0, checkpoint_sync_seconds=0.2) as cloud:
        yield Jobs(Stack(cloud, deploy(cloud)))


def test_functions_rules_and_the_state_machine_need_each_of_their_permissions(stack: Stack, row: Rows) -> None:
    line = row(
        22,
        fault="a permission of a function, a rule or the state machine is missing",
        injected="each in turn, one action on one resource, in the deployed policy",
        promise="each role has what it needs and no more",
    )
    ground = Ground(stack)
    needed, kept, broken = 0, [], []
    for deed, names in DEEDS.items():
        for name in names:
            with without(stack.cloud, KNOWN[name]):
                said = deed(ground)
            needed += bool(said)
            kept += [] if said else [name]
        again = deed(ground)
        broken += [f"{deed.__name__}: {again}"] if again else []
    total = sum(map(len, DEEDS.values()))
    line.figure(
        f"missed = {needed} of {total} permissions; {len(DEEDS) - len(broken)} of {len(DEEDS)} deeds work again"
    )
    assert not broken
    assert not kept


def test_a_training_job_needs_each_permission_of_its_role(jobs: Jobs, row: Rows) -> None:
    line = row(
        22,
        fault="a permission of the training role is missing",
        injected="each in turn, a real job with every channel",
        promise="each role has what it needs and no more",
    )
    kept = []
    for name in JOB_NEEDS:
        with without(jobs.stack.cloud, KNOWN[name]):
            said = jobs.train()
        kept += [] if said else [name]
    line.figure(f"missed = {len(JOB_NEEDS) - len(kept)} of {len(JOB_NEEDS)} permissions")
    assert not kept
    assert jobs.train() == ""
