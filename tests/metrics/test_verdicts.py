"""Verdicts against answers broken on purpose: no yes stands beside a number that contradicts it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inncli.data.pairs import Pairs
from inncli.evaluation.answers import Answers
from inncli.evaluation.cache import Evaluation
from inncli.evaluation.calibration import add_calibration
from inncli.evaluation.held_out_draws import HeldOutDraws
from inncli.evaluation.marginal import add_beats_marginal
from inncli.evaluation.normal_law import NormalLaw
from inncli.inference.trained_model import TrainedModel
from inncli.metrics.c2st import c2st_scores
from inncli.metrics.contradictions import Numbers, contradictions, discrepancies
from inncli.metrics.paired import beats_marginal, energy_scores
from inncli.metrics.uneven_parts import uneven_part
from inncli.metrics.verdicts import Verdict, matches_truth, reproduces_y, round_trip, rows_needed
from inncli.models.base import Model
from inncli.variables import Variables

X, Y = Variables.numbered("x", 1), Variables.numbered("y", 1)
NOISE = 0.5  # sd of x given y, whose own sd is 1
META = {"config": {"dtype": "float64"}}


def pairs_of(n: int, seed: int = 0) -> Pairs:
    y, e = np.random.default_rng([seed, n]).standard_normal((2, n, 1))
    return Pairs(y + NOISE * e, y)


class Answer(Model):
    """A function of y and standard normal noise as a model; with `mean` and `sd` of y it has a density too."""

    has_density = False

    def __init__(self, draw=None, mean=None, sd=NOISE):
        super().__init__(X, Y)
        self.mean, self.sd = mean, sd
        self.draw = draw or (lambda y, e: mean(y)[:, None] + sd * e)
        self.has_density = mean is not None

    def sample(self, y, n, generator):
        return self.draw(y, torch.randn(len(y), n, 1, generator=generator, dtype=torch.float64))

    def log_prob(self, x, y):
        return torch.distributions.Normal(self.mean(y), self.sd).log_prob(x)[:, 0]


def judged(model: Model, n: int = 1_000, training: int | None = 400, seed: int = 0) -> Evaluation:
    """The two questions that held-out rows answer."""
    found, pairs = Evaluation(), pairs_of(n, seed)
    trained = TrainedModel(model, META, "broken", torch.device("cpu"))
    xs = None if training is None else pairs_of(training, seed + 100).x
    drawn = HeldOutDraws(Answers.of_one(trained, pairs, xs), seed)
    add_calibration(found, trained, pairs, seed, drawn=drawn, training_x=xs)
    add_beats_marginal(found, drawn, seed)
    return found


def thrown(share: float, far: float):
    """Right draws, a share of which are thrown far off."""

    def draw(y, e):
        x = y[:, None] + NOISE * e
        count = max(round(share * x.numel()), 1)
        step = x.numel() // count
        x.reshape(-1)[::step] *= far
        return x

    return draw


def a_few_at_six(y, e):
    x = y[:, None] + NOISE * e
    x.reshape(-1)[::83] = 6.0
    return x


def nan_at_some(y, e):
    x = y[:, None] + NOISE * e
    x[::10] = torch.nan
    return x


RIGHT = Answer(mean=lambda y: y)
PRIOR = Answer(mean=lambda y: 0 * y, sd=(1 + NOISE**2) ** 0.5)
BROKEN = {
    "too narrow": Answer(mean=lambda y: y, sd=NOISE / 2),
    "too wide": Answer(mean=lambda y: y, sd=NOISE * 2),
    "biased": Answer(mean=lambda y: y + 0.5),
    "ignores y": PRIOR,
    "draws of x1 spread": Answer(thrown(1e-3, 1e4)),
    "lie beyond all true values": Answer(a_few_at_six),
    "are no numbers": Answer(nan_at_some),
    "constant": Answer(lambda y, e: 0 * e),
    "nothing": Answer(lambda y, e: e + torch.nan),
}


@pytest.mark.parametrize("n", [1_000, 8])
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_answer_is_never_called_calibrated(how, n):
    verdict = judged(BROKEN[how], n).verdicts["calibrated"]
    assert verdict.ok is not True and verdict.rule
    if n == 1_000:
        assert verdict.ok is False and (how in verdict.text or how in ("constant", "nothing"))
    if how in ("constant", "nothing", "are no numbers"):
        assert verdict.ok is False  # whatever the rows


def test_the_right_answer_is_called_that_by_many_rows_and_by_few_that_nobody_can_tell():
    for n, ok in ((1_000, True), (44, None), (8, None), (1, None)):
        verdict = judged(RIGHT, n).verdicts["calibrated"]
        assert verdict.ok is ok, verdict
        if ok is None:
            assert 300 < int(verdict.text.split()[0].replace(",", "")) < 500 and " rows needed: " in verdict.line


@pytest.mark.parametrize("n", [1, 3, 8])
def test_draws_that_are_off_by_far_are_found_on_a_handful_of_rows(n):
    verdict = judged(Answer(lambda y, e: y[:, None] + 30_000 * NOISE + NOISE * e), n).verdicts["calibrated"]
    assert verdict.ok is False and verdict.text.startswith(("biased: x1 lies 2", "biased: x1 lies 3"))
    verdict = judged(Answer(lambda y, e: 30_000 * e), n).verdicts["calibrated"]
    assert verdict.ok is False and verdict.text.startswith("too wide: draws of x1 spread 2")
    if n > 1:
        narrow = judged(Answer(lambda y, e: y[:, None] + 2 + 0.1 * e), n).verdicts["calibrated"]
        assert narrow.ok is False and narrow.text == f"x1 lies beyond all draws at {n} of them; on {n} rows"


def test_draws_that_go_along_with_y_by_less_than_they_should_on_few_rows_are_named():
    """No test of ranks has the power on 44 rows; the number and its error do."""
    for seed in range(5):
        found = judged(PRIOR, 44, seed=seed)
        share, se = found.metrics["follows_y"], found.se["follows_y"]
        assert share < 0.75 and share + 4 * se < 1  # as on diabetes: .12 +- .08
        assert found.verdicts["calibrated"].ok is False and "ignores y" in found.verdicts["calibrated"].text


# ---- numbers that contradict -------------------------------------------------------------------------
@pytest.mark.parametrize(
    "numbers, text",
    [
        (Numbers(nonfinite=0.2), "20.0% of its draws are no numbers"),
        (Numbers(contraction={"a": (0.5, 0.1), "b": (-3562.0, 3500.0)}), "too wide: draws of b spread 59.7 times"),
        (Numbers(contraction={"a": (-0.5, 0.1)}), "too wide: draws of a spread 1.22 times"),
        (Numbers(without_density=0.05), "5.0% of the true values lie where the model says that none can"),
        (Numbers(follows=(0.12, 0.08)), "ignores y: its draws go along with y by 0.12 +- 0.08"),
        (Numbers(follows=(0.6, 0.05)), "follows y too little"),
        (Numbers(follows=(1.8, 0.1)), "follows y too much"),
        (Numbers(coverage={0.5: (0.5, 0.02), 0.9: (0.7, 0.02)}), "90% intervals hold 70.0% +- 2.0%"),
        (Numbers(z=(3.0, 0.2), z_own=(0.9, 1.2)), "true values lie 3 +- 0.2 sds"),
        (Numbers(z=(0.4, 0.02), z_own=(0.9, 1.2)), "true values lie 0.4 +- 0.02 sds"),
        (Numbers(beyond={"a": (0.01, 1e-5, 40.0)}), "1.00% of the draws of a lie beyond all true values, up to 40"),
    ],
)
def test_each_number_that_a_yes_cannot_stand_beside_is_named(numbers, text):
    said = contradictions(numbers, 1e-3) + discrepancies(numbers)
    assert [line for line in said if line.startswith(text)]


def test_numbers_that_are_right_within_their_errors_contradict_nothing():
    right = Numbers(
        coverage={0.5: (0.45, 0.02), 0.9: (0.93, 0.01)},
        z=(1.06, 0.02),
        contraction={"a": (-0.1, 0.05), "b": (0.9, 0.01)},
        beyond={"a": (1e-4, 0.3, 4.0)},
        follows=(0.7, 0.2),
        nonfinite=0.001,
        without_density=0.004,
    )
    assert contradictions(right, 1e-3) + discrepancies(right) == []
    heavy = Numbers(z=(0.3, 0.05), z_own=(0.2, 3.0))  # as draws with heavy tails give among themselves
    assert discrepancies(heavy) == []


def contradicted(found: Evaluation) -> list[str]:
    """The numbers of a table, as a reader takes them, that speak against calibration."""
    m, se = found.metrics, found.se
    off = [
        name
        for name, right in (("coverage_50", 0.5), ("coverage_80", 0.8), ("coverage_90", 0.9), ("z_score", 1.0))
        if name in m and abs(m[name] - right) > 5 * se[name] + 0.05
    ]
    off += ["contraction"] if m.get("contraction", 0) < -3 else []
    off += ["follows_y"] if "follows_y" in m and m["follows_y"] + 4 * se["follows_y"] < 0.75 else []
    return off + (["nonfinite_draws"] if m.get("nonfinite_draws", 0) > 0.01 else [])


def test_of_many_answers_none_is_called_calibrated_beside_a_number_that_says_otherwise():
    rng, said = np.random.default_rng(0), []
    for k in range(24):
        shift, width, slope = rng.normal(0, 0.3), np.exp(rng.normal(0, 0.4)), rng.choice([0.0, 0.7, 1.0, 1.3])
        share, far = rng.choice([0.0, 1e-4, 1e-2]), 10 ** rng.uniform(0, 6)
        lost = rng.choice([0.0, 0.3])

        def draw(y, e, shift=shift, width=width, slope=slope, share=share, far=far, lost=lost):
            x = slope * y[:, None] + NOISE * (shift + width * e)
            u = torch.rand(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
            return torch.where(u < lost * share, torch.nan, torch.where(u < share, far * x, x))

        found = judged(Answer(draw), int(rng.choice([4, 30, 200, 600])), seed=k)
        said.append(found.verdicts["calibrated"].ok)
        assert not (said[-1] and contradicted(found)), (found.verdicts, found.metrics)
    assert said.count(False) > 12


# ---- does it beat ignoring y? ------------------------------------------------------------------------
def test_a_right_answer_beats_ignoring_y_by_what_y_tells():
    found = judged(RIGHT)
    verdict, by = found.verdicts["beats_marginal"], found.metrics["beats_marginal_by"]
    mutual = 0.5 * np.log((1 + NOISE**2) / NOISE**2)  # information of y about x, nats
    assert verdict.ok and abs(by - mutual) < 4 * found.se["beats_marginal_by"] < 0.2
    assert "a normal law of the training xs" in verdict.text


def test_an_answer_that_ignores_y_is_told_so_and_an_overfitted_one_is_worse():
    verdict = judged(PRIOR).verdicts["beats_marginal"]
    assert verdict.ok is False and verdict.text == "it gives the same answer at every y"
    over = judged(Answer(mean=lambda y: y + 1.5 * torch.sin(40 * y), sd=0.2), 44).verdicts["beats_marginal"]
    assert over.ok is False and over.text.startswith("worse by ") and "a normal law of the training xs" in over.text


def test_where_y_says_little_and_x_has_a_shape_the_mixture_of_its_own_answers_is_the_harder_to_beat():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((600, 1))
    x = 5 * rng.choice([-1.0, 1.0], (600, 1)) + 0.02 * y + 0.2 * rng.standard_normal((600, 1))

    class Modes(Answer):
        def log_prob(self, x, y):
            parts = [torch.distributions.Normal(at + 0.02 * y, 0.2).log_prob(x)[:, 0] for at in (-5.0, 5.0)]
            return torch.logsumexp(torch.stack(parts), 0) - np.log(2)

    found, pairs = Evaluation(), Pairs(x, y)
    trained = TrainedModel(Modes(mean=lambda y: y), META, "modes", torch.device("cpu"))
    add_beats_marginal(found, HeldOutDraws(Answers.of_one(trained, pairs, x), 0), 0)
    verdict = found.verdicts["beats_marginal"]
    assert verdict.ok is not True or found.metrics["beats_marginal_by"] < 0.02  # against the normal law: about 2 nats
    assert "the mixture of its own answers at other ys" in verdict.text


@pytest.mark.parametrize("training", [400, None])
def test_without_a_density_the_energy_score_of_the_draws_decides(training):
    right = judged(Answer(RIGHT.draw), training=training)
    assert right.verdicts["beats_marginal"].ok and right.settings["beats_marginal"]["unit"] == "of the energy score"
    assert judged(Answer(lambda y, e: 30 * e), training=training).verdicts["beats_marginal"].ok is False
    assert judged(Answer(lambda y, e: e + torch.nan), training=training).verdicts["beats_marginal"].ok is False
    assert judged(Answer(PRIOR.draw), training=training).verdicts["beats_marginal"].ok is not True


def test_a_difference_within_its_error_says_how_many_rows_would_tell():
    rng = np.random.default_rng(0)
    few = 0.2 + rng.standard_normal(25)
    verdict = beats_marginal(few, "a normal law")
    needed = 25 * (2 * few.std(ddof=1) / 5 / few.mean()) ** 2
    assert verdict.ok is None and verdict.line.startswith(f"Can't tell, {rows_needed(needed)}: ")
    assert beats_marginal(np.full(25, 0.2) + 0.01 * few, "a normal law").ok is True
    assert beats_marginal(np.zeros(1), "a normal law").ok is None
    assert [rows_needed(n) for n in (7, 123, 1_000, 98_765, np.inf)] == [
        "7 rows needed",
        "130 rows needed",
        "1,000 rows needed",
        "99,000 rows needed",
        "more than 1,000,000 rows needed",
    ]


def test_the_energy_score_of_normal_draws_has_a_closed_form():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4_000, 1))
    expected = 2 / np.sqrt(np.pi) - 1 / np.sqrt(np.pi)  # E|X - x*| less half of E|X - X'|
    for draws, error in ((rng.standard_normal((4_000, 20, 1)), 0.03), (rng.standard_normal((1, 1_000, 1)), 0.05)):
        assert energy_scores(draws, truth).mean() == pytest.approx(expected, abs=error)
    assert energy_scores(truth[None], truth, among=True).mean() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("n", [2, 5, 40, 400])
def test_the_normal_law_of_few_rows_is_a_density(n):
    """Of bounded, recorded, heaped and circular columns beside each other: what it gives sums up to 1."""
    x = Variables(
        ("plain", "share", "count", "angle"),
        bounds=((None, None), (0.0, 1.0), (0.0, None), (0.0, 360.0)),
        steps=(0.0, 0.0, 1.0, 0.0),
        periods=(None, None, None, 360.0),
    )
    rng = np.random.default_rng(0)

    def draw(m):
        columns = rng.standard_normal(m), rng.beta(2, 3, m), rng.poisson(3.0, m), 60 * rng.standard_normal(m) % 360
        return np.column_stack(columns)

    law = NormalLaw(x, draw(n))
    m = 200_000  # uniform points of a box that holds nearly all
    box = np.column_stack([rng.uniform(-30, 30, m), rng.random(m), rng.uniform(-0.5, 60, m), rng.uniform(0, 360, m)])
    mass = np.exp(law.log_prob(box)).mean() * 60 * 60.5 * 360
    assert (0.8 < mass < 1.2 if n >= 40 else mass < 1.5) and np.isfinite(law.log_prob(draw(50))).all()


# ---- does it match? ----------------------------------------------------------------------------------
def with_mode(rng, n, weight, dim):
    x = rng.standard_normal((n, dim))
    there = rng.random(n) < weight
    x[there] = 5 + 0.2 * rng.standard_normal((there.sum(), dim))
    return x


@pytest.mark.parametrize("dim, n", [(2, 6_000), (5, 2_000)])
def test_a_mode_that_is_missed_is_found_whatever_the_accuracy(dim, n):
    rng = np.random.default_rng(1)
    few, right, again = (with_mode(rng, n, weight, dim) for weight in (0.002, 0.02, 0.02))
    missed, extra, same = (uneven_part(*both) for both in ((few, right), (right, few), (again, right)))
    assert missed.exact == pytest.approx(0.02, abs=0.006) and missed.draws < 0.006
    assert missed.text.startswith("misses a part that holds ") and same is None
    assert extra.draws == missed.exact and " of its draws lie where " in extra.text
    verdict = matches_truth([0.51, 0.5], n, [None, missed], ["1", "2"])
    assert verdict.ok is False and verdict.text.startswith("misses a part") and "at y = 2; C2ST" in verdict.text


def test_where_the_classifier_is_sure_out_of_fold_counts_decide():
    rng = np.random.default_rng(0)
    few, right = (with_mode(rng, 3_000, weight, 2) for weight in (0.002, 0.04))
    log_odds = {}
    (score,) = c2st_scores([(few, right)], on_log_odds=log_odds.__setitem__)
    judged_right = (log_odds[0] > 0) == np.repeat([False, True], [3_000, 3_000])
    assert judged_right.mean() == pytest.approx(score, abs=1e-9) and score < 0.55
    sure = log_odds[0] < -np.log(3)
    assert sure[:3_000].sum() > 60 and sure[3_000:].sum() < sure[:3_000].sum() / 3
    assert uneven_part(few, right, log_odds[0]).exact > 0.02


def test_the_match_at_every_y_counts_and_few_draws_cannot_tell():
    assert matches_truth([0.52] * 10, 10_000).ok is True
    verdict = matches_truth([0.5] * 9 + [0.9], 10_000, names=[f"{k}" for k in range(10)])
    assert verdict.ok is False and verdict.text.startswith("C2ST 0.900 at y = 9; C2ST 0.540")
    assert matches_truth([0.52], 300).line.startswith("Can't tell, 1,000 draws a side needed: C2ST 0.520")
    assert matches_truth([0.5], 10_000, nonfinite=0.3).ok is False and matches_truth([], 0, nonfinite=1.0).ok is False


# ---- the others --------------------------------------------------------------------------------------
def test_an_error_that_few_ys_carry_is_no_yes_and_few_ys_cannot_tell():
    right = np.full(1_000, 0.01)
    one = right.copy()
    one[0] = 1e6
    assert reproduces_y(right, 0.1, 2.0).ok and not reproduces_y(one, 0.1, 2.0).ok
    assert reproduces_y(right, 0.1, 2.0, nonfinite=0.1).ok is False
    assert reproduces_y(right[:5], 0.1, 2.0).line.startswith("Can't tell, 20 rows needed: typical")


def test_a_round_trip_without_a_number_is_none():
    assert round_trip(float("nan"), "float32").ok is False and round_trip(1e-6, "float32").ok is True
    assert "3.5e-04" in round_trip(1e-6, "float32").rule


def test_an_earlier_verdict_reads_without_a_rule():
    assert Verdict(**{"ok": True, "text": "as before"}) == Verdict(True, "as before", "")
