"""Slurm and its stand-in on one machine, by submitit."""

from __future__ import annotations

import logging
import math
import secrets
import shlex
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import submitit
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
from omegaconf import open_dict
from submitit.core.job_environment import JobEnvironment
from submitit.core.utils import FailedJobError, UncompletedJobError

from inncli.errors import RequestError
from inncli.io.worker_path import leave_safe_path, safe_path
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending, ending_of
from inncli.runs.sweep_dir import ENDED, QUEUE, SweepDir

log = logging.getLogger(__name__)
POLL = 5.0  # seconds between two questions to Slurm's controller
# What submitit names alike on Slurm and on one machine.
SHARED = {
    "name",
    "timeout_min",
    "gpus_per_node",
    "tasks_per_node",
    "nodes",
    "mem_gb",
    "cpus_per_task",
    "stderr_to_stdout",
}


class Launched(NamedTuple):
    """One job: submitit's handle, the number that this launch gave it, its overrides."""

    job: submitit.Job[JobReturn]
    number: int
    overrides: Sequence[str]


class _Submitit(BaseSubmititLauncher, ABC):
    """Submits all jobs at once and waits until each has left a result or is gone.

    What a job does in its process, and its being queued again (`checkpoint`), are the plugin's own.
    """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        calls = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            log.info("#%d: %s", number, " ".join(filter_overrides(overrides)))
            calls.append((list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", Singleton.get_state()))
        try:
            with safe_path():  # submitit's own processes
                jobs = self._executor().map_array(self, *zip(*calls, strict=True))
        except (FailedJobError, ValueError, TypeError, AssertionError) as error:
            text = " ".join(str(error).split())
            raise RequestError(
                f"{self._EXECUTOR}: the jobs were not accepted ({text}); change hydra.launcher.KEY, "
                "`inn train -c hydra` prints them"
            ) from None
        log.info("submitted as %s", ", ".join(job.job_id for job in jobs))
        launched = [
            Launched(job, initial_job_idx + n, overrides)
            for n, (job, overrides) in enumerate(zip(jobs, job_overrides, strict=True))
        ]
        try:
            self._wait(launched)
        except KeyboardInterrupt:
            self._leave(jobs)
            raise
        for one in launched:
            if not _has_result(one.job):
                self._forget_queue(one)
        return [_result(job) for job in jobs]

    def __call__(self, *job: Any) -> JobReturn:
        """Runs one job, in its own process."""
        leave_safe_path()
        return super().__call__(*job)

    def _executor(self) -> submitit.AutoExecutor:
        given = {key: value for key, value in self.params.items() if value is not None}
        folder, limit = _unknown(given.pop("submitit_folder")), given.pop("max_num_timeout", 0)
        # The preemption signal must not kill a job that is just starting: it is ignored until submitit listens.
        python = f'sh -c \'trap "" {JobEnvironment.USR_SIG}; exec "$0" "$@"\' {shlex.quote(sys.executable)}'
        if sys.version_info >= (3, 11):
            python += " -P"  # a module that lies in the working folder is not imported
        executor = submitit.AutoExecutor(
            folder, self._EXECUTOR, **{f"{self._EXECUTOR}_max_num_timeout": limit, f"{self._EXECUTOR}_python": python}
        )
        executor.update_parameters(
            **{key if key in SHARED else f"{self._EXECUTOR}_{key}": value for key, value in given.items()}
        )
        return executor

    def _run(self, one: Launched) -> RunDir:
        """The job's directory."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(one.overrides))
        with open_dict(config):
            config.hydra.job.num = one.number
        HydraConfig.instance().set_config(config)  # ${hydra:job.num} is looked up there
        return RunDir(f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}")

    def _forget_queue(self, one: Launched) -> None:
        """Marks a preempted job that has left the queue since, e.g. by scancel, as interrupted."""
        run = self._run(one)
        if run.info_file.exists() and ending_of(run.info()) is Ending.PREEMPTED:
            run.end(Ending.SIGNAL)

    @abstractmethod
    def _wait(self, launched: list[Launched]) -> None:
        """Returns when every job has ended."""

    @abstractmethod
    def _leave(self, jobs: list[submitit.Job[JobReturn]]) -> None:
        """Does with the jobs what Ctrl-C in the launcher means for them."""


class Slurm(_Submitit):
    """One job array.

    The controller (squeue) says which jobs are still there. If it does not answer, the heartbeats in their run.json do.
    Accounting (sacct) is not used: it would call a job that raised an error COMPLETED.
    """

    _EXECUTOR = "slurm"

    def _wait(self, launched: list[Launched]) -> None:
        waiting, asked = launched, -math.inf
        while waiting := [one for one in waiting if not _has_result(one.job)]:
            if time.monotonic() - asked >= POLL:
                asked, queued = time.monotonic(), _queued()
                waiting = [one for one in waiting if (self._alive(one) if queued is None else one.job.job_id in queued)]
            time.sleep(1.0)

    def _alive(self, one: Launched) -> bool:
        """Whether the job's own records, its heartbeat among them, say that it may still run."""
        run = self._run(one)
        ended = [job["path"] for job in SweepDir(run.path.parent).jobs() if job["status"] in ENDED]
        return str(run.path) not in ended

    def _leave(self, jobs: list[submitit.Job[JobReturn]]) -> None:
        array = jobs[0].job_id.partition("_")[0]
        log.warning("the jobs go on by themselves; watch them with `inn runs`, stop them with `scancel %s`", array)


class SlurmLocal(_Submitit):
    """A process for each job."""

    _EXECUTOR = "local"

    def _wait(self, launched: list[Launched]) -> None:
        while not all(one.job.done() for one in launched):
            time.sleep(0.5)

    def _leave(self, jobs: list[submitit.Job[JobReturn]]) -> None:
        for job in jobs:
            job.cancel()


def _unknown(folder: str) -> str:
    """The folder for submitit's files in a sweep's directory, under a name that nobody knows before.

    submitit unpickles what lies there under its job's number, and the directory may be a stranger's.
    """
    path = Path(folder)
    return str(path.with_name(f"{secrets.token_hex(4)}-{path.name}")) if path.parent.name == QUEUE else folder


def _has_result(job: submitit.Job[JobReturn]) -> bool:
    return job.paths.result_pickle.exists()


def _result(job: submitit.Job[JobReturn]) -> JobReturn:
    """What the job returned; NaN if it is gone without a result. Its run.json says what became of it."""
    if _has_result(job):
        try:
            return job.results()[0]
        except UncompletedJobError as error:
            log.warning("job %s: %s", job.job_id, str(error).strip().splitlines()[-1])
    gone = JobReturn(status=JobStatus.COMPLETED)
    gone.return_value = math.nan
    return gone


def _queued() -> set[str] | None:
    """Ids, as submitit writes them, of this user's jobs that wait or run; None if the controller does not answer."""
    try:
        answer = subprocess.run(["squeue", "--me", "-h", "-r", "-o", "%i"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if answer.returncode else {word.partition("+")[0] for word in answer.stdout.split()}
