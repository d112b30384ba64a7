"""A real Slurm of one node for tests and figures: started in a folder of its own, stopped by its process ids."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "slurm" / "slurm_up.sh"


def missing() -> str | None:
    """Why no Slurm can be started here; None if one can, perhaps after apt has installed it."""
    if os.geteuid() != 0:
        return "a Slurm of our own is started by root only"
    if shutil.which("sbatch") is None and shutil.which("apt-get") is None:
        return "there is no sbatch, and no apt-get to install it"
    return None


@contextlib.contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Yields the environment in which sbatch finds the cluster.

    Raises: RuntimeError with the script's last words if it does not come up.
    """
    folder = tempfile.mkdtemp(prefix="slurm-")  # short: the path of a socket has 107 letters at most
    try:
        up = subprocess.run(["bash", str(SCRIPT), folder], capture_output=True, text=True, timeout=600)
        if up.returncode:
            raise RuntimeError(f"{SCRIPT.name} ended with {up.returncode}: {(up.stderr or up.stdout)[-500:]}")
        env = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}
        try:
            yield env
        finally:
            _end_jobs(env)
    finally:
        subprocess.run(["bash", str(SCRIPT), "-d", folder], capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _end_jobs(env: dict[str, str]) -> None:
    """Leaves no job behind, whatever a test left running."""
    subprocess.run(["scancel", "--signal=KILL", "--full", "--user", str(os.getuid())], env=env, capture_output=True)
    subprocess.run(["scancel", "--user", str(os.getuid())], env=env, capture_output=True)
    for _ in range(60):
        if not subprocess.run(["squeue", "-h"], env=env, capture_output=True, text=True).stdout.strip():
            return
        time.sleep(0.5)
