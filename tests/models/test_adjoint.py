"""Ad-hoc inversion: the descent against closed forms, the solutions that it finds, and the commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from catalogue import SEARCHES
from inncli.cli.app import main
from inncli.errors import CheckpointError, ConfigError, ShapeError
from inncli.inference import posterior_files
from inncli.models.adjoint import Adjoint
from inncli.models.flow import ConditionalFlow
from inncli.nn.losses import LOSSES
from inncli.numerics.clusters import distinct
from inncli.numerics.polyak import descend
from inncli.objectives.regression import Regression
from inncli.tasks.toy.sine import Sine
from inncli.training.size_guard import no_larger_than
from inncli.variables import Variables

X2, Y1 = Variables.numbered("x", 2), Variables.numbered("y", 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


class Exact(nn.Module):
    """A network that knows f: from scaled x to y's features, both in the model's own scales."""

    def __init__(self, model, f):
        super().__init__()
        self.model, self.f = [model], f
        self.dtype_holder = nn.Parameter(torch.zeros(1))

    def forward(self, z):
        model = self.model[0]
        y = self.f(model.scale.inverse(z.double())[0])
        return ((y - model.features.mean) / model.features.sd).to(z.dtype)


def knowing(f, x, rows, y=Y1, kind="mse", **settings):
    """A model started from `rows`, whose network is f itself: what it finds can be told in closed form."""
    model = Adjoint(x, y, **{"max_steps": 300, **settings})
    model.initialise(rows, f(rows), seeded())
    model.net = Exact(model, f)
    model.train_by(kind)
    return model


def sine_model(**settings):
    task = Sine()
    rows = torch.as_tensor(task.prior(5_000, np.random.default_rng(0)))
    return knowing(task.observe, task.x, rows, **settings)


# ---- the descent -----------------------------------------------------------------------------------------
def parabola(z, target):
    """(z1^2 - target)^2, and |z1^2 - target| < 1e-4."""
    r = z[:, 0].square() - target
    return r.square(), r.abs() < 1e-4


def test_descent_reaches_the_nearer_root_of_a_parabola():
    z = torch.tensor([[3.0, 7.0], [-0.5, 1.0], [1.0, 0.0]])
    found = descend(parabola, z, torch.tensor([4.0, 4.0, 1.0]), 200, 50, 0.3)
    assert found.reached.all()
    assert (found.z[:, 0] - torch.tensor([2.0, -2.0, 1.0])).abs().max() < 1e-4
    assert torch.equal(found.z[:, 1], z[:, 1])
    assert found.steps[2] == 0 and torch.equal(found.z[2], z[2]), "a start on the solution stays where it is"
    steps = int(-(-(2 - 0.5 - 0.3) // 0.3))  # at .3 a step, to where the tangent's zero is nearer than that
    assert steps < found.steps[1] < steps + 30


def test_descent_without_a_solution_ends_at_the_least_loss():
    z = torch.linspace(-2, 2, 41)[:, None]
    found = descend(parabola, z, torch.full((41,), -1.0), 500, 20, 0.3)  # z^2 = -1
    assert not found.reached.any() and found.z.isfinite().all()
    assert found.z.abs().max() < 0.2, "the least of (z^2 + 1)^2 is at 0"
    assert (found.steps < 100).all(), "given up long before the last step"
    seen = []

    def watched(z, target):
        seen.append(float(parabola(z.detach(), target)[0][0]))
        return parabola(z, target)

    z = descend(watched, torch.tensor([[1.3]]), torch.tensor([-1.0]), 5, 20, 0.3).z
    assert float(parabola(z, -1.0)[0]) == pytest.approx(min(seen), rel=1e-6) and min(seen) < 0.96 * seen[-1]


def test_descent_takes_no_step_longer_than_the_limit_and_none_on_a_flat():
    z = torch.full((3, 2), 5.0)
    found = descend(parabola, z, torch.zeros(3), 1, 50, 0.1)
    assert ((found.z - z).norm(dim=1) <= 0.1 + 1e-6).all() and (found.z != z).any()
    flat = descend(lambda z, t: (z.sum(1) * 0 + 1, t < 0), z, torch.zeros(3), 50, 50, 0.1)
    assert torch.equal(flat.z, z) and (flat.steps == 0).all()


def test_a_row_of_the_descent_does_not_depend_on_the_others():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def evaluate(z, target):
        r = net(z) - target
        return r.square().mean(1), r.abs().amax(1) < 1e-2

    z, target = rows_of(300, 3).float(), 0.3 * rows_of(300, 2, seed=2).float()
    whole = descend(evaluate, z, target, 60, 20, 0.3)
    some = torch.tensor([7, 3, 250])
    part = descend(evaluate, z[some], target[some], 60, 20, 0.3)
    assert 0 < whole.reached.sum() < 300
    for name in ("z", "reached", "steps"):
        assert torch.equal(getattr(whole, name)[some], getattr(part, name)), name


# ---- solutions -------------------------------------------------------------------------------------------
def test_points_and_curves_are_told_apart_and_ordered_by_size():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 400)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    point = np.array([0.0, 0.0]) + 1e-6 * rng.standard_normal((20_000, 2))  # 2e8 pairs, were they all linked
    pair = np.array([[3.0, 0.0], [3.1, 0.0]])
    which = distinct(np.concatenate([pair, circle, point]), 0.15)
    assert set(which[:2]) == {2} and set(which[2:402]) == {1} and set(which[402:]) == {0}
    assert distinct(np.zeros((0, 2)), 0.15).shape == (0,)
    chain = distinct(np.arange(50)[:, None] * 0.14, 0.15)
    assert (chain == 0).all()
    assert (distinct(np.arange(50)[:, None] * 0.23, 0.15) == np.arange(50)).all(), "ties go by the earlier row"


def test_every_island_of_the_sine_is_one_solution():
    task, model = Sine(), sine_model()
    for y in (1.5, -1.5):
        x, extra = model.posterior(torch.tensor([[y]], dtype=torch.float64), 1_000, seeded())
        good = extra["converged"][0]
        count, which = task.islands(y, x[0][good].numpy())
        assert set(which) == set(range(count)), "all islands"
        assert good.double().mean() > 0.9
        assert (extra["solution"][0][~good] == -1).all()
        pairs = set(zip(which.tolist(), extra["solution"][0][good].tolist(), strict=True))
        assert len(pairs) == count == extra["solution"].max() + 1, (
            "an island is one solution, and a solution one island"
        )
        error = np.abs(task.observe(x[0][good].numpy()) - y)
        assert error.max() <= 1.01e-3 * float(model.features.sd)


# ---- the model -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", LOSSES)
def test_it_descends_on_the_very_loss_it_was_trained_with(kind):
    torch.manual_seed(0)
    y2 = Variables.numbered("y", 2)
    model = Adjoint(X2, y2, hidden=[16], max_steps=5, n_starts=64)
    rows, ys = rows_of(200, 2), rows_of(200, 2, seed=2)
    model.initialise(rows, ys, seeded())
    nn.init.normal_(model.net.last.weight)
    Regression(kind).attach(model, None)
    y = ys[:3]
    x, extra = model.posterior(y, 20, seeded())
    pairs = x.reshape(-1, 2), y.repeat_interleave(20, 0)
    trained = torch.stack(
        [Regression(kind)(model, (a[None], b[None]), 0, seeded())[0] for a, b in zip(*pairs, strict=True)]
    )
    torch.testing.assert_close(extra["loss"].reshape(-1), trained, rtol=1e-4, atol=1e-6)
    residual = (model.net(model.scale(pairs[0])[0].float()) - model.features(pairs[1])).double()
    expected = {
        "mse": residual**2,
        "l1": residual.abs(),
        "huber": nn.functional.huber_loss(residual, torch.zeros_like(residual), reduction="none"),
    }[kind]
    torch.testing.assert_close(trained.double(), expected.mean(1), rtol=1e-4, atol=1e-6)
    first = model.posterior(y, 20, seeded(), starts=model.starts[:20])[1]
    at_start = model.row_loss(model.starts[:20].repeat(3, 1), pairs[1])
    assert (first["loss"].reshape(-1) <= at_start + 1e-6).all() and (first["loss"].reshape(-1) < at_start).any()
    again = Adjoint(X2, y2, hidden=[16], max_steps=5, n_starts=64)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.posterior(y, 20, seeded())[0], x), "the loss is part of the saved state"
    older = {**model.state_dict(), "loss_kind": torch.tensor(["mse", "l1", "huber"].index(kind))}
    again = Adjoint(X2, y2, hidden=[16], max_steps=5, n_starts=64)
    again.load_state_dict(older)
    assert torch.equal(again.posterior(y, 20, seeded())[0], x), "0.1 to 0.4 saved its number"
    assert torch.equal(again.loss_kind, model.loss_kind)


def test_the_number_of_its_loss_is_no_size():
    """`inn sample` on its run failed in a fresh process: the guard took the number for that of elements."""
    with no_larger_than({"w": (2, 2)}):
        assert torch.tensor(2**40).item() == 2**40
        Adjoint(X2, Y1, hidden=[2], n_starts=2)


def test_a_loss_that_is_none_is_refused_by_name():
    model = sine_model()
    with pytest.raises(CheckpointError, match="loss_kind of the checkpoint names no loss, expected mse, l1, huber"):
        model.load_state_dict({**model.state_dict(), "loss_kind": torch.tensor(3)})


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("value", [0.3, 1e3, -1e12, 1e300])
def test_any_y_gives_as_many_finite_rows_as_starts(name, value):
    x = Variables.numbered("x", 2, bounds=((None, 20.0), (None, None)))
    torch.manual_seed(0)
    model = SEARCHES[name](x=x, y=Y1)
    rows = 3 * rows_of(400, 2) + 10
    rows[:, 0] = rows[:, 0].clamp(max=20)
    model.initialise(rows, rows[:, :1], seeded())
    nn.init.normal_(model.net.last.weight)
    y = torch.tensor([[value], [0.0]], dtype=torch.float64)
    found, extra = model.posterior(y, 50, seeded())
    assert found.shape == (2, 50, 2) and found.dtype == torch.float64 and found.isfinite().all()
    assert (found[..., 0] <= 20).all()
    assert all(part.shape == (2, 50) and part.isfinite().all() for part in extra.values())
    assert value < 1 or not extra["converged"][0].any()
    assert torch.equal(found, model.sample(y, 50, seeded()))
    assert not model.has_density and model.is_search
    if value == 0.3:
        health = model.diagnostics(found[0], y[:1].expand(50, -1))
        assert health == {"forward_loss": pytest.approx(float(extra["loss"][0].mean()), rel=1e-3)}


def test_the_boundary_loss_keeps_x_in_the_training_range():
    rows = torch.rand(500, 2, generator=seeded(), dtype=torch.float64)
    y = torch.tensor([[3.0]], dtype=torch.float64)  # x1 + x2 = 3 is out of reach in [0, 1]^2
    total = lambda x: x.sum(1, keepdim=True)  # noqa: E731
    kept, extra = knowing(total, X2, rows).posterior(y, 200, seeded())
    assert not extra["converged"].any() and kept.max() < 1.1 and kept.min() > -0.1
    free, extra = knowing(total, X2, rows, boundary=0.0).posterior(y, 200, seeded())
    assert free.max() > 1.2 and not extra["converged"].any(), (
        "outside the range f is a guess, so that counts for nothing"
    )
    for value in (1.7, 0.4):
        reach = knowing(total, X2, rows).posterior(torch.tensor([[value]], dtype=torch.float64), 200, seeded())
        assert reach[1]["converged"].double().mean() > 0.95


def test_no_row_leaves_the_bounds():
    x = Variables.numbered("x", 2, bounds=((0.0, 1.0), (0.0, None)))
    rows = torch.rand(500, 2, generator=seeded(), dtype=torch.float64)
    model = knowing(lambda x: x.sum(1, keepdim=True), x, rows, boundary=0.0)
    y = torch.tensor([[-50.0], [50.0]], dtype=torch.float64)
    found = model.posterior(y, 200, seeded())[0]
    assert found[..., 0].min() >= 0 and found[..., 0].max() <= 1 and found[..., 1].min() >= 0
    outside = torch.full((200, 2), -7.0, dtype=torch.float64)
    assert model.posterior(y[:1], 200, seeded(), outside)[0].min() >= 0


def test_starts_are_taken_row_by_row_and_checked():
    task, model = Sine(), sine_model()
    y = torch.tensor([[1.5], [0.4]], dtype=torch.float64)
    exact = torch.as_tensor(task.reference_posterior(np.array([1.5]), 30, np.random.default_rng(1)))
    x, extra = model.posterior(y, 30, seeded(), exact)
    assert (extra["steps"][0] == 0).all() and (x[0] - exact).abs().max() < 1e-6
    assert (extra["steps"][1] > 0).all(), "on the level 1.5 and asked for .4"
    each = torch.stack([exact.flip(0), exact])
    other = model.posterior(y, 30, seeded(), each)[0]
    assert torch.equal(other[1], x[1]) and torch.equal(other[0], x[0].flip(0))
    for wrong in (exact[:29], exact[None], exact[:, :1]):
        with pytest.raises(ShapeError, match=r"starts: expected \(30, 2\) or \(2, 30, 2\), got"):
            model.posterior(y, 30, seeded(), wrong)
    with pytest.raises(ShapeError, match="finite"):
        model.posterior(y, 30, seeded(), exact.log())


def test_starts_of_its_own_are_training_rows_each_once():
    rows = rows_of(300, 2)
    model = Adjoint(X2, Y1, n_starts=300, max_steps=1)
    model.initialise(rows, rows[:, :1], seeded())
    assert torch.equal(model.starts.sort(0).values, rows.sort(0).values)
    model.tolerance = 1e6  # every start counts as a solution, and stays
    x = model.posterior(torch.zeros(3, 1, dtype=torch.float64), 100, seeded())[0].reshape(-1, 2)
    assert (x.sort(0).values - rows.sort(0).values).abs().max() < 1e-6
    few = Adjoint(X2, Y1, n_starts=1_000)
    few.initialise(rows, rows[:, :1], seeded())
    assert all((few.starts == row).all(1).sum() in (3, 4) for row in rows[:20])


def test_the_starts_nearer_by_need_fewer_steps():
    model = sine_model()
    y = torch.tensor([[1.5]], dtype=torch.float64)
    exact = Sine().reference_posterior(np.array([1.5]), 500, np.random.default_rng(1))
    near = torch.as_tensor(np.clip(exact + 0.02 * np.random.default_rng(2).standard_normal((500, 2)), -1, 1))
    steps = {
        name: extra["steps"][extra["converged"]].double().mean()
        for name, (_, extra) in {
            "near": model.posterior(y, 500, seeded(), near),
            "prior": model.posterior(y, 500, seeded()),
        }.items()
    }
    assert steps["near"] < steps["prior"] - 1


@pytest.mark.parametrize("columns", [1, 2])
def test_labels_are_reached_by_cross_entropy(columns):
    y = Variables(("class", "size")[:columns], labels=(("ant", "bee", "cat"), None)[:columns])
    rows = rows_of(2_000, 2)
    codes = torch.stack([(rows[:, 0] > -0.5).double() + (rows[:, 0] > 0.5), rows[:, 1]], 1)[:, :columns]
    torch.manual_seed(0)
    model = Adjoint(X2, y, hidden=[32], max_steps=200)
    model.initialise(rows, codes, seeded())
    loss = Regression("mse")
    loss.attach(model, None)
    optimizer = torch.optim.Adam(model.net.parameters(), 1e-2)
    for step in range(300):
        optimizer.zero_grad()
        loss(model, (rows, codes), step, seeded())[0].backward()
        optimizer.step()
    asked = torch.tensor([[0.0, 0.7], [1, -0.7], [2, 0.0]], dtype=torch.float64)[:, :columns]
    x, extra = model.posterior(asked, 200, seeded())
    assert extra["converged"].double().mean() > 0.9
    for k, (low, high) in enumerate([(-9, -0.5), (-0.5, 0.5), (0.5, 9)]):
        good = x[k][extra["converged"][k]]
        assert ((good[:, 0] > low) & (good[:, 0] < high)).double().mean() > 0.97
        assert columns == 1 or (good[:, 1] - asked[k, 1]).abs().median() < 0.1


def test_what_it_can_not_be_trained_for_is_refused():
    with pytest.raises(ConfigError, match="has no y; choose a flow"):
        Adjoint(X2, None)
    with pytest.raises(ConfigError, match="shares of a whole"):
        Adjoint(Variables.numbered("x", 2, simplex=True), Y1)
    with pytest.raises(ConfigError, match="ConditionalFlow is not; choose model=adjoint"):
        from catalogue import BLOCKS

        Regression().attach(ConditionalFlow(X2, Y1, n_blocks=1, **BLOCKS["rnvp"]), None)


# ---- the commands ----------------------------------------------------------------------------------------
SMALL = ["task=ring", "task.n_train=1000", "trainer.max_steps=120", "trainer.batch_size=64"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A sweep over a flow and a search on one task, and a flow on another task."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        assert main(["train", *SMALL, "-m", "model=rnvp,adjoint"]) == 0
        (sweep,) = (root / "sweeps").iterdir()
        sweep.rename(root / "sweep")
        assert main(["train", "task=linear", "model.n_blocks=1", *SMALL[1:], f"hydra.run.dir={root}/linear"]) == 0
    return root


@pytest.fixture
def inn(root, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; gives what it printed on stdout, or the one line of an error."""
    monkeypatch.setenv("INN_OUTPUTS", str(root))
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        got = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert got == code, err
        assert code == 0 or (not out and len(err.splitlines()) == 1), err
        return err if code else out

    return run


def test_one_sweep_trains_flow_and_search_each_by_its_own_objective(root):
    names = [yaml.safe_load((root / "sweep" / k / "config.yaml").read_text())["names"] for k in "01"]
    assert [(n["model"], n["objective"]) for n in names] == [("rnvp", "nll"), ("adjoint", "regression")]


def test_invert_prints_the_distinct_solutions(inn, root, tmp_path):
    out = inn("invert", "--run", root / "sweep/1", "--y", "1", "--out", "set.npz", "-n", "200")
    assert "solution" in out and "% of the draws converged, to " in out and "steps " in out and "mean" not in out
    kept = posterior_files.load(tmp_path / "set.npz")
    assert {"loss", "converged", "steps", "solution"} == set(kept.extra) and np.isnan(kept.log_prob).all()
    found = json.loads(inn("invert", "--run", root / "sweep/1", "--y", "1", "--json", "-n", "200"))["observations"][0]
    which = kept.extra["solution"][0]
    assert found["converged"] == kept.extra["converged"].mean() > 0.5
    assert [s["draws"] for s in found["solutions"]] == np.bincount(which[which >= 0].astype(int)).tolist()
    good = kept.x[0][kept.extra["converged"][0] > 0]
    error = np.sqrt((((good**2).sum(1) - 1) ** 2).mean())
    assert found["resimulation_error_converged"] == pytest.approx(error) and "error converged" in out
    assert found["solutions"][0]["centre"]["x1"] == pytest.approx(kept.x[0][which == 0][:, 0].mean())
    assert "0.0% of the draws converged, to 0 distinct" in inn("invert", "--run", root / "sweep/1", "--y", "1e9")


def test_starts_from_another_run(inn, root, tmp_path):
    flow, search = root / "sweep/0", root / "sweep/1"
    inn("invert", "--run", search, "--y", "1", "--starts", flow, "-n", "50", "--out", "set.npz")
    inn("invert", "--run", flow, "--y", "1", "-n", "50", "--out", "flow.npz")
    kept, flows = posterior_files.load(tmp_path / "set.npz"), posterior_files.load(tmp_path / "flow.npz")
    assert kept.meta["starts"] == "0" or kept.meta["starts"].endswith("/0")
    still = kept.extra["steps"][0] == 0
    np.testing.assert_allclose(kept.x[0][still], flows.x[0][still], atol=1e-6)
    apart = np.linalg.norm(kept.x[0] - flows.x[0], axis=1)
    assert np.median(apart) < 0.5, "a row stays near its own start"
    assert np.median(np.linalg.norm(kept.x[0] - flows.x[0][::-1], axis=1)) > 0.8
    assert "takes no starts" in inn("invert", "--run", flow, "--y", "1", "--starts", search, code=2)
    assert "has x = (x1, x2, x3, x4)" in inn("invert", "--run", search, "--y", "1", "--starts", root / "linear", code=2)
    assert "no run" in inn("invert", "--run", search, "--y", "1", "--starts", "nosuch", code=2)


def test_the_other_commands_on_a_search(inn, root):
    assert "forward_loss" in inn("show", "--run", root / "sweep/1")
    assert "1,000 draws" in inn("sample", "--run", root / "sweep/1")
    assert "no density" in inn("density", "--run", root / "sweep/1", "--y", "1", "--grid", "5", code=2)


def test_wrong_pairs_of_model_and_objective_are_refused_before_anything_is_written(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "none"))
    assert "needs a density" in inn("train", *SMALL, "model=adjoint", "objective=nll", code=2)
    assert "choose model=adjoint" in inn("train", *SMALL, "model=rnvp", "objective=regression", code=2)
    assert "has no y" in inn("train", "task=eight_gaussians", "model=adjoint", code=2)
    assert not (tmp_path / "none").exists()
