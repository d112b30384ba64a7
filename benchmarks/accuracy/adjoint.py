"""Ad-hoc inversion on the sine, starts from a trained model, and --refine.

About 8 CPU-minutes, most of them for the trained model.
"""

from __future__ import annotations

import functools
import json

import numpy as np
from common import SEEDS, WORK, inn, row, train

import inncli
from inncli.config import registry
from inncli.inference import posterior_files
from inncli.inference.posterior_set import PosteriorSet
from inncli.tasks.toy.sine import Sine

Y = 1.5
SOURCE = "inn" if "inn" in registry.choices("model") else "rnvp"  # whose draws are starts, and are refined


@functools.lru_cache
def trained(model: str, seed: int, *words: str):
    """One run on the sine, shared by the figures below."""
    return train("task=sine", f"model={model}", f"seed={seed}", *words)[0].path


def inverted(run, *words: str, y: float = Y, seed: int = 0) -> PosteriorSet:
    """1,000 draws by `inn invert`."""
    out = WORK / "set.npz"
    inn("invert", "--run", str(run), "--y", str(y), "--samples", "1000", "--seed", str(seed), "--out", str(out), *words)
    return posterior_files.load(out)


def islands(draws: PosteriorSet, y: float) -> tuple[int, int, int]:
    """Islands with a converged draw, islands there are (brute force), and solutions that the run tells apart."""
    good = draws.extra["converged"][0] > 0
    count, which = Sine().islands(y, draws.x[0][good])
    return len(set(which)), count, int(draws.extra["solution"][0].max()) + 1


def search() -> None:
    """Islands of the level set found from prior starts, at y = 1.5 and at -1.5 and .5."""
    for y in (Y, -1.5, 0.5):
        found = []
        for seed in SEEDS:
            draws = inverted(trained("adjoint", seed), y=y, seed=seed)
            found.append((*islands(draws, y), draws.extra["converged"].mean()))
        found = np.array(found)
        row("6", f"sine, y = {y}: islands found, of {found[0, 1]:.0f}", found[:, 0], f"asked: {found[0, 1]:.0f}")
        row("6", f"sine, y = {y}: distinct solutions told apart", found[:, 2], f"asked: {found[0, 1]:.0f}")
        row("6", f"sine, y = {y}: share of the 1,000 starts that converged", found[:, 3])
    far = inverted(trained("adjoint", 0), y=7.0)
    row("6", "sine, y = 7, which no x has: finite rows of 1,000", np.isfinite(far.x[0]).all(1).sum(), "asked: 1000")
    row("6", "sine, y = 7: converged", far.extra["converged"].sum(), "asked: 0")
    corner = np.random.default_rng(0).uniform(-1, 0, (1000, 2))
    draws = inncli.load(trained("adjoint", 0)).posterior([[Y]], 1000, starts=corner)
    row("", "control: islands found from starts with x1 and x2 below 0 alone", islands(draws, Y)[0], "must be below 9")


def starts() -> None:
    """Steps to converge at y = 1.5 from the draws of a trained model and from the prior."""
    steps = {"the prior": [], SOURCE: [], "control": []}
    share = {name: [] for name in steps}
    for seed in SEEDS:
        search, source = trained("adjoint", seed), trained(SOURCE, seed)
        inn(
            "invert",
            "--run",
            str(source),
            "--y",
            str(-Y),
            "--samples",
            "1000",
            "--seed",
            str(seed),
            "--out",
            str(WORK / "far.npz"),
        )
        sets = {"the prior": inverted(search, seed=seed), SOURCE: inverted(search, "--starts", str(source), seed=seed)}
        far = posterior_files.load(WORK / "far.npz").x
        sets["control"] = inncli.load(search).posterior([[Y]], 1000, seed, starts=far)
        for name, draws in sets.items():
            good = draws.extra["converged"][0] > 0
            steps[name].append(np.mean(draws.extra["steps"][0][good]))
            share[name].append(good.mean())
    for name in ("the prior", SOURCE):
        row("6", f"sine, y = {Y}: mean steps of converged rows from {name}", steps[name])
        row("6", f"sine, y = {Y}: share that converged from {name}", share[name])
    fewer = np.array(steps["the prior"]) - steps[SOURCE]
    row("6", f"sine, y = {Y}: steps saved by starts from {SOURCE}", fewer, "asked: above 0")
    fewer = np.array(steps["the prior"]) - steps["control"]
    row("", f"control: steps saved by starts from {SOURCE} at y = {-Y}", fewer, "must be below 0")


def refine() -> None:
    """Resimulation error before and after --refine, on the noise-free sine: the draws of a trained model."""
    for y in (Y, 0.5):
        reports = []
        for seed in SEEDS:
            done = inn(
                "invert",
                "--run",
                str(trained(SOURCE, seed)),
                "--y",
                str(y),
                "--samples",
                "1000",
                "--seed",
                str(seed),
                "--refine",
                "--json",
            )
            reports.append(json.loads(done.stdout)["observations"][0]["refined"])
        what = f"sine, y = {y}, --refine of {SOURCE}"
        for key in ("q50", "q99"):
            row("6", f"{what}: |s(x) - y| {key} before", [r["error_before"][key] for r in reports])
            row("6", f"{what}: |s(x) - y| {key} after", [r["error_after"][key] for r in reports], "asked: <= 1e-10")
            row("6", f"{what}: moved, sds, {key}", [r["moved"][key] for r in reports])
        row("6", f"{what}: share unconverged", [r["unconverged"] / r["draws"] for r in reports], "asked: <= .01")
    from inncli.numerics.gauss_newton import refine as solve

    x = Sine().reference_posterior(np.array([Y]), 1000, np.random.default_rng(0))
    x = np.clip(x + 0.05 * np.random.default_rng(1).standard_normal(x.shape), -1, 1)
    box = np.array([[-1.0, -1], [1, 1]])
    once = solve(Sine().observe, x, np.array([Y]), x.std(0), np.ones(1), box, max_steps=1)
    row("", "control: one step instead of up to 60: share unconverged", (~once.converged).mean(), "must exceed .01")


FIGURES = {"search": search, "starts": starts, "refine": refine}
