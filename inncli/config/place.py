"""What the job that hydra runs now is, asked in the job's own process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from inncli.config.compose import register_resolvers, unresolved
from inncli.config.planning import plain
from inncli.config.sweeps import NUMBER
from inncli.config.trust import NOTHING, Trust


@dataclass(frozen=True)
class Place:
    """Where the job that hydra runs now belongs.

    Args:
        path: its directory.
        number: its number within a sweep, None for a single run.
        overrides: what it was composed from.
        planned: whether the sweep's manifest, not hydra, holds its config: see `sweeps.jobs`.
    """

    path: Path
    number: int | None
    overrides: list[str]
    planned: bool = False


def job_place(cfg: DictConfig) -> Place:
    """The place of the job that hydra runs now.

    Args:
        cfg: what hydra passed to the task.
    """
    hydra = HydraConfig.get()
    path, overrides = Path(unresolved(hydra.runtime, "output_dir")), list(hydra.overrides.task)
    if hydra.mode != RunMode.MULTIRUN:
        return Place(path, None, overrides)
    if (number := cfg.get(NUMBER)) is not None:
        return Place(path, int(number), overrides, planned=True)
    return Place(path, int(hydra.job.num), overrides)


def job_config(cfg: DictConfig, trust: Trust = NOTHING) -> dict[str, Any]:
    """What hydra passed to the task, as a checked plain dict.

    Raises: ConfigError for what is wrong in it.
    """
    register_resolvers()
    return plain(cfg, HydraConfig.get().runtime.choices, trust)
