"""Calibration: each metric against closed forms and brute force, and faults put in on purpose by their names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import stats

from inncli.data.pairs import Pairs
from inncli.evaluation.cache import Evaluation
from inncli.evaluation.calibration import add_calibration, numbers
from inncli.inference.trained_model import TrainedModel
from inncli.metrics import sbc as metric
from inncli.metrics.diagnosis import check, diagnose, unrolled, visible
from inncli.metrics.diagnosis_words import calibrated
from inncli.metrics.recalibration import recalibrated, recalibration
from inncli.metrics.tarp import nearest_before, tarp_ranks
from inncli.metrics.y_dependence import y_dependence
from inncli.models.base import Model
from inncli.tasks.toy.gaussian_modes import GaussianModes
from inncli.tasks.toy.linear import Linear
from inncli.tasks.toy.ring import Ring
from inncli.variables import Variables

LINEAR = Linear(A=[[1.0, 0.5, -0.5], [0.0, 1.0, 1.0]], noise=0.3)
ROWS, DRAWS = 400, 60


def spoiled(task, how: str, seed: int = 0, rows: int = ROWS, only: int | None = None):
    """Held-out pairs and draws of the exact posterior, or of what `how` makes of it."""
    pairs, rng = task.test_pairs(seed, rows), np.random.default_rng([seed, 99])
    if how == "prior":
        return pairs, task.prior(rows * DRAWS, rng).reshape(rows, DRAWS, -1)
    exact = np.stack([task.reference_posterior(y, DRAWS + 300, rng) for y in pairs.y])
    x, mean, sd = exact[:, :DRAWS], exact.mean(1, keepdims=True), exact.std(1, keepdims=True)
    wrong = {
        "exact": x,
        "wide": mean + 1.5 * (x - mean),
        "narrow": mean + 0.67 * (x - mean),
        "high": x + 0.5 * sd,
        "low": x - 0.5 * sd,
    }[how]
    return pairs, wrong if only is None else np.where(np.arange(x.shape[2]) == only, wrong, x)


# ---- ranks -------------------------------------------------------------------------------------------
def test_ranks_are_exactly_uniform_with_ties_and_few_draws():
    rng = np.random.default_rng(0)
    for draw in (lambda size: rng.standard_normal(size), lambda size: rng.integers(0, 3, size).astype(float)):
        u = metric.ranks(draw((40_000, 4, 1)), draw((40_000, 1)), rng)[:, 0]
        assert metric.kolmogorov_smirnov_p(u) > 1e-3 and metric.chi_square(u)[1] > 1e-3
    low = metric.ranks(np.zeros((1, 99, 1)), np.array([[-1.0]]), rng)
    assert 0 < low < 0.01


def test_p_values_are_those_of_the_moments():
    u = np.random.default_rng(0).random((6_000, 80))
    for test, rows in ((metric.centre_p, u), (metric.spread_p, u), (lambda row: metric.chi_square(row)[1], u[:1_000])):
        p = np.array([test(row) for row in rows])
        assert stats.kstest(p, "uniform").pvalue > 1e-4  # chi-square's are near enough to it
    shifted, wide = u[0] * 0.8, 0.5 + 0.7 * (u[0] - 0.5)
    assert metric.centre_p(shifted) < 0.01 and metric.spread_p(wide) < 0.01 < metric.centre_p(wide)


def test_coverage_and_its_band():
    u = np.array([0.02, 0.3, 0.5, 0.7, 0.96])
    assert metric.coverage(u, np.array([0.0, 0.1, 0.5, 0.93, 1.0])).tolist() == [0, 0.2, 0.6, 0.8, 1]
    low, high = metric.coverage_band(200, np.array([0.0, 0.5, 0.9, 1.0]))
    inside = np.abs(2 * np.random.default_rng(0).random((3_000, 200)) - 1)
    for level, below, above in zip((0.5, 0.9), low[1:], high[1:], strict=False):
        share = (inside < level).mean(1)
        assert 0.94 < ((share >= below) & (share <= above)).mean() < 0.98  # of whole rows: a little over .95
    assert (low[[0, 3]], high[[0, 3]]) == (pytest.approx([0, 1]), pytest.approx([0, 1]))


def test_contraction_of_a_gaussian_has_a_closed_form_and_its_error_is_the_spread_over_seeds():
    exact = 1 - np.diag(LINEAR.posterior(np.zeros(2))[1])
    found = [
        metric.contraction(*reversed((pairs.x, draws)))
        for pairs, draws in (spoiled(LINEAR, "exact", seed, 200) for seed in range(30))
    ]
    values, errors = np.array([f[0] for f in found]), np.array([f[1] for f in found])
    assert np.abs(values.mean(0) - exact).max() < 4 * (errors.mean(0) / np.sqrt(30)).max()
    assert values.std(0, ddof=1) == pytest.approx(errors.mean(0), rel=0.5)
    pairs, draws = spoiled(LINEAR, "prior")
    assert np.abs(metric.contraction(draws, pairs.x)[0]).max() < 0.2
    assert (metric.z_scores(*reversed((pairs.x, draws))) ** 2).mean() == pytest.approx(1, abs=0.15)


# ---- TARP --------------------------------------------------------------------------------------------
def test_references_come_from_rows_before_and_have_the_nearest_y():
    y = np.random.default_rng(0).standard_normal((50, 2))
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    found, order = nearest_before(y, rng), again.permutation(50)
    for k in range(1, 50):
        before = order[:k]
        scaled = y / y.std(0)
        assert found[order[k]] == before[np.argmin(((scaled[before] - scaled[order[k]]) ** 2).sum(1))]
    pairs = {(i, j) for i, j in enumerate(found)}
    assert sum((j, i) in pairs for i, j in pairs) <= 2  # none but the first row's took each other


def test_tarp_is_uniform_and_independent_and_sees_the_prior():
    # pairs of near-equal ys: rows that took each other for reference would be right or wrong together
    rng = np.random.default_rng(0)
    means = []
    for _ in range(400):
        y = np.repeat(rng.standard_normal((20, 1)), 2, 0)
        x, draws = y + rng.standard_normal((40, 1)), y[:, None] + rng.standard_normal((40, 30, 1))
        means.append(tarp_ranks(draws, x, y, rng).mean())
    assert np.mean(means) == pytest.approx(0.5, abs=0.01)
    assert np.std(means) == pytest.approx(np.sqrt(1 / 12 / 40), rel=0.12)
    for how, alarm in (("exact", False), ("prior", True)):
        pairs, draws = spoiled(LINEAR, how)
        assert (metric.kolmogorov_smirnov_p(tarp_ranks(draws, pairs.x, pairs.y, rng)) < 1e-4) == alarm


# ---- following ---------------------------------------------------------------------------------------
def test_draws_that_follow_y_are_told_from_draws_that_do_not():
    for task in (LINEAR, Ring()):
        pairs, draws = spoiled(task, "exact")
        right = y_dependence(draws, pairs.x, pairs.y, np.random.default_rng(0))
        assert abs(right.share - 1) < 4 * right.share_se < 0.4 and metric.centre_p(right.u) > 1e-3 and right.r2 > 0.5
        assert len(right.u) == ROWS - ROWS // 5
        pairs, draws = spoiled(task, "prior")
        wrong = y_dependence(draws, pairs.x, pairs.y, np.random.default_rng(0))
        assert abs(wrong.share) < 4 * wrong.share_se < 0.4 and metric.centre_p(wrong.u) < 1e-6


def test_a_y_that_tells_nothing_leaves_nothing_to_follow():
    task = GaussianModes("none")
    pairs, draws = spoiled(task, "prior")
    found = y_dependence(draws, pairs.x, pairs.y, np.random.default_rng(0))
    assert np.isnan(found.share) and found.r2 == 0 and metric.centre_p(found.u) > 1e-3
    assert diagnose(draws, pairs.x, pairs.y, task.x.names, 0).faults == []  # here the prior is right


# ---- correction --------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", [LINEAR, Ring()], ids=["linear", "ring"])
def test_shift_and_width_are_found_and_undone_whatever_the_shape(task):
    pairs, x = spoiled(task, "exact")
    mean, sd = x.mean(1, keepdims=True), x.std(1, keepdims=True)
    moved = mean + 1.4 * (x - mean) + 0.3 * sd * 1.4  # the shift counts in sds of the draws as they are
    fixes = [recalibration(moved[:, :, k], pairs.x[:, k]) for k in range(x.shape[2])]
    for k, fix in enumerate(fixes):
        ref = recalibration(x[:, :, k], pairs.x[:, k])  # the same rows, not spoiled
        assert abs(ref.shift) < 4 * ref.shift_se < 0.3 and abs(np.log(ref.width)) < 4 * ref.log_width_se < 0.3
        assert fix.width == pytest.approx(1.4 * ref.width, rel=0.02)
        assert fix.shift == pytest.approx(0.3 + ref.shift / 1.4, abs=0.03)
    u = metric.ranks(recalibrated(moved, fixes), pairs.x, np.random.default_rng(0))
    assert np.abs(u.mean(0) - 0.5).max() < 0.01 and np.abs(((u - 0.5) ** 2).mean(0) - 1 / 12).max() < 0.005


@pytest.mark.parametrize(
    "shift, width", [(10, 1), (-40, 1), (123, 1), (0, 30), (0, 0.02), (-200, 0.02), (5, 30), (2e3, 1e-3)]
)
def test_a_shift_or_width_however_large_is_found_and_named(shift, width):
    pairs, x = spoiled(LINEAR, "exact")
    mean, sd = x.mean(1, keepdims=True), x.std(1, keepdims=True)
    moved = mean + width * (x - mean + shift * sd)
    found = diagnose(moved, pairs.x, pairs.y, LINEAR.x.names, 0)
    for k, name in enumerate(LINEAR.x.names):
        ref, fix = recalibration(x[:, :, k], pairs.x[:, k]), found.recalibrations[name]
        assert fix.width == pytest.approx(width * ref.width, rel=0.02)
        assert fix.shift == pytest.approx(shift + ref.shift / width, abs=0.03 * max(1, 1 / width))
        assert fix.shift_se == pytest.approx(ref.shift_se / width, rel=0.1)
        assert fix.log_width_se == pytest.approx(ref.log_width_se, rel=0.1)
    expected = [
        fault for fault, there in (("too wide", width > 1), ("too narrow", width < 1), ("biased", shift)) if there
    ]
    assert found.faults == expected
    assert "chance" not in calibrated(found, 0.0, 0.0).text
    assert all(names == list(LINEAR.x.names) for names in found.wrong.values())


@pytest.mark.parametrize("draws", [20, 100])
@pytest.mark.parametrize("shift", [3, 8, 20, 120])
def test_a_shift_is_not_taken_for_a_width(draws, shift):
    # The sds of few draws scatter, and so does a shift that is counted in them.
    rng = np.random.default_rng(0)
    y = rng.standard_normal((1_000, 1))
    truth, x = y + rng.standard_normal((1_000, 1)), y[:, None] + shift + rng.standard_normal((1_000, draws, 1))
    found = diagnose(x, truth, y, ("x1",), 0)
    assert found.faults[0] == "biased" and not {"too narrow", "too wide"} & set(found.faults)
    assert found.recalibrations["x1"].shift == pytest.approx(shift, rel=0.1)


def test_a_single_huge_true_value_does_not_make_draws_one_value():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(500)
    truth[0] = 1e12
    assert recalibration(rng.standard_normal((500, 60)), truth).width == pytest.approx(1, abs=0.15)


def test_draws_that_are_all_alike_are_too_narrow():
    pairs, x = spoiled(LINEAR, "exact")
    found = diagnose(x[:, :1].repeat(DRAWS, axis=1), pairs.x, pairs.y, LINEAR.x.names, 0)
    assert found.faults[0] == "too narrow" and found.wrong["too narrow"] == list(LINEAR.x.names)
    found = diagnose(np.zeros_like(x), pairs.x, pairs.y, LINEAR.x.names, 0)
    assert found.faults[:2] == ["ignores y", "too narrow"]


def test_the_errors_of_shift_and_width_are_the_spread_over_seeds():
    rng = np.random.default_rng(0)
    fixes = [recalibration(rng.standard_normal((200, 60)), rng.standard_normal(200)) for _ in range(60)]
    assert np.std([fix.shift for fix in fixes]) == pytest.approx(fixes[0].shift_se, rel=0.3)
    assert np.std([np.log(fix.width) for fix in fixes]) == pytest.approx(fixes[0].log_width_se, rel=0.3)


# ---- names -------------------------------------------------------------------------------------------
NAMES = {"exact": [], "wide": ["too wide"], "narrow": ["too narrow"], "high": ["biased"], "prior": ["ignores y"]}


@pytest.mark.parametrize("how", NAMES)
@pytest.mark.parametrize("task", [LINEAR, Ring(), GaussianModes("some")], ids=["linear", "ring", "modes"])
def test_each_fault_is_named(task, how):
    pairs, draws = spoiled(task, how)
    found = diagnose(draws, pairs.x, numbers(pairs.y, task.y), task.x.names, 0)
    assert found.faults == NAMES[how]
    if how in ("wide", "narrow", "high"):
        assert found.wrong == {NAMES[how][0]: list(task.x.names)}


def test_only_the_unknown_that_is_wrong_is_named_and_which_way():
    for how, sign in (("high", "high"), ("low", "low")):
        pairs, draws = spoiled(LINEAR, how, only=1)
        found = diagnose(draws, pairs.x, pairs.y, LINEAR.x.names, 0)
        text = calibrated(found, 0.9, 0.01).text
        assert (
            found.wrong == {"biased": ["x2"]} and text.startswith(f"biased: x2 too {sign} by 0.") and "x1" not in text
        )
    pairs, draws = spoiled(LINEAR, "wide", only=2)
    assert diagnose(draws, pairs.x, pairs.y, LINEAR.x.names, 0).wrong == {"too wide": ["x3"]}


def test_a_wrong_shape_is_called_that():
    # two modes where there is one, of the right mean and sd
    rng = np.random.default_rng(0)
    y = rng.standard_normal((800, 1))
    truth = y + rng.standard_normal((800, 1))
    draws = (
        y[:, None] + np.where(rng.random((800, 80, 1)) < 0.5, -1, 1) * 0.98 + 0.2 * rng.standard_normal((800, 80, 1))
    )
    assert "wrong in shape" in diagnose(draws, truth, y, ("x1",), 0).faults


def test_unknowns_that_do_not_hang_together_raise_an_alarm():
    # right margins, but the draws of x2 are dealt anew: the posterior of a sum known to .1 falls apart
    task = Linear(A=[[1.0, 1.0]], noise=0.1)
    pairs, draws = spoiled(task, "exact")
    dealt = np.dstack([draws[:, :, 0], np.random.default_rng(0).permuted(draws[:, :, 1], axis=1)])
    checks = check(dealt, pairs.x, pairs.y, task.x.names, 0)
    assert {"tarp", "follows_y"} & set(checks.alarms) and not any(" of " in alarm for alarm in checks.alarms)
    assert diagnose(dealt, pairs.x, pairs.y, task.x.names, 0).faults


def test_what_few_rows_could_have_shown_is_said():
    seen = []
    for rows in (100, 400):
        pairs, draws = spoiled(LINEAR, "exact", rows=rows)
        found = diagnose(draws, pairs.x, pairs.y, LINEAR.x.names, 0)
        width, shift = visible(found)
        assert f"with {rows} rows a width off by less than {width - 1:.0%}" in calibrated(found, 0.9, 0.01).text
        seen.append((np.log(width), shift))
    assert np.array(seen[0]) == pytest.approx(2 * np.array(seen[1]), rel=0.2)  # the root of the rows
    assert 0.3 < seen[0][1] < 0.8


@pytest.mark.slow
def test_the_rate_of_false_alarms():
    """Of 300 exact posteriors about 5 % have a p below .05 in each test, and hardly one raises an alarm."""
    found = [
        check(draws, pairs.x, pairs.y, LINEAR.x.names, seed)
        for seed in range(300)
        for pairs, draws in [spoiled(LINEAR, "exact", seed, 100)]
    ]
    for name in found[0].p:
        assert (np.array([checks.p[name] for checks in found]) < 0.05).mean() < 0.1, name
    assert sum(bool(checks.alarms) for checks in found) <= 3


# ---- of a model --------------------------------------------------------------------------------------
class Given(Model):
    """Draws that a function makes of y."""

    has_density = False

    def __init__(self, x, y, function):
        super().__init__(x, y)
        self.function = function

    def sample(self, y, n, generator):
        return self.function(y, n, torch.randn(len(y), n, self.dim, generator=generator, dtype=torch.float64))


def asked(x, y, function, pairs, seed=0, **kwargs):
    found = Evaluation()
    model = Given(x, y, function)
    vars(model).update(kwargs)
    add_calibration(
        found, TrainedModel(model, {"config": {"dtype": "float64"}}, "given", torch.device("cpu")), pairs, seed
    )
    return found


X, Y = Variables.numbered("x", 1), Variables.numbered("y", 1)


def gaussian_pairs(n=400, seed=0):
    y, e = np.random.default_rng(seed).standard_normal((2, n, 1))
    return Pairs(y + 0.5 * e, y)


def test_details_are_what_pictures_were_promised():
    found = asked(X, Y, lambda y, n, e: y[:, None] + 0.5 * e, gaussian_pairs())
    details = found.details["calibration"]
    assert json.loads(json.dumps(details)) == details
    assert details["names"] == ["x1", "tarp"] and details["n"] == 400 and details["draws"] == 100
    assert all(len(details["ranks"][name]) == 20 and sum(details["ranks"][name]) == 400 for name in details["names"])
    assert len(details["levels"]) == 21 == len(details["coverage"]["x1"]) == len(details["tarp"]["coverage"])
    assert details["coverage"]["tarp"][0] == 0 and details["coverage"]["x1"][-1] == 1
    assert found.verdicts["calibrated"].ok and found.metrics["coverage_90"] == pytest.approx(0.9, abs=0.06)
    assert found.metrics["contraction"] == pytest.approx(0.8, abs=0.05) == details["contraction"]["x1"]
    assert found.metrics["z_score"] == pytest.approx(1, abs=4 * found.se["z_score"])


def test_recorded_values_have_even_ranks():
    x = Variables(("a",), steps=(0.5,))
    pairs = gaussian_pairs(1_000)
    rounded = Pairs(np.round(pairs.x * 2) / 2, pairs.y)
    found = asked(x, Y, lambda y, n, e: ((y[:, None] + 0.5 * e) * 2).round() / 2, rounded)
    assert found.details["calibration"]["faults"] == [] and found.metrics["sbc_p"] > 1e-3


def test_a_heap_that_many_rows_share_has_even_ranks():
    x = Variables(("a",), steps=(0.1,), heaps=((0.0,),))
    pairs = gaussian_pairs(1_000)
    found = asked(
        x,
        Y,
        lambda y, n, e: (y[:, None] + 0.5 * e).clamp_min(0).round(decimals=1),
        Pairs(np.maximum(pairs.x, 0).round(1), pairs.y),
    )
    assert found.details["calibration"]["faults"] == [] and found.metrics["sbc_p"] > 1e-3


def test_draws_that_are_no_numbers_are_counted_and_left_out():
    def broken(y, n, e):
        x = y[:, None] + 0.5 * e
        x[:, : n // 4] = torch.nan
        x[y[:, 0] > 1.5] = torch.inf
        return x

    pairs = gaussian_pairs()
    none = int((pairs.y > 1.5).sum())
    found = asked(X, Y, broken, pairs)
    assert none > 0 and found.metrics["nonfinite_draws"] == pytest.approx(0.25 + 0.75 * none / 400)
    assert found.details["calibration"]["n"] == 400 - none and found.details["calibration"]["faults"] == []
    share = found.metrics["nonfinite_draws"]
    assert found.verdicts["calibrated"].ok is False
    assert found.verdicts["calibrated"].text.startswith(f"{share:.1%} of its draws are no numbers")


def test_labels_are_no_distances():
    y = Variables(("kind",), labels=(("a", "b", "c"),))
    assert numbers(np.array([[2.0], [0.0]]), y).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_model_of_few_rows_is_asked_and_says_how_many_would_tell():
    verdict = asked(X, Y, lambda y, n, e: y[:, None] + 0.5 * e, gaussian_pairs(12)).verdicts["calibrated"]
    assert verdict.ok is None and verdict.line.startswith("Can't tell, 360 rows needed: 12 held-out rows show no fault")


class Dense(Given):
    has_density = True

    def log_prob(self, x, y):
        return torch.distributions.Normal(y, 0.5 * self.width).log_prob(x)[:, 0]


def test_ranks_of_the_log_density():
    for width, alarm in ((1.0, False), (1.5, True)):
        found, model = Evaluation(), Dense(X, Y, lambda y, n, e, w=width: y[:, None] + 0.5 * w * e)
        model.width = width
        trained = TrainedModel(model, {"config": {"dtype": "float64"}}, "dense", torch.device("cpu"))
        add_calibration(found, trained, gaussian_pairs(), 0)
        details = found.details["calibration"]
        assert details["names"] == ["x1", "tarp", "log_prob"] and (details["p"]["log_prob"] < 1e-4) == alarm


# ---- on a circle -------------------------------------------------------------------------------------
ANGLE = Variables(("angle",), bounds=((0.0, 360.0),), steps=(1.0,), periods=(360.0,))


def angle_pairs(n=400, seed=0):
    """Angles to the degree on both sides of 0; y lies 20 degrees about them."""
    rng = np.random.default_rng(seed)
    y = 30 * rng.standard_normal((n, 1))
    return Pairs(np.round(y + 20 * rng.standard_normal((n, 1))) % 360, y)


@pytest.mark.parametrize(
    ("width", "shift", "fault"), [(1.0, 0.0, None), (1.7, 0.0, "too wide"), (0.6, 0.0, "too narrow"), (1, 20, "biased")]
)
def test_an_angle_near_its_cut_is_judged_as_any_other(width, shift, fault):
    found = asked(
        ANGLE, Y, lambda y, n, e: torch.remainder((y[:, None] + shift + 20 * width * e).round(), 360), angle_pairs()
    )
    details = found.details["calibration"]
    assert details["faults"] == ([] if fault is None else [fault])
    assert details["contraction"]["angle"] == pytest.approx(1 - (20 * width) ** 2 / (900 + 400), abs=0.12)
    if fault is None:
        assert found.metrics["coverage_90"] == pytest.approx(0.9, abs=0.06)
        assert found.metrics["z_score"] == pytest.approx(1, abs=0.15)
    else:
        assert details["width"]["angle"][0] == pytest.approx(width, rel=0.1)
        assert details["shift"]["angle"][0] == pytest.approx(shift / 20, abs=0.15)


def test_ranks_on_an_even_circle_are_even():
    """Twenty draws of nothing known, where the cut is anywhere: as even as ranks on a line."""
    rng = np.random.default_rng(0)
    circles = ((0.0, 360.0),)
    draws, truth = unrolled(rng.uniform(0, 360, (20_000, 20, 1)), rng.uniform(0, 360, (20_000, 1)), circles)
    u = metric.ranks(draws, truth, rng)[:, 0]
    assert metric.chi_square(u)[1] > 1e-3 and metric.spread_p(u) > 1e-3


def test_beside_an_offset_the_same_is_found():
    pairs = gaussian_pairs()
    here = asked(X, Y, lambda y, n, e: y[:, None] + 0.5 * e, pairs).metrics
    there = asked(X, Y, lambda y, n, e: 1e9 + y[:, None] + 0.5 * e, Pairs(1e9 + pairs.x, pairs.y)).metrics
    for name, value in here.items():
        assert there[name] == pytest.approx(value, abs=1e-3), name
