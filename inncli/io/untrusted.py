"""Reading what a stranger may have written: bounded before it is believed, and never outside its run directory.

A run directory's own files are regular files that lie in it, in folders that lie in it: a link would let it read
and overwrite whatever the user may. The directory itself may be reached by a link, since that one is the user's.
Everything here raises ValueError with a reason, or OSError; whoever asked says which file and what to do.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

MAX_BYTES = 16 * 2**20  # of a YAML or JSON file: a thousand times what inn writes
MAX_DEPTH = 40  # of lists and mappings in each other
MAX_NODES = 100_000  # values of a YAML file, aliases followed
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
    """The first of the entries `names` of a directory, or of what lies in those, that is no file or folder of its own."""
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
    """JSON in which no key stands twice in one object: readers differ on which of the two counts."""
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
    import yaml  # here, since `inn runs` and its kin read JSON alone

    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data):,} bytes, more than {MAX_BYTES:,}")
    try:
        tree = yaml.load(data.decode("utf-8"), _loader(yaml))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    _count(tree, {}, set())
    return tree


def read_yaml(path: Path) -> Any:
    """What a YAML file holds."""
    return parse_yaml(read_bytes(path))


def _loader(yaml: ModuleType) -> type:
    """PyYAML's safe loader that counts as it goes."""

    class Bounded(yaml.SafeLoader):
        """Stops at a bomb: what is nested too deep, or unfolds to too much."""

        depth = nodes = 0

        def compose_node(self, parent, index):
            self.depth += 1
            self.nodes += 1
            if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
                raise yaml.YAMLError(f"more than {MAX_NODES:,} values, or nested deeper than {MAX_DEPTH}")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node, deep=False):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) != len(keys):
                raise yaml.YAMLError("a key stands twice in one mapping")
            return super().construct_mapping(node, deep)

        def construct_yaml_int(self, node):
            if len(node.value) > MAX_NUMBER:
                raise yaml.YAMLError(f"a number of {len(node.value):,} digits")
            return super().construct_yaml_int(node)

    Bounded.add_constructor("tag:yaml.org,2002:int", Bounded.construct_yaml_int)
    return Bounded


def _count(value: Any, known: dict[int, int], above: set[int]) -> int:
    """How many values a tree unfolds to; an alias counts as often as it is used."""
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
