"""Hydra's launchers and sweepers with what `inn` needs on top: a killed job ends its own job and never the sweep.

The launchers of hydra-submitit-launcher and hydra-ray-launcher raise at the first job that is gone, and submitit
waits for ever for one whose end accounting did not see. Here a job that left no result is a NaN in the sweep's
returns; what became of it is in its run.json.

Each launcher is one file that imports its library, an extra of the package, so it is imported only when chosen. Hydra
knows them by their names in `hydra_plugins.inncli`, the thin module below `plugins/`, which an installation puts where
hydra looks for plugins.

The room may import `config` and what lies below it. Other rooms use `requeue` and `pruning`; hydra calls all else.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import shutil

from inncli.errors import RequestError

# choice of hydra/launcher or hydra/sweeper: (extra of the package, what that brings, our class)
CHOICES = {
    "slurm": ("slurm", ("hydra_plugins.hydra_submitit_launcher", "submitit"), "slurm.Slurm"),
    "slurm_local": ("slurm", ("hydra_plugins.hydra_submitit_launcher", "submitit"), "slurm.SlurmLocal"),
    "ray": ("ray", ("hydra_plugins.hydra_ray_launcher", "ray"), "ray.Ray"),
    "joblib": ("joblib", ("hydra_plugins.hydra_joblib_launcher", "joblib"), "joblib.Joblib"),
    "optuna": ("optuna", ("optuna",), "optuna.Optuna"),
    "planned": (None, (), "planned.Planned"),  # no choice of the user's: see `config.jobs`
}
OPTUNA = 4  # the first major version that the search can use; 0.4.0 needed version 2


def check(choice: str) -> None:
    """Raises: RequestError if a library or a command that this launcher or sweeper needs is missing."""
    extra, modules, _ = CHOICES[choice]
    get = f"get it with `pip install 'inncli[{extra}]'`"
    missing = [name for name in modules if not _installed(name)]
    if missing:
        library = missing[0].rpartition(".")[2].replace("_", "-")
        need = f"{choice} is" if library == choice else f"{choice} needs {library}, which is"
        raise RequestError(f"{need} not installed; {get}")
    if choice == "optuna" and int((version := importlib.metadata.version("optuna")).partition(".")[0]) < OPTUNA:
        raise RequestError(f"the search needs a newer optuna than {version}, which is installed; {get}")
    if choice == "slurm" and shutil.which("sbatch") is None:
        raise RequestError(
            "hydra/launcher=slurm submits with sbatch, which is not on the PATH here; run it where "
            "Slurm is, or take hydra/launcher=slurm_local or joblib"
        )


def find(choice: str) -> type:
    """The class of this launcher or sweeper, imported with its library."""
    module, _, name = CHOICES[choice][2].partition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing too
        return False
