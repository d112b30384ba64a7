"""Whether the job that hydra runs now may be stopped early."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate

if TYPE_CHECKING:  # only a search has Optuna
    from inncli.launchers.optuna import Pruning


def job_pruning(sweep: Path) -> Pruning | None:
    """The pruner that may stop a job of this sweep after an epoch; None unless the sweep is a search with one."""
    node = HydraConfig.get().sweeper.get("pruner")
    if node is None:
        return None
    from inncli.launchers.optuna import Pruning  # only a search has Optuna

    return Pruning(instantiate(node), sweep)
