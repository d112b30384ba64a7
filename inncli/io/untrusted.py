"""Reads untrusted files: checks their size before their content, and never follows a link out of a run directory.

A run directory's own files are regular files that lie in it, in folders that lie in it. Through a link it could read
and overwrite whatever the user may. The directory itself may be reached by a link, since the user made that one.
The functions raise ValueError with a reason, or OSError; the caller says which file it was and what to do.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 16 * 2**20  # of a YAML or JSON file: a thousand times what inn writes
MAX_DEPTH = 40  # of nested lists and mappings
MAX_NODES = 100_000  # values of a YAML file; an alias counts each time
MAX_NUMBER = 64  # characters of a whole number: Python's own reading of longer ones takes quadratic time


# ---- files -------------------------------------------------------------------------------------------
def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most `limit` bytes: no pipe to wait on, no device without an end."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("no regular file")
        if facts.st_size > limit:
            raise ValueError(f"{facts.st_size:,} bytes, more than {limit:,}")
        return file.read(limit)


def untrusted_entry(root: Path, names: Iterable[str]) -> Path | None:
    """The first link, pipe or device among the entries `names` of a directory and all that lies in them, or None."""
    waiting = [root / name for name in names]
    while waiting:
        path = waiting.pop()
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif not entry.is_file(follow_symlinks=False):
                        return Path(entry.path)
        elif not stat.S_ISREG(mode):
            return path
    return None


# ---- JSON --------------------------------------------------------------------------------------------
def parse_json(data: bytes | str) -> Any:
    """Parses JSON. Refuses an object with the same key twice: readers differ on which of the two counts."""
    try:
        return json.loads(data, object_pairs_hook=_distinct)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_json(path: Path, limit: int = MAX_BYTES) -> Any:
    """What a JSON file holds."""
    return parse_json(read_bytes(path, limit))


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


# ---- YAML --------------------------------------------------------------------------------------------
def parse_yaml(data: bytes) -> Any:
    """Plain YAML by the safe loader, with a bound on size, depth and what aliases unfold to."""
    import yaml  # here, since commands like `inn runs` read JSON alone

    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data):,} bytes, more than {MAX_BYTES:,}")
    try:
        tree = yaml.load(data.decode("utf-8"), _loader())
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    _count(tree, {}, set())
    return tree


def read_yaml(path: Path) -> Any:
    """What a YAML file holds."""
    return parse_yaml(read_bytes(path))


def _loader() -> type[yaml.SafeLoader]:
    """PyYAML's safe loader, with a count of the values that it has read."""
    import yaml  # see `parse_yaml`

    class Bounded(yaml.SafeLoader):
        """Stops where a file is nested too deep or unfolds to too much."""

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

    Bounded.add_constructor("tag:yaml.org,2002:int", Bounded.construct_yaml_int)
    return Bounded


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
