"""The two-sided INN: its contract, its exact density, its padding, its objectives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inncli.cli.app import main
from inncli.errors import ConfigError, ConvergenceError
from inncli.models.inn import INN
from inncli.objectives.bidirectional import PULL, Bidirectional
from inncli.objectives.bidirectional_ml import BidirectionalML
from inncli.tasks.toy.ring import Ring
from inncli.transforms.blocks import BLOCKS
from inncli.variables import Variables

X2, Y1 = Variables.numbered("x", 2), Variables.numbered("y", 1)
LABELS = Variables(("class", "n"), labels=(("ant", "bee", "cat"), None))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


RING = Ring()


def randomised(objective=None, task=RING, x=X2, y=Y1, rows=None, ys=None, **arguments):
    """An INN away from its start, in float64, scaled to data that is far from standard."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    model = INN(x, y, n_blocks=3, hidden=[16, 16], **{"padding": 0, **arguments})
    torch.set_default_dtype(before)
    (objective or BidirectionalML(sigma=0.3)).attach(model, task)
    if rows is None:
        rows = torch.randn(400, x.dim, generator=seeded(2), dtype=torch.float64) * 3 + 10
    if y is not None and ys is None:
        ys = 2 * torch.randn(len(rows), y.dim, generator=seeded(3), dtype=torch.float64)
        for i, labels in enumerate(y.labels):
            if labels:
                ys[:, i] = torch.randint(len(labels), (len(rows),), generator=seeded(6))
    model.initialise(rows, ys, seeded(4))
    generator = seeded(5)
    with torch.no_grad():
        for parameter in model.blocks.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


every_block = pytest.mark.parametrize("block", BLOCKS)


# ---- the density -------------------------------------------------------------------------------------
@every_block
def test_unpadded_density_integrates_to_one_and_matches_its_draws_cell_by_cell(block):
    model = randomised(block=block, dim_z=1)
    assert model.has_density
    y = torch.tensor([[0.5]], dtype=torch.float64)
    x = model.sample(y, 40_000, seeded())[0].numpy()
    low, high = np.quantile(x, 0.0005, axis=0) - 3, np.quantile(x, 0.9995, axis=0) + 3
    inside = ((x > low) & (x < high)).all(1).mean()
    axes = [np.linspace(a, b, 501)[:-1] + (b - a) / 1000 for a, b in zip(low, high, strict=True)]
    points = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], 1)
    with torch.no_grad():
        density = model.log_prob(torch.as_tensor(points), y.expand(len(points), -1)).exp().numpy()
    mass = density * np.prod((high - low) / 500)
    assert abs(mass.sum() - inside) < 0.005
    edges = [np.linspace(a, b, 11) for a, b in zip(low, high, strict=True)]
    drawn = np.histogram2d(*x.T, bins=edges)[0] / len(x)
    expected = np.histogram2d(*points.T, bins=edges, weights=mass)[0]
    assert (np.abs(drawn - expected) < 5 * np.sqrt(expected * (1 - expected) / len(x)) + 1e-3).all()


def test_unpadded_density_is_the_formula():
    model = randomised(dim_z=1)
    x = 3 * torch.randn(5, 2, generator=seeded(9), dtype=torch.float64) + 10
    y = torch.full((5, 1), 0.7, dtype=torch.float64)

    def outputs(row):
        y, z, v, _ = model(model.scaled(row[None]), row.new_zeros(1, 0))
        return torch.cat([y, z, v], 1)[0]

    for row, given, value in zip(x, y, model.log_prob(x, y), strict=True):
        target = model.target(given[None], 1)[0]
        off = torch.cat([(outputs(row)[:1] - target) / 0.3, outputs(row)[1:]])
        ladj = torch.linalg.slogdet(torch.autograd.functional.jacobian(outputs, row))[1]
        truth = -0.5 * off.square().sum() - math.log(2 * math.pi) - math.log(0.3) + ladj
        assert abs(value - truth) < 1e-9


def test_padded_the_likelihood_bounds_that_of_x():
    # E over u of N(u) / q(x, u | y) is at least -log of their integral over u, here by quadrature over u.
    objective = BidirectionalML(sigma=3.0, padding_noise=0.7)
    model = randomised(objective)
    assert model.width == 3 and not model.has_density
    x = 3 * torch.randn(3, 2, generator=seeded(9), dtype=torch.float64) + 10
    y = torch.full((3, 1), 0.7, dtype=torch.float64)
    u = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        for row, given in zip(x, y, strict=True):
            many = row.expand(len(u), -1)
            scaled, ladj = model.scale(many)
            joint = model.log_joint(scaled, u, model.target(given.expand(len(u), -1), len(u))) + ladj
            truth = torch.logsumexp(joint, 0) + math.log(24 / 20_000)
            bound = objective(model, (row.expand(20_001, -1), given.expand(20_001, -1)), 0, seeded())[0]
            assert -truth < bound
            normal = torch.distributions.Normal(0.0, 0.7).log_prob(u[:, 0])
            kl = (normal.exp() * (normal - joint)).sum() * 24 / 20_000 + truth  # of N(u) to p(u | x, y)
            spread = (normal.exp() * (normal - joint).square()).sum() * 24 / 20_000 - (kl - truth) ** 2
            assert abs(bound - (kl - truth)) < 4 * (spread / len(u)).sqrt() < 0.5
            # and the integral of N(u) q / N(u) is the truth: the weights are those of an importance sampler
            assert abs((normal.exp() * (joint - normal).exp()).sum() * 24 / 20_000 - truth.exp()) < 1e-9


def test_no_density_where_there_is_none():
    x, y = torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, 1, dtype=torch.float64)
    for model in (randomised(Bidirectional(noise_y=0.0), dim_z=1), randomised(), randomised(dim_z=1, padding=1)):
        assert not model.has_density and model.log_prob(x, y).isnan().all()


def test_outside_the_box_there_is_no_density_and_no_draw():
    x = Variables.numbered("x", 2, bounds=((0.0, 1.0), (-1.0, None)))
    rows = torch.rand(500, 2, generator=seeded(), dtype=torch.float64) * torch.tensor([1.0, 3.0]) - torch.tensor(
        [0.0, 1.0]
    )
    model = randomised(x=x, rows=rows, dim_z=1)
    y = torch.tensor([[0.5]], dtype=torch.float64)
    draws = model.sample(y, 5000, seeded())[0]
    assert (draws[:, 0] >= 0).all() and (draws[:, 0] <= 1).all() and (draws[:, 1] >= -1).all()
    outside = model.log_prob(
        torch.tensor([[1.1, 0], [0.5, -1.01], [math.nan, 0]], dtype=torch.float64), y.expand(3, -1)
    )
    assert (outside == -math.inf).all()


# ---- the contract ------------------------------------------------------------------------------------
@every_block
@pytest.mark.parametrize("y", [Y1, LABELS, None], ids=["number", "labels", "none"])
@pytest.mark.parametrize("padding", [0, 3])
def test_round_trip_shapes_and_repeatability(block, y, padding):
    x = Variables.numbered("x", 3)
    model = randomised(x=x, y=y, block=block, padding=padding)
    assert model.width == 3 + (0 if y is None else model.dim_y) + padding
    ys = None if y is None else torch.tensor([[1.0, 0.5], [2.0, -1.0]], dtype=torch.float64)[:, -y.dim :]
    draws = model.sample(ys, 7, seeded())
    assert draws.shape == ((1 if y is None else 2), 7, 3) and draws.isfinite().all()
    assert torch.equal(draws, model.sample(ys, 7, seeded()))
    rows = None if ys is None else ys[:1].expand(7, -1)
    assert model.diagnostics(draws[0], rows)["invertibility_error"] < 1e-9
    if ys is not None:
        assert (draws[0] - draws[1]).abs().max() > 1e-3
    scaled, u = model.scaled(draws[0]), model.noise(7, seeded())
    back, noise = model.inverse(*model(scaled, u)[:3])
    assert (back - scaled).abs().max() < 1e-9 and (noise - u).abs().max(0).values.sum() < 1e-8


@every_block
def test_it_starts_as_the_identity_with_z_at_x_and_y_at_the_padding(block):
    torch.manual_seed(0)
    model = INN(X2, Y1, block=block, n_blocks=4, hidden=[16], padding=0)
    rows = torch.randn(500, 2, generator=seeded(), dtype=torch.float64)
    model.initialise(rows, torch.randn(500, 1, generator=seeded(1), dtype=torch.float64), seeded(2))
    u = model.noise(500, seeded(3))
    y, z, _, _ = model(model.scaled(rows), u)
    y, z = y - (y - u).mean(0), z - (z - model.scaled(rows)).mean(0)  # ActNorm takes out the mean
    if block not in ("nice", "iresnet"):  # whose subnets start at random
        assert (z - model.scaled(rows)).abs().max() < 1e-3 and (y - u).abs().max() < 1e-3
    assert torch.corrcoef(torch.cat([y, u], 1).T)[0, 1] > 0.5


def test_the_dimension_rule():
    x = Variables.numbered("x", 4)
    with pytest.raises(ConfigError, match=r"model.dim_z: expected 3 or more, .* got 2"):
        INN(x, Y1, dim_z=2, padding=0)
    assert INN(x, Y1, dim_z=3, padding=0).width == 4
    model = INN(X2, LABELS, padding=0)
    assert model.sizes_out == [2, 0, 4] and model.width == 6
    assert INN(x, Y1, dim_z=3, padding=2).sizes_in == [4, 2]


def test_far_outside_a_draw_is_finite_or_refused():
    model = randomised().float()
    for value in (1e3, -1e6):
        assert model.sample(torch.full((1, 1), value, dtype=torch.float64), 50, seeded()).isfinite().all()
    with pytest.raises(ConvergenceError, match="y is too far from what training saw"):
        model.sample(torch.full((1, 1), 1e300, dtype=torch.float64), 50, seeded())


def test_sigma_is_used_by_the_inverse_and_saved():
    ys = torch.randn(400, 1, generator=seeded(3), dtype=torch.float64)
    ys = 0.5 * (ys - ys.mean()) / ys.std(correction=0)
    y = torch.tensor([[0.5]], dtype=torch.float64)
    for objective, sd in (
        (Bidirectional(noise_y=0.0), 0.0),
        (BidirectionalML(sigma=0.3), 0.3),
        (Bidirectional(noise_y=0.1), 0.1),
        (Bidirectional(), 0.05 / 0.5),
    ):  # the ring's own noise, in sds of these ys
        model = randomised(objective, dim_z=1, ys=ys)
        x = model.sample(y, 4000, seeded())[0]
        found = model(model.scaled(x), x.new_zeros(4000, 0))[0] - model.target(y, 1)
        assert abs(found.std() - sd) < 0.02 * (sd + 1e-6) + 1e-9
        other = INN(X2, Y1, n_blocks=3, hidden=[16, 16], dim_z=1, padding=0).double()
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.sample(y, 9, seeded()), model.sample(y, 9, seeded()))


def test_y_error_is_in_the_units_of_y():
    model = randomised(ys=100 * torch.randn(400, 1, generator=seeded(3), dtype=torch.float64) + 7)
    y = torch.tensor([[50.0], [-20.0]], dtype=torch.float64)
    x, extras = model.posterior(y, 30, seeded())
    assert torch.equal(x, model.sample(y, 30, seeded()))
    assert extras["y_error"].shape == (2, 30)
    # fresh padding, so not what the draw itself was made of; compare in distribution with the model's own y
    got = (
        model(model.scaled(x[0].repeat(200, 1)), model.noise(6000, seeded(1)))[0][:, 0] * model.features.sd
        + model.features.mean
    )
    assert extras["y_error"][0].mean() == pytest.approx(float((got - 50).abs().mean().detach()), rel=0.3)


def test_check_tells_a_good_latent_from_a_bad_one():
    # z = x - y / 2 is normal and independent of y where x and y are jointly normal with that slope.
    model = INN(Variables.numbered("x", 1), Y1, n_blocks=1, hidden=[4], dim_z=1, padding=0)
    BidirectionalML(sigma=1e-3).attach(model, None)
    y = torch.randn(600, 1, generator=seeded(), dtype=torch.float64)
    noise = torch.randn(600, 1, generator=seeded(1), dtype=torch.float64)
    model.initialise(noise, y, seeded(2))
    good = model.check(noise, y, seeded(3))
    assert good["z_p_value"] > 0.02 and good["z_y_p_value"] > 0.02
    assert model.check(2 * noise, y, seeded(3))["z_p_value"] < 0.01
    assert model.check(noise.abs() * y.sign(), y, seeded(3))["z_y_p_value"] < 0.01
    assert good["y_error"] == pytest.approx(math.sqrt(2), rel=0.2)  # y is not learned yet: two independent normals


# ---- the objectives ----------------------------------------------------------------------------------
def batch(rows=500, seed=0):
    return (
        3 * torch.randn(rows, 2, generator=seeded(seed), dtype=torch.float64) + 10,
        2 * torch.randn(rows, 1, generator=seeded(seed + 1), dtype=torch.float64),
    )


def test_unpadded_the_bound_is_the_negative_log_likelihood():
    objective = BidirectionalML(sigma=0.3)
    model = randomised(objective, dim_z=1)
    x, y = batch()
    assert float(objective(model, (x, y), 0, seeded())[0].detach()) == pytest.approx(
        -float(model.log_prob(x, y).detach().mean()), abs=1e-9
    )


def test_sigma_is_learned_or_held():
    for learn in (True, False):
        objective = BidirectionalML(sigma=0.3, learn_sigma=learn)
        model = randomised(objective, dim_z=1)
        objective(model, batch(), 0, seeded())[0].backward()
        assert model.log_sigma.requires_grad == learn
        if learn:  # at its best, sigma^2 is the mean square of f_y - y
            x, y = batch()
            off = (model(model.scaled(x), x.new_zeros(len(x), 0))[0] - model.target(y, len(y))).square().mean()
            assert float(model.log_sigma.grad) == pytest.approx(float((1 - off / 0.09).detach()), rel=1e-6)


def test_where_all_is_as_it_must_be_the_losses_vanish_and_elsewhere_not():
    # f = identity: z is x, standard normal and independent of y; y' is u. Without weight on y nothing is left to do.
    torch.manual_seed(0)
    model = INN(Variables.numbered("x", 1), Y1, n_blocks=1, hidden=[4], dim_z=1, padding=0)
    objective = Bidirectional(weight_y=0.0)
    objective.attach(model, Ring())
    x, y = torch.randn(4000, 2, generator=seeded(), dtype=torch.float64).split(1, 1)
    model.initialise(x, y, seeded(1))
    _, terms = objective(model, (x, y), 10**6, seeded(2))
    assert abs(terms["z"]) < 0.005 and abs(terms["x"]) < 0.005 and terms["y"] == pytest.approx(2.0, rel=0.1)
    assert abs(terms["z_far"]) < 0.005 and abs(terms["x_far"]) < 0.005
    _, terms = objective(model, (2 * x, y), 10**6, seeded(2))  # z too wide
    assert terms["z"] > 0.02 and terms["x"] > 0.02
    _, terms = objective(model, (x.abs() * y.sign(), y), 10**6, seeded(2))
    assert abs(terms["z"]) < 0.005  # y' = u knows nothing of y, so z may not either: that is for weight_y


def test_the_discrepancy_moves_z_alone():
    objective = Bidirectional(weight_y=0.0, weight_x=0.0)
    model = randomised(objective)
    kept = {}
    forward = model.forward

    def watched(x, u):
        out = forward(x, u)
        for name, value in zip("yz", out, strict=False):  # padding and log-det follow
            kept[name] = value
            value.retain_grad()
        return out

    model.forward = watched
    objective(model, batch(), 0, seeded())[0].backward()
    assert kept["z"].grad.abs().max() > 0 and not kept["y"].grad.any()


def test_the_ramp_holds_the_inverse_pass_back_and_validation_does_not_see_it():
    objective = Bidirectional(ramp=100, weight_x=2.0, weight_y=3.0, weight_z=0.5)
    model = randomised(objective)
    loss, terms = zip(*(objective(model, batch(), step, seeded()) for step in (0, 50, 100, 1000)), strict=True)
    assert "x" not in terms[0]
    for value, term, ramp in zip(loss, terms, (0, 0.5, 1, 1), strict=True):
        published = 3 * term["y"] + 0.5 * term["z"] + 2 * ramp * term.get("x", 0)
        far = PULL * (0.5 * term["z_far"] + 2 * term["x_far"])  # holds both passes from the first step on
        assert float(value.detach()) == pytest.approx(float(published + far), rel=1e-9)
    judged = [objective.validation_loss(model, batch(), step, seeded()) for step in (0, 50, 1000)]
    assert torch.equal(judged[0], judged[1]) and torch.equal(judged[0], judged[2])
    assert float(judged[0].detach()) == pytest.approx(float(loss[2].detach()), rel=1e-9)


@pytest.mark.parametrize(
    "name, truth",
    [
        ("l2", lambda r: r.square()),
        ("l1", lambda r: r.abs()),
        ("huber", lambda r: torch.nn.functional.huber_loss(r, torch.zeros_like(r), reduction="none")),
    ],
)
def test_losses_on_y(name, truth):
    objective = Bidirectional(loss_y=name)
    model = randomised(objective)
    x, y = batch()
    off = model(model.scaled(x), model.noise(500, seeded()))[0] - model.target(y, 500)
    assert float(objective(model, (x, y), 0, seeded())[1]["y"]) == pytest.approx(
        float(truth(off).mean().detach()), rel=1e-9
    )


def test_output_padding_is_held_where_the_inverse_draws_it():
    model = randomised(Bidirectional(padding_out=0.2), padding=2)
    v = model.draw_latent(torch.zeros(5000, 1, dtype=torch.float64), seeded())[2]
    assert v.shape[1] == 2 and v.std() == pytest.approx(0.2, rel=0.03)
    _, terms = Bidirectional(padding_out=0.2)(model, batch(), 0, seeded())
    out = model(model.scaled(batch()[0]), model.noise(500, seeded()))[2]
    assert float(terms["padding"]) == pytest.approx(float(out.square().mean().detach()) / 0.04, rel=1e-6)
    model = randomised(BidirectionalML(), padding=2)
    assert model.draw_latent(torch.zeros(5000, 1, dtype=torch.float64), seeded())[2].std() == pytest.approx(1, rel=0.03)


def test_what_can_not_be_trained_so_is_refused():
    from catalogue import BLOCKS as FLOW_BLOCKS
    from inncli.models.flow import ConditionalFlow

    flow = ConditionalFlow(X2, Y1, n_blocks=1, **FLOW_BLOCKS["rnvp"])
    for objective in (Bidirectional(), BidirectionalML()):
        with pytest.raises(ConfigError, match="trains model=inn, got ConditionalFlow"):
            objective.attach(flow, None)
    with pytest.raises(ConfigError, match="one whole number, got"):
        Bidirectional(kernel="polynomial", scales_z=[0.2, 0.9])


# ---- the commands ------------------------------------------------------------------------------------
@pytest.fixture
def inn(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; gives what it printed on stdout, or the one line of an error."""
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        got = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert got == code, err
        assert code == 0 or (not out and len(err.splitlines()) == 1), err
        return err if code else out

    return run


SMALL = ["task.n_train=400", "trainer.max_steps=5", "model.n_blocks=2"]


@pytest.mark.parametrize(
    "words",
    [
        ["model=inn", "task=ring"],
        ["model=inn_mmd", "task=ring"],
        ["model=inn_mmd", "task=ring", "model.padding=2"],
        ["model=inn", "task=gaussian_modes", "task.labels=none"],
        ["model=inn_mmd", "task=gaussian_modes"],
    ],
)
def test_from_train_to_a_posterior_set_with_nan_density(inn, tmp_path, words):
    inn("train", *words, *SMALL)
    inn("invert", "--y", "0", "-n", "50", "--out", "set.npz")
    drawn = np.load(tmp_path / "set.npz")
    assert drawn["x"].shape == (1, 50, 2) and np.isnan(drawn["log_prob"]).all()
    assert drawn["y_error"].shape == (1, 50) and (drawn["y_error"] > 0).all()
    assert "has no density" in inn("density", "--grid", "5", "--y", "0", code=2)
    inn("sample", "-n", "20")
    inn("plot", "posterior", "--set", "set.npz", "--out", "set.png")


def test_unpadded_by_likelihood_it_has_a_density(inn):
    inn("train", "model=inn", "model.dim_z=1", "model.padding=0", *SMALL)
    inn("density", "--grid", "5", "--y", "0.3")


@pytest.mark.parametrize(
    "words, advice",
    [
        (["model=inn", "model.padding=0"], "train it with model.padding=0 model.dim_z=1 (2 of x - 1 of y)"),
        (["model=inn"], "train it with model.padding=0 model.dim_z=1 (2 of x - 1 of y)"),
        (
            ["model=inn_mmd", "task.noise=0", "model.padding=0", "model.dim_z=1"],
            "train it with model=inn model.padding=0 model.dim_z=1 (2 of x - 1 of y)",
        ),
    ],
)
def test_what_would_give_it_a_density_is_said(inn, words, advice):
    inn("train", *words, *SMALL, "hydra.run.dir=run")
    assert inn("density", "--run", "run", "--grid", "5", "--y", "0.3", code=2) == (
        f"run run: INN has no density; {advice}, or use `inn invert`\n"
    )


def test_without_a_y_it_is_a_density_model(inn):
    inn("train", "model=inn", "task=eight_gaussians", "model.padding=0", *SMALL)
    inn("density", "--grid", "5")
    inn("train", "model=inn_mmd", "task=eight_gaussians", *SMALL)
    inn("sample", "-n", "20")


@pytest.mark.parametrize(
    "words, message",
    [
        (["model=inn", "objective=nll"], "needs a density"),
        (["model=rnvp", "objective=bidirectional"], "trains model=inn"),
        (["model=inn", "task=linear", "model.dim_z=1"], "expected 2 or more"),
        (["model=inn", "model.block=resnet"], "model.block: expected nice or rnvp or glow or spline or iresnet"),
    ],
)
def test_wrong_requests(inn, words, message):
    assert message in inn("train", *words, *SMALL, code=2)
