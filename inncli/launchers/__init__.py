"""Hydra's launchers and sweepers with what `inn` needs on top: a killed process ends its own job and never the sweep.

The launchers of hydra-submitit-launcher and hydra-ray-launcher raise an error when the first job is gone, and submitit
waits for ever for a job whose end Slurm's accounting missed. Here a job that left no result returns NaN; its run.json
says what became of it.

    joblib    processes of this machine, by joblib's loky
    slurm     a Slurm cluster, or its stand-in on this machine, by submitit
    ray       Ray, on this machine or a cluster
    optuna    the sweeper of a search, and the pruning of its trials; `space` reads its space, `study` opens its file
    planned   the sweeper of jobs whose configs are in a sweep's manifest
    pruning   what may stop the job that hydra runs now
    requeue   puts a job that Slurm stopped back into its queue

Each launcher is one file that imports its library, an extra of the package, so it is imported only when chosen. Hydra
knows them by their names in `hydra_plugins.inncli`, the thin module below `plugins/`, which an installation puts where
hydra looks for plugins.

The room may import `config` and the rooms below it. `experiments` uses `requeue`, `pruning` and `study`; hydra calls
the rest.
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
    """Checks that a launcher or sweeper can run here.

    Args:
        choice: a key of CHOICES.

    Raises: RequestError if a library or a command that it needs is missing.
    """
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
    """The class of a launcher or sweeper, imported with its library.

    Args:
        choice: a key of CHOICES.
    """
    module, _, name = CHOICES[choice][2].partition(".")
    found: type = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return found


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing too
        return False
