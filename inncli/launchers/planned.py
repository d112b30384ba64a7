"""Jobs whose configs stand in a sweep's manifest: for them hydra has nothing to compose again.

Composing takes .1 to .2 s; hydra would do it for each job once when it checks the sweep and once in the job.
"""

from __future__ import annotations

import gc

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from inncli.launchers import NUMBER


class Planned(BasicSweeper):
    """Hydra's basic sweeper for jobs that were composed and checked before the manifest was written."""

    def validate_batch_is_legal(self, batch) -> None:
        pass

    def _parse_config(self) -> list[str]:
        return []  # what a recipe sweeps over is in the plan


def planned_config(config: DictConfig, overrides: list[str]) -> DictConfig | None:
    """A job's config out of the sweep's, which becomes it, by its number alone, which is its last word; None without."""
    key, _, number = overrides[-1].lstrip("+").partition("=") if overrides else ("", "", "")
    if key != NUMBER:
        return None
    with open_dict(config):
        config[NUMBER] = int(number)
        config.hydra.overrides.task = list(overrides)
    return config


def execute_job(
    number: int, overrides: list[str], context: HydraContext, config: DictConfig, task: TaskFunction, state: dict
) -> JobReturn:
    """Runs one job in this process, as the function of that name in hydra's joblib launcher does."""
    gc.freeze()  # loky collects garbage after a job: what was there before is none, and looking at it takes .3 s
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
