"""Definitions are read one by one, whatever was read before them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local_cloud.state_machines.programs import parse


def definition(number: int, **task: Any) -> str:
    state = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True, **task}
    return json.dumps({"Comment": str(number), "StartAt": "Send", "States": {"Send": state}})


def in_jsonpath(number: int) -> str:
    return definition(number, Parameters={"QueueUrl": "u", "MessageBody": {"a.$": "$.a"}})


def in_jsonata(number: int) -> str:
    return definition(
        number, QueryLanguage="JSONata", Arguments={"QueueUrl": "u", "MessageBody": "{% $states.input %}"}
    )


def test_definitions_of_both_languages_can_be_read_at_the_same_time() -> None:
    texts = [(in_jsonpath if number % 2 else in_jsonata)(number) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert all(list(pool.map(parse, texts)))


def test_a_bad_definition_leaves_nothing_that_the_next_one_is_read_by() -> None:
    bad = definition(1, QueryLanguage="JSONata", Parameters={"QueueUrl": "u", "MessageBody": "b"})
    with pytest.raises(ValueError, match="Parameters"):
        parse(bad)
    assert parse(in_jsonpath(100))
