"""Hydra's launchers and sweepers with what `inn` needs on top: a killed job ends its own job and never the sweep.

The launchers of hydra-submitit-launcher and hydra-ray-launcher raise at the first job that is gone, and submitit
waits for ever for one whose end accounting did not see. Here a job that left no result is a NaN in the sweep's
returns; what became of it is in its run.json.

Each plugin is one file that imports its library, an extra of the package, so it is imported only when chosen.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil

from inncli.errors import RequestError

NUMBER = "sweep_job"  # the key of a job's number in a sweep, where its manifest holds all else of it

# choice of hydra/launcher or hydra/sweeper: (extra of the package, what that brings, our class if there is one)
CHOICES = {
    "slurm": ("slurm", ("hydra_plugins.hydra_submitit_launcher", "submitit"), "slurm.Slurm"),
    "slurm_local": ("slurm", ("hydra_plugins.hydra_submitit_launcher", "submitit"), "slurm.SlurmLocal"),
    "ray": ("ray", ("hydra_plugins.hydra_ray_launcher", "ray"), "ray.Ray"),
    "joblib": ("joblib", ("hydra_plugins.hydra_joblib_launcher", "joblib"), "joblib.Joblib"),
    "optuna": ("optuna", ("hydra_plugins.hydra_optuna_sweeper", "optuna"), "optuna.Optuna"),
}


def enter_planned(hydra_plugins) -> None:
    """Enters the sweeper of jobs that are planned already."""
    from inncli.launchers.planned import Planned

    hydra_plugins.class_name_to_class["hydra_plugins.inncli.Planned"] = Planned


def enter(choice: str | None, hydra_plugins) -> None:
    """Checks that what this launcher or sweeper needs is there, and enters our class into hydra's table.

    Hydra builds only what its namespace `hydra_plugins` holds, and finds that by scanning installed packages.

    Raises: RequestError if a library or a command is missing.
    """
    extra, modules, path = CHOICES.get(choice, (None, (), None))
    missing = [name for name in modules if not _installed(name)]
    if missing:
        library = missing[0].rpartition(".")[2].replace("_", "-")
        raise RequestError(
            f"{choice} needs {library}, which is not installed; get it with `pip install 'inncli[{extra}]'`"
        )
    if choice == "slurm" and shutil.which("sbatch") is None:
        raise RequestError(
            "hydra/launcher=slurm submits with sbatch, which is not on the PATH here; run it where "
            "Slurm is, or take hydra/launcher=slurm_local or joblib"
        )
    if path is not None:
        module, _, name = path.partition(".")
        ours = getattr(importlib.import_module(f"inncli.launchers.{module}"), name)
        hydra_plugins.class_name_to_class[f"hydra_plugins.inncli.{name}"] = ours


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing too
        return False
