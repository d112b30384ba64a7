"""NICE keeps its draws where the data is: bounded shifts, a size of them for each y, and tails that are learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import inncli
from inncli import config
from inncli.cli.app import main
from inncli.config import registry
from inncli.models.presets import PRESETS
from inncli.tasks.toy.ring import Ring
from inncli.transforms.blocks import ConditionalPrior, ConditionalScale
from inncli.transforms.elementwise import Additive
from inncli.variables import Variables

X2, Y1 = Variables.numbered("x", 2), Variables.numbered("y", 1)


@pytest.mark.slow
def test_no_draw_on_the_ring_is_far(tmp_path):
    words = ["train", "task=ring", "model=nice", "trainer.max_steps=1000", f"hydra.run.dir={tmp_path / 'run'}"]
    assert main(words) == 0
    trained, top = inncli.load(tmp_path / "run"), abs(Ring().training_pairs(0).x).max()
    for y in (0.3, 1.0, 1.5):
        x = trained.sample([[y]], 10_000, 0)[0]
        assert abs((x**2).sum(1).mean() - y) < 0.05 and abs(x).max() < top  # 0.4.0: 15.9, 9.0, 4.0 and 100


def test_a_shift_stays_below_its_clamp_and_starts_as_it_is():
    x, raw = torch.randn(100, 3), torch.linspace(-50, 50, 300).reshape(100, 3)
    for clamp in (0.5, 1.0):
        shift = Additive(clamp).forward(x, raw)[0] - x
        assert shift.abs().max() <= clamp + 1e-5 and (shift * raw >= 0).all()
    assert torch.allclose(Additive(1.0).forward(x, raw / 1e4)[0], x + raw / 1e4, atol=1e-6)
    assert torch.equal(Additive(None).forward(x, raw)[0], x + raw)


def test_the_tails_of_the_prior_are_learned():
    prior = ConditionalPrior(1, 0)
    h = torch.linspace(-3, 3, 101)[:, None]
    assert torch.allclose(prior(h)[0], ConditionalScale(1, 0)(h)[0], atol=1e-6)  # at the start a normal
    with torch.no_grad():
        prior.tails.constant.fill_(0.9)
    power = float((0.9 * torch.ones(1)).tanh().exp())
    assert torch.allclose(prior(h)[0], (power * h.asinh()).sinh(), atol=1e-5)
    z = torch.tensor([[1.0], [5.0]])
    near, far = prior.inverse(z)[0]
    assert far / near < 3.5  # five sds out lie nearer than five times one


def test_each_y_has_its_own_size_of_the_shifts():
    chosen = PRESETS["nice"](replace(X2, maps=("identity",) * 2), Y1)
    assert type(chosen.spread) is ConditionalScale and type(chosen.blocks.parts[-1]) is ConditionalPrior
    assert PRESETS["nice"](X2, Y1).spread is None  # of 0.1 to 0.4, which chose no maps


def test_a_config_without_the_clamp_means_none():
    (job,) = config.plan(["model=nice"])
    node = job.config["model"]
    assert node["block"]["clamp"] == 1.0
    del node["block"]["clamp"]
    node["last"] = {"_target_": "inncli.transforms.blocks.ConditionalScale", "hidden": [64]}
    old = registry.check_group(node, "model")
    assert old["block"]["clamp"] is None
    assert registry.check_group({**node, "block": "nice"}, "model")["block"] == "nice"
