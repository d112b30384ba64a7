"""A user's own task, as in `inn train --config-dir tests/plugin task=crescent`: a prior and a simulator, no more."""

from inncli.tasks.base import Task
from inncli.variables import Variables


class Crescent(Task):
    x, y = Variables.numbered("x", 2), Variables.numbered("y", 1)

    def __init__(self, bend: float = 0.5, n_train=None):
        super().__init__(n_train)
        self.bend = bend

    def prior(self, n, rng):
        return rng.standard_normal((n, 2))

    def simulate(self, x, rng):
        return x[:, :1] + self.bend * x[:, 1:] ** 2 + 0.1 * rng.standard_normal((len(x), 1))
