"""Reads untrusted YAML, and writes our own. A module by itself: `inn runs` and its kin read JSON alone.

The functions raise ValueError with a reason, or OSError; the caller says which file it was and what to do.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from inncli.io.untrusted import MAX_BYTES, read_bytes

MAX_DEPTH = 40  # of nested lists and mappings
MAX_NODES = 100_000  # values of a file; an alias counts each time
MAX_NUMBER = 64  # characters of a whole number: Python's own reading of longer ones takes quadratic time


def parse_yaml(data: bytes) -> Any:
    """Plain YAML by the safe loader, with a bound on size, depth and what aliases unfold to."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data):,} bytes, more than {MAX_BYTES:,}")
    try:
        tree = yaml.load(data.decode("utf-8"), _Bounded)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    _count(tree, {}, set())
    return tree


def read_yaml(path: Path) -> Any:
    """What a YAML file holds."""
    return parse_yaml(read_bytes(path))


def dump_yaml(value: object) -> str:
    """The text of a YAML file; keys keep their order."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
    return text


class _Bounded(yaml.SafeLoader):
    """PyYAML's safe loader, which stops where a file is nested too deep or unfolds to too much."""

    depth = nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES:,} values, or nested deeper than {MAX_DEPTH}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) != len(keys):
            raise yaml.YAMLError("a key stands twice in one mapping")
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > MAX_NUMBER:
            raise yaml.YAMLError(f"a number of {len(node.value):,} digits")
        return super().construct_yaml_int(node)


_Bounded.add_constructor("tag:yaml.org,2002:int", _Bounded.construct_yaml_int)


def _count(value: Any, known: dict[int, int], above: set[int]) -> int:
    """How many values a tree unfolds to; an alias counts as often as it is used.

    Args:
        value: the tree.
        known: the counts found so far, by the id of a list or mapping.
        above: the ids of what holds `value`.
    """
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) in above:
        raise ValueError("a value that holds itself")
    if id(value) not in known:
        inside = value.values() if isinstance(value, dict) else value
        total = 1 + sum(_count(entry, known, above | {id(value)}) for entry in inside)
        if total > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES:,} values, aliases followed")
        known[id(value)] = total
    return known[id(value)]
