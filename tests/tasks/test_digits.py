"""The digits: pixels and their cells, blank pixels, the split, and the closed-form start by class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from inncli import config
from inncli.config import registry
from inncli.errors import ConfigError
from inncli.experiments.setup import build_setup, new_model, split_pairs
from inncli.models.flow import ConditionalFlow
from inncli.tasks.measured.digits import Digits
from inncli.training.group import alone
from inncli.transforms.class_gaussian import ClassGaussian
from inncli.transforms.linear import LinearGaussian
from inncli.variables import Variables


@pytest.fixture(scope="module")
def task():
    return Digits()


@pytest.fixture(scope="module")
def started():
    """The recipe's model before the first step."""
    return _start("experiment=digits")


def _start(*words):
    (job,) = config.plan([*words])
    setup = build_setup(registry.check(job.config), alone(torch.device("cpu")))
    return new_model(setup, split_pairs(setup, setup.task.training_pairs(0))).eval()


def test_rows_are_images_of_grey_levels_with_their_class(task):
    pairs = task.training_pairs(0)
    assert pairs.x.shape == (1_438, 64) and len(task.test_pairs(0)) == 359
    assert task.image_shape == (8, 8)
    assert task.x.names[0] == "p00" and task.x.names[9] == "p11" and task.x.names[-1] == "p77"
    assert np.array_equal(pairs.x, np.round(pairs.x)) and pairs.x.min() == 0 and pairs.x.max() == 16
    assert task.y.labels == (tuple("0123456789"),)
    assert set(pairs.y[:, 0]) == set(range(10))
    # a 0 has an empty middle, a 1 has not: pixels and classes belong together, row by row
    middle = pairs.x.reshape(-1, 8, 8)[:, 3:5, 3:5].mean((1, 2))
    assert middle[pairs.y[:, 0] == 0].mean() < 3 < 10 < middle[pairs.y[:, 0] == 1].mean()


def test_test_rows_are_never_trained_on(task):
    both = np.concatenate([task.training_pairs(1).x, task.test_pairs(1).x])
    assert len(np.unique(both, axis=0)) == 1_797
    assert not np.array_equal(task.test_pairs(1).x, task.test_pairs(2).x)
    with pytest.raises(ConfigError, match="1,438 rows that digits has beside its test rows"):
        Digits(n_train=1_500)


def test_blank_pixels_are_known_and_all_cells_hold_their_rows(task):
    blank = [name for name, bounds in zip(task.x.names, task.x.bounds, strict=True) if bounds == (0.0, 0.0)]
    assert blank == ["p00", "p40", "p47"]
    low, high = np.array(task.x.cells).T
    x = task.training_pairs(0).x
    assert np.all(x - 0.5 >= low) and np.all(x + 0.5 <= high)


def test_untrained_draws_are_recorded_pixels_and_blank_where_all_are(started, task):
    draws = started.sample(
        torch.tensor([[3.0], [8.0]], dtype=torch.float64), 200, torch.Generator().manual_seed(0)
    ).numpy()
    assert draws.shape == (2, 200, 64)
    assert np.array_equal(draws, np.round(draws)) and draws.min() == 0 and draws.max() == 16
    assert np.all(draws[:, :, [0, 32, 39]] == 0)


def test_the_start_is_a_gaussian_of_each_class_and_histograms_are_above_it(started, task):
    """Before any training, against Gaussians of the pixels: the recipe's start, and one that spreads the heaps."""
    rng = np.random.default_rng(0)
    training, test = task.training_pairs(0), task.test_pairs(0)
    spread = test.x + rng.random(test.x.shape) - 0.5
    x = training.x + rng.random(training.x.shape) - 0.5
    gaussian = np.empty(len(test))
    for label in range(10):
        rows, here = x[training.y[:, 0] == label], test.y[:, 0] == label
        covariance = 0.9 * np.cov(rows.T) + 0.1 * np.diag(rows.var(0))
        gaussian[here] = multivariate_normal(rows.mean(0), covariance).logpdf(spread[here])
    gains = []
    for model in (started, _start("experiment=digits", "model.bounds=logit")):
        with torch.no_grad():
            flow = model.log_prob(torch.as_tensor(spread), torch.as_tensor(test.y)).numpy()
        assert np.isfinite(flow).all()
        gains.append((flow - gaussian).mean())
    assert abs(gains[0]) < 4 and gains[1] > 12


def test_clip_is_for_recorded_columns_and_records_the_bound():
    from inncli.models.preprocessing import Scaling

    recorded = Variables(("a",), bounds=((0.0, 4.0),), steps=(1.0,), heaps=((0.0,),))
    scaling = Scaling(recorded, "clip")
    x = torch.tensor([[-3.0], [0.4], [4.4], [9.0]], dtype=torch.float64)
    scaling.initialise(x)
    assert scaling.record(x)[:, 0].tolist() == [0, 0, 4, 4]
    assert scaling.outside(x).tolist() == [True, False, False, True]
    z = scaling(x)[0]
    assert torch.allclose(z.diff(dim=0) / x.diff(dim=0), 1 / scaling.parts[2].scale)  # affine: no heap, no logit
    with pytest.raises(ConfigError, match="'a' is bounded and has no recording step; pass model.bounds=auto"):
        Scaling(Variables(("a",), bounds=((0.0, None),)), "clip")
    with pytest.raises(ConfigError, match="model.bounds=clip keeps draws in a box"):
        Scaling(Variables.numbered("x", 2, simplex=True), "clip")


def test_a_blank_pixel_with_ink_has_no_density(started, task):
    x = task.test_pairs(0, 1).x.copy()
    y = torch.as_tensor(task.test_pairs(0, 1).y)
    assert torch.isfinite(started.log_prob(torch.as_tensor(x), y)).all()
    x[0, 0] = 5
    assert started.log_prob(torch.as_tensor(x), y).item() == -np.inf


# --- the layer with a covariance for each class -------------------------------------------------------------


def classes(rows, seed=0):
    """Two classes with their own mean and covariance, and a number beside the label that moves the mean."""
    rng = np.random.default_rng(seed)
    label = np.arange(rows) % 2
    number = rng.standard_normal(rows)
    factor = np.array(
        [[[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [0.0, 0.5, 0.5]], [[0.2, 0.0, 0.0], [-0.4, 0.3, 0.0], [0.0, 0.0, 2.0]]]
    )
    mean = np.array([[0.0, 1.0, 2.0], [3.0, -1.0, 0.0]])[label] + number[:, None] * np.array([1.0, 0.0, -0.5])
    x = mean + np.einsum("nij,nj->ni", factor[label], rng.standard_normal((rows, 3)))
    context = np.column_stack([number, label == 0, label == 1])
    exact = np.array(
        [multivariate_normal(m, factor[k] @ factor[k].T).logpdf(r) for m, k, r in zip(mean, label, x, strict=True)]
    )
    return torch.as_tensor(x), torch.as_tensor(context.astype(float)), exact


def log_prob(layer, x, context):
    z, ladj = layer(x, context)
    return (-0.5 * z.square().sum(1) - 1.5 * np.log(2 * np.pi) + ladj).detach().numpy()


def test_many_rows_give_each_class_its_exact_gaussian():
    x, context, exact = classes(20_000)
    layer = ClassGaussian(3, 3, classes=2, first=1).double()
    layer.initialise(x, context)
    np.testing.assert_allclose(log_prob(layer, x, context).mean(), exact.mean(), atol=0.002)
    assert np.abs(log_prob(layer, x, context) - exact).max() < 0.5
    shared = LinearGaussian(3, 3).double()
    shared.initialise(x, context)
    assert log_prob(shared, x, context).mean() < exact.mean() - 0.5  # one covariance can't do it


def test_few_rows_lean_on_the_shared_covariance():
    """Classes that do share a covariance, fewer rows in each than columns: as good as the layer that knows."""
    rng = np.random.default_rng(0)
    factor = np.linalg.cholesky(0.8 * np.ones((12, 12)) + 0.2 * np.eye(12))
    label = np.arange(80) % 8

    def rows(label):
        context = torch.as_tensor(np.eye(8)[label])
        return torch.as_tensor(rng.standard_normal((len(label), 12)) @ factor.T), context

    training, test = rows(label), rows(np.arange(4_000) % 8)
    layer, shared = ClassGaussian(12, 8, classes=8).double(), LinearGaussian(12, 8).double()
    scores = []
    for fitted in (layer, shared):
        fitted.initialise(*training)
        z, ladj = fitted(*test)
        scores.append(float((-0.5 * z.square().sum(1) + ladj).mean().detach()))
    assert scores[0] > scores[1] - 0.5
    shrunk, layer.towards_shared = scores[0], (0.0,)
    layer.initialise(*training)
    z, ladj = layer(*test)
    assert float((-0.5 * z.square().sum(1) + ladj).mean()) < shrunk - 0.7  # without it


def test_a_class_without_rows_has_the_shared_covariance():
    x, context, _ = classes(400)
    layer = ClassGaussian(3, 4, classes=3, first=1).double()
    layer.initialise(x, torch.cat([context, torch.zeros(400, 1, dtype=context.dtype)], 1))
    absent = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    assert torch.isfinite(layer(x[:1], absent)[0]).all()


def test_a_start_by_class_needs_one_label():
    block = lambda dim, dim_context, seed: LinearGaussian(dim, dim_context)  # noqa: E731
    x = Variables.numbered("x", 2)
    for y in (None, Variables(("a",)), Variables(("a", "b"), labels=(("u", "v"), ("u", "v")))):
        with pytest.raises(ConfigError, match="linear_start=class needs one column of labels in y"):
            ConditionalFlow(x, y, block, n_blocks=1, linear_start="class")
    mixed = Variables(("a", "b"), labels=(None, ("u", "v")))
    assert ConditionalFlow(x, mixed, block, n_blocks=1, linear_start="class").linear.code == slice(1, 3)
