"""What a maximum-entropy problem offers: a support, statistics and their given means, no data."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from inncli.data.pairs import Pairs
from inncli.errors import ConfigError
from inncli.tasks.base import TRAIN, Task
from inncli.tasks.sampling.array_api import Array


class MaxentTask(Task):
    r"""Of all densities on a support with given moments, the one of largest entropy.

    .. math:: p^* = \arg\max_q H(q) \quad \text{subject to} \quad E_q[T(x)] = \kappa

    p* is the exponential family of T, :math:`p^*(x) \propto e^{\eta \cdot T(x)}`. A subclass sets `x`,
    `statistic_names` and `moments`, and writes T (`statistics`) and `reference`. Where p* has a closed form it also
    sets `entropy` and writes `log_density` and `prior`, its exact draws; a run then reports the KL to it.

    Training sees the support, T and kappa. A model also needs rows to set its scalings by; these are draws of a broad
    reference measure, never of p*.

    Attributes:
        moments: kappa, (K,).
        entropy: of p*, in nats; None where it has no closed form.
        statistic_names: one for each statistic.

    Reference: Loaiza-Ganem, Gao and Cunningham 2017, Maximum entropy flow networks, arXiv:1701.03504.
    """

    has_data = False

    statistic_names: tuple[str, ...]
    moments: np.ndarray
    entropy: float | None = None

    def __init__(self) -> None:
        super().__init__(fresh=False)

    @abstractmethod
    def statistics(self, x: Array) -> Array:
        """T(x), of a NumPy array or a torch tensor. Shape: x (n, Dx), out (n, K)."""

    @abstractmethod
    def reference(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N draws of a broad measure on the support, which sets scalings before training. Shape: (n, Dx)."""

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N exact draws of p*, where they are known. Shape: (n, Dx)."""
        raise ConfigError(f"task {self.name} has no draws to hold a run against: only its moments are known")

    def training_pairs(self, seed: int) -> Pairs:
        """Draws of the reference measure: a model starts from them, no objective learns from them."""
        return Pairs(self.reference(self.budget, np.random.default_rng([seed, TRAIN])), None)

    def describe(self) -> list[str]:
        means = zip(self.statistic_names, self.moments, strict=True)
        given = ", ".join(f"E {name} = {value:.6g}" for name, value in means)
        largest = [] if self.entropy is None else [f"largest entropy under it: {self.entropy:.6f} nats"]
        return [
            *super().describe(),
            given,
            *largest,
            "no data: the pairs are draws of a broad reference measure, from which the model starts",
        ]
