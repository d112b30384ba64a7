"""Recipes that lie in the folder of a sweep or a run: `inn train --config-dir SWEEP experiment=best`.

Such a folder may be a stranger's. Of it hydra composes recipes and nothing else, and a recipe there is data: choices of
shipped yamls by their names, and plain values. A config folder of the user's own is trusted instead, see `trust`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from inncli.config import registry
from inncli.config.trust import Trust
from inncli.errors import ConfigError
from inncli.io.untrusted import read_bytes
from inncli.io.untrusted_yaml import parse_yaml

HEADER = "# @package _global_"


def check_recipes(trust: Trust) -> None:
    """Checks every recipe in the folders of sweeps and runs that the command names.

    Raises: ConfigError for one that says more than data may.
    """
    for folder in trust.recipes:
        for path in sorted((folder / "experiment").rglob("*.yaml")):
            try:
                _check(path)
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"{path} lies in the folder of a sweep or a run, where a recipe is data: "
                    f"{' '.join(str(error).split())}; look at it, and keep it in a config folder of your own"
                ) from None


def check_sources(chosen: Mapping[str, Any], trust: Trust) -> None:
    """Checks that of such a folder nothing but recipes was composed.

    Args:
        chosen: hydra's choices, by group.
        trust: of the command.

    Raises: ConfigError.
    """
    for group, name in chosen.items():
        group = str(group).partition("@")[0]
        for folder in trust.recipes:
            if group != "experiment" and (path := folder / group / f"{name}.yaml").exists():
                raise ConfigError(
                    f"{path} lies in the folder of a sweep or a run, of which only recipes are composed; "
                    "keep it in a config folder of your own"
                )


def to_run(trust: Trust, words: Iterable[str], configs: Iterable[dict[str, Any]], resimulate: bool) -> Trust:
    """The trust of a training, with the simulator files that it may run.

    A file that the command's own words name may be run; one that only a recipe of such a folder names, with
    `resimulate`.
    """
    named = any(word.lstrip("+").startswith("task.file=") for word in words)
    return trust.to_run(configs) if named or resimulate or not trust.recipes else trust


def _check(path: Path) -> None:
    data = read_bytes(path)
    packages = [line.strip() for line in data.decode("utf-8").splitlines() if "@package" in line]
    if packages != [HEADER]:
        raise ValueError(f"expected one line {HEADER!r}, got {packages or 'none'}")
    tree = parse_yaml(data)
    if not isinstance(tree, dict):
        raise ValueError("expected a mapping")
    for key, value in tree.items():
        if key == "defaults":
            _check_defaults(value)
        elif key not in (*registry.GROUPS, *registry.SETTINGS):
            raise ValueError(f"{key!r} is no group and no setting of a run")
        elif any("$" in text for text in _texts(value)):
            raise ValueError(f"{key} holds a text with $, which would be filled in")
        elif key in registry.GROUPS:
            registry.check_targets(value, key)


def _check_defaults(entries: object) -> None:
    for entry in entries if isinstance(entries, list) else [entries]:
        if entry == "_self_":
            continue
        ((choice, name),) = entry.items() if isinstance(entry, dict) and len(entry) == 1 else [("", entry)]
        group = str(choice).removeprefix("override /")
        if group not in registry.GROUPS or choice == group or name not in registry.choices(group):
            raise ValueError(f"expected `override /GROUP: NAME` of a shipped yaml, got {entry!r}")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for entry in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(entry)
