"""What a run's pictures are made of: arms end at y, real images are of y's class, z is the model's own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from inncli.data.pairs import Pairs
from inncli.errors import RequestError, RunError
from inncli.inference.trained_model import TrainedModel
from inncli.models.adjoint import Adjoint
from inncli.models.flow import ConditionalFlow
from inncli.models.inn import INN
from inncli.reporting import figures
from inncli.tasks.benchmarks.inverse_ballistics import InverseBallistics
from inncli.tasks.benchmarks.inverse_kinematics import InverseKinematics
from inncli.tasks.measured.digits import Digits
from inncli.tasks.toy.linear import Linear
from inncli.tasks.toy.ring import Ring
from inncli.transforms.blocks import RealNVPBlock
from inncli.variables import Variables

RUN = SimpleNamespace(id="a_run")


def exact(task):
    """An trained that draws from the task's own exact posterior."""

    def sample(y, n, seed):
        return np.stack([task.reference_posterior(row, n, np.random.default_rng([seed, k])) for k, row in enumerate(y)])

    return SimpleNamespace(id="a_run", x=task.x, y=task.y, sample=sample)


def ends(axes):
    return np.array([path.vertices[-1] for path in axes.collections[0].get_paths()])


@pytest.mark.parametrize(
    "task, y, target",
    [(InverseKinematics(), [1.5, 0.2], [1.5, 0.2]), (InverseBallistics(), [6.0], [6.0, 0.0])],
    ids=["arms", "throws"],
)
def test_paths_of_exact_draws_end_at_the_mark(task, y, target):
    fig = figures.view(exact(task), RUN, task, np.array([y]), None, 30, 0)
    for axes in fig.axes:
        (mark,) = [line for line in axes.lines if line.get_label() == "y, the target"]
        assert mark.get_xydata().tolist() == [target]
        np.testing.assert_allclose(ends(axes), np.tile(target, (30, 1)), atol=1e-9)
    model, reference = fig.axes
    assert not np.allclose(
        model.collections[0].get_paths()[0].vertices, reference.collections[0].get_paths()[0].vertices
    )
    assert (model.get_xlabel(), model.get_ylabel()) == task.path_axes


def test_images_of_every_class_stand_beside_real_ones_of_it():
    task = Digits()
    pairs = task.test_pairs(0)

    def sample(y, n, seed):  # every pixel of a draw is its class
        return np.repeat(np.repeat(y[:, None], n, 1), 64, 2)

    trained = SimpleNamespace(x=task.x, y=task.y, sample=sample)
    fig = figures.view(trained, RUN, task, None, pairs, 400, 0)
    drawn, real = (axes.images[0].get_array() for axes in fig.axes)
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == list("0123456789")
    for digit in range(10):
        rows = slice(9 * digit, 9 * digit + 8)
        assert (drawn[rows, :8] == digit).all()
        first = pairs.x[pairs.y[:, 0] == digit][0].reshape(8, 8)
        np.testing.assert_array_equal(real[rows, :8], first)
    fig = figures.view(trained, RUN, task, np.array([[3.0]]), pairs, 400, 0)
    drawn, real = (axes.images[0].get_array() for axes in fig.axes)
    assert np.nanmin(drawn) == np.nanmax(drawn) == 3
    np.testing.assert_array_equal(real[9:17, :8], pairs.x[pairs.y[:, 0] == 3][8].reshape(8, 8))
    assert fig.axes[0].get_yticklabels()[0].get_text() == "digit = 3"


def test_a_task_without_a_view_and_a_view_without_y_are_refused():
    ring, arm = Ring(), InverseKinematics()
    for task, y, message in [
        (ring, [[0.3]], "has no view of its own"),
        (None, [[0.3]], "has no view of its own"),
        (arm, None, r"expected an observation of y1, y2, got none; pass `y`"),
    ]:
        with pytest.raises(RequestError, match=message):
            figures.view(exact(arm), RUN, task, y, None, 10, 0)


def test_reference_and_cloud_are_refused_where_there_is_none(tmp_path):
    task, digits = Ring(), Digits()
    draws = SimpleNamespace(x_names=("a", "b"), y_names=("y1",), y=np.array([[0.3]]), n_draws=5)
    with pytest.raises(
        RequestError, match="`cloud=True` runs the simulator of run a_run, which is your own file; add `resim"
    ):
        figures.cloud(RUN, None, draws, 0)
    with pytest.raises(RequestError, match="the task of run a_run .digits. can't; leave it out"):
        figures.cloud(RUN, digits, draws, 0)
    with pytest.raises(RequestError, match="`reference`: the set holds a, b, the task of run a_run x1, x2"):
        figures.reference(RUN, task, draws, 0, 0)
    with pytest.raises(RequestError, match="no exact posterior"):
        figures.reference(RUN, None, draws, 0, 0)


# ---- the latent -------------------------------------------------------------------------------------
def opened(model):
    return TrainedModel(model.eval(), {"config": {"dtype": "float64"}}, "a_run", torch.device("cpu"))


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_latent_of_a_linear_gaussian_is_its_whitened_residual(double):
    task = Linear([[1.0, 0.5], [0.0, 1.0]])
    pairs = task.test_pairs(0, 500)
    torch.manual_seed(0)
    flow = ConditionalFlow(
        task.x, task.y, block=lambda dim, context, seed: RealNVPBlock(dim, context, [8], seed=seed), n_blocks=2
    )
    flow.initialise(torch.as_tensor(pairs.x), torch.as_tensor(pairs.y), torch.Generator().manual_seed(0))
    trained = opened(flow)
    z = trained.latent(pairs.x, pairs.y)
    # any normalizing flow: log p(x|y) = log N(z) + log|det|; here the map is affine, so the difference is a constant
    rest = trained.log_prob(pairs.x, pairs.y) + 0.5 * (z**2).sum(1)
    assert np.ptp(rest) < 1e-9
    assert np.abs(np.cov(z.T) - np.eye(z.shape[1])).max() < 0.05
    x = flow._to_x(torch.as_tensor(z), torch.as_tensor(pairs.y))[0].detach().numpy()
    np.testing.assert_allclose(x, pairs.x, atol=1e-9)


def test_the_latent_of_an_inn_gives_x_back_with_its_y(double):
    x, y = Variables.numbered("x", 2), Variables.numbered("y", 1)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 2))
    targets = rows[:, :1] + rows[:, 1:]
    torch.manual_seed(0)
    model = INN(x, y, n_blocks=2, hidden=[8], dim_z=1, padding=0)
    model.initialise(torch.as_tensor(rows), torch.as_tensor(targets), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.blocks.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    z = opened(model).latent(rows, targets)
    assert z.shape == (50, 1)
    with torch.no_grad():
        seen, _, v, _ = model(model.scaled(torch.as_tensor(rows)), torch.zeros(50, 0))
        back = model.inverse(seen, torch.as_tensor(z), v)[0]
    np.testing.assert_allclose(back, model.scaled(torch.as_tensor(rows)).numpy(), atol=1e-9)


def test_a_model_without_a_latent_says_so():
    trained = opened(Adjoint(Variables.numbered("x", 2), Variables.numbered("y", 1)))
    with pytest.raises(RunError, match="run a_run: Adjoint has no latent space; pick a run of a flow or an INN"):
        trained.latent(np.ones((3, 2)), np.ones((3, 1)))


def test_the_latent_picture_is_coloured_by_y():
    task = Ring()
    pairs = Pairs(np.random.default_rng(0).normal(size=(40, 2)), np.arange(40.0)[:, None])
    trained = SimpleNamespace(y=task.y, latent=lambda x, y, seed: x)
    fig = figures.latent(trained, RUN, pairs, 0)
    dots = fig.subfigs[0].axes[1].collections[0]
    for place, colour in zip(dots.get_offsets(), dots.get_array(), strict=True):
        np.testing.assert_array_equal(place, pairs.x[int(colour)])
