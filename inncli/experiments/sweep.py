"""Starts a sweep, and resumes one.

    overrides -> plan -> a new sweep directory -> launch -> Ended
    a sweep directory -> overrides and configs, checked as data -> launch -> Ended

The directory of a sweep is untrusted: what it says is checked before anything is composed, built or written.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inncli import config
from inncli.config import overrides as language
from inncli.config import recipes, registry
from inncli.config.trust import Trust
from inncli.errors import InnError, Interrupted, RequestError, RunError, TrainingError, UserFileRefused
from inncli.experiments import train
from inncli.io.worker_path import check_folder
from inncli.runs.registry import outputs_root, reserve
from inncli.runs.sweep_dir import GOOD, SweepDir
from inncli.tasks.base import Task

HydraTask = Callable[[Any], float | None]  # what hydra calls for each job, with the job's config
Launch = Callable[[Trust], HydraTask]  # makes one that has this trust
T = TypeVar("T")

CHOSEN = {
    "hydra.sweep.dir": "so that no two sweeps share one; set INN_OUTPUTS to keep them elsewhere",
    "hydra.sweep.subdir": "the number of the job; leave it out",
}


@dataclass(frozen=True)
class Ended:
    """The end of a sweep.

    Attributes:
        sweep: its directory.
        jobs: the state of each, see `SweepDir.jobs`; empty if none was begun.
        error: what ended it early, or says that jobs failed; None if all jobs are done.
        launched: False if nothing was left to do.
    """

    sweep: SweepDir
    jobs: list[dict[str, Any]]
    error: BaseException | None = None
    launched: bool = True


# ---- starting ----------------------------------------------------------------------------------------
def start(overrides: list[str], jobs: list[config.Job], task: Launch, trust: Trust, resimulate: bool = False) -> Ended:
    """Trains every job of a request with -m in a new sweep directory.

    Args:
        overrides: the request.
        jobs: its plan, of `config.plan`.
        task: makes what hydra calls for each job.
        trust: config folders; the files that the request names are added here.
        resimulate: whether simulator files may be run that only a recipe in a sweep's folder names.

    Raises: RequestError for what is wrong with the request; no directory is left then.
    """
    for key, why in CHOSEN.items():
        if language.names(overrides, key):
            raise RequestError(f"{key} is chosen by inn, {why}")
    trust = recipes.to_run(trust, overrides, [planned.config for planned in jobs], resimulate)
    # A missing table or a broken simulator file is found here, before anything is written.
    tasks = [registry.make(node, Task, trust) for node in _different(planned.config["task"] for planned in jobs)]
    tables = {facts["sha256"] for task in tasks if (facts := task.fingerprint()) is not None}
    chosen = jobs[0].config["names"]
    sweep = SweepDir(reserve(outputs_root() / "sweeps", chosen["task"], chosen["model"]))
    with sweep.held():
        sweep.start(
            overrides,
            [
                {
                    "overrides": language.training_overrides(planned.overrides),
                    "config": train.with_absolute_file(planned.config),
                }
                for planned in jobs
                if planned.exact
            ],
            tables,
        )
        exact = [n for n, planned in enumerate(jobs) if planned.exact]
        # A recipe may choose the launcher, and the launcher's settings may refer to other overrides.
        launch = [
            *(override for override in overrides if language.is_of_launch(override)),
            *language.shared_overrides(sweep.manifest()["jobs"]),
        ]
        ended = _run(sweep, [*launch, *config.jobs(exact)] if exact else overrides, task(trust), trust)
        refused = isinstance(ended.error, RequestError)  # the launcher did not accept it
        if refused and all(job["status"] == "waiting" for job in sweep.jobs()):
            shutil.rmtree(sweep.path)
    return ended


def _different(nodes: Iterable[T]) -> list[T]:
    """Each node once."""
    seen: list[T] = []
    for node in nodes:
        if node not in seen:
            seen.append(node)
    return seen


# ---- resuming ----------------------------------------------------------------------------------------
def resume(sweep: SweepDir, overrides: list[str], task: Launch, trust: Trust, resimulate: bool = False) -> Ended:
    """Runs the jobs of a sweep that are not done, by its own launcher or the one that `overrides` choose.

    Args:
        sweep: the sweep.
        overrides: for its launcher, and for the sweeper of a search.
        task: makes what hydra calls for each job.
        trust: config folders of this command.
        resimulate: whether the simulator files that the jobs name may be run.

    Raises: RequestError if the directory says more than data may, or its jobs run a simulator file and `resimulate`
        does not allow it; nothing is written then.
    """
    own = language.launcher_overrides(overrides)
    if sweep.is_search:
        own += [override for override in overrides if language.key(override).startswith("hydra.sweeper.")]
    wrong = [override for override in overrides if override not in own]
    if wrong:
        raise RequestError(
            f"a sweep is resumed with its own settings; expected words of its launcher, e.g. "
            f"hydra/launcher=joblib or hydra.launcher.n_jobs=2, got {wrong[0]!r}"
        )
    check_folder(Path.cwd())
    manifest = sweep.check_own().manifest()
    overrides = [*language.overrides_to_resume(sweep.id, manifest, overrides, trust), *overrides]
    trust = _check_jobs(sweep, overrides, trust, resimulate)
    with sweep.held():
        alive = [job for job in sweep.jobs() if job["status"] == "running"]
        if alive:
            raise RunError(
                f"{len(alive)} jobs of sweep {sweep.id} are still being trained (the first: job "
                f"{alive[0]['job']}); wait for them, see `inn runs --sweep {sweep.word} --watch`"
            )
        todo = [job["job"] for job in sweep.jobs() if job["status"] not in GOOD]
        if not todo and not sweep.is_search:  # the study of a search knows what is left to do
            return Ended(sweep, [], launched=False)
        sweep.restart(todo)
        return _run(sweep, overrides if sweep.is_search else [*overrides, *config.jobs(todo)], task(trust), trust)


def _check_jobs(sweep: SweepDir, overrides: list[str], trust: Trust, resimulate: bool) -> Trust:
    """Checks every config in the directory of a sweep with which a job could be trained.

    Returns: the trust for its jobs, with the files that they may run.
    Raises: RequestError for the first config that is wrong, or runs a file without `resimulate`.
    """
    planned = [job.config for job in config.plan(overrides, multirun=True, trust=trust)]  # finds a wrong launcher too
    if sweep.is_search:
        _check_study(sweep, trust)
    else:
        planned = []  # its jobs have their configs in the manifest
    done = {job["job"] for job in sweep.jobs() if job["status"] in GOOD}
    configs = list(sweep.configs())
    to_train = [entry for number, entry in configs if number not in done]
    if resimulate:
        trust = trust.to_run([*planned, *to_train])
    for node in _different(entry.get("task") for entry in [*planned, *to_train]):
        try:
            made = registry.make(registry.check_group(node, "task", trust), Task, trust)
        except UserFileRefused as shut:
            raise UserFileRefused(shut.file, f"the jobs of sweep {sweep.id} run") from None
        except InnError:
            continue  # a table that is gone: one job fails, the others go on
        _check_table(sweep, made.fingerprint())
    for number, entry in configs:
        language.check_names(entry, f"job {number} of sweep {sweep.id}")
    for entry in to_train:
        registry.check(entry, trust)
    return trust


def _check_table(sweep: SweepDir, facts: dict[str, Any] | None) -> None:
    """Checks that a job is trained on a table of which the sweep has the checksum: else it could name any.

    Args:
        sweep: the sweep.
        facts: file and checksum of the job's table; None without one.

    Raises: RunError.
    """
    if facts is not None and facts["sha256"] not in sweep.tables():
        raise RunError(
            f"sweep {sweep.id} names the table {facts['file']}, of which it has no checksum or another one: the table "
            "has changed, or was never the sweep's; restore it or start anew"
        )


def _check_study(sweep: SweepDir, trust: Trust) -> None:
    """Checks the trials that are not done: hydra will compose their values. Raises: RequestError."""
    if not sweep.study_file.exists():
        return
    from inncli.launchers.study import left_over  # an extra of the package

    for trial in left_over(sweep.study_file):
        for name, value in trial.params.items():
            language.check_data(f"{name}={value}", trust, f"trial {trial.number} of sweep {sweep.id}")


# ---- running -----------------------------------------------------------------------------------------
def _run(sweep: SweepDir, overrides: list[str], task: HydraTask, trust: Trust) -> Ended:
    """Lets hydra run the jobs of these overrides, and writes into the manifest how they ended."""
    error: BaseException | None = None
    try:
        config.launch(task, overrides, directory=sweep.path.absolute(), trust=trust)
    except BaseException as stop:  # Ctrl-C, or the launcher failed: the manifest must say how the jobs ended
        error = stop
    finally:
        with contextlib.suppress(FileNotFoundError):
            (sweep.path / "multirun.yaml").unlink()  # hydra's own copy; sweep.json and config.yaml say the same
    interrupted = isinstance(error, (KeyboardInterrupt, Interrupted))
    jobs = sweep.finish(interrupted=interrupted)
    if error is not None:
        begun = interrupted or any(job["status"] != "waiting" for job in jobs)
        return Ended(sweep, jobs if begun else [], error)
    bad = [job for job in jobs if job["status"] not in GOOD]
    if bad:
        error = TrainingError(
            f"expected {len(jobs)} jobs done, got {len(jobs) - len(bad)}, kept under {sweep.path}; "
            f"`inn resume {sweep.word}` runs the others"
        )
    return Ended(sweep, jobs, error)
