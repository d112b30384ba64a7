"""The two-sided INN by MMD trains from any seed and on any budget: neither direction runs out of the kernel's sight."""

from __future__ import annotations

import json
import math

import pytest
import torch

import inncli
from inncli.cli.app import main
from inncli.errors import NonFiniteError
from inncli.models.inn import INN
from inncli.numerics.mmd import (
    InverseMultiquadric,
    Logarithmic,
    direct_distances,
    make_kernel,
    mmd2,
)
from inncli.objectives.bidirectional import Bidirectional
from inncli.tasks.toy.gaussian_modes import GaussianModes
from inncli.tasks.toy.ring import Ring
from inncli.training.group import alone
from inncli.training.nonfinite import NORM, non_finite_layer
from inncli.training.precision import Precision
from inncli.training.step import Step
from inncli.variables import Variables

X2, Y1 = Variables.numbered("x", 2), Variables.numbered("y", 1)


def trained(path, task, seed, steps, *more):
    """The last line of metrics of a run, and those of its best epoch."""
    words = [
        "train",
        f"task={task}",
        "model=inn_mmd",
        f"seed={seed}",
        f"trainer.max_steps={steps}",
        f"hydra.run.dir={path}",
        *more,
    ]
    assert main(words) == 0
    line = json.loads((path / "metrics.jsonl").read_text().splitlines()[-1])
    return line, json.loads((path / "run.json").read_text())["metrics"]


# ---- whole runs --------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", ["gaussian_modes", "ring"])
def test_a_short_budget_trains(tmp_path, task):
    line, run = trained(tmp_path / "run", task, 0, 100)
    assert line["step"] == 100 and line["loss"] < 10
    assert run["val_loss"] < 0.2 * run["val_loss_untrained"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task", ["gaussian_modes", "inverse_kinematics", "ring"])
def test_it_trains_from_any_seed(tmp_path, task, seed):
    line, run = trained(tmp_path / "run", task, seed, 600)
    assert line["step"] == 600 and line["loss"] < 0.3
    assert run["val_loss"] < 0.05 * run["val_loss_untrained"]


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["all", "some"])
def test_every_mode_is_found_with_its_weight(tmp_path, labels):
    trained(tmp_path / "run", "gaussian_modes", 0, 400, f"task.labels={labels}")
    model, task = inncli.load(tmp_path / "run"), GaussianModes(labels)
    for label in range(task.labels.max() + 1):
        shares, far = task.mode_shares(model.sample([[label]], 4000, 0)[0])
        truth = (task.labels == label) / (task.labels == label).sum()
        # Pulled onto the one-hot vectors, the shares of `all` were .14 to .4 off, and 4 in 5 draws far from every mode.
        assert abs(shares - truth).max() < 0.06 and far < 0.25


# ---- labels ------------------------------------------------------------------------------------------
def labelled(**settings):
    y = Variables(("a", "label"), labels=(None, ("0", "1", "2")))
    return INN(X2, y, n_blocks=2, hidden=[8], **settings)


def test_a_label_has_u_around_its_one_hot_vector():
    model, objective = labelled(padding=0), Bidirectional(noise_y=1.0)
    objective.attach(model, Ring())
    y = torch.cat([torch.randn(3000, 1), torch.arange(3000)[:, None] % 3], 1).double()
    x = torch.randn(3000, 2).double()
    model.initialise(x, y, torch.Generator().manual_seed(0))
    _, terms = objective(model, (x, y), 0, torch.Generator().manual_seed(1))
    # At the start the chain is the identity and y_f is u: the noise is there, the number and the one-hot vector lack.
    assert float(terms["y"]) == pytest.approx((2 + 3 * 1 / 3) / 4, rel=0.05)


def test_what_is_no_labels_noise_is_free():
    model = labelled(padding=2)
    model.set_noise(0.5, labels=0.1)
    u = torch.randn(5, 6)
    noise, free = model.split_padding(u)  # 2 + (1 + 3) - 2 columns of padding and y, 2 more
    assert torch.allclose(noise, torch.cat([torch.zeros(5, 1), 0.1 * u[:, 3:]], 1)) and torch.equal(free, u[:, :3])
    assert model.sigma.tolist() == pytest.approx([0.5, 0.1, 0.1, 0.1])
    model.set_noise()  # as in runs that were trained without it
    assert not model.split_padding(u)[0].any()


def test_a_label_without_a_column_of_u_keeps_its_width():
    model = labelled(padding=0, dim_z=0)  # x and u have 4 columns, as y has
    model.set_noise(labels=0.1)
    assert model.sigma.tolist() == pytest.approx([0.0, 0.0, 0.1, 0.1])
    noise, free = model.split_padding(torch.ones(5, 2))
    assert noise[0].tolist() == pytest.approx([0.0, 0.0, 0.1, 0.1]) and free.shape == (5, 0)


# ---- what holds it -----------------------------------------------------------------------------------
@pytest.mark.parametrize("far", [1e2, 1e6, 1e12])
def test_a_row_is_pulled_however_far_it_is(far):
    near = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    row = torch.tensor([[far, 0.0, 0.0]], requires_grad=True)
    mmd2(row.repeat(2, 1), near, Logarithmic()).backward()
    pull = float(row.grad[0, 0]) * far  # of the logarithm of its distance
    assert pull == pytest.approx(4.0, rel=0.1)
    row.grad = None
    mmd2(row.repeat(2, 1), near, InverseMultiquadric()).backward()
    assert abs(float(row.grad[0, 0])) * far < 1e-3  # the published kernel lets go


def test_rows_far_off_keep_their_distances_to_each_other():
    generator = torch.Generator().manual_seed(0)
    x = 1e6 * torch.randn(25, 3, generator=generator)
    x = torch.cat([x, x + 100 * torch.randn(25, 3, generator=generator)])  # each has one in reach of rounding
    exact = (x.double()[:, None] - x.double()).square().sum(2)
    assert ((direct_distances(x, x) - exact).abs() <= 1e-5 * exact).all()
    x.requires_grad_()

    def push(kernel):
        return float(torch.autograd.grad(mmd2(x, torch.zeros(50, 3), kernel), x)[0].abs().max())

    # By the rounding of |x|^2 some would lie on their neighbours, where the kernel is steep.
    assert push(InverseMultiquadric()) > 10 and push(make_kernel("imq", None, x, x)) < 1e-3


def test_the_inverse_pass_is_held_from_the_first_step_on():
    model = INN(X2, Y1, n_blocks=2, hidden=[8], padding=0)
    objective = Bidirectional(ramp=10**9)
    objective.attach(model, Ring())
    x, y = torch.randn(200, 2).double(), torch.rand(200, 1).double()
    model.initialise(x, y, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.blocks.parts[-1].log_diagonal.sub_(7.0)  # the inverse expands a thousandfold
    loss, terms = objective(model, (x, y), 0, torch.Generator().manual_seed(1))
    loss.backward()
    assert terms["x_far"] > 5 and (model.blocks.parts[-1].log_diagonal.grad < -0.01).all()  # down the loss: they rise


# ---- what is said where it fails ---------------------------------------------------------------------
class Steep(Bidirectional):
    """A loss whose gradient is finite, and the squares of it are not."""

    def forward(self, model, batch, step, generator):
        last = model.blocks.parts[-1].log_diagonal
        return 1e25 * (last - last.detach()).sum() + 1.0, {}


def test_the_norm_is_named_and_no_noise_that_is_zero_by_design():
    model = INN(X2, Y1, n_blocks=2, hidden=[8], padding=0)
    assert math.isinf(float(model.log_sigma)) and not model.log_sigma.requires_grad
    assert non_finite_layer(model, lambda: None) == "the loss itself"
    parameters = [p for p in model.parameters() if p.requires_grad]
    group = alone(torch.device("cpu"))
    step = Step(
        model,
        Steep(),
        parameters,
        torch.optim.AdamW(parameters),
        1.0,
        lambda step: torch.Generator(),
        group,
        Precision("full", False, model, group.device),
    )
    with pytest.raises(NonFiniteError, match=rf"step 7: {NORM} is not finite \(loss 1.0\)"):
        step(None, 7)


def test_an_infinity_in_what_is_trained_is_still_named():
    model = INN(X2, Y1, n_blocks=1, hidden=[8], padding=0)
    model.log_sigma.requires_grad_(True)
    assert non_finite_layer(model, lambda: None) == "parameter log_sigma"
    model.log_sigma.requires_grad_(False).fill_(math.nan)
    assert non_finite_layer(model, lambda: None) == "parameter log_sigma"
