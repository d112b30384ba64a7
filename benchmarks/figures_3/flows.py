"""Figures of the flows: the ring, breast cancer, and the contract of every transform and model.

About 75 CPU-minutes: the ring takes 55 (18 trainings and their classifiers), breast cancer 15, contracts 5.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from common import SEEDS, row, train

import inncli
from inncli.metrics.c2st import c2st
from inncli.tasks.measured.breast_cancer import BreastCancer
from inncli.tasks.toy.ring import Ring

TESTS = Path(__file__).parents[2] / "tests"
YS = (0.3, 1.0, 2.0, 4.0)
LIMITS = {"spline": "<= .53"}
DRAWS = 10_000


def ring() -> None:
    """C2ST to the exact posterior of the ring at four ys, of each flow as shipped."""
    task = Ring()
    for model in ("nice", "rnvp", "glow", "spline", "maf", "iaf"):
        scores, seconds, errors = {y: [] for y in YS}, [], []
        for seed in SEEDS:
            before = _children_seconds()
            run, _ = train(f"model={model}", f"seed={seed}")
            seconds.append(_children_seconds() - before)
            trained = inncli.load(run.path)
            errors.append(trained.diagnostics(DRAWS)["invertibility_error"])
            for y in YS:
                reference = task.reference_posterior(np.array([y]), DRAWS, np.random.default_rng(seed))
                scores[y].append(c2st(trained.sample([[y]], DRAWS, seed)[0], reference))
        for y, values in scores.items():
            row("2", f"ring, {model}, y = {y}: C2ST", values, f"asked: {LIMITS[model]}" if model in LIMITS else "")
        row("2", f"ring, {model}: CPU-s of a training", seconds, "asked: <= 120")
        row("1", f"ring, {model}: round trip in float32, 10,000 rows", errors)
    wide = reference * np.array([1.05, 1.0])
    row("", "control: exact draws at y = 4, one axis stretched by .05: C2ST", c2st(wide, reference), "must exceed .53")


def breast_cancer() -> None:
    """Held-out log-likelihood of each flow over the full-covariance Gaussian's, on the same 5 splits."""
    from scipy.stats import multivariate_normal

    task, trained = BreastCancer(), None
    concavity = task.x.names.index("mean_concavity")
    lowest = np.concatenate([task.training_pairs(0).x, task.test_pairs(0).x])[:, concavity].min()

    def against(words: list[str]) -> tuple[list[float], list[float], list[float]]:
        nonlocal trained
        flows, differences, elsewhere = [], [], []
        for seed in range(5):
            trained = inncli.load(train("experiment=breast_cancer", f"seed={seed}", *words)[0].path)
            rows, test = task.training_pairs(seed).x, task.test_pairs(seed).x
            gaussian = multivariate_normal(rows.mean(0), np.cov(rows.T, bias=True)).logpdf(test)
            found = trained.log_prob(test)
            flows.append(found.mean())
            differences.append((found - gaussian).mean())
            # 13 tumours have a concavity of exactly 0: a density could grow without end on them.
            positive = test[:, concavity] > lowest
            elsewhere.append((found - gaussian)[positive].mean())
        return flows, differences, elsewhere

    for model in ("nice", "rnvp", "glow", "spline", "maf", "iaf", "iresnet"):
        flows, differences, elsewhere = against([f"model={model}"])
        row("8", f"breast cancer, {model}: test log-likelihood, 5 splits", flows)
        error = np.std(differences, ddof=1) / np.sqrt(5)
        row(
            "8",
            f"breast cancer, {model}: over the Gaussian's, paired",
            differences,
            f"mean {np.mean(differences):.2f} +- {error:.2f}; asked: > 0 for spline, maf, iresnet",
        )
        row("8", f"breast cancer, {model}: the same without rows of concavity 0", elsewhere)
    gaussians = [a - b for a, b in zip(flows, differences)]
    row("8", "breast cancer, full-covariance Gaussian on all 455 rows", gaussians, "field.md: about -9.41")
    _, differences, _ = against(["trainer.max_steps=1", "trainer.lr=1e-12"])
    row("8", "breast cancer, power map and closed form alone, over the Gaussian's", differences)
    for model in ("spline", "maf"):
        _, differences, _ = against([f"model={model}", "model.power=false"])
        row("8", f"breast cancer, {model} without the power map, over the Gaussian's", differences)
    test, rng = task.test_pairs(4).x, np.random.default_rng(0)
    shuffled = trained.log_prob(np.column_stack([rng.permutation(column) for column in test.T]))
    row(
        "",
        "control: the last of these at test rows whose columns are shuffled, against the true ones",
        (shuffled - trained.log_prob(test)).mean(),
        "must be below 0",
    )


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def contracts() -> None:
    """Worst round trip and log-det error of every transform and model of the catalogue, in float64."""
    sys.path[:0] = [str(TESTS / "support"), str(TESTS / "contracts")]
    import test_models
    import test_transforms

    import catalogue

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    worst = [0.0, 0.0]
    for name in catalogue.TRANSFORMS:
        transform, x, context = test_transforms.build(name)
        found = _errors(transform.forward, transform.inverse, x, context, test_transforms.jacobian)
        worst = [max(a, b) for a, b in zip(worst, found)]
        row("1", f"float64, transform {name}: round trip", found[0], "asked: <= 1e-9")
        row("1", f"float64, transform {name}: log-det, both ways", found[1], "asked: <= 1e-9")
    row("1", f"float64, {len(catalogue.TRANSFORMS)} transforms, worst round trip", worst[0], "asked: <= 1e-9")
    row("1", f"float64, {len(catalogue.TRANSFORMS)} transforms, worst log-det", worst[1], "asked: <= 1e-9")
    transform, x, context = test_transforms.build("affine_coupling")
    off = _errors(
        lambda x, c: (transform(x, c)[0], transform(x, c)[1] + 1e-6),
        transform.inverse,
        x,
        context,
        test_transforms.jacobian,
    )
    row("", "control: an affine coupling with a log-det off by 1e-6: log-det", off[1], "must exceed 1e-9")
    torch.set_default_dtype(before)
    for name in catalogue.MODELS:
        model = test_models.randomised(name)
        if not hasattr(model, "blocks"):
            continue
        x, y = torch.randn(200, 2, dtype=torch.float64) * 3 + 10, torch.randn(200, 1, dtype=torch.float64)
        row("1", f"float64, model {name}: round trip", model.diagnostics(x, y)["invertibility_error"], "asked: <= 1e-9")
        truth = torch.linalg.slogdet(
            torch.stack(
                [
                    torch.autograd.functional.jacobian(lambda r: model._to_z(r[None], y[i : i + 1])[0][0], x[i])
                    for i in range(20)
                ]
            )
        )[1]
        row(
            "1",
            f"float64, model {name}: log-det",
            float((model._to_z(x[:20], y[:20])[1] - truth).abs().max()),
            "asked: <= 1e-9",
        )


def _errors(forward, inverse, x, context, jacobian) -> list[float]:
    """Largest round-trip error, and largest log-det error against autograd's in both directions."""
    z, ladj = forward(x, context)
    z = z.detach()
    back, ladj_back = inverse(z, context)
    truth = torch.linalg.slogdet(jacobian(forward, x, context))[1]
    truth_back = torch.linalg.slogdet(jacobian(inverse, z, context))[1]
    log_det = torch.maximum((ladj - truth).abs(), (ladj_back - truth_back).abs())
    return [float((back - x).abs().max().detach()), float(log_det.max().detach())]


def speed() -> None:
    """CPU time of a training step on the ring, against RealNVP's in the same minute."""
    from inncli.config import plan
    from inncli.config.registry import instantiate

    def step(model: str) -> float:
        (job,) = plan([f"model={model}"])
        flow = instantiate(job.config["model"], x=Ring.x, y=Ring.y)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2000, 2, generator=generator, dtype=torch.float64)
        y = x.square().sum(1, keepdim=True)
        flow.initialise(x, y, generator)
        optimizer = torch.optim.AdamW(flow.parameters(), fused=True)
        best = float("inf")
        for _ in range(8):
            begun = time.process_time()
            for _ in range(10):
                optimizer.zero_grad()
                flow.loss(x[:256], y[:256], generator).backward()
                optimizer.step()
            best = min(best, (time.process_time() - begun) / 10)
        return best

    base = step("rnvp")
    for model in ("spline", "maf", "iaf"):
        row(
            "",
            f"step of {model} / step of rnvp ({1e3 * base:.1f} ms), batch 256",
            step(model) / base,
            "asked: <= 2.5" if model == "spline" else "",
        )


FIGURES = {f.__name__: f for f in (ring, breast_cancer, contracts, speed)}
