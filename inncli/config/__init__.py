"""The bridge to hydra: from words on the command line to checked plain dicts; this package alone imports it.

    overrides -> plan() -> hydra.main -> job_config() -> a plain dict -> catalogue.make()

Hydra and omegaconf are imported inside functions: the commands that read a run's saved config
never need them. After this package nobody says `cfg`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inncli import launchers
from inncli.config.composing import by_choices, composer, enter_plugins, expand, own_presets, quoted, register_resolvers
from inncli.config.messages import not_a_choice, plain_errors
from inncli.config.registry import GROUPS, allowed_targets, check, choices, conf_dir, data_dir, instantiate
from inncli.config.trust import NOTHING, Trust
from inncli.errors import ConfigError

__all__ = [
    "GROUPS",
    "Job",
    "Place",
    "Trust",
    "allowed_targets",
    "carry",
    "check",
    "choices",
    "conf_dir",
    "data_dir",
    "instantiate",
    "job_config",
    "job_place",
    "jobs",
    "job_pruning",
    "launch",
    "plan",
]


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


def plan(overrides: list[str], multirun: bool = False, trust: Trust = NOTHING) -> list[Job]:
    """Composes and checks every job of the request; nothing is written, torch is not imported.

    Args:
        trust: the config folders that are composed from beside the shipped one.

    Raises: ConfigError for the first key, option, type or target that is wrong.
    """
    from hydra.core.hydra_config import HydraConfig

    with plain_errors(overrides, trust), composer(trust) as compose:
        jobs = []
        if multirun:
            enter_plugins(overrides, compose)
            compose = by_choices(compose)
        expanded, exact = expand(overrides, compose) if multirun else ([overrides], True)
        for words in expanded:
            cfg = compose(words)
            HydraConfig.instance().set_config(cfg)  # for ${hydra:...} in a user's yaml
            jobs.append(Job(_plain(cfg, cfg.hydra.runtime.choices, trust), words, exact))
    return jobs


def launch(
    task: Callable,
    overrides: list[str],
    *,
    directory: Path | None = None,
    multirun: bool = False,
    show: str | None = None,
    trust: Trust = NOTHING,
) -> None:
    """Hands the request to the real `hydra.main`, which calls `task(cfg)` for every job.

    Args:
        task: a module-level function, or an object of a module-level class, so that launchers can hand it to other
            processes.
        directory: run directory, or the sweep's, unless the overrides set their own.
        show: "job", "hydra" or "all" prints that part of the composed config instead of running.
        trust: as in `plan`.
    """
    import hydra

    words = [f"hydra.{'sweep' if multirun else 'run'}.dir={quoted(str(directory))}"] if directory else []
    folders = [f"--config-dir={trust.folders[-1]}"] if trust.folders else []
    flags = ["--multirun"] if multirun else [f"--cfg={show}"] if show else []
    register_resolvers()
    own_presets()
    if multirun:
        with plain_errors(overrides, trust), composer(trust) as compose:
            enter_plugins(overrides, compose)
    run = hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")(task)
    try:
        with plain_errors(overrides, trust), _argv(["inn", *flags, *folders, *words, *overrides]):
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
        planned: whether the sweep's manifest, not hydra, holds its config: see `jobs`.
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
    return [
        f"+{launchers.NUMBER}={','.join(map(str, numbers))}",
        f"hydra.sweep.subdir=${{{launchers.NUMBER}}}",
        "hydra.sweeper._target_=hydra_plugins.inncli.Planned",
    ]


def job_place(cfg) -> Place:
    """Of the job that hydra runs now; called in the job's own process."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    path, words = Path(hydra.runtime.output_dir), list(hydra.overrides.task)
    if hydra.mode != RunMode.MULTIRUN:
        return Place(path, None, words)
    if (number := cfg.get(launchers.NUMBER)) is not None:
        return Place(path, int(number), words, planned=True)
    return Place(path, int(hydra.job.num), words)


def job_config(cfg, trust: Trust = NOTHING) -> dict:
    """What hydra passed to the task, as a checked plain dict."""
    from hydra.core.hydra_config import HydraConfig

    register_resolvers()
    return _plain(cfg, HydraConfig.get().runtime.choices, trust)


def job_pruning(sweep: Path) -> Callable | None:
    """What may stop a job of this sweep after an epoch: the pruner of a search, if there is one."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import instantiate

    node = HydraConfig.get().sweeper.get("pruner")
    if node is None:
        return None
    from inncli.launchers.optuna import Pruning

    return Pruning(instantiate(node), sweep)


def carry(error: BaseException) -> BaseException:
    """Wraps an error that must leave hydra at once: the one of a single run, or Ctrl-C in a sweep."""
    return _Carried(error)


def _plain(cfg, chosen, trust: Trust) -> dict:
    """The checked plain config of a composed one, with the names of the chosen yamls."""
    from omegaconf import OmegaConf, open_dict

    with open_dict(cfg):
        cfg = OmegaConf.masked_copy(cfg, [key for key in cfg if key not in ("hydra", "experiment")])
    config = OmegaConf.to_container(cfg, resolve=True)
    if ".." in str(chosen.get("experiment")).split("/"):  # a recipe from elsewhere could say anything to hydra
        raise ConfigError(not_a_choice("experiment", chosen["experiment"], choices("experiment", trust)))
    for group in GROUPS:
        if chosen[group] not in choices(group, trust):  # model=../task/ring would compose
            raise ConfigError(not_a_choice(group, chosen[group], choices(group, trust)))
    return check({**config, "names": {group: chosen[group] for group in GROUPS}}, trust)


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
