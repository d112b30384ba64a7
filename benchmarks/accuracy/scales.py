"""Problems of any scale: decades, heavy tails, sentinels, circles, edges, narrow answers, long and few ys.

Each is a simulator file of `problems/` with an exact posterior, trained by the shipped spline. `inn` sees only what a
user's file says.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from common import SEEDS, WORK, inn, row

from inncli.metrics.c2st import c2st_scores

PROBLEMS = Path(__file__).with_name("problems")
DRAWS = 5_000
PAIRS = 5_000
LONG = ("more_y_than_rows", "long_y", "smooth_y")  # judged by means and sds over many ys
NARROW = ("narrow", "offset_x", "offset_y", "thirty_alike")  # judged by the sds of the exact posterior


def problem(name: str) -> ModuleType:
    """The module of a problem."""
    spec = importlib.util.spec_from_file_location(name, PROBLEMS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draws(name: str, seed: int, ys: np.ndarray, *words: str, n: int = DRAWS) -> np.ndarray:
    """Draws of a fresh training at these ys, (n_obs, n, Dx)."""
    sim = problem(name)
    outputs = {**os.environ, "INN_OUTPUTS": tempfile.mkdtemp(dir=WORK)}
    pairs = getattr(sim, "N_TRAIN", PAIRS)
    inn(
        *("train", "task=simulator", f"task.file={PROBLEMS / name}.py", f"task.n_train={pairs}", f"seed={seed}"),
        *("model=spline", "threads=1", *words),
        env=outputs,
    )
    folder = Path(outputs["INN_OUTPUTS"])
    np.savetxt(folder / "y.csv", ys, delimiter=",", fmt="%.17g")
    inn("invert", "--y-file", str(folder / "y.csv"), "-n", str(n), "--out", str(folder / "p.npz"), env=outputs)
    return np.load(folder / "p.npz")["x"]


def _centred(name: str, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Draws on a circle, turned so that the exact answer lies in the middle."""
    sim = problem(name)
    x = x.copy()
    for i, column in enumerate(sim.x_names):
        if column in getattr(sim, "x_periodic", {}):
            low, high = sim.x_periodic[column]
            turn = 2 * np.pi / (high - low)
            exact = sim.reference_posterior(y, 2_000, np.random.default_rng(3))[:, i] * turn
            middle = np.arctan2(np.sin(exact).mean(), np.cos(exact).mean()) / turn
            x[:, i] = (x[:, i] - middle + (high - low) / 2) % (high - low)
    return x


def _whole(name: str, *words: str) -> None:
    """C2ST at each y, and the farthest draw in exact sds."""
    sim = problem(name)
    ys = np.array(sim.YS)
    found = [draws(name, seed, ys, *words) for seed in SEEDS]
    label = " ".join([name, *words])
    for k, y in enumerate(ys):
        exact = _centred(name, y, sim.reference_posterior(y, 50_000, np.random.default_rng(k)))
        ours = [_centred(name, y, x[k]) for x in found]
        scores = c2st_scores([(x, exact[: len(x)]) for x in ours])
        row("1", f"{label}, y = {', '.join(f'{v:.3g}' for v in y)}: C2ST", scores, "asked: <= .56")
        far = [np.abs((x - exact.mean(0)) / exact.std(0)).max() for x in ours]
        row("1", "  the farthest draw, in exact sds", far, "asked: <= 15")
        if name in ("phase", "two_circles"):
            share = [np.mean(np.abs(x[:, 0] - np.pi) > 1) - np.mean(np.abs(exact[:, 0] - np.pi) > 1) for x in ours]
            row("1", "  share beyond 1 rad, less the exact one", share, "asked: within .002")
        if name == "edges":
            for end, near in (("low", ours), ("high", [1 - x for x in ours])):
                truth = np.mean((exact if end == "low" else 1 - exact) < 0.01)
                if truth > 0.01:
                    ratio = [np.mean(x < 0.01) / truth for x in near]
                    row("2", f"  mass within .01 of the {end} bound, over the exact one", ratio, "asked: 1 +- .1")


def _sds(name: str) -> None:
    """Sds and means over those of the exact posterior, in its own whitened directions too."""
    sim = problem(name)
    ys = np.array(sim.YS)
    found = [draws(name, seed, ys, n=20_000) for seed in SEEDS]
    for k, y in enumerate(ys):
        mean, factor = sim.exact(y)
        sd = np.sqrt((factor**2).sum(1))
        ratios = [(x[k] - sim.M).std(0) / sd for x in found]
        row("1", f"{name}, y {k + 1}: smallest sd over the exact one", [r.min() for r in ratios], "asked: 1 +- .05")
        row("1", "  largest sd over the exact one", [r.max() for r in ratios], "asked: 1 +- .05")
        white = [np.linalg.solve(factor, (x[k] - sim.M - mean).T).T for x in found]
        row("2", "  whitened: smallest sd", [w.std(0).min() for w in white])
        row("2", "  whitened: largest sd", [w.std(0).max() for w in white])
        row("2", "  whitened: largest mean", [np.abs(w.mean(0)).max() for w in white])


def _long(name: str, *words: str) -> None:
    """Means and sds over many ys of a problem with very many readings."""
    sim = problem(name)
    rng = np.random.default_rng(3)
    x = sim.prior(getattr(sim, "OBSERVED", 200), rng)
    ys = sim.simulate(x, rng)
    means, factors = (np.array(parts) for parts in zip(*map(sim.exact, ys), strict=True))
    sds = np.sqrt((factors**2).sum(2))
    calibrated, off = [], []
    for seed in SEEDS:
        ours = draws(name, seed, ys, *words, n=1_000)
        calibrated.append(np.sqrt((((x - ours.mean(1)) / ours.std(1)) ** 2).mean()))
        off.append(np.sqrt((((ours.mean(1) - means) / sds) ** 2).mean()))
    label = " ".join([name, *words])
    row("1", f"{label}: rms of (truth - mean) over the draws' sd", calibrated, "asked: .9 to 1.1")
    row("1", "  rms of (mean - exact mean), in exact sds", off, "asked: <= .8")


def _figure(judge: Callable[..., None], name: str, *words: str) -> Callable[[], None]:
    figure = functools.partial(judge, name, *words)
    figure.__doc__ = problem(name).__doc__
    return figure


FIGURES = {
    **{name: _figure(_whole, name) for name in sorted(path.stem for path in PROBLEMS.glob("*.py"))},
    **{name: _figure(_sds, name) for name in NARROW},
    **{name: _figure(_long, name) for name in LONG},
    "cauchy_power": _figure(_whole, "cauchy", "model.power=true"),
    "more_y_than_rows_rnvp": _figure(_long, "more_y_than_rows", "model=rnvp"),
}
