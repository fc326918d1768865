"""The stack that a command is about: where it is, what it holds, and what AWS says when it does not let us."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from traindrop.cli import Answer, CannotDo
from traindrop.plain_text import shell_word

_PLACE = "Where the stack is"
_OPTIONS: dict[str, Any] = {
    "name": Annotated[
        str, typer.Option("--stack", envvar="TRAINDROP_STACK", help="The stack's name.", rich_help_panel=_PLACE)
    ],
    "profile": Annotated[str | None, typer.Option(help="A profile of your AWS configuration.", rich_help_panel=_PLACE)],
    "region": Annotated[str | None, typer.Option(help="The stack's region.", rich_help_panel=_PLACE)],
    "endpoint_url": Annotated[
        str | None, typer.Option(help="Another AWS, such as the local cloud.", rich_help_panel=_PLACE)
    ],
}


@dataclass(frozen=True)
class Stack:
    """A deployed stack; region, profile, credentials and endpoint are taken as every AWS tool takes them."""

    name: str = "traindrop"
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def client(self, service: str, **options: Any) -> Any:
        """A client of boto3; options are those of `botocore.config.Config`."""
        from botocore.config import Config

        return self._session.client(service, endpoint_url=self.endpoint_url, config=Config(**options))

    @functools.cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of the stack, by their names in template.yaml."""
        (found,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def asked_ahead(self) -> Future[dict[str, str]]:
        """The outputs, asked for in a thread while something else goes on; whoever leaves does not wait for it."""
        asked: Future[dict[str, str]] = Future()

        def ask() -> None:
            try:
                asked.set_result(self.outputs)
            except Exception as error:  # noqa: BLE001 - raised where the result is asked for
                asked.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        return asked

    def output(self, key: str) -> str:
        """One of them.

        Raises:
            CannotDo: the stack has none of that name.
        """
        if key not in self.outputs:
            raise CannotDo(f"the stack {self.name} has no output {key}; is it a stack of Traindrop? Name it by --stack")
        return self.outputs[key]

    def options(self) -> list[str]:
        """The options that name this stack, for a command that is to be typed again; the defaults need none."""
        given = {"--stack": self.name, "--profile": self.profile, "--region": self.region}
        given["--endpoint-url"] = self.endpoint_url
        default = {"--stack": os.environ.get("TRAINDROP_STACK") or Stack.name}
        return [
            f"{option} {shell_word(value)}" for option, value in given.items() if value != default.get(option) and value
        ]

    @contextlib.contextmanager
    def needing(self, permissions: str, *, so: str = "") -> Iterator[None]:
        """Say in words why AWS did not do what is asked of it here.

        Args:
            permissions: what has to be allowed, listed.
            so: what is so now, put before the reason, such as `nothing was changed: `.

        Raises:
            CannotDo: with what happened and what to do.
        """
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        from traindrop.aws_words import in_words

        try:
            yield
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise CannotDo(so + in_words(error, self.name, named_by="--stack", permissions=permissions)) from error

    @functools.cached_property
    def _session(self) -> Any:
        import boto3

        # boto3 does not read AWS_REGION, the command line of AWS does.
        region = self.region or os.environ.get("AWS_REGION") or None
        return boto3.session.Session(profile_name=self.profile, region_name=region)


def on_stack(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Give a command the options that say where the stack is; it takes them as its argument `stack`."""
    asked = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in asked.parameters.items() if name != "stack"]
    defaults = Stack()
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, name), annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def with_stack(**given: Any) -> Answer:
        stack = Stack(**{name: given.pop(name) for name in _OPTIONS})
        return command(stack=stack, **given)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + options
    with_stack.__signature__ = asked.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_stack.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del with_stack.__wrapped__
    return with_stack
