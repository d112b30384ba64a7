"""Every metric that `inn` can print, described once: the order of the entries is the order of the columns.

To add a metric, write the function that measures it, called by `evaluation.evaluate.measure` or by a model's own
`diagnostics`, and add an entry here. Tables, pictures and reports look up what they need by name. A name without an
entry, such as one that a user's own model reports, is shown without a meaning and has no best.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "nearest", "none"]
Table = Literal["compare", "kruse", "training", "plot"]
Step = Literal[
    "own", "likelihood", "calibration", "marginal", "resimulation", "importance", "c2st", "mmd2", "familiarity"
]

EVERY = "every run"
INVERTIBLE = "a model with an inverse"
DENSITY = "a model with a density"
GIVEN_Y = "a model of x given y, with at least 20 held-out rows"
OF_Y = "a model of x given y"
SIMULATED = "a task whose y can be simulated"
EXACT_DENSITY = "a model and a task with a density p(x), without a y"
EXACT_POSTERIOR = "a task with an exact posterior"
EXACT_DRAWS = "a task with an exact posterior or, without a y, a known p(x)"
KRUSE = "a task with an exact posterior, under evaluation=kruse"
REFINED = "a task with an exact posterior and a differentiable simulator, if refined draws are asked for"
BEATS = "how much better a held-out x is told than by ignoring y, in nats or, without a density, energy score"
WEIGHTED = "a model with a density, a task with an exact prior and likelihood"


@dataclass(frozen=True)
class Metric:
    """One number that says how good a run is, or what it cost.

    Attributes:
        name: key in JSON, column and row name in tables.
        meaning: one line for readers; empty where the name says it all.
        unit: of the value; empty for a share, a ratio or a probability.
        better: which way is better. `nearest` means nearest to `perfect`; `none` means that no run is best.
        perfect: the value that `nearest` aims at.
        has_error: whether a standard error stands beside it.
        applies: which runs have it.
        tables: where it is shown unasked: `inn compare` of evaluated runs, of runs under `evaluation=kruse`, of runs
            that were only trained, and the panels of `inn compare --plot`.
        title: heading in the table of kruse runs, as published; empty for the name.
        steps: the steps of an evaluation that give it, see `evaluation.evaluate.measure`; none for what training gives.
        mark: value of a perfect model, drawn as a dotted line by `inn compare --plot`.
    """

    name: str
    meaning: str = ""
    unit: str = ""
    better: Better = "none"
    perfect: float = 0.0
    has_error: bool = False
    applies: str = EVERY
    tables: tuple[Table, ...] = ()
    title: str = ""
    steps: tuple[Step, ...] = ()
    mark: float | None = None

    @property
    def heading(self) -> str:
        """The published heading, or the name."""
        return self.title or self.name

    @property
    def has_best(self) -> bool:
        """Whether one run can be better than another by this number."""
        return self.better != "none"

    def badness(self, value: float) -> float:
        """What is small where the metric is good; the value itself where it has no better."""
        if self.better == "higher":
            return -value
        return abs(value - self.perfect) if self.better == "nearest" else value


_ENTRIES = (
    Metric(
        "nll",
        "negative log-likelihood of a held-out x, in nats",
        unit="nats",
        better="lower",
        has_error=True,
        applies=DENSITY,
        tables=("compare", "plot"),
        steps=("likelihood",),
    ),
    Metric(
        "nll_exact",
        "the same by the exact density",
        unit="nats",
        has_error=True,
        applies=EXACT_DENSITY,
        steps=("likelihood",),
    ),
    Metric(
        "kl",
        "KL divergence of the model from the exact density, in nats",
        unit="nats",
        better="lower",
        has_error=True,
        applies=EXACT_DENSITY,
        tables=("compare",),
        steps=("likelihood",),
    ),
    Metric(
        "share_without_density",
        "held-out rows outside the model's support, left out of nll",
        better="lower",
        applies=DENSITY,
        steps=("likelihood",),
    ),
    Metric(
        "c2st",
        "accuracy of telling draws from exact ones: .5 perfect, 1 useless",
        better="lower",
        has_error=True,
        applies=EXACT_DRAWS,
        tables=("compare", "plot"),
        mark=0.5,
        steps=("c2st",),
    ),
    Metric("c2st_sd", "its sd over the observations", applies=EXACT_POSTERIOR, steps=("c2st",)),
    Metric(
        "mmd2",
        "squared MMD of draws to exact ones, the mean over ys (Kruse's Err_post); 0 where they agree",
        better="lower",
        has_error=True,
        applies=EXACT_POSTERIOR,
        tables=("compare", "kruse", "plot"),
        title="Err_post",
        steps=("mmd2",),
    ),
    Metric(
        "mmd2_median",
        "the median over ys",
        better="lower",
        applies=EXACT_POSTERIOR,
        tables=("kruse",),
        title="Err_post median",
        steps=("mmd2",),
    ),
    Metric(
        "mmd2_worst",
        "the largest of them",
        better="lower",
        applies=EXACT_POSTERIOR,
        tables=("kruse",),
        title="Err_post worst",
        steps=("mmd2",),
    ),
    Metric(
        "err_resim",
        "mean of |s(x) - y|^2 over draws and held-out ys",
        unit="units of y, squared",
        better="lower",
        has_error=True,
        applies=SIMULATED,
        tables=("compare", "kruse", "plot"),
        title="Err_resim",
        steps=("resimulation",),
    ),
    Metric(
        "err_resim_median",
        "the median over ys of what a y's draws give",
        unit="units of y, squared",
        better="lower",
        applies=SIMULATED,
        tables=("kruse",),
        title="Err_resim median",
        steps=("resimulation",),
    ),
    Metric(
        "err_resim_worst",
        "the largest of them",
        unit="units of y, squared",
        better="lower",
        applies=KRUSE,
        steps=("mmd2",),
    ),
    Metric(
        "refined_mmd2",
        "the same of draws moved onto y = s(x)",
        better="lower",
        has_error=True,
        applies=REFINED,
        tables=("kruse",),
        steps=("mmd2",),
    ),
    Metric(
        "refined_err_resim",
        "err_resim of draws moved onto y = s(x)",
        unit="units of y, squared",
        better="lower",
        has_error=True,
        applies=REFINED,
        tables=("kruse",),
        steps=("mmd2",),
    ),
    Metric(
        "resimulation_error",
        "root of err_resim, in units of y",
        unit="units of y",
        better="lower",
        has_error=True,
        applies=SIMULATED,
        steps=("resimulation",),
    ),
    Metric(
        "resimulation_error_truth",
        "the same of the true x: what the noise makes of it",
        unit="units of y",
        applies=SIMULATED,
        steps=("resimulation",),
    ),
    Metric(
        "ess",
        "share of draws left when weighted by the exact prior and likelihood: 1 perfect",
        better="higher",
        has_error=True,
        applies=WEIGHTED,
        steps=("importance",),
    ),
    Metric(
        "nonfinite_draws",
        "share of draws that are no numbers",
        better="lower",
        steps=("calibration", "resimulation", "c2st"),
    ),
    Metric(
        "coverage_50",
        "share of true x inside their central 50 % interval, over all unknowns",
        better="nearest",
        perfect=0.5,
        has_error=True,
        applies=GIVEN_Y,
        steps=("calibration",),
    ),
    Metric(
        "coverage_80",
        "the same of the 80 % interval",
        better="nearest",
        perfect=0.8,
        has_error=True,
        applies=GIVEN_Y,
        steps=("calibration",),
    ),
    Metric(
        "coverage_90",
        "the same of the 90 % interval",
        better="nearest",
        perfect=0.9,
        has_error=True,
        applies=GIVEN_Y,
        steps=("calibration",),
    ),
    Metric(
        "sbc_p",
        "chance of ranks as uneven as these, were it calibrated; the worst unknown",
        applies=GIVEN_Y,
        steps=("calibration",),
    ),
    Metric(
        "tarp_p", "the same of distances to reference points that depend on y", applies=GIVEN_Y, steps=("calibration",)
    ),
    Metric(
        "follows_y",
        "how far draws go along with y: 1 right, 0 not at all",
        better="nearest",
        perfect=1.0,
        has_error=True,
        applies=GIVEN_Y,
        steps=("calibration",),
    ),
    Metric(
        "contraction",
        "1 - variance of x given y over that of x, mean of all unknowns",
        has_error=True,
        applies=GIVEN_Y,
        steps=("calibration",),
    ),
    Metric(
        "z_score",
        "root mean square of (x - posterior mean) / sd: 1 where calibrated",
        better="nearest",
        perfect=1.0,
        has_error=True,
        applies=GIVEN_Y,
        steps=("calibration",),
    ),
    Metric("beats_marginal_by", BEATS, better="higher", has_error=True, applies=OF_Y, steps=("marginal",)),
    Metric(
        "unfamiliar_ys",
        "share of held-out ys called unfamiliar, .01 where they are as in training",
        has_error=True,
        applies=GIVEN_Y,
        steps=("familiarity",),
    ),
    Metric("max_moment_error", better="lower", applies="a model trained to given moments", steps=("own",)),
    Metric("loss", unit="of the objective", better="lower"),
    Metric("val_loss", unit="of the objective", better="lower", tables=("training", "plot")),
    Metric("invertible", applies=INVERTIBLE, steps=("own",)),  # the verdicts, shown as yes, no or can't tell
    Metric("reproduces_y", applies=SIMULATED, steps=("resimulation",)),
    Metric("matches_truth", applies=EXACT_DRAWS, steps=("c2st",)),
    Metric("calibrated", applies=OF_Y, tables=("compare", "kruse"), steps=("calibration",)),
    Metric("beats_marginal", applies=OF_Y, steps=("marginal",)),
    Metric(
        "invertibility_error",
        "largest round-trip error, in sds of x",
        unit="sds of x",
        better="lower",
        applies=INVERTIBLE,
        tables=("compare",),
        steps=("own",),
    ),
    Metric("seconds", unit="s", better="lower", tables=("compare", "kruse", "training")),
    Metric("parameters", tables=("compare", "kruse", "training")),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ENTRIES}


def find(name: str) -> Metric:
    """The entry of this name, or one that says nothing."""
    return METRICS.get(name) or Metric(name)


def steps_of(names: Iterable[str]) -> tuple[Step, ...]:
    """The steps of an evaluation that give these metrics and verdicts, sorted.

    A name without an entry may be one that a user's own model reports, which the step `own` asks.
    """
    own: tuple[Step, ...] = ("own",)
    return tuple(sorted({step for name in names for step in (METRICS[name].steps if name in METRICS else own)}))


def columns(table: Table) -> tuple[str, ...]:
    """The names that a table shows unasked, in order."""
    return tuple(metric.name for metric in _ENTRIES if table in metric.tables)
