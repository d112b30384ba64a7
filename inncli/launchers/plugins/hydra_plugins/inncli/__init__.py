"""What hydra finds of `inncli`: the launchers and sweepers that a config's `_target_` can name.

Hydra imports every part of the namespace `hydra_plugins`, in any program of the environment. So this module imports
only hydra: the class of a name, and its library, are imported when hydra builds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper

from inncli import launchers


class _Named:
    """A choice of `inncli.launchers`, built with the settings of its yaml."""

    choice: str

    @classmethod
    def check(cls) -> None:
        """Checks that it can run here. Raises: RequestError if a library or a command is missing."""
        launchers.check(cls.choice)

    def __init__(self, **settings: Any) -> None:
        self.built = launchers.find(self.choice)(**settings)

    def setup(self, **given: Any) -> None:
        """Passes on what hydra gives it: the context, the task, the config."""
        self.built.setup(**given)


class _NamedLauncher(_Named):
    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs."""
        done: Sequence[JobReturn] = self.built.launch(job_overrides, initial_job_idx)
        return done


class _NamedSweeper(_Named):
    def sweep(self, arguments: list[str]) -> None:
        """Runs the sweep of these overrides."""
        self.built.sweep(arguments)


class Joblib(_NamedLauncher, Launcher):
    """`hydra/launcher=joblib`."""

    choice = "joblib"


class Slurm(_NamedLauncher, Launcher):
    """`hydra/launcher=slurm`."""

    choice = "slurm"


class SlurmLocal(_NamedLauncher, Launcher):
    """`hydra/launcher=slurm_local`."""

    choice = "slurm_local"


class Ray(_NamedLauncher, Launcher):
    """`hydra/launcher=ray`."""

    choice = "ray"


class Optuna(_NamedSweeper, Sweeper):
    """`hydra/sweeper=optuna`."""

    choice = "optuna"


class Planned(_NamedSweeper, Sweeper):
    """The sweeper of the jobs in a sweep's manifest; no yaml names it."""

    choice = "planned"
