"""Hydra's errors in one line: what was expected, what was got, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from inncli.config import schema, signatures
from inncli.config.compose import composer
from inncli.config.registry import GROUPS, choices, one_line, source_roots
from inncli.config.trust import NOTHING, Trust
from inncli.errors import ConfigError, did_you_mean


@contextmanager
def plain_errors(overrides: list[str], trust: Trust = NOTHING) -> Iterator[None]:
    """What hydra, omegaconf or YAML raises inside becomes a ConfigError of one line about these overrides."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        # Only hydra's own errors come here: `launching` carries the task's past it.
        raise ConfigError(_translate(error, overrides, trust)) from error
    except (AttributeError, AssertionError) as error:  # of setting a key below a mapping that is null
        if not any(re.match(r"\+*hydra\.sweeper\.params", override) for override in overrides):
            raise
        raise ConfigError(
            "hydra.sweeper.params is set by recipes only; name the values themselves, "
            "e.g. -m seed=0,1 trainer.lr=1e-3,5e-3"
        ) from error


def not_a_choice(group: str, name: str, there: Iterable[str]) -> str:
    """The message for a yaml that a group does not have.

    Args:
        group: "model".
        name: that was asked for.
        there: the names that the group has.
    """
    return f"{group}: expected one of {', '.join(there)}, got {name!r}{did_you_mean(name, there)}"


def _translate(error: Exception, overrides: list[str], trust: Trust) -> str:
    text = one_line(error) if str(error).strip() else one_line(error.__cause__)
    key = next(iter(re.findall(r"'([^']+)'", text)), text)  # what hydra's own text quotes
    if isinstance(error, MissingConfigException) and "/" in (missing := error.missing_cfg_file or ""):
        group, _, name = missing.rpartition("/")
        there = choices(group, trust) or error.options or []
        return not_a_choice(group, name, there)
    if isinstance(error, OverrideParseException) and not re.match(r"^[~+]*[\w./@:-]+=", error.override):
        return f"expected KEY=VALUE, got {error.override!r}{did_you_mean(error.override, _keys((), trust))}"
    if "requires --multirun" in text or text.startswith("Ambiguous value"):
        return f"{key!r} names several values; add -m to train each, or brackets for a list: KEY=[A,B]"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override!r} can't be read; quote what holds blanks or signs, "
            "e.g. 'task.x=[a,b]' or 'task.file=\"a b.csv\"'"
        )
    if "An item is already at" in text:
        return f"{key} is set already; change it without the plus: {key}=VALUE"
    if text.startswith("Config group override must be"):
        return "a choice is the name of a yaml, e.g. model=rnvp; `inn train --help` shows more"
    if re.match(r"Could not (override|delete|append)|Key '", text):
        if key in GROUPS:
            return (
                f"{key}: expected one of {', '.join(choices(key, trust))}, got something else; choose with {key}=NAME"
            )
        if _takes(key, overrides, trust):
            return f"{key} is not listed in conf/{key.split('.')[0]}; add it with a plus: +{key}=VALUE"
        near = did_you_mean(key, _keys(overrides, trust))
        return f"{key!r} is not a setting{near or '; `inn train -c job` prints them all'}"
    return re.split(r" (?:See https://|full_key:)", text)[0]


def _takes(dotted: str, overrides: list[str], trust: Trust) -> bool:
    """Whether the chosen target has this argument although its yaml does not list it."""
    *path, key = dotted.split(".")
    node: object = _neighbours(overrides, trust)
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or "_target_" not in node:
        return False
    known = signatures.signature(node["_target_"], source_roots(trust))
    return known is not None and key in known.parameters


def _keys(overrides: Iterable[str], trust: Trust) -> list[str]:
    """Every dotted key of the config that the choices among these overrides compose to."""

    def walk(node: dict[str, Any], prefix: str) -> Iterator[str]:
        known = signatures.signature(node["_target_"], source_roots(trust)) if "_target_" in node else None
        for key in {**node, **(known.parameters if known else {})}:
            if key not in schema.NODE_KEYS:
                yield prefix + key
                if isinstance(node.get(key), dict):
                    yield from walk(node[key], f"{prefix}{key}.")

    return [*walk(_neighbours(overrides, trust), ""), "experiment"]


def _neighbours(overrides: Iterable[str], trust: Trust) -> dict[str, Any]:
    """The plain config that only the `group=choice` overrides make."""
    chosen = [
        o
        for o in overrides
        if o.partition("=")[0] in (*GROUPS, "experiment") and o.partition("=")[2] in choices(o.partition("=")[0], trust)
    ]
    try:
        with composer(trust) as compose:
            whole = cast(dict[str, Any], OmegaConf.to_container(compose(chosen), resolve=False))
            return {key: value for key, value in whole.items() if key != "hydra"}
    except (HydraException, OmegaConfBaseException):
        return {}  # only a suggestion is lost
