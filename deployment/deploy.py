"""`make deploy`: look who and where, ask what only a person can decide, build, deploy, and say what comes next."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from deployment import CannotDeploy, Misused, account, questions, sam_cli, template
from deployment.afterwards import Deployed
from deployment.questions import NOBODY, Given, Person
from deployment.stack import Event, Present, Stack, cure, failures, follow
from traindrop.aws_words import in_words
from traindrop.cli.terminal import screen, steps

_DONE = {"CREATE_COMPLETE": "created", "UPDATE_COMPLETE": "changed", "DELETE_COMPLETE": "removed"}


class Failed(Exception):
    """A build or a deployment failed; the message says what and why."""


class Interrupted(Exception):
    """Ctrl-C, when CloudFormation may have begun."""


def main() -> int:
    """Deploy; answer 0, 1 if it failed or could not begin, 2 if what was given will not do, 130 if interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _deploy(Given.from_environment(), Person.at_terminal())
    except Misused as error:
        print(f"Cannot deploy: {error}.", file=sys.stderr)
        return 2
    except CannotDeploy as error:
        print(f"Cannot deploy: {error}.", file=sys.stderr)
        return 1
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    except (ClientError, BotoCoreError, WaiterError) as error:
        print(f"Cannot deploy: {_in_words(error)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing was deployed.", file=sys.stderr)
        return 130
    except Interrupted:
        print(
            "\nInterrupted. What CloudFormation has begun it finishes by itself; then `make deploy` goes on.",
            file=sys.stderr,
        )
        return 130
    return 0


def _deploy(given: Given, person: Person) -> None:
    sam_cli.require()
    name = given.stack or template.stack_name()
    who = account.identity(given.region)
    print(f"Deploying to {who}.")
    if who.is_root:
        print("That is the account's owner: better log in as somebody else, see docs/deploying.md.")
    region = person.answer(
        "Region",
        given.region,
        named="REGION=eu-west-1",
        default=account.configured() or account.remembered(who.account, name),
        check=template.region,
    )
    template.region(region)
    stack = Stack(account.session(region).client("cloudformation"), name)
    present = stack.deployable()
    print(_intent(name, region, present))
    parameters = _parameters(given, person, present, questions.address_of(who.arn))
    _build(region, parameters)
    try:
        done = _roll_out(stack, region, parameters)
        account.remember(who.account, name, region)
        after = stack.present()
        if after is None:
            raise Failed(f"The stack {name} is gone; somebody deleted it meanwhile.")
        _tell(Deployed(name, region, after.outputs, parameters["NotificationEmail"] or NOBODY), done)
    except KeyboardInterrupt as asked:
        raise Interrupted from asked


def _intent(name: str, region: str, present: Present | None) -> str:
    if present is None:
        return f"There is no stack {name} in {region} yet: it will be created."
    return (
        f"The stack {name} in {region}, of {present.since:%Y-%m-%d %H:%M} UTC, will be upgraded.\n"
        "Datasets, models and runs stay, and runs that are on go on."
    )


def _parameters(given: Given, person: Person, present: Present | None, own: str | None) -> dict[str, str]:
    """The parameters of the stack: as they are, but what was given or is answered."""
    before = dict(present.parameters) if present else {}
    kept = {name: value for name, value in before.items() if name in template.known()}
    email = person.answer(
        "E-mail for the messages",
        given.email,
        named=f"EMAIL=you@example.org (or EMAIL={NOBODY})",
        default=(before["NotificationEmail"] or NOBODY) if "NotificationEmail" in before else own,
        check=questions.email_address,
    )
    most = person.answer(
        "Highest cost of one run in dollars",
        given.max_cost,
        named="MAX_COST=10",
        default=before.get("MaxCostPerRunUsd", template.default("MaxCostPerRunUsd")),
        check=questions.cost,
    )
    answered = {"NotificationEmail": "" if email == NOBODY else email, "MaxCostPerRunUsd": most}
    return {**kept, **given.parameters, **answered}


def _build(region: str, parameters: Mapping[str, str]) -> None:
    began = time.monotonic()
    print("Building … ", end="", flush=True)
    with sam_cli.begin(["build"], region=region, parameters=parameters) as build:
        build.wait()
    if build.returncode:
        raise Failed(f"failed. The end of what `sam build` said:\n{sam_cli.said()}\nAll of it: {sam_cli.LOG}")
    print(f"done after {time.monotonic() - began:.0f} s.")


def _roll_out(stack: Stack, region: str, parameters: Mapping[str, str]) -> list[Event]:
    """Deploy what was built; answer what was done."""
    known = frozenset(event.id for event in stack.events())
    print("Deploying … a few minutes on AWS.", flush=True)
    arguments = ["deploy", "--stack-name", stack.name, "--no-confirm-changeset", "--no-progressbar"]
    with sam_cli.begin(arguments, region=region, parameters=parameters) as deploy:
        coming = follow(stack, known, running=lambda: deploy.poll() is None)
        with steps("Uploading", None):
            events = list(itertools.islice(coming, 1))
        with steps("Resources", stack.changes()) as advance:
            for event in coming:
                events.append(event)
                if event.ended:
                    advance(1)
                    if not screen().is_terminal:
                        print(f"  {event}", flush=True)
    if deploy.returncode:
        raise Failed(_why(stack, events))
    return events


def _why(stack: Stack, events: list[Event]) -> str:
    """Which resources failed and why, or else what the SAM CLI said; and what to do."""
    failed = failures(events)
    present = stack.present()
    state = f"it stands as it was before ({present.status})" if present else "there is none"
    if present and present.status == "ROLLBACK_COMPLETE":
        state = "what had been created is removed again"
    reasons = "\n".join(f"  {event.resource} ({event.kind}): {event.reason}" for event in failed) or sam_cli.said()
    return (
        f"The deployment of {stack.name} failed; {state}.\n{reasons}\n{cure(reasons)}\nAll that was said: {sam_cli.LOG}"
    )


def _tell(deployed: Deployed, done: list[Event]) -> None:
    counted = Counter(_DONE[event.status] for event in done if event.status in _DONE)
    what = ", ".join(f"{count} resources {word}" for word, count in counted.items()) or "nothing had to be changed"
    print(f"\nThe stack {deployed.stack} is there: {what}.\n")
    print("\n".join(deployed.places()))
    session = account.session(deployed.region)
    steps_left = [
        deployed.confirmation(session.client("sns")),
        deployed.quotas(session.client("service-quotas")),
        deployed.first_drop(),
    ]
    print("\nWhat comes next")
    for number, step in enumerate(filter(None, steps_left), 1):
        print(f"{number}. {step}")


def _in_words(error: Exception) -> str:
    return in_words(error, "", named_by="STACK=", permissions="the permissions of docs/deployer_policy.json")
