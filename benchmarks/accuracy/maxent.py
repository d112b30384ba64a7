"""Done line 7: maximum-entropy flows against closed forms, about 20 CPU-minutes.

KL(q || p*) and the residual come from the run's own report (200,000 Latin hypercube draws, fresh) and, against it, from
independent draws by `TrainedModel.sample` (Monte Carlo) or, for one unknown, from quadrature of `log_prob`.
"""

from __future__ import annotations

import resource

import numpy as np
from common import SEEDS, row, train

import inncli
from inncli.inference.run_task import task_of
from inncli.tasks.maxent.dirichlet import MaxentDirichlet

LIMITS = {"kl": "<= .002", "residual": "<= .01", "error of the entropy, nats": "<= .01"}


def trained(*words: str):
    """A run by `objective=maxent`; with its task, its report and the CPU seconds it took, start-up included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run, _ = train("objective=maxent", *words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = run.info()["metrics"]
    metrics["error of the entropy, nats"] = abs(metrics["entropy"] - metrics["entropy_exact"])
    metrics["CPU-s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return inncli.load(run.path), task_of(run), metrics


def rows(what: str, metrics: list[dict]) -> None:
    """One row a number, over the seeds."""
    for name in ("kl", "residual", "entropy", "error of the entropy, nats"):
        row("7", f"{what}: {name}", [m[name] for m in metrics], f"asked: {LIMITS[name]}" if name in LIMITS else "")
        if name in ("kl", "residual"):
            row("", f"{what}: standard error of {name}", [m[f"{name}_se"] for m in metrics])
    row("7", f"{what}: training, CPU-s", [m["CPU-s"] for m in metrics], "asked: <= 90")


def by_sampling(model, task, n: int = 200_000) -> tuple[float, float]:
    """KL(q || p*) from n independent draws, and its standard error."""
    x = model.sample(None, n, 7)[0]
    log_ratio = model.log_prob(x) - task.log_density(x)
    return log_ratio.mean(), log_ratio.std() / np.sqrt(n)


def dirichlet() -> None:
    """Dirichlet(1,2,3) and (2,2,2) from their mean logarithms, on the simplex, by the default model."""
    for alpha in ("1,2,3", "2,2,2"):
        runs = [trained("task=maxent_dirichlet", f"task.alpha=[{alpha}]", f"seed={seed}") for seed in SEEDS]
        rows(f"Dirichlet({alpha})", [metrics for _, _, metrics in runs])
        found = [by_sampling(model, task) for model, task, _ in runs]
        row(
            "7",
            f"Dirichlet({alpha}): kl by 200,000 draws of inn's sample and log_prob",
            [kl for kl, _ in found],
            "asked: <= .002",
        )
        row("", f"Dirichlet({alpha}): its standard error", [error for _, error in found])
        row(
            "7",
            f"Dirichlet({alpha}): draws outside the simplex, of 200,000",
            [(~inside(model.sample(None, 200_000, 8)[0])).sum() for model, _, _ in runs],
            "asked: 0",
        )
    model, _, _ = runs[0]
    row(
        "",
        "control: Dirichlet(2,2,2)'s flow held against (2,2,2.2): kl",
        by_sampling(model, MaxentDirichlet([2, 2, 2.2]))[0],
        "must exceed .002",
    )


def inside(x: np.ndarray) -> np.ndarray:
    """Which rows lie on the simplex."""
    return (x >= 0).all(1) & (x.sum(1) <= 1)


def one_unknown() -> None:
    """Gamma(3,1), Exp(1) on R+ and Beta(2,5) on the unit interval, by model=spline."""
    for name, low, high in (("gamma", 0, 60), ("exponential", 0, 60), ("beta", 0, 1)):
        runs = [trained(f"task=maxent_{name}", "model=spline", f"seed={seed}") for seed in SEEDS]
        rows(name, [metrics for _, _, metrics in runs])
        x = low + (high - low) * (np.arange(200_000) + 0.5)[:, None] / 200_000
        entropies = []
        for model, task, _ in runs:
            log_q = model.log_prob(x)
            q = np.exp(log_q) * (high - low) / len(x)
            entropies.append(abs(-(q * log_q).sum() - task.entropy))
        row("7", f"{name}: error of the entropy by quadrature of log_prob", entropies, "asked: <= .01")


def gaussian() -> None:
    """Mean 0 and covariance of correlation .8 in the plane, by the default model."""
    rows("Gaussian, rho .8", [trained("task=maxent_gaussian", f"seed={seed}")[2] for seed in SEEDS])


def frozen() -> None:
    """Controls: a penalty that starts low and never grows, as after the notebook's test that never fires."""
    _, _, metrics = trained("task=maxent_dirichlet", "objective.penalty=0.001", "objective.max_penalty=0.001")
    row("", "control: Dirichlet(1,2,3), penalty stuck at .001: residual", metrics["residual"], "must exceed .01")
    row("", "control: the same: kl", metrics["kl"], "must exceed .002")


FIGURES = {
    "maxent_dirichlet": dirichlet,
    "maxent_one_unknown": one_unknown,
    "maxent_gaussian": gaussian,
    "maxent_frozen": frozen,
}
