"""The config folders, what they allow to be built, and the building; knows nothing of hydra.

The folders are the extension points: a yaml in `conf/model/` is a model. A saved config is untrusted data, which must
not run code. So a `_target_` is imported only if the same group of the shipped `conf/`, or of a config folder that the
user named (`Trust`), holds it. The group matters: a task may run a file of the user's, so none may replace a model.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from inncli.config import renamed, schema, signatures
from inncli.config.trust import NOTHING, Trust, gate
from inncli.errors import ConfigError, InnError, did_you_mean
from inncli.io.permissions import check_open

T = TypeVar("T")
GROUPS = ("task", "model", "objective", "trainer", "evaluation", "logger")
# What configs of older runs lack: groups, and settings whose default has changed since.
LATER = {
    "evaluation": {"_target_": "inncli.evaluation.settings.EvaluationSettings"},
    "logger": {"_target_": "inncli.loggers.base.Logger"},
}
LATER_SETTINGS: dict[str, dict[str, Any]] = {
    "inncli.tasks.measured.table.Table": {"memory_mb": None, "keep_mb": 0},
    "inncli.transforms.blocks.NICEBlock": {"clamp": None},
}
SETTINGS = {
    "seed": "NonNegativeInt",
    "device": "str | list[str]",
    "dtype": "Literal['float32', 'float64']",
    "threads": "PositiveInt | None",
}
MAX_THREADS = 4096  # torch ends the process if it can't start as many threads as it is told to


# ---- folders -----------------------------------------------------------------------------------------
def _shipped(file: str) -> Path:
    # A wheel has the folder inside the package, a checkout beside it, where inncli/data is only a room.
    package = Path(__file__).resolve().parents[1]
    inside = package / file
    return (inside if inside.is_file() else package.parent / file).parent


def conf_dir() -> Path:
    """The shipped config folder."""
    return _shipped("conf/train.yaml")


def data_dir() -> Path:
    """The folder of the shipped sample tables."""
    return _shipped("data/concrete.csv")


def choices(group: str, trust: Trust = NOTHING) -> list[str]:
    """The names that `group=NAME` can take, from the file names of the shipped and the trusted folders."""
    recipes = trust.recipes if group == "experiment" else ()
    folders = [root / group for root in (conf_dir(), *trust.folders, *recipes)]
    for folder in folders:
        check_open(folder)
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


# ---- targets -----------------------------------------------------------------------------------------
def _targets(value: Any) -> Iterator[object]:
    """Every `_target_` in a tree of dicts and lists, outermost first; in an untrusted tree it may be no text."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield value["_target_"]
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _targets(entry)


def allowed_targets(group: str | None = None, trust: Trust = NOTHING) -> frozenset[str]:
    """The targets in a group (None: in any) of the shipped conf, now or in earlier releases, and of trusted folders."""
    groups = GROUPS if group is None else (group,)
    named = (_targets_below(root)[name] for root in (conf_dir(), *trust.folders) for name in groups)
    return frozenset().union(*named, *(renamed.UNNAMED.get(name, ()) for name in groups))


@functools.lru_cache(maxsize=16)
def _targets_below(root: Path) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {group: set() for group in GROUPS}
    # Only the groups: a working folder that is named as config_dir must not allow the configs saved under ./outputs.
    for folder in (*GROUPS, "experiment"):
        check_open(root / folder)
        for path in sorted((root / folder).rglob("*.yaml")):
            tree = renamed.current(_yaml(path))
            # A recipe holds groups, `model: {...}`; a group's yaml is what stands below one.
            parts = tree if folder == "experiment" and isinstance(tree, dict) else {folder: tree}
            for group in GROUPS:
                found[group].update(target for target in _targets(parts.get(group)) if isinstance(target, str))
    return {group: frozenset(targets) for group, targets in found.items()}


def _yaml(path: Path) -> Any:
    import yaml  # here, since help texts list no choice

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f"{path}, line {mark.line + 1}" if mark else path
        raise ConfigError(f"{where}: no valid YAML, {one_line(problem or error)}; mend it") from None


def check_targets(node: object, group: str | None = None, trust: Trust = NOTHING) -> None:
    """Checks every `_target_` in a tree of dicts and lists, and imports nothing.

    Raises: ConfigError for one that is not in `allowed_targets` of this group and trust.
    """
    allowed = allowed_targets(group, trust)
    for target in _targets(node):
        if not isinstance(target, str) or target not in allowed:
            near = did_you_mean(target, allowed) if isinstance(target, str) else ""
            elsewhere = group is not None and isinstance(target, str) and target in allowed_targets(None, trust)
            raise ConfigError(
                f"_target_ {target!r} is not one that conf/{f'{group}/' if elsewhere else ''} or your "
                f"`config_dir` names{near or '; a config may only build what a yaml of a group names'}",
                "config_dir",
            )


def check(config: dict[str, Any], trust: Trust = NOTHING) -> dict[str, Any]:
    """A copy of a whole config as run directories hold it, with its targets, keys, types and ranges checked.

    Raises: ConfigError, before anything is imported.
    """
    config = renamed.current(config)
    check_targets(config, None, trust)
    known = (*SETTINGS, *GROUPS, "names")
    checked: dict[str, Any] = {}
    for key in config:
        if key not in known:
            near = did_you_mean(key, known) or "; settings are " + ", ".join(known[:-1])
            raise ConfigError(f"{key!r} is not a setting{near}")
    for key, hint in SETTINGS.items():
        if key not in config:
            raise ConfigError(f"{key} is missing in the config; give it as {key}=VALUE")
        checked[key] = schema.check_value(config[key], schema.parse_hint(hint), key)
    if (checked["threads"] or 1) > MAX_THREADS:
        raise ConfigError(f"threads: expected at most {MAX_THREADS}, got {checked['threads']}; null leaves it to torch")
    for group in GROUPS:
        node = config.get(group, LATER.get(group))
        checked[group] = check_group(node, group, trust)
    checked["names"] = dict(config["names"]) if isinstance(config.get("names"), dict) else {}
    return checked


def check_group(node: object, group: str, trust: Trust = NOTHING) -> dict[str, Any]:
    """A copy of the node of one group, with its targets, keys, types and ranges checked.

    Raises: ConfigError, before anything is imported.
    """
    if not isinstance(node, dict) or "_target_" not in node:
        raise ConfigError(
            f"{group}: expected one of {', '.join(choices(group, trust))}, got {node!r}; choose with {group}=NAME"
        )
    given: dict[str, Any] = renamed.current(node)
    check_targets(given, group, trust)
    return schema.without_partial(schema.check_node(_with_later(given), group, source_roots(trust)))


def _with_later(value: Any) -> Any:
    """A copy of a tree of dicts and lists in which every node that lacks a setting of LATER_SETTINGS has it."""
    if isinstance(value, list):
        return [_with_later(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    target = value.get("_target_")
    later = LATER_SETTINGS.get(target, {}) if isinstance(target, str) else {}
    return {**later, **{key: _with_later(entry) for key, entry in value.items()}}


def source_roots(trust: Trust = NOTHING) -> tuple[Path, ...]:
    """The folders in which the source of a target is looked for: the package's, the user's, the import path."""
    return (Path(__file__).resolve().parents[2], *trust.folders, *(Path(p) for p in sys.path if p))


def instantiate(node: dict[str, Any], trust: Trust = NOTHING, /, **extra: Any) -> Any:
    """Builds the object that a node names.

    Args:
        node: plain dict with `_target_`. Nodes inside it are built first; one that lacks arguments, where a callable is
            expected, becomes a factory (`schema.is_factory`), as does one that says `_partial_: true`.
        trust: what may be imported beside what inn ships, and the files that may be run while this is built.
        extra: arguments that the caller adds and no yaml holds, such as sizes.

    Raises: ConfigError if a target is not allowed, does not exist, or does not take these keys.
    """
    with gate(trust):
        return _construct(_allowed(node, trust), extra, trust)


def factory(node: dict[str, Any], trust: Trust = NOTHING) -> functools.partial[Any]:
    """A callable that builds what a node names, with the node's settings: `factory(config["model"])(x, y)`.

    Raises: ConfigError as `instantiate`.
    """
    made: functools.partial[Any] = _construct(_allowed(node, trust), {}, trust, partial=True)
    return made


def make(node: dict[str, Any], kind: type[T], trust: Trust = NOTHING, /, **extra: Any) -> T:
    """Builds the object that the node of a group names.

    Args:
        node: as in `instantiate`.
        kind: the class of which it must be.
        trust: as in `instantiate`.
        extra: as in `instantiate`.

    Raises: ConfigError as `instantiate`, and if the object is no `kind`.
    """
    made = instantiate(node, trust, **extra)
    if not isinstance(made, kind):
        raise ConfigError(
            f"{node['_target_']}: expected a {kind.__name__}, got {type(made).__name__}; "
            f"name a subclass of {kind.__module__}.{kind.__name__}"
        )
    return made


def _allowed(node: dict[str, Any], trust: Trust) -> dict[str, Any]:
    renewed: dict[str, Any] = renamed.current(node)
    check_targets(renewed, None, trust)
    return renewed


def _value(value: Any, hint: ast.expr | None, trust: Trust) -> Any:
    """A value of a config, in which every node is built or made a factory."""
    if isinstance(value, list):
        return [_value(entry, None, trust) for entry in value]
    if not isinstance(value, dict):
        return value
    if "_target_" in value:
        partial = value.get("_partial_", schema.is_factory(value, hint, source_roots(trust))) is True
        return _construct(value, {}, trust, partial)
    return {key: _value(entry, None, trust) for key, entry in value.items()}


def _construct(node: dict[str, Any], extra: dict[str, Any], trust: Trust, partial: bool = False) -> Any:
    target = node["_target_"]
    known = signatures.signature(target, source_roots(trust))
    hints = {key: parameter.hint for key, parameter in known.parameters.items()} if known else {}
    built = {key: _value(entry, hints.get(key), trust) for key, entry in node.items() if key not in schema.NODE_KEYS}
    kwargs = {**built, **extra}
    module, _, name = target.rpartition(".")
    own = all(target not in targets for targets in _targets_below(conf_dir()).values())
    advice = "mend it in your `config_dir`" if own else "was the run made by another version of inn?"
    try:
        trust.enter_path()
        function = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module of the user's may raise anything
        raise ConfigError(
            f"_target_ {target!r} can't be imported ({type(error).__name__}: {one_line(error)}); {advice}",
            "config_dir",
        ) from error
    try:
        # Bound here, so that a TypeError from inside a constructor is not taken for a wrong key.
        getattr(inspect.signature(function), "bind_partial" if partial else "bind")(**kwargs)
    except (TypeError, ValueError) as error:  # ValueError: a function in C that has no signature to read
        raise ConfigError(f"{target}: {one_line(error)}; {advice}", "config_dir") from error
    try:
        return functools.partial(function, **kwargs) if partial else function(**kwargs)
    except InnError:
        raise
    except Exception as error:  # a class of the user's may raise anything
        if not own:
            raise
        frames = traceback.extract_tb(error.__traceback__)
        at = next(
            (frame for frame in reversed(frames) if any(map(Path(frame.filename).is_relative_to, trust.folders))),
            frames[-1],
        )
        raise ConfigError(
            f"{target} raised {type(error).__name__}: {one_line(error)} ({Path(at.filename).name}, "
            f"line {at.lineno}); {advice}",
            "config_dir",
        ) from error


def one_line(error: object) -> str:
    """An exception's text with its line breaks and runs of blanks closed up."""
    return " ".join(str(error).split())
