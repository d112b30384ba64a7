"""A user's own model and objective, as in `inn train --config-dir tests/plugin model=nearest objective=ramped`.

The model has no density: it learns the mean of x given y and draws around it. The objective has state of its
own, a weight that ramps up with every step and must survive a resume.
"""

import torch
from torch import nn

from inncli.models.base import Model
from inncli.objectives.base import Objective


class Nearest(Model):
    has_density = False

    def __init__(self, x, y, width: int = 16):
        super().__init__(x, y)
        self.net = nn.Sequential(nn.Linear(y.dim, width), nn.Tanh(), nn.Linear(width, x.dim))

    def sample(self, y, n, generator):
        mean = self.net(y.float())[:, None]
        return mean + torch.randn(len(y), n, self.dim, generator=generator)


class Ramped(Objective):
    def __init__(self, rate: float = 0.01):
        super().__init__()
        self.rate = rate
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, model, batch, step, generator):
        self.weight += self.rate
        return (0.1 + self.weight) * self.error(model, batch, generator), {"weight": self.weight.clone()}

    def error(self, model, batch, generator):
        x, y = batch
        noise = 0.1 * torch.randn(y.shape, generator=generator)
        return (model.net(y.float() + noise) - x.float()).square().mean()

    def validation_loss(self, model, batch, step, generator):
        return self.error(model, batch, generator)  # without the ramp, so that epochs compare
