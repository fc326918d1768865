"""From an object in the bucket to a run: one execution for each upload, however many events tell of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from traindrop.drops import Drop, Misplaced, recognise, run_id_of
from traindrop.errors import InvalidInput
from traindrop.messages import misplaced
from traindrop.notifying import publish
from traindrop.runs import Claims

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

_NOTICE_SECONDS = 24 * 3600
_TURN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Arrival:
    """An object that was created: its raw key, what tells this creation from others, and when it was."""

    bucket: str
    key: str
    identity: str
    moment: datetime


class Reception:
    """Decides what an arrival means and starts a run for a drop."""

    def __init__(
        self,
        *,
        sfn: SFNClient,
        sns: SNSClient,
        claims: Claims,
        state_machine_arn: str,
        topic_arn: str,
        upload_window_seconds: float,
        seconds_between_runs: float,
        clock: Callable[[], float],
    ) -> None:
        """Keep the clients; `clock` answers epoch seconds."""
        self._sfn, self._sns, self._claims, self._clock = sfn, sns, claims, clock
        self._state_machine_arn, self._topic_arn = state_machine_arn, topic_arn
        self._window, self._pace = upload_window_seconds, seconds_between_runs

    def receive(self, arrival: Arrival) -> str:
        """Start a run, tell of a misplaced drop, or do nothing; answer in a word what was done."""
        found = recognise(arrival.key)
        if found is None:
            return "ignored"
        if isinstance(found, Misplaced):
            return self._tell(found, arrival)
        return self._start(found, arrival)

    def _tell(self, drop: Misplaced, arrival: Arrival) -> str:
        claim, owner = f"notice#{arrival.key}#{arrival.identity}", f"{arrival.moment.isoformat()}#{self._clock()}"
        if self._claims.take(claim, owner, now=self._clock(), lasts_seconds=_NOTICE_SECONDS) is not None:
            return "already told"
        try:
            publish(
                self._sns,
                self._topic_arn,
                misplaced(drop.dataset, arrival.bucket, drop.key, drop.right_keys, drop.reason),
            )
        except Exception:
            self._claims.release(claim, owner)
            raise
        return "told"

    def _start(self, drop: Drop, arrival: Arrival) -> str:
        run_id = run_id_of(drop.dataset, arrival.moment, arrival.bucket, arrival.key, arrival.identity)
        if drop.form == "folder" and not self._is_first_of_upload(drop, run_id, arrival.moment):
            return "belongs to an upload that has its run"
        begins_at = self._turn(run_id)
        try:
            self._sfn.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=run_id,
                input=json.dumps(
                    {
                        "bucket": arrival.bucket,
                        "key": arrival.key,
                        "dataset": drop.dataset,
                        "form": drop.form,
                        "prefix": drop.prefix,
                        "dropped_at": arrival.moment.isoformat(),
                        "begins_at": datetime.fromtimestamp(begins_at, UTC).isoformat(timespec="milliseconds"),
                    },
                    ensure_ascii=False,
                ),
            )
        except self._sfn.exceptions.ExecutionAlreadyExists:
            return "already started"
        return "started"

    def _turn(self, run_id: str) -> float:
        """When the run may begin: runs begin in the order of their drops, however many are dropped at once.

        An event that is delivered again takes no second turn.
        """
        now = self._clock()
        if self._claims.take(f"turn#{run_id}", str(now), now=now, lasts_seconds=_TURN_SECONDS) is not None:
            return now
        return self._claims.next_turn("turns", now=now, every_seconds=self._pace)

    def _is_first_of_upload(self, drop: Drop, run_id: str, moment: datetime) -> bool:
        """Whether this yaml file opens an upload: no other run waits for it, nor has one seen it at rest since."""
        holder = self._claims.take(
            upload_claim(drop.dataset),
            run_id,
            now=self._clock(),
            lasts_seconds=self._window + 3600,
            unless="settled_at < :moment",
            values={":moment": moment.timestamp()},
        )
        return holder is None


def upload_claim(dataset: str) -> str:
    """The claim that a run holds on a folder while files may still arrive in it."""
    return f"upload#{dataset}"


def settle(claims: Claims, dataset: str, run_id: str, *, at: float, lasts_seconds: float) -> None:
    """The upload has come to rest: yaml files older than `at` belong to this run, newer ones open another."""
    claims.take(upload_claim(dataset), run_id, now=at, lasts_seconds=lasts_seconds, settled_at=at)


class ExecutionInput(BaseModel):
    """What an execution is started with; one started by hand needs no more than `bucket` and `key`.

    Its first state waits until `begins_at`. `settings` come before those of the bucket and the dataset. The others are
    for the eyes of who looks at the execution: they follow from the key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: Annotated[StrictStr, Field(min_length=3, max_length=63)]
    key: Annotated[StrictStr, Field(min_length=1, max_length=1024)]
    dataset: StrictStr | None = None
    form: StrictStr | None = None
    prefix: StrictStr | None = None
    dropped_at: StrictStr | None = None
    begins_at: StrictStr | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


def drop_of(execution_input: Any) -> dict[str, Any]:
    """The drop in an execution's input.

    Raises:
        InvalidInput: it has other members, or its key is none that starts a run.
    """
    try:
        given = ExecutionInput.model_validate(execution_input)
    except ValidationError as error:
        raise _invalid(execution_input) from error
    found = recognise(given.key)
    if not isinstance(found, Drop):
        raise _invalid(execution_input)
    return {
        "bucket": given.bucket,
        "key": found.key,
        "dataset": found.dataset,
        "form": found.form,
        "prefix": found.prefix,
    }


def _invalid(execution_input: Any) -> InvalidInput:
    return InvalidInput(
        'the input must name a drop, such as {"bucket": "…", "key": "datasets/rooms.zip"}; '
        f"it is {json.dumps(execution_input)[:300]}"
    )
