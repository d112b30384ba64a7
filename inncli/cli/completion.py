"""Shell completion of values: overrides of `inn train` and runs. Reads file names, imports no hydra."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

import typer

from inncli import io
from inncli.config.registry import GROUPS, SETTINGS, choices, conf_dir
from inncli.runs.registry import list_runs, outputs_root


def overrides(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Completes `group=choice` and `key=` of `inn train`."""
    choosable = (*GROUPS, "experiment")
    # bash hands `model=rn` over as the three words `model`, `=`, `rn`; zsh and fish as one.
    typed = _words(ctx) or args
    if not incomplete and typed and os.environ.get("COMP_WORDS", "").rstrip().endswith("="):
        return choices(typed[-1]) if typed[-1] in choosable else []
    if len(typed) > 1 and typed[-1] == "=" and typed[-2] in choosable:
        return [name for name in choices(typed[-2]) if name.startswith(incomplete)]
    group, sign, start = incomplete.partition("=")
    if sign:
        names = choices(group) if group in choosable else []
        return [f"{group}={name}" for name in names if name.startswith(start)]
    keys = [f"{group}=" for group in choosable] + [f"{key}=" for key in SETTINGS] + _keys(_chosen(typed))
    return [key for key in keys if key.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Completes a run id, the newest first."""
    return _offered([run.id for run in reversed(list_runs())], incomplete)


def sweeps(incomplete: str) -> list[str]:
    """Completes the id of a sweep, the newest first."""
    names = sorted((file.parent.name for file in (outputs_root() / "sweeps").glob("*/sweep.json")), reverse=True)
    return _offered(names, incomplete)


def runs_and_sweeps(incomplete: str) -> list[str]:
    """Completes the id of a sweep or of a run."""
    return sweeps(incomplete) + runs(incomplete)


def _offered(names: Iterable[str], incomplete: str) -> list[str]:
    """Those names that begin so, as they may stand on a command line.

    The name of a directory, a stranger's maybe, may be a command. bash inserts what it is given as it is, so signs are
    escaped; not where the working folder has this very name, since bash 5.0 would put the bare name in its place. For
    other shells, which have rules of their own, a name with signs is left out.
    """
    found = [name for name in names if name.startswith(incomplete)]
    escaped = [(name, re.sub(r"[^\w.,:+@%/=-]", r"\\\g<0>", name)) for name in found if name.isprintable()]
    in_bash = os.environ.get("_INN_COMPLETE", "").endswith("bash")
    return [safe for name, safe in escaped if safe == name or (in_bash and not os.path.lexists(name))]


def _words(ctx: typer.Context) -> list[str]:
    """The words of the command line before the one being typed, as far as the parser took them."""
    params = getattr(ctx, "params", None) or {}
    return [str(word) for word in params.get("overrides") or ()]


def _chosen(words: list[str]) -> dict[str, str]:
    """The choice a group so far: the words typed, else the default."""
    chosen: dict[str, str] = {}
    for entry in io.untrusted_yaml.read_yaml(conf_dir() / "train.yaml")["defaults"]:
        if isinstance(entry, dict):
            chosen |= {group: name for group, name in entry.items() if group in GROUPS}
    # In bash the words of `task=table` come one by one.
    for group, sign, name in zip(words, words[1:], words[2:], strict=False):
        if sign == "=":
            chosen[group] = name
    return chosen | {w.partition("=")[0]: w.partition("=")[2] for w in words if "=" in w[1:]}


def _keys(chosen: dict[str, str]) -> list[str]:
    """The keys that the chosen yamls list, `trainer.lr=`."""

    def below(node: dict[str, Any], prefix: str) -> list[str]:
        found = []
        for key, value in node.items():
            if not key.startswith("_") and key != "defaults":
                nested = isinstance(value, dict) and "_target_" in value
                found += below(value, f"{prefix}{key}.") if nested else [f"{prefix}{key}="]
        return found

    def of(group: str, name: str | None) -> list[str]:
        path = conf_dir() / group / f"{name}.yaml"
        if not path.is_file():
            return []
        node = io.untrusted_yaml.read_yaml(path) or {}
        # A yaml may build on another of its group.
        above = [key for base in node.get("defaults", []) if isinstance(base, str) for key in of(group, base)]
        own = below(node, f"{group}.")
        return own + [key for key in above if key not in own]

    return [key for group in GROUPS for key in of(group, chosen.get(group))]
