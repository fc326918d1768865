"""The run record in DynamoDB, and claims: conditional writes that let one of many win."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from traindrop.errors import RunNotFound

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize
ACTIVE = frozenset({"Uploading", "Validating", "Training", "Extracting"})
"""The statuses of a run that is on."""
RUNS_OF_DATASET = "RunsOfDataset"
"""The index of the runs table by slug and run_id, which begins with the slug and the time."""


class Runs:
    """Records of runs, keyed by run_id; every read of one is strongly consistent."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Work on one table."""
        self._client, self._table = client, table

    def find(self, run_id: str) -> dict[str, Any] | None:
        """The record, or None."""
        item = self._client.get_item(TableName=self._table, Key={"run_id": {"S": run_id}}, ConsistentRead=True).get(
            "Item"
        )
        return _plain(item) if item else None

    def get(self, run_id: str) -> dict[str, Any]:
        """The record.

        Raises:
            RunNotFound: there is none.
        """
        record = self.find(run_id)
        if record is None:
            raise RunNotFound(f"no run {run_id} is recorded; drop the dataset again to start one")
        return record

    def update(self, run_id: str, *, count: str | None = None, **fields: Any) -> None:
        """Set fields of a record, made if it is not there; None removes a field. `count` is one that grows by 1."""
        names = {f"#{index}": name for index, name in enumerate(fields)}
        sets = [f"#{index} = :{index}" for index, value in enumerate(fields.values()) if value is not None]
        removes = [f"#{index}" for index, value in enumerate(fields.values()) if value is None]
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": {"run_id": {"S": run_id}},
            "ExpressionAttributeNames": names,
            "UpdateExpression": (f"SET {', '.join(sets)} " if sets else "")
            + (f"REMOVE {', '.join(removes)} " if removes else "")
            + ("ADD #count :one" if count else ""),
        }
        values = {f":{index}": _item(value) for index, value in enumerate(fields.values()) if value is not None}
        if count:
            names["#count"], values[":one"] = count, _item(1)
        if values:
            request["ExpressionAttributeValues"] = values
        self._client.update_item(**request)

    def of_dataset(self, slug: str, limit: int) -> list[dict[str, Any]]:
        """The newest runs of a dataset, the newest first; a run of the last seconds may be missing."""
        found = self._client.query(
            TableName=self._table,
            IndexName=RUNS_OF_DATASET,
            KeyConditionExpression="slug = :slug",
            ExpressionAttributeValues={":slug": {"S": slug}},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_plain(item) for item in found["Items"]]

    def newest(self, limit: int, *, most_pages: int) -> tuple[list[dict[str, Any]], bool]:
        """The newest runs of all datasets, the newest first, and whether every run was looked at.

        No index knows them by time, so the whole table is read, in pages of 1 MB: two or three hundred runs each.
        """
        pages = self._client.get_paginator("scan").paginate(TableName=self._table)
        found: list[dict[str, Any]] = []
        for number, page in enumerate(pages, 1):
            found += map(_plain, page["Items"])
            found = sorted(found, key=_time_of, reverse=True)[:limit]
            if number == most_pages:
                return found, "LastEvaluatedKey" not in page
        return found, True

    def mark_once(self, run_id: str, field: str) -> bool:
        """Set a flag that nobody has set yet; False when somebody has.

        botocore repeats a write whose answer was lost, so the flag tells who set it.
        """
        me = uuid.uuid4().hex
        return _won(
            lambda: self._client.update_item(
                TableName=self._table,
                Key={"run_id": {"S": run_id}},
                UpdateExpression="SET #f = :me",
                ConditionExpression="attribute_not_exists(#f) OR #f = :me",
                ExpressionAttributeNames={"#f": field},
                ExpressionAttributeValues={":me": {"S": me}},
            )
        )


class Claims:
    """Things that one run at a time may hold, keyed by claim; a claim lapses at `expires_at` (epoch seconds)."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        """Work on one table."""
        self._client, self._table = client, table

    def take(
        self,
        claim: str,
        owner: str,
        *,
        now: float,
        lasts_seconds: float,
        unless: str = "",
        values: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> dict[str, Any] | None:
        """Take a claim that is free, lapsed or already the owner's; answer None, or what stands in the way.

        Args:
            claim: what is claimed.
            owner: the run that claims it.
            now: epoch seconds.
            lasts_seconds: when it lapses by itself.
            unless: a further condition under which a foreign claim may be taken over.
            values: what `unless` compares with.
            fields: kept with the claim.
        """
        item = {"claim": claim, "owner": owner, "expires_at": int(now + lasts_seconds), **fields}
        condition = "attribute_not_exists(claim) OR #o = :o OR expires_at < :n" + (f" OR ({unless})" if unless else "")
        bound = {":o": owner, ":n": int(now), **(values or {})}
        won = _won(
            lambda: self._client.put_item(
                TableName=self._table,
                Item={key: _item(value) for key, value in item.items()},
                ConditionExpression=condition,
                ExpressionAttributeNames={"#o": "owner"},
                ExpressionAttributeValues={key: _item(value) for key, value in bound.items()},
            )
        )
        return None if won else self.find(claim) or {}

    def find(self, claim: str) -> dict[str, Any] | None:
        """Who holds a claim, or None."""
        item = self._client.get_item(TableName=self._table, Key={"claim": {"S": claim}}, ConsistentRead=True).get(
            "Item"
        )
        return _plain(item) if item else None

    def next_turn(self, queue: str, *, now: float, every_seconds: float) -> float:
        """Take the next free turn of a queue, in epoch seconds: now, or so long after the turn before."""
        me, won = uuid.uuid4().hex, False
        while not won:
            seen = self.find(queue)
            turn = max(now, float(seen["free_at"])) if seen else now
            next_free = turn + every_seconds
            item = {"claim": queue, "owner": me, "free_at": next_free, "expires_at": int(next_free) + 1}
            won = self._replace(item, seen)
        return turn

    def _replace(self, item: Mapping[str, Any], seen: Mapping[str, Any] | None) -> bool:
        """Put an item if its predecessor is the one that was seen; False if another came in between."""
        bound = {":me": item["owner"], ":seen": (seen or {}).get("owner", "")}
        return _won(
            lambda: self._client.put_item(
                TableName=self._table,
                Item={key: _item(value) for key, value in item.items()},
                ConditionExpression="attribute_not_exists(claim) OR #o = :seen OR #o = :me",
                ExpressionAttributeNames={"#o": "owner"},
                ExpressionAttributeValues={key: _item(value) for key, value in bound.items()},
            )
        )

    def release(self, claim: str, owner: str) -> None:
        """Give a claim back, if it is the owner's."""
        _won(
            lambda: self._client.delete_item(
                TableName=self._table,
                Key={"claim": {"S": claim}},
                ConditionExpression="#o = :o",
                ExpressionAttributeNames={"#o": "owner"},
                ExpressionAttributeValues={":o": {"S": owner}},
            )
        )


def fingerprint_claim(slug: str, mark: str) -> str:
    """The claim on training one dataset's data with given settings."""
    return f"fingerprint#{slug}#{mark}"


def stop_wanted(run: Mapping[str, Any], redrives: int) -> bool:
    """Whether the run was stopped in this life; a redrive begins a new one."""
    flag = run.get("stop_requested")
    return flag is not None and int(flag) >= redrives


def _time_of(run: Mapping[str, Any]) -> str:
    """The time in a run's id, which sorts as text."""
    return str(run["run_id"]).rsplit("-", 2)[-2]


def _won(write: Any) -> bool:
    try:
        write()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _item(value: Any) -> Any:
    return _serialize(json.loads(json.dumps(value), parse_float=Decimal))


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain Python numbers instead of Decimals."""
    values = {key: _deserialize(value) for key, value in item.items()}
    plain: dict[str, Any] = json.loads(json.dumps(values, default=lambda d: int(d) if d == int(d) else float(d)))
    return plain
