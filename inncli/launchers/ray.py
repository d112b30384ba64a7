"""Ray, on this machine or a cluster."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import ray
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, OmegaConf, open_dict

from inncli.io.worker_path import check_folder

log = logging.getLogger(__name__)


class Ray(RayLauncher):
    """The plugin's launcher. A job whose worker died returns NaN, and the others go on."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs as tasks of Ray and waits for all of them."""
        check_folder(Path.cwd())  # ray puts it on the import path of its workers, whatever is said
        setup_globals()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage statistics are sent
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        if not ray.is_initialized():
            ray.init(**_settings(self.ray_cfg.init))
        work = ray.remote(**_settings(self.ray_cfg.remote))(_work)
        jobs = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            log.info("#%d: %s", number, " ".join(filter_overrides(overrides)))
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id, config.hydra.job.num = f"job_id_for_{number}", number
            jobs.append(work.remote(self.hydra_context, config, self.task_function, Singleton.get_state()))
        return [_result(job) for job in jobs]


def _settings(node: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=True) or {})  # of a DictConfig, a dict


def _work(context: HydraContext, config: DictConfig, task: TaskFunction, state: dict[str, Any]) -> JobReturn:
    """One job, in a process of Ray's."""
    setup_globals()
    Singleton.set_state(state)
    return run_job(
        hydra_context=context,
        config=config,
        task_function=task,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _result(job: ray.ObjectRef) -> JobReturn:
    try:
        done: JobReturn = ray.get(job)
        return done
    except ray.exceptions.RayError as error:
        log.warning("%s", str(error).strip().splitlines()[0])
    gone = JobReturn(status=JobStatus.COMPLETED)
    gone.return_value = math.nan
    return gone
