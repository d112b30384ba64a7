"""A normal law of x that ignores y: what a model of x given y has to beat at least."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from inncli.models.column_choice import choose
from inncli.models.preprocessing import Scaling
from inncli.runtime import generator
from inncli.transforms.circle import Circle
from inncli.transforms.whitening import Whitening
from inncli.types import Float
from inncli.variables import Variables


class NormalLaw:
    """A flow's scaling and whitening without its blocks, set from rows of x in closed form.

    Bounds, recorded steps, point masses, circles and shares of a whole count as they do in a flow's density. The map
    of each column is the one that serves held-out rows best; the covariance is shrunk as far as few rows ask for.

    Args:
        x: what is known of the columns.
        rows: of x, (n, Dx), at least 2.
    """

    def __init__(self, x: Variables, rows: Float[np.ndarray, "n dim"]) -> None:
        x = choose(replace(x, maps=()), None, rows, None)[0]
        circular = any(period is not None for period in x.periods)
        self._scale = Scaling(x, on_circle=circular)
        self._circle, self._whiten = Circle(x), Whitening(x.dim)
        with torch.no_grad():
            values = torch.as_tensor(rows, dtype=torch.float64)
            values = self._scale.dequantise(values, generator(values.device, 0, "normal law"))
            if circular:
                values = self._circle.initialise(values)
            self._whiten.initialise(self._scale.initialise(values))

    def log_prob(self, x: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, " rows"]:
        """Log density of rows that are spread over their cells, (rows,), in nats; -inf where there is none."""
        points = torch.as_tensor(x, dtype=torch.float64)
        with torch.no_grad():
            inside, z = self._scale.covers(points), self._scale.clamp(points)
            total = z.new_zeros(len(z))
            for part in (self._circle, self._scale, self._whiten):
                z, ladj = part(z)
                total = total + ladj
            log_prob = total - 0.5 * z.square().sum(1) - z.shape[1] / 2 * math.log(2 * math.pi)
        return np.where(inside & log_prob.isfinite(), log_prob, -np.inf)
