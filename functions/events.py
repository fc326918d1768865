"""What the handlers take: a few members of AWS's events, and our own payloads, which hold nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictStr, ValidationError
from pydantic.alias_generators import to_camel

from traindrop.errors import MalformedEvent
from traindrop.plain_text import printable

Text = Annotated[StrictStr, Field(min_length=1)]
Number = Annotated[int, Field(ge=0)]


class _OfAws(BaseModel):
    """A part of an event of AWS, which may have members that are of no use here, and new ones at any time."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class _Ours(BaseModel):
    """A payload that the state machine or another function of the stack composes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bucket(_OfAws):
    """The bucket of an object."""

    name: Text


class CreatedObject(_OfAws):
    """The object: its raw key, and what tells this creation from others of the same key."""

    key: Text
    etag: StrictStr = ""
    sequencer: StrictStr = ""


class Creation(_OfAws):
    """Which object in which bucket."""

    bucket: Bucket
    object: CreatedObject


class ObjectCreated(_OfAws):
    """EventBridge's `Object Created` of S3."""

    time: AwareDatetime
    detail: Creation


class TrainingJob(_OfAws):
    """The job that changed; all else is asked of SageMaker."""

    name: Annotated[Text, Field(alias="TrainingJobName")]


class TrainingJobStateChange(_OfAws):
    """EventBridge's `SageMaker Training Job State Change`."""

    detail: TrainingJob


class Execution(_OfAws):
    """An execution that ended badly; `startDate` in epoch milliseconds, `input` null where it is long."""

    execution_arn: Annotated[StrictStr, Field(pattern=r"^arn:[^:]+:states:[^:]+:[^:]*:.+")]
    name: Text
    status: Literal["FAILED", "TIMED_OUT", "ABORTED"]
    start_date: Annotated[int, Field(ge=0, le=253402300799999)]
    redrive_count: Number | None = None
    input: StrictStr | None = None
    error: StrictStr | None = None
    cause: StrictStr | None = None


class ExecutionStatusChange(_OfAws):
    """EventBridge's `Step Functions Execution Status Change`."""

    detail: Execution


class StartedExecution(_Ours):
    """The execution that asks, from the state machine's context."""

    arn: Text
    name: Text
    started_at: AwareDatetime
    redrives: Number = 0  # not told by an execution that was started before the stack was updated


class Validate(_Ours):
    """ValidateDataset's payload; `drop` is whatever the execution was started with, and is judged as that."""

    drop: Any
    execution: StartedExecution


class Start(_Ours):
    """TrainModel's payload."""

    run_id: Text
    attempt: Annotated[int, Field(ge=1)]
    redrives: Number
    task_token: Text


class OfRun(_Ours):
    """The payload of every other state: which run."""

    run_id: Text


Event = TypeVar("Event", bound=BaseModel)


def received(kind: type[Event], event: Any) -> Event:
    """The event as its model.

    Raises:
        MalformedEvent: it is not of that kind; the message names each member that is missing or wrong.
    """
    try:
        return kind.model_validate(event)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the event'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)[:5]
        )
        raise MalformedEvent(
            f"this is no {kind.__name__} ({printable(faults):.500}); it comes from another sender than the stack's own "
            "rules and state machine, or the stack is half updated: deploy it again and send the event anew"
        ) from error
