"""What an objective asks of a model is declared: a user's own model that declares it is trained as ours are."""

from __future__ import annotations

import pytest
import torch

from inncli.errors import ConfigError
from inncli.models.abilities import ForwardNetwork, TwoSided
from inncli.models.adjoint import Adjoint
from inncli.models.base import Model
from inncli.models.inn import INN
from inncli.objectives.bidirectional import Bidirectional
from inncli.objectives.bidirectional_ml import BidirectionalML
from inncli.objectives.regression import Regression
from inncli.tasks.toy.ring import Ring
from inncli.variables import Variables

X, Y = Variables.numbered("x", 2), Variables.numbered("y", 1)


class Around(TwoSided):
    """A two-sided model that is no INN: it holds one."""

    def __init__(self, x, y):
        super().__init__(x, y)
        self.inner = INN(x, y, n_blocks=1, hidden=[4], padding=1)
        self.scale, self.dim_y, self.asked = self.inner.scale, self.inner.dim_y, []

    def set_noise(self, sd=0.0, known=None, learn=False, labels=None):
        self.asked.append((sd, known, learn))
        self.inner.set_noise(sd, known, learn, labels)

    def set_padding(self, sd_in, sd_out):
        self.asked.append((sd_in, sd_out))
        self.inner.set_padding(sd_in, sd_out)

    @property
    def sigma(self):
        return self.inner.sigma

    def scaled(self, x):
        return self.inner.scaled(x)

    def target(self, y, rows):
        return self.inner.target(y, rows)

    def noise(self, rows, generator):
        return self.inner.noise(rows, generator)

    def draw_latent(self, target, generator):
        return self.inner.draw_latent(target, generator)

    def forward(self, x, u):
        return self.inner(x, u)

    def inverse(self, y, z, v):
        return self.inner.inverse(y, z, v)

    def log_joint(self, x, u, target):
        return self.inner.log_joint(x, u, target)

    def initialise(self, x, y, generator):
        self.inner.initialise(x, y, generator)

    def sample(self, y, n, generator):
        return self.inner.sample(y, n, generator)


@pytest.mark.parametrize(
    "objective, asked",
    [
        (Bidirectional(noise_y=0.25), [(0.25, None, False), (1.0, 0.05)]),
        (BidirectionalML(sigma=0.5, padding_noise=2.0), [(0.5, None, True), (2.0, 1.0)]),
    ],
)
def test_an_objective_uses_what_is_declared_and_nothing_else(objective, asked):
    torch.manual_seed(0)
    x, y = torch.randn(64, 2, dtype=torch.float64), torch.randn(64, 1, dtype=torch.float64)
    losses = []
    for model in (Around(X, Y), INN(X, Y, n_blocks=1, hidden=[4], padding=1)):
        objective.attach(model, Ring())
        model.initialise(x, y, torch.Generator().manual_seed(1))
        assert float(model.sigma.detach()) == pytest.approx(asked[0][0])
        losses.append(objective(model, (x, y), 500, torch.Generator().manual_seed(2))[0])
        if isinstance(model, Around):
            assert model.asked == asked
    assert torch.equal(*losses)


def test_a_noise_that_the_task_knows_is_handed_on_in_the_units_of_y():
    task, model = Ring(), Around(X, Y)
    task.noise_sd = [0.5]
    Bidirectional().attach(model, task)
    assert model.asked[0] == (0.0, [0.5], False)
    y = 3 * torch.randn(1000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model.initialise(torch.cat([y, y], 1) + torch.randn(1000, 2), y, torch.Generator().manual_seed(1))
    assert float(model.sigma) == pytest.approx(0.5 / float(y.std()), rel=0.01)


class Loose(Model):
    """Neither two-sided nor a network y = f(x), and without a density."""

    has_density = False

    def sample(self, y, n, generator):
        raise AssertionError


class Trained(Loose):
    def loss(self, x, y, generator):
        return x.mean()


@pytest.mark.parametrize(
    "objective, told",
    [
        (Bidirectional(), "objective=bidirectional trains model=inn, got Loose; leave the objective out"),
        (BidirectionalML(), "objective=bidirectional_ml trains model=inn, got Loose; leave the objective out"),
        (Regression(), r"objective=regression trains a network y = f\(x\), which Loose is not; choose model=adjoint"),
    ],
)
def test_a_model_without_the_ability_is_refused_in_one_line(objective, told):
    with pytest.raises(ConfigError, match=told):
        objective.attach(Loose(X, Y), Ring())


def test_a_loss_follows_from_a_density_or_is_written():
    assert not Loose(X, Y).has_loss and Trained(X, Y).has_loss
    assert not Adjoint(X, Y).has_loss and isinstance(Adjoint(X, Y), ForwardNetwork)
    model = INN(X, Y, n_blocks=1, hidden=[4], dim_z=1, padding=0)
    assert not model.has_loss  # no noise on y, so no density
    model.set_noise(0.1)
    assert model.has_loss
