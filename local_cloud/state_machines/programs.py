"""Programs of definitions, as moto's parser reads them, with the escapes of JSON strings read as JSON has them."""

from __future__ import annotations

import functools
import json
import sys
import threading
from typing import Any

from moto.stepfunctions.parser.asl.antlr.runtime.ASLLexer import ASLLexer
from moto.stepfunctions.parser.asl.antlt4utils import antlr4utils
from moto.stepfunctions.parser.asl.antlt4utils.antlr4utils import is_terminal
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

from local_cloud import hooks


def install() -> None:
    """Read strings as JSON: moto takes most of them as they are written, others for Python's."""
    hooks.require(Preprocessor, "_query_language_per_scope")
    original = antlr4utils.from_string_literal
    for module in list(sys.modules.values()):
        if getattr(module, "from_string_literal", None) is original:
            hooks.replace(module, "from_string_literal", "parser_rule_context", lambda _: _value_of)
    hooks.replace(Preprocessor, "_inner_string_of", "parser_rule_context", lambda _: staticmethod(_value_of))


_parsing = threading.Lock()


def parse(definition: str) -> Any:
    """The program of a definition; those with Map states, which keep things in the program, are parsed each time."""
    parser = _parsed.__wrapped__ if '"Map"' in definition else _parsed
    with _parsing:
        # One list of open scopes belongs to all of moto's parsers, and a bad definition leaves its own in there.
        Preprocessor._query_language_per_scope.clear()
        return parser(definition)


@functools.lru_cache(maxsize=64)
def _parsed(definition: str) -> Any:
    return AmazonStateLanguageParser.parse(definition)[0]


def _value_of(parser_rule_context: Any) -> str | None:
    if is_terminal(parser_rule_context, ASLLexer.NULL):
        return None
    text: str = parser_rule_context.getText()
    return json.loads(text, strict=False) if text[:1] == '"' == text[-1:] else text
