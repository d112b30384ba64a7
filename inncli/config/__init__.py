"""Configs: overrides from the command line become checked plain dicts.

    overrides -> plan() -> run() or launch() -> hydra -> job_config() -> a plain dict -> instantiate()

    trust       what a command lets in: the user's config folders and Python files
    registry    the config folders, the allow-list of targets, building; knows nothing of hydra
    schema      what a config node may hold
    signatures  the arguments of a target, read from its source
    renamed     targets of earlier releases
    recipes     those in the folder of a sweep or a run, which are data
    compose     overrides to a whole config
    overrides   which part of hydra an override sets, and which may be taken from a sweep's directory
    sweeps      the overrides of a sweep to those of its jobs
    planning    a request composed and checked
    launching   a planned request handed to hydra
    place       what the job that hydra runs now is
    messages    hydra's errors in one line

The room imports hydra and OmegaConf, and neither torch nor a room above it. Commands that compose nothing use the first
five modules; so hydra is imported with the first name that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from inncli.config.registry import (
    GROUPS,
    allowed_targets,
    check,
    choices,
    conf_dir,
    data_dir,
    factory,
    instantiate,
)
from inncli.config.trust import Trust

if TYPE_CHECKING:
    from inncli.config.launching import carry, launch, run, shown
    from inncli.config.overrides import names, sweep_overrides, with_literal_files
    from inncli.config.place import Place, job_config, job_place
    from inncli.config.planning import Job, plan
    from inncli.config.sweeps import jobs

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
    "factory",
    "instantiate",
    "job_config",
    "job_place",
    "jobs",
    "launch",
    "names",
    "plan",
    "run",
    "shown",
    "sweep_overrides",
    "with_literal_files",
]

_WITH_HYDRA = {
    "carry": "launching",
    "launch": "launching",
    "run": "launching",
    "shown": "launching",
    "names": "overrides",
    "sweep_overrides": "overrides",
    "with_literal_files": "overrides",
    "Place": "place",
    "job_config": "place",
    "job_place": "place",
    "Job": "planning",
    "plan": "planning",
    "jobs": "sweeps",
}


def __getattr__(name: str) -> object:
    """The names that need hydra, imported when they are first asked for."""
    if name not in _WITH_HYDRA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WITH_HYDRA[name]}"), name)
