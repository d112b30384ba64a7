"""The sweeper of jobs whose configs are in a sweep's manifest: hydra does not compose them again.

Composing takes .1 to .2 s. Hydra would compose each job twice: when it checks the sweep, and in the job.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from inncli.config.sweeps import NUMBER, grid


class Planned(Sweeper):
    """Launches jobs that were composed and checked before the manifest was written.

    Args:
        max_batch_size: jobs that are launched together; None launches all.
        params: a recipe's part of the grid; it is not used, since the manifest holds its values.
    """

    def __init__(self, max_batch_size: int | None = None, params: DictConfig | None = None) -> None:
        self.max_batch_size = max_batch_size

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Builds the launcher that the config chooses."""
        self.folder, self.loader = Path(config.hydra.sweep.dir), hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs one job for each number that the overrides list."""
        jobs = grid(OverridesParser.create(config_loader=self.loader).parse_overrides(arguments))
        self.folder.mkdir(parents=True, exist_ok=True)
        size = self.max_batch_size or len(jobs)
        assert self.launcher is not None  # hydra calls `setup` first
        for first in range(0, len(jobs), size):
            for done in self.launcher.launch(jobs[first : first + size], initial_job_idx=first):
                _ = done.return_value  # raises what the job raised


def planned_config(config: DictConfig, overrides: list[str]) -> DictConfig | None:
    """Turns the sweep's config into that of a job.

    Args:
        config: of the sweep; it is changed.
        overrides: of the job; the last gives its number.

    Returns: None if the overrides give no number.
    """
    key, _, number = overrides[-1].lstrip("+").partition("=") if overrides else ("", "", "")
    if key != NUMBER:
        return None
    with open_dict(config):
        config[NUMBER] = int(number)
        config.hydra.overrides.task = list(overrides)
    return config


def execute_job(
    number: int,
    overrides: list[str],
    context: HydraContext,
    config: DictConfig,
    task: TaskFunction,
    state: dict[str, Any],
) -> JobReturn:
    """Runs one job in this process, as `execute_job` of hydra's joblib launcher does.

    Args:
        number: of the job, within the launch.
        overrides: of the job.
        context: hydra's, as the launcher got it.
        config: of the sweep.
        task: what hydra calls with the job's config.
        state: hydra's singletons in the sweep's process.
    """
    gc.freeze()  # loky collects garbage after a job, which takes .3 s for objects that were there before
    setup_globals()
    Singleton.set_state(state)
    composed = planned_config(config, overrides) or context.config_loader.load_sweep_config(config, overrides)
    with open_dict(composed):
        composed.hydra.job.id, composed.hydra.job.num = f"{composed.hydra.job.name}_{number}", number
    return run_job(
        hydra_context=context,
        config=composed,
        task_function=task,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
