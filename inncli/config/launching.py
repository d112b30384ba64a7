"""A planned request handed to hydra: a single run, a sweep, or just the printing of a config.

Everything goes through hydra's public functions, and does what `hydra.main` does: the job's directory, its log,
`hydra.output_subdir`, callbacks, `${hydra:...}`. Errors come to the caller instead of to stderr.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log, run_job
from hydra.types import HydraContext, RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict, read_write

from inncli.config.compose import NAME, composer, literal, loader, quoted
from inncli.config.messages import plain_errors
from inncli.config.overrides import key
from inncli.config.planning import Job
from inncli.config.trust import NOTHING, Trust
from inncli.io.harmless import in_line

LOG = "hydra.job_logging"
HELP = ("hydra_help", "help")  # parts of hydra's config that only its own --help reads


def run(task: Callable[[DictConfig], Any], job: Job, directory: Path | None = None, trust: Trust = NOTHING) -> None:
    """Runs one planned job in this process.

    Args:
        task: called with the job's config, without hydra's own part.
        job: the only one of a plan.
        directory: the run directory, unless the job's overrides set their own.
        trust: the config folders that it was composed from.

    Raises: whatever `task` raises.
    """
    keeping = _Keeping(task)
    trust.enter_path()  # callbacks of the user's own lie in their config folder
    cfg = _composed(job)
    with read_write(cfg.hydra):
        cfg.hydra.mode = RunMode.RUN
        if directory is not None:
            cfg.hydra.run.dir = literal(str(directory))
            cfg.hydra.overrides.hydra.insert(0, f"hydra.run.dir={quoted(str(directory))}")
        _keep_log_path(cfg)
    with plain_errors(job.overrides, trust), composer(trust):
        HydraConfig.instance().set_config(cfg)
        configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose)
        callbacks: Any = Callbacks(cfg, trust)  # hydra's own class of the name is private
        callbacks.on_run_start(config=cfg, config_name=NAME)
        done = run_job(
            task_function=keeping,
            config=cfg,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=HydraContext(config_loader=loader(), callbacks=callbacks),
        )
        callbacks.on_run_end(config=cfg, config_name=NAME, job_return=done)
    if keeping.error is not None:
        raise keeping.error


def launch(task: Callable[[DictConfig], Any], overrides: list[str], *, directory: Path, trust: Trust = NOTHING) -> None:
    """Hands a sweep to hydra's sweeper and launcher, which call `task(cfg)` for every job.

    Args:
        task: a module-level function, or an object of a module-level class, so that launchers can hand it to other
            processes.
        overrides: of the whole sweep, hydra's own among them.
        directory: the sweep's, unless the overrides set their own.
        trust: as in `run`.
    """
    trust.enter_path()
    request = [f"hydra.sweep.dir={quoted(str(directory))}", *overrides, f"hydra.mode={RunMode.MULTIRUN.name}"]
    if "${" in str(directory) and not any(key(override).startswith(("hydra/job_log", LOG)) for override in overrides):
        request.append(f"{LOG}.handlers.file.filename='${{hydra.sweep.dir}}/${{hydra.sweep.subdir}}/{NAME}.log'")
    try:
        with plain_errors(overrides, trust), composer(trust):
            cfg = loader().load_configuration(NAME, request, RunMode.MULTIRUN)
            configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose)
            callbacks: Any = Callbacks(cfg, trust)
            callbacks.on_multirun_start(config=cfg, config_name=NAME)
            sweeper = Plugins.instance().instantiate_sweeper(
                config=cfg,
                hydra_context=HydraContext(config_loader=loader(), callbacks=callbacks),
                task_function=task,
            )
            sweeper.sweep(arguments=list(cfg.hydra.overrides.task))
            callbacks.on_multirun_end(config=cfg, config_name=NAME)
    except _Carried as carried:
        raise carried.error from None


def _keep_log_path(cfg: DictConfig) -> None:
    """Lets the log of a single run lie in its directory if that has `${...}` in its name.

    Hydra puts the directory into `hydra.runtime.output_dir` as it is. Where the config of the log refers to that, the
    name would be taken for an interpolation.
    """
    directory = os.path.abspath(str(OmegaConf.select(cfg, "hydra.run.dir")))
    if "${" in directory and OmegaConf.select(cfg, f"{LOG}.handlers") and "file" in cfg.hydra.job_logging.handlers:
        with open_dict(cfg.hydra.job_logging):
            cfg.hydra.job_logging.handlers.file.filename = literal(f"{directory}/{NAME}.log")


def shown(job: Job, part: str) -> str:
    """The YAML of a composed config, interpolations unresolved.

    Args:
        job: the only one of a plan.
        part: "job" for what is trained, "hydra" for the rest, "all" for both.
    """
    cfg = _composed(job)
    with flag_override(cfg, ["struct", "readonly"], False), flag_override(cfg.hydra, ["struct", "readonly"], False):
        if part == "job":
            del cfg["hydra"]
        elif part == "hydra":
            for key in [key for key in cfg if key != "hydra"]:
                del cfg[key]
            for key in HELP:
                del cfg.hydra[key]
        return OmegaConf.to_yaml(cfg)


def _composed(job: Job) -> DictConfig:
    """A copy of the job's whole config. Raises: ValueError for a job of a sweep."""
    if job.composed is None:
        raise ValueError("expected the job of a single run, got one of a sweep, which `launch` runs")
    return copy.deepcopy(job.composed)


def carry(error: BaseException) -> BaseException:
    """Wraps an error that must end a sweep at once, such as Ctrl-C; `launch` raises it unwrapped."""
    return _Carried(error)


class Callbacks:
    """The callbacks that the user's own configs name below `hydra.callbacks`.

    They are called as hydra documents it: in their order when something starts, in reverse when it ends. If one raises,
    there is a warning, and nothing stops.

    Args:
        cfg: a whole composed config.
        trust: the config folders that it was composed from.
    """

    def __init__(self, cfg: DictConfig, trust: Trust = NOTHING) -> None:
        trust.enter_path()  # their modules may lie in the user's folders
        self.callbacks = [instantiate(node) for node in (cfg.hydra.get("callbacks") or {}).values()]

    def on_run_start(self, **given: Any) -> None:
        """Before a single run."""
        self._tell("on_run_start", self.callbacks, given)

    def on_run_end(self, **given: Any) -> None:
        """After a single run, with what its job returned."""
        self._tell("on_run_end", self.callbacks[::-1], given)

    def on_multirun_start(self, **given: Any) -> None:
        """Before a sweep."""
        self._tell("on_multirun_start", self.callbacks, given)

    def on_multirun_end(self, **given: Any) -> None:
        """After a sweep."""
        self._tell("on_multirun_end", self.callbacks[::-1], given)

    def on_job_start(self, **given: Any) -> None:
        """Before a job, in its own process."""
        self._tell("on_job_start", self.callbacks, given)

    def on_job_end(self, **given: Any) -> None:
        """After a job, with what it returned."""
        self._tell("on_job_end", self.callbacks[::-1], given)

    @staticmethod
    def _tell(event: str, callbacks: list[Any], given: dict[str, Any]) -> None:
        for callback in callbacks:
            try:
                getattr(callback, event)(**given)
            except Exception as error:  # the user's own code may raise anything
                warnings.warn(
                    in_line(f"Callback {type(callback).__name__}.{event} raised {type(error).__name__}: {error}"),
                    stacklevel=2,
                )


class _Keeping:
    """A task that keeps its error: hydra's JobReturn would print a line of its own before it raises the error."""

    def __init__(self, task: Callable[[DictConfig], Any]) -> None:
        self.task = task
        self.error: Exception | None = None

    def __call__(self, cfg: DictConfig) -> Any:
        try:
            return self.task(cfg)
        except Exception as error:  # whatever it is, `run` raises it again
            self.error = error
            raise


class _Carried(BaseException):
    """Takes an error of the task past hydra, which would keep an Exception until all jobs have ended."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
