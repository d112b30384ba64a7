"""The first path: the ring, a linear problem, measured concrete, a density, bounds."""

from __future__ import annotations

import json

import numpy as np
from common import SEEDS, WORK, inn, row, train

import inncli
from inncli.inference.run_task import task_of
from inncli.metrics.c2st import c2st
from inncli.tasks.densities.eight_gaussians import EightGaussians
from inncli.tasks.toy.linear import Linear
from inncli.tasks.toy.ring import Ring

BOX_INSIDE = """import numpy as np
x_bounds = [(-1, 1), (-1, 1)]
def prior(n, rng): return rng.uniform(-1, 1, (n, 2))
def observe(x): return (x**2).sum(1, keepdims=True)
def simulate(x, rng): return observe(x) + 0.05 * rng.standard_normal((len(x), 1))
"""
BOX_EDGE = BOX_INSIDE.replace("(x**2).sum(1, keepdims=True)", "x.sum(1, keepdims=True)")


UNBOUND = ["model.block.clamp=null", "model.last.clamp_tails=1e-6"]  # as in 0.4.0


def harmonics(x: np.ndarray) -> float:
    """Largest |mean exp(ik angle)| for k = 1 to 8."""
    angle = np.arctan2(x[:, 1], x[:, 0])
    return max(abs(np.exp(1j * k * angle).mean()) for k in range(1, 9))


def ring() -> None:
    """C2ST, squared radius and angle of each model on the ring, from `inn train` in an empty folder."""
    task = Ring()
    for model, line in (("rnvp", "2"), ("nice", "3"), ("glow", "3")):
        scores, seconds = {}, []
        for seed in SEEDS:
            run, took = train(f"model={model}", f"seed={seed}")
            seconds.append(took)
            trained = inncli.load(run.path)
            for y in (0.3, 1.0):
                x = trained.sample([[y]], 10_000, seed)[0]
                reference = task.reference_posterior(np.array([y]), 10_000, np.random.default_rng(seed))
                scores.setdefault((y, "C2ST to the exact posterior"), []).append(c2st(x, reference))
                scores.setdefault((y, "max harmonic of the angle"), []).append(harmonics(x))
                out = WORK / "posterior.npz"
                inn("invert", "--run", str(run.path), "--y", str(y), "--samples", "1000", "--out", str(out))
                drawn = np.load(out)["x"][0]
                assert drawn.shape == (1000, 2)
                scores.setdefault((y, "mean |x|^2 of 1,000 draws by inn invert"), []).append((drawn**2).sum(1).mean())
        for (y, what), values in scores.items():
            limit = {"C2ST to the exact posterior": "<= .55", "max harmonic of the angle": "<= .05"}.get(
                what, f"{y} +- .02"
            )
            row(line, f"{model}, y = {y}: {what}", values, limit if model == "rnvp" and y == 0.3 else "")
        row(line, f"{model}: training, s", seconds, "< 60" if model == "rnvp" else "")
    bent = x * np.array([1.1, 1.0])
    row("", "control: y = 1, one axis stretched by a tenth: C2ST", c2st(bent, reference), "must exceed .55")
    row("", "control: the same, max harmonic", harmonics(bent), "")
    far = trained.sample([[1.0]], 1000, 0)[0]
    row("", "control: inverted at y = 1 instead of .3: mean |x|^2", (far**2).sum(1).mean(), "")


def nice_draws() -> None:
    """Where NICE's draws on the ring lie: mean |x|^2 off the exact one, and draws beyond the training xs."""
    task = Ring()
    for what, words in {"nice": [], "control: shifts unclamped, a normal prior": UNBOUND}.items():
        off, beyond = {}, {}
        for seed in SEEDS if what == "nice" else SEEDS[:1]:
            trained = inncli.load(train("model=nice", *words, f"seed={seed}")[0].path)
            top = np.abs(task.training_pairs(seed).x).max()
            for y in (0.3, 1.0, 1.5):
                x = trained.sample([[y]], 10_000, seed)[0]
                exact = task.reference_posterior(np.array([y]), 10**6, np.random.default_rng(seed))
                off.setdefault(y, []).append(abs((x**2).sum(1).mean() - (exact**2).sum(1).mean()))
                beyond.setdefault(y, []).append((np.abs(x) > top).any(1).sum())
        for y in off:
            row("4", f"{what}, y = {y}: mean |x|^2, off by", off[y], "<= .05" if what == "nice" else "must exceed .05")
            row("4", f"{what}, y = {y}: draws beyond", beyond[y], "0" if what == "nice" else "must exceed 0")


def linear() -> None:
    """The 2x4 linear task at three ys against its exact Gaussian posterior, 10^5 draws."""
    task = Linear(**{k: v for k, v in _conf("task/linear.yaml").items() if k in ("A", "b", "noise")})
    sd_y = np.sqrt(np.diag(task.A @ task.A.T) + task.noise_sd**2)
    ys = np.array([task.b, task.b + 0.7 * sd_y * [1, -1], task.b + 3 * sd_y / np.sqrt(2)])
    for start in ("true", "false"):
        errors = {}
        for seed in SEEDS:
            trained = inncli.load(train("task=linear", f"model.linear_start={start}", f"seed={seed}")[0].path)
            for y, where in zip(ys, ("at the mean", "1 sd out", "3 sd out"), strict=True):
                for what, error in moments(trained.sample(y[None], 100_000, seed)[0], *task.posterior(y)).items():
                    errors.setdefault((where, what), []).append(error)
        for (where, what), values in errors.items():
            limit = "<= .03" if what == "mean, posterior sds" else "<= .05"
            row(
                "3",
                f"linear 2x4, {'with' if start == 'true' else 'without'} closed form, y {where}: {what}",
                values,
                limit,
            )
    wide = task.reference_posterior(ys[0], 100_000, np.random.default_rng(0)) * 1.05
    for what, error in moments(wide, *task.posterior(ys[0])).items():
        row("", f"control: exact draws 1.05 times too wide: {what}", error, "covariance must exceed .05")


def moments(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> dict[str, float]:
    """Error of the mean in posterior sds (largest axis) and of the covariance in relative Frobenius norm."""
    off = np.abs(x.mean(0) - mean) / np.sqrt(np.diag(covariance))
    apart = np.linalg.norm(np.cov(x.T) - covariance) / np.linalg.norm(covariance)
    return {"mean, posterior sds": off.max(), "covariance, relative": apart}


def concrete() -> None:
    """Bounds, exact zeros and held-out likelihood on 5 splits (5 seeds: each seed is a split)."""
    steps = np.array([0.1] * 7 + [1.0])
    differences, gaps, whole_gaps = [], [], []
    for seed in range(5):
        run, seconds = train("experiment=concrete", f"seed={seed}")
        trained, task = inncli.load(run.path), task_of(run)
        pairs, test = task.training_pairs(seed), task.test_pairs(seed)
        out = WORK / "mixes.npz"
        inn("invert", "--run", str(run.path), "--y", "compressive_strength=40", "--samples", "1000", "--out", str(out))
        x = np.load(out)["x"][0]
        if seed == 0:
            row("4", "concrete, y = 40: draws below 0", (x < 0).sum(), "0")
            row("4", "concrete, y = 40: draws beyond 1.2 x the training maximum", (x > 1.2 * pairs.x.max(0)).sum(), "0")
            row("4", "concrete: training, s", seconds)
        draws = trained.sample(test.y, 100, seed).reshape(-1, 8)
        shares = (draws == 0).mean(0)
        gaps.append(np.abs(shares - (test.x == 0).mean(0)).max())
        whole = np.concatenate([pairs.x, test.x])
        whole_gaps.append(np.abs(shares - (whole == 0).mean(0)).max())
        rng = np.random.default_rng(seed)
        spread = test.x + steps * (rng.random(test.x.shape) - 0.5)
        flow = trained.log_prob(spread, test.y)
        gaussian = linear_gaussian_log_prob(
            pairs.x + steps * (rng.random(pairs.x.shape) - 0.5), pairs.y, spread, test.y
        )
        differences.append((flow - gaussian).mean())
    row("4", "concrete: zeros, draws against the whole table, largest column, 5 splits", whole_gaps, "<= .05")
    row("4", "concrete: zeros, draws against the test rows themselves", gaps, "")
    error = np.std(differences, ddof=1) / np.sqrt(5)
    row(
        "4",
        "concrete: flow over Gaussian, nats a row, 5 splits",
        differences,
        f"mean / se = {np.mean(differences) / error:.1f} > 2",
    )
    shuffled = trained.log_prob(spread, np.random.default_rng(0).permutation(test.y))
    row("", "control: flow at shuffled ys over flow at the true ones", (shuffled - flow).mean(), "must be below 0")
    row(
        "",
        "control: draws with .01 for 0: gap of zeros",
        np.abs((draws + 0.01 == 0).mean(0) - (test.x == 0).mean(0)).max(),
        "",
    )


def linear_gaussian_log_prob(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> np.ndarray:
    """Log density of the full-covariance Gaussian of x given y, fitted by maximum likelihood."""
    from scipy.stats import multivariate_normal

    design = np.column_stack([np.ones(len(y)), y])
    weights = np.linalg.lstsq(design, x, rcond=None)[0]
    residual = x - design @ weights
    at = np.column_stack([np.ones(len(y_test)), y_test]) @ weights
    return multivariate_normal(np.zeros(x.shape[1]), residual.T @ residual / len(x)).logpdf(x_test - at)


def density() -> None:
    """Integral over a grid by `inn density` and the test cross-entropy on eight_gaussians."""
    task = EightGaussians()
    test = task.test_pairs(0, 50_000).x
    row("5", "eight_gaussians: entropy, mean of -log p over 50,000 draws", -task.log_density(test).mean(), "2.8314")
    for model in ("nice", "rnvp", "glow"):
        entropies, integrals = [], []
        for seed in SEEDS:
            run, _ = train("task=eight_gaussians", f"model={model}", f"seed={seed}")
            trained = inncli.load(run.path)
            entropies.append(-trained.log_prob(test).mean())
            out = WORK / "density.npz"
            inn("density", "--run", str(run.path), "--grid", "400", "--out", str(out))
            with np.load(out) as grid:
                x, log_prob = grid["x"], grid["log_prob"]
            cell = np.prod([np.diff(np.unique(column)).mean() for column in x.T])
            integrals.append(np.exp(log_prob).sum() * cell)
        row("5", f"eight_gaussians, {model}: test cross-entropy, nats", entropies, "best <= 2.9314")
        row("5", f"eight_gaussians, {model}: integral over the grid", integrals, "1 +- .01")
    row(
        "",
        "control: cross-entropy of the same points moved by .2",
        -trained.log_prob(test + 0.2).mean(),
        "must exceed 2.9314",
    )


def extras() -> None:
    """The closed-form layer in 10 dimensions; bounds by logit and by truncation."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis  # the optimal classifier of two Gaussians

    rng = np.random.default_rng(0)
    a = (0.5 * rng.standard_normal((10, 10)) + np.eye(10)).round(2).tolist()
    task = Linear(A=a, noise=0.3)
    for words, what in (
        (["model.n_blocks=1", "trainer.max_steps=1", "trainer.lr=1e-12"], "closed form alone"),
        (["model.linear_start=false"], "flow without it"),
    ):
        scores = []
        for seed in SEEDS:
            run, _ = train(
                "task=linear",
                f"task.A={json.dumps(a)}",
                "task.b=null",
                "task.noise=0.3",
                "task.n_train=10000",
                f"seed={seed}",
                *words,
            )
            y = task.test_pairs(seed, 1).y
            x = inncli.load(run.path).sample(y, 10_000, seed)[0]
            reference = task.reference_posterior(y[0], 10_000, np.random.default_rng(seed))
            rows, side = np.concatenate([x, reference]), np.repeat([0, 1], 10_000)
            mix = np.random.default_rng(0).permutation(20_000)
            fitted = QuadraticDiscriminantAnalysis().fit(rows[mix[:10_000]], side[mix[:10_000]])
            scores.append(fitted.score(rows[mix[10_000:]], side[mix[10_000:]]))
        row("", f"linear 10x10, {what}: accuracy of a quadratic classifier", scores, "")
    (WORK / "inside.py").write_text(BOX_INSIDE)
    (WORK / "edge.py").write_text(BOX_EDGE)
    for name in ("inside", "edge"):
        for bounds in ("logit", "truncate"):
            scores = []
            for seed in SEEDS:
                run, _ = train(
                    "task=simulator", f"task.file={WORK / (name + '.py')}", f"model.bounds={bounds}", f"seed={seed}"
                )
                trained = inncli.load(run.path)
                reference, y = box_truth(name, seed)
                scores.append(c2st(trained.sample([[y]], len(reference), seed)[0], reference))
            row(
                "",
                f"box, posterior {'inside' if name == 'inside' else 'on the edge'}, bounds={bounds}: C2ST",
                scores,
                "",
            )


def box_truth(name: str, seed: int, n: int = 10_000) -> tuple[np.ndarray, float]:
    """Exact posterior draws by rejection from the uniform prior, and the y they belong to."""
    y = {"inside": 0.3, "edge": 1.5}[name]
    rng = np.random.default_rng(seed)
    kept = np.empty((0, 2))
    while len(kept) < n:
        x = rng.uniform(-1, 1, (1_000_000, 2))
        s = (x**2).sum(1) if name == "inside" else x.sum(1)
        kept = np.concatenate([kept, x[rng.random(len(x)) < np.exp(-0.5 * ((s - y) / 0.05) ** 2)]])
    return kept[:n], y


def _conf(name: str) -> dict:
    import yaml

    from inncli.config.registry import conf_dir

    return yaml.safe_load((conf_dir() / name).read_text())


FIGURES = {f.__name__: f for f in (ring, nice_draws, linear, concrete, density, extras)}
