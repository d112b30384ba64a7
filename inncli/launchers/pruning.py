"""Whether the job that hydra runs now may be stopped early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate

from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending


def job_pruning(sweep: Path) -> Callable[[RunDir], Ending | None] | None:
    """The pruner that may stop a job of this sweep after an epoch; None unless the sweep is a search with one."""
    node = HydraConfig.get().sweeper.get("pruner")
    if node is None:
        return None
    from inncli.launchers.optuna import Pruning  # only a search has Optuna

    return Pruning(instantiate(node), sweep)
