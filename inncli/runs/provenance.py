"""Where a run came from: versions, the user's git commit, the scheduler's ids. Kept in run.json."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata

from inncli._version import __version__

# The folder may be a stranger's, and git runs what its settings there name: nothing for this.
_HEAD = ["git", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never", "rev-parse", "--verify", "HEAD"]


def versions() -> dict[str, str | None]:
    """Versions of inncli, torch, numpy and Python, on which the numbers depend; none of them is imported for it."""

    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return {
        "inncli": __version__,
        "torch": version("torch"),
        "numpy": version("numpy"),
        "python": platform.python_version(),
    }


def git_commit() -> str | None:
    """The commit of the user's working directory, None outside a repository."""
    try:
        done = subprocess.run(_HEAD, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def scheduler() -> dict[str, str] | None:
    """The scheduler's ids of this job from the environment (SLURM), None outside one."""
    names = ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "PROCID", "JOB_NODELIST")
    given = {f"slurm_{name.lower()}": os.environ.get(f"SLURM_{name}") for name in names}
    found = {name: value for name, value in given.items() if value}
    return found or None
