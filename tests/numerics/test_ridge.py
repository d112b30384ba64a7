"""The regressions that start a flow: against least squares, against brute force, against the exact posterior."""

import numpy as np
import pytest
import torch

from inncli.numerics.inverse_regression import inverse_regression
from inncli.numerics.ridge import Design, rows_for


def normal(*shape, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).standard_normal(shape))


def test_with_many_rows_it_is_least_squares():
    f, noise = normal(2_000, 4), normal(2_000, 2, seed=1)
    x = f @ torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.5], [0.0, 0.0]], dtype=f.dtype) + 0.1 * noise + 5
    fitted = Design(f).fit(x)
    design = torch.cat([f, torch.ones(len(f), 1, dtype=f.dtype)], 1)
    truth = torch.linalg.lstsq(design, x).solution
    assert (fitted.coefficients - truth[:-1].T).abs().max() < 1e-4
    assert (fitted.intercept - truth[-1]).abs().max() < 1e-4


@pytest.mark.parametrize("rows, dropped", [(40, True), (2_000, False)])
def test_of_few_rows_no_prediction_is_made_of_noise(rows, dropped):
    f, x = normal(rows, 3), normal(rows, 2, seed=1)
    fitted = Design(f).fit(x)
    assert (fitted.coefficients == 0).all().item() is dropped
    if dropped:  # each row is predicted by the mean of the others
        others = torch.stack([x[torch.arange(rows) != i].mean(0) for i in range(rows)])
        assert (fitted.residual - (x - others)).abs().max() < 1e-12


def test_of_few_rows_a_column_that_is_told_is_predicted():
    f = normal(15, 2)
    x = torch.cat([f[:, :1] + 0.5 * normal(15, 1, seed=1), normal(15, 1, seed=2)], 1)
    assert abs(float(Design(f).fit(x).coefficients[0, 0]) - 1) < 0.3


def test_the_residual_is_that_of_a_fit_without_the_row():
    common = normal(12, 1, seed=2)
    f, x = common + normal(12, 30), common + 0.5 * normal(12, 1, seed=1)
    fitted = Design(f).fit(x)
    for penalty in Design(f)._penalties():
        # brute force: the same ridge, standardised by all rows, fitted without each row in turn
        z = (f - f.mean(0)) / f.std(0, correction=0)
        off = []
        for i in range(len(f)):
            keep = torch.arange(len(f)) != i
            # the mean is fitted too: a column of ones without penalty
            design = torch.cat([z, torch.ones(len(z), 1, dtype=z.dtype)], 1)
            weight = torch.diag(torch.tensor([penalty] * z.shape[1] + [0.0], dtype=z.dtype))
            a = design[keep]
            if not penalty:
                break
            beta = torch.linalg.solve(a.T @ a + weight, a.T @ x[keep])
            off.append(x[i] - design[i] @ beta)
        if off and (torch.stack(off) - fitted.residual).abs().max() < 1e-5:
            return
    pytest.fail("no penalty of the grid has this residual")


def test_digits_survive_where_two_features_differ_by_a_millionth():
    base, difference = normal(3_000, 1), 1e-6 * normal(3_000, 1, seed=1)
    x = 1e6 * difference
    fitted = Design(torch.cat([base, base + difference], 1)).fit(x)
    assert fitted.residual.std() < 1e-6


def test_a_constant_feature_and_a_copy_do_no_harm():
    f = normal(500, 2)
    f = torch.cat([f, f[:, :1], torch.full((500, 1), 7.0, dtype=f.dtype)], 1)
    x = f[:, :1] + 0.1 * normal(500, 1, seed=1)
    fitted = Design(f).fit(x)
    assert fitted.coefficients.isfinite().all() and 0.09 < float(fitted.residual.std()) < 0.11


@pytest.mark.parametrize("rows, dim_f", [(1_000_000, 3), (5_000, 1_500), (1_000, 5_000), (1_000_000, 0)])
def test_the_cost_of_a_fit_is_bounded(rows, dim_f):
    n = rows_for(rows, dim_f)
    assert 0 < n <= min(rows, 50_000) and n * dim_f * min(n, dim_f) <= 2.1e10


def readings(rows, dim_f=400, seed=0):
    """Noisy readings, linear in three unknowns, and the exact posterior of these."""
    a = normal(dim_f, 3, seed=7) / 10
    x = normal(rows, 3, seed=seed)
    y = x @ a.T + normal(rows, dim_f, seed=seed + 1)
    c = torch.linalg.inv(torch.eye(3, dtype=a.dtype) + a.T @ a)
    return x, y, (lambda y: y @ (c @ a.T).T), c


@pytest.mark.parametrize("fit", ["ridge", "inverse"])
def test_more_readings_than_rows_give_an_honest_answer(fit):
    x, y, exact, c = readings(200)
    fitted = Design(y).fit(x) if fit == "ridge" else inverse_regression(y, x)
    new, seen, exact, c = readings(2_000, seed=10)
    off = new - seen @ fitted.coefficients.T - fitted.intercept
    assert 0.8 < float(off.square().mean() / fitted.residual.square().mean()) < 1.15
    mean = (seen @ fitted.coefficients.T + fitted.intercept - exact(seen)) / torch.diagonal(c).sqrt()
    assert float(mean.square().mean().sqrt()) < {"ridge": 1.2, "inverse": 1.0}[fit]
    # least squares goes through every row
    blind = torch.linalg.lstsq(y, x).solution
    assert float((y @ blind - x).abs().max()) < 1e-8


def test_inverse_regression_says_where_its_entries_hang_together():
    x = normal(300, 1)
    common = normal(300, 1, seed=1)
    f = x + common + 0.01 * normal(300, 50, seed=2)  # fifty readings of one noisy number
    assert float(inverse_regression(f, x).residual.std()) > 0.6
