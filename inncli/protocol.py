"""How a run is evaluated, where nothing else is asked for; a group of the config, `evaluation=kruse` for one."""

from __future__ import annotations

from dataclasses import dataclass

from inncli.hints import PositiveInt


@dataclass(frozen=True)
class Protocol:
    """The settings under which figures of different runs can be compared.

    Attributes:
        observations: held-out ys at which draws are compared with exact ones by MMD.
        draws: draws at each of them.
    """

    observations: PositiveInt = 100
    draws: PositiveInt = 1_000
