"""Worst round trip and log-determinant error of every transform and model."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from common import row

TESTS = Path(__file__).parents[2] / "tests"


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
        worst = [max(a, b) for a, b in zip(worst, found, strict=True)]
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
                    torch.autograd.functional.jacobian(
                        lambda r, i=i, m=model, y=y: m._to_z(r[None], y[i : i + 1])[0][0], x[i]
                    )
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


FIGURES = {f.__name__: f for f in (contracts,)}
