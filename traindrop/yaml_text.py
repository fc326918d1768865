"""YAML of strangers: plain values only, in time and memory that its length bounds."""

from __future__ import annotations

from typing import Any

import yaml

_LONGEST_NUMBER = 40
_FAILURES = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises: its constructors of explicit tags let through whatever the conversion raised."""


class NotYaml(ValueError):
    """The text is not the YAML that is read here; the message says why, on one line."""


class _Loader(yaml.SafeLoader):
    """Without merges, which multiply, and without endless numbers, whose reading takes the square of their length."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, "merges (`<<`) are not read; write the values out", key.start_mark
                )
        super().flatten_mapping(node)

    def _number(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _LONGEST_NUMBER:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number has more than {_LONGEST_NUMBER} digits", node.start_mark
            )
        return self.construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader._number)


def read_yaml(text: bytes) -> Any:
    """The values of one document.

    An alias is the same object again, however often: whoever prints a value must bound what is printed.

    Raises:
        NotYaml: it is not YAML, or asks for more than plain values.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except _FAILURES as error:
        raise NotYaml(" ".join(str(error).split())[:300] or type(error).__name__) from error
