"""Step Functions executions, true to AWS: moto's interpreter inside MiniStack.

MiniStack keeps the state machines, the records of executions, CloudFormation and the API; what it does with executions
is replaced. Each module says which gap it closes.
"""

from __future__ import annotations

from local_cloud.state_machines import lean_import  # noqa: F401 - has its effect by being first

# isort: split
from local_cloud.state_machines import (
    api,
    callbacks,
    clients,
    definitions,
    errors,
    executions,
    expressions,
    history,
    interpreter,
    interruption,
    jsonata,
    members,
    programs,
)
from local_cloud.state_machines.callbacks import state_machine_of

__all__ = ["install", "state_machine_of"]


def install() -> None:
    """Replace MiniStack's executions; HookMissing if MiniStack or moto is not what this was written for."""
    for module in (
        programs,
        jsonata,
        expressions,
        interruption,
        history,
        interpreter,
        errors,
        members,
        clients,
        callbacks,
        executions,
        definitions,
        api,
    ):
        module.install()
