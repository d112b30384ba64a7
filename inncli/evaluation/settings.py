"""How a run is evaluated unless the request says otherwise: the config group `evaluation`."""

from __future__ import annotations

from dataclasses import dataclass

from inncli.errors import ConfigError
from inncli.types import PositiveInt

MOST = 100_000  # the time grows with the square of the draws, and a run's config is untrusted


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings under which figures of different runs can be compared.

    Attributes:
        observations: held-out ys at which draws are compared with exact ones by MMD.
        draws: draws at each of them.
        same_draws: whether the resimulation error is that of these draws, and not of ten at each held-out y.
    """

    observations: PositiveInt = 100
    draws: PositiveInt = 1_000
    same_draws: bool = False

    def __post_init__(self) -> None:
        for name in ("observations", "draws"):
            if getattr(self, name) > MOST:
                raise ConfigError(
                    f"evaluation.{name}: expected at most {MOST:,}, got {getattr(self, name):,}; ask for fewer"
                )
