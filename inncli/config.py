"""The bridge to hydra: from words on the command line to checked plain dicts; the only importer of it.

    overrides -> plan() -> hydra.main -> job_config() -> a plain dict -> instantiate()

Hydra and omegaconf are imported inside functions: the commands that read a run's saved config
never need them. After this module nobody says `cfg`.
"""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inncli import plugins, schema
from inncli.catalogue import (GROUPS, allowed_targets, check, choices, conf_dir, data_dir, instantiate, one_line,
                              source_roots, trust, trusted_folders)
from inncli.errors import ConfigError, did_you_mean

__all__ = ["GROUPS", "Job", "Place", "allowed_targets", "carry", "check", "choices", "conf_dir", "data_dir",
           "instantiate", "job_config", "job_place", "jobs", "job_pruning", "launch", "plan", "trust"]


@dataclass(frozen=True)
class Job:
    """One training of the request, as planned.

    Args:
        config: the checked, resolved, plain config that its run directory will keep.
        overrides: the words that make it.
        exact: whether hydra will run just this; False for what only stands for the choices of a
            sweeper that picks them as it goes.
    """

    config: dict
    overrides: list[str]
    exact: bool = True


class _Carried(BaseException):
    """Takes an error of the task past hydra, which would print a line of its own for an Exception."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _register_resolvers() -> None:
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("inn.data", lambda name: str(data_dir() / name), replace=True)


def _own_presets() -> None:
    """Lets our yamls of hydra/launcher and hydra/sweeper stand alone.

    Hydra would lay each over the schema that an installed plugin keeps under the same name, with a warning or,
    where that has defaults of its own, an error.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()  # finds the plugins, which enter their schemas
    for group in ConfigStore.instance().repo["hydra"].values():
        if isinstance(group, dict):
            for choice in plugins.CHOICES:
                group.pop(f"{choice}.yaml", None)


def plan(overrides: list[str], multirun: bool = False) -> list[Job]:
    """Composes and checks every job of the request; nothing is written, torch is not imported.

    Raises: ConfigError for the first key, option, type or target that is wrong.
    """
    from hydra.core.hydra_config import HydraConfig

    with _plain_errors(overrides), _composer() as compose:
        jobs = []
        if multirun:
            _enter_plugins(overrides, compose)
            compose = _by_choices(compose)
        expanded, exact = _expand(overrides, compose) if multirun else ([overrides], True)
        for words in expanded:
            cfg = compose(words)
            HydraConfig.instance().set_config(cfg)  # for ${hydra:...} in a user's yaml
            jobs.append(Job(_plain(cfg, cfg.hydra.runtime.choices), words, exact))
    return jobs


@contextmanager
def _composer() -> Iterator[Callable]:
    """Gives compose(overrides) -> the whole config, hydra's own part included."""
    from hydra import compose, initialize_config_dir

    _register_resolvers()
    _own_presets()
    folders = ",".join(_quoted(f"file://{path}") for path in trusted_folders)
    search = [f"hydra.searchpath=[{folders}]"] if folders else []
    with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="train"):
        yield lambda words: compose("train", overrides=[*search, *words], return_hydra_config=True)


def _by_choices(compose: Callable) -> Callable:
    """compose(overrides) again, which composes each choice of yamls once: that takes most of its time.

    The values are then set by hydra's own function, in their order, as its composing does it in the end.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    loader = GlobalHydra.instance().config_loader()
    parse = OverridesParser.create(config_loader=loader).parse_overrides
    composed = {}

    def is_choice(override) -> bool:
        """Whether hydra must see it to compose: its own, or a yaml of a group as hydra tells one from a value."""
        return override.is_hydra_override() or (loader.repository.group_exists(override.key_or_group)
                                                and not isinstance(override.value(), dict))

    def composing(words: list[str]):
        parsed = parse(words)
        values = [o for o in parsed if not is_choice(o)]
        choices = tuple(o.input_line for o in parsed if is_choice(o))
        if choices not in composed:
            composed[choices] = compose(list(choices))
        cfg = copy.deepcopy(composed[choices])
        ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        ours = [o for o in parsed if not o.is_hydra_override()]
        cfg.hydra.overrides.task = [o.input_line for o in ours]
        cfg.hydra.job.override_dirname = get_overrides_dirname(ours, **cfg.hydra.job.config.override_dirname)
        return cfg

    return composing


def _no_hydra(parsed: list, swept_only: bool = False) -> None:
    """Raises: ConfigError if one of these overrides of a sweep's jobs sets what is hydra's own.

    Hydra takes `hydra={...}` for a setting of the job's. A sweep's manifest may be a stranger's, and hydra builds and
    calls what its part of the config names.

    Args:
        swept_only: single values of its parts are let through: those are not the jobs'.
    """
    for override in parsed:
        part = override.is_hydra_override() and (override.is_sweep_override() or not swept_only)
        if part or override.key_or_group == "hydra":
            raise ConfigError("hydra's own settings are for the whole sweep: give one value, and name the part, e.g. "
                              f"hydra.launcher.n_jobs=2; got {override.input_line!r}")


def _enter_plugins(overrides: list[str], compose: Callable) -> None:
    """Makes our launcher or sweeper, if one is chosen, known to hydra. Raises: RequestError if it can't run here."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins

    parsed = OverridesParser.create().parse_overrides(overrides)
    _no_hydra(parsed, swept_only=True)
    chosen = compose([o.input_line for o in parsed if not o.is_sweep_override()]).hydra.runtime.choices
    for group in ("hydra/launcher", "hydra/sweeper"):
        plugins.enter(chosen[group], Plugins.instance())
    plugins.enter_planned(Plugins.instance())


def _expand(overrides: list[str], compose: Callable) -> tuple[list[list[str]], bool]:
    """The overrides of every job of a sweep by hydra's own parser and basic sweeper; whether they are exact."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    loader = GlobalHydra.instance().config_loader()
    parse = OverridesParser.create(config_loader=loader).parse_overrides
    parsed = parse(overrides)
    fixed = [o.input_line for o in parsed if not o.is_sweep_override()]
    hydra_words = [o.input_line for o in parsed if o.is_hydra_override()]
    sweeper = compose(fixed).hydra.sweeper
    words = [f"{k}={v}" for k, v in (sweeper.get("params") or {}).items()]
    swept = parse([*words, *(o.input_line for o in parsed if not o.is_hydra_override())])
    _no_hydra(swept)
    if sweeper._target_.endswith(".BasicSweeper"):
        for o in swept:
            if o.is_interval_sweep():
                raise ConfigError(f"{o.input_line!r} is for a search to choose from; list values, or add hydra/sweeper=optuna")
            if o.is_sweep_override() and not list(o.sweep_string_iterator()):
                raise ConfigError(f"{o.input_line!r} names no value; there is nothing to train")
        (batch,) = BasicSweeper.split_arguments(swept, None)
        return [[*hydra_words, *job] for job in batch], True
    # Another sweeper picks its values as it goes: each that is written out, or ends an interval, is checked alone.
    singles = [f"{o.get_key_element()}={value}" for o in swept if o.is_sweep_override() for value in
               (o.sweep_string_iterator() if o.is_discrete_sweep() else (o.value().start, o.value().end))]
    return [fixed, *([*fixed, word] for word in singles)], False


def launch(task: Callable, overrides: list[str], *, directory: Path | None = None, multirun: bool = False,
           show: str | None = None) -> None:
    """Hands the request to the real `hydra.main`, which calls `task(cfg)` for every job.

    Args:
        task: a module-level function, so that launchers can name it to other processes.
        directory: run directory, or the sweep's, unless the overrides set their own.
        show: "job", "hydra" or "all" prints that part of the composed config instead of running.
    """
    import hydra

    words = [f"hydra.{'sweep' if multirun else 'run'}.dir={_quoted(str(directory))}"] if directory else []
    folders = [f"--config-dir={trusted_folders[-1]}"] if trusted_folders else []
    flags = ["--multirun"] if multirun else [f"--cfg={show}"] if show else []
    _register_resolvers()
    _own_presets()
    if multirun:
        with _plain_errors(overrides), _composer() as compose:
            _enter_plugins(overrides, compose)
    run = hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")(task)
    try:
        with _plain_errors(overrides), _argv(["inn", *flags, *folders, *words, *overrides]):
            run()
    except _Carried as carried:
        raise carried.error from None


@dataclass(frozen=True)
class Place:
    """Where the job that hydra runs now belongs.

    Args:
        path: its directory.
        number: its number within a sweep, None for a single run.
        overrides: its words.
        planned: whether the sweep's manifest, not hydra, holds its config: see `again`.
    """

    path: Path
    number: int | None
    overrides: list[str]
    planned: bool = False


def jobs(numbers: list[int]) -> list[str]:
    """The words of a multirun whose jobs are these jobs of a sweep, each in its own directory, new or once more.

    Hydra numbers the jobs of a multirun itself, and what is left of a sweep is no grid; so the job's own
    number travels as the one thing that is swept over, and all else is in the manifest.
    """
    return [f"+{plugins.NUMBER}={','.join(map(str, numbers))}", f"hydra.sweep.subdir=${{{plugins.NUMBER}}}",
            "hydra.sweeper._target_=hydra_plugins.inncli.Planned"]


def job_place(cfg) -> Place:
    """Of the job that hydra runs now; called in the job's own process."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    for source in hydra.runtime.config_sources:
        if source.schema == "file" and source.provider != "main":
            trust(source.path)  # a job on another machine has not seen the command line
    path, words = Path(hydra.runtime.output_dir), list(hydra.overrides.task)
    if hydra.mode != RunMode.MULTIRUN:
        return Place(path, None, words)
    if (number := cfg.get(plugins.NUMBER)) is not None:
        return Place(path, int(number), words, planned=True)
    return Place(path, int(hydra.job.num), words)


def job_config(cfg) -> dict:
    """What hydra passed to the task, as a checked plain dict."""
    from hydra.core.hydra_config import HydraConfig

    _register_resolvers()
    return _plain(cfg, HydraConfig.get().runtime.choices)


def job_pruning(sweep: Path) -> Callable | None:
    """What may stop a job of this sweep after an epoch: the pruner of a search, if there is one."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import instantiate

    node = HydraConfig.get().sweeper.get("pruner")
    if node is None:
        return None
    from inncli.plugins.optuna import Pruning

    return Pruning(instantiate(node), sweep)


def carry(error: BaseException) -> BaseException:
    """Wraps an error that must leave hydra at once: the one of a single run, or Ctrl-C in a sweep."""
    return _Carried(error)


def _plain(cfg, chosen) -> dict:
    """The checked plain config of a composed one, with the names of the chosen yamls."""
    from omegaconf import OmegaConf, open_dict

    with open_dict(cfg):
        cfg = OmegaConf.masked_copy(cfg, [key for key in cfg if key not in ("hydra", "experiment")])
    config = OmegaConf.to_container(cfg, resolve=True)
    if ".." in str(chosen.get("experiment")).split("/"):  # a recipe from elsewhere could say anything to hydra
        raise ConfigError(_not_a_choice("experiment", chosen["experiment"], choices("experiment")))
    for group in GROUPS:
        if chosen[group] not in choices(group):  # model=../task/ring would compose
            raise ConfigError(_not_a_choice(group, chosen[group], choices(group)))
    return check({**config, "names": {group: chosen[group] for group in GROUPS}})


@contextmanager
def _argv(words: list[str]) -> Iterator[None]:
    """The one place that sets sys.argv, which is all that hydra.main reads."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = words, "1"  # exceptions come to us, not to stderr
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full


def _quoted(text: str) -> str:
    """A value in hydra's override grammar that holds any path."""
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", text) + "'"


# ---- hydra's errors in one line ----------------------------------------------------------------------
@contextmanager
def _plain_errors(overrides: list[str]) -> Iterator[None]:
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        # Only hydra's own errors come here: the task's are carried past it.
        raise ConfigError(_translate(error, overrides)) from error


def _translate(error: Exception, overrides: list[str]) -> str:
    from hydra.errors import MissingConfigException, OverrideParseException

    text = one_line(error) if str(error).strip() else one_line(error.__cause__)
    quoted = re.search(r"'([^']+)'", text)
    if isinstance(error, MissingConfigException) and "/" in (error.missing_cfg_file or ""):
        group, _, name = error.missing_cfg_file.rpartition("/")
        there = choices(group) or error.options or []
        return _not_a_choice(group, name, there)
    if isinstance(error, OverrideParseException) and not re.match(r"^[~+]*[\w./@:-]+=", error.override):
        return f"expected KEY=VALUE, got {error.override!r}{did_you_mean(error.override, _keys())}"
    if "requires --multirun" in text or text.startswith("Ambiguous value"):
        return f"{quoted.group(1)!r} names several values; add -m to train each, or brackets for a list: KEY=[A,B]"
    if isinstance(error, OverrideParseException):
        return (f"{error.override!r} can't be read; quote what holds blanks or signs, "
                "e.g. 'task.x=[a,b]' or 'task.file=\"a b.csv\"'")
    if "An item is already at" in text:
        return f"{quoted.group(1)} is set already; change it without the plus: {quoted.group(1)}=VALUE"
    if text.startswith("Config group override must be"):
        return "a choice is the name of a yaml, e.g. model=rnvp; `inn train --help` shows more"
    if re.match(r"Could not (override|delete|append)|Key '", text):
        word = quoted.group(1)
        if word in GROUPS:
            return f"{word}: expected one of {', '.join(choices(word))}, got something else; choose with {word}=NAME"
        if _takes(word, overrides):
            return f"{word} is not listed in conf/{word.split('.')[0]}; add it with a plus: +{word}=VALUE"
        near = did_you_mean(word, _keys(overrides))
        return f"{word!r} is not a setting{near or '; `inn train -c job` prints them all'}"
    return re.split(r" (?:See https://|full_key:)", text)[0]


def _not_a_choice(group: str, name: str, there: Iterable[str]) -> str:
    return f"{group}: expected one of {', '.join(there)}, got {name!r}{did_you_mean(name, there)}"


def _takes(word: str, overrides: list[str]) -> bool:
    """Whether the chosen target has this argument although its yaml does not list it."""
    *path, key = word.split(".")
    node = _neighbours(overrides)
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or "_target_" not in node:
        return False
    known = schema.signature(node["_target_"], source_roots())
    return known is not None and key in known.parameters


def _keys(overrides: Iterable[str] = ()) -> list[str]:
    """Every dotted key of the config that the choices among these overrides compose to."""
    def walk(node: dict, prefix: str) -> Iterator[str]:
        known = schema.signature(node["_target_"], source_roots()) if "_target_" in node else None
        for key in {**node, **(known.parameters if known else {})}:
            if key not in schema.NODE_KEYS:
                yield prefix + key
                if isinstance(node.get(key), dict):
                    yield from walk(node[key], f"{prefix}{key}.")

    return [*walk(_neighbours(overrides), ""), "experiment"]


def _neighbours(overrides: Iterable[str]) -> dict:
    """The plain config that only the `group=choice` overrides make."""
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    words = [o for o in overrides if o.partition("=")[0] in (*GROUPS, "experiment") and o.partition("=")[2] in
             choices(o.partition("=")[0])]
    try:
        with _composer() as compose:
            whole = OmegaConf.to_container(compose(words), resolve=False)
            return {key: value for key, value in whole.items() if key != "hydra"}
    except (HydraException, OmegaConfBaseException):
        return {}  # only a suggestion is lost

