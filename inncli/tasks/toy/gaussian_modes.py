"""Eight modes in the plane, and y the label of one: the first example of the INN paper."""

from __future__ import annotations

from typing import Literal

import numpy as np

from inncli.data.pairs import Pairs
from inncli.tasks.base import Task
from inncli.types import PositiveInt
from inncli.variables import Variables

SD = 0.2
LABELS = {"all": (0, 1, 2, 3, 4, 5, 6, 7), "some": (0, 0, 0, 0, 1, 1, 2, 3), "none": (0,) * 8}


class GaussianModes(Task):
    r"""x from an even mixture of eight normals on a circle, y the label of its mode.

    .. math:: p(x | y) = \frac{1}{|M_y|} \sum_{k \in M_y} N(x; m_k, \sigma^2 I), \quad \sigma = 0.2

    The modes lie at (+-1, +-2.4142) and (+-2.4142, +-1), counted clockwise from (-2.4142, 1). With labels `all`
    each has its own; with `some` the first four share one, the next two another; with `none` all share one, so that
    y is constant and the posterior is the prior.

    Args:
        labels: how much y tells.
        n_train, fresh: see `Task`.

    Reference: Ardizzone et al. 2019, Analyzing inverse problems with invertible neural networks,
        arXiv:1808.04730, section 4.1.
    """

    x = Variables.numbered("x", 2)
    constant_y = True  # a single label is what `none` asks for
    default_n_train = 16_000

    def __init__(
        self,
        labels: Literal["all", "some", "none"] = "all",
        n_train: PositiveInt | None = None,
        fresh: bool | None = None,
    ) -> None:
        super().__init__(n_train, fresh)
        angle = np.pi / 8 + (3 - np.arange(8)) * np.pi / 4
        radius = np.hypot(1, 1 + np.sqrt(2))
        self.centers = radius * np.column_stack([np.cos(angle), np.sin(angle)])
        self.labels = np.array(LABELS[labels])
        self.y = Variables(("label",), labels=(tuple(str(k) for k in range(self.labels.max() + 1)),))

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.draw_pairs(n, rng).x

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """N exact draws of p(x | label). Shape: y (1,), out (n, 2)."""
        modes = np.flatnonzero(self.labels == int(np.asarray(y).reshape(-1)[0]))
        return self.centers[rng.choice(modes, size=n)] + SD * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        squares = self._distances(x) ** 2 / SD**2
        least = squares.min(1, keepdims=True)
        total = np.exp(-(squares - least) / 2).sum(1)
        return np.log(total) - least[:, 0] / 2 - np.log(8 * 2 * np.pi * SD**2)

    def mode_shares(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """The share of draws nearest to each of the eight modes, (8,), and the share of those far from all.

        A draw is far if it lies more than 4 sds from every mode, as .03 % of exact draws do. Shape: x (n, 2).
        """
        distances = self._distances(x)
        return np.bincount(distances.argmin(1), minlength=8) / len(x), float((distances.min(1) > 4 * SD).mean())

    def describe(self) -> list[str]:
        shared = [f"{label}: {(self.labels == label).sum()}" for label in range(self.labels.max() + 1)]
        return [*super().describe(), "modes of each label: " + ", ".join(shared)]

    def _distances(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(np.asarray(x)[:, None] - self.centers, axis=2)

    def draw_pairs(self, n: int, rng: np.random.Generator) -> Pairs:
        """N pairs; y is the label of the mode that x came from, not of the nearest. Shape: x (n, 2), y (n, 1)."""
        mode = rng.integers(8, size=n)
        x = self.centers[mode] + SD * rng.standard_normal((n, 2))
        return Pairs(x, self.labels[mode, None].astype(np.float64))
