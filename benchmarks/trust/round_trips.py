"""Round trips and log-determinants of the whole catalogue; 24 blocks in float32 after training."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from common import SEEDS, row, train

import inncli


def contracts() -> None:
    """Worst round trip and log-det error over the catalogue in float64; 24 blocks in float32 after training."""
    tests = Path(__file__).parents[2] / "tests"
    sys.path[:0] = [str(tests / "support"), str(tests / "contracts")]
    import test_transforms

    from catalogue import TRANSFORMS

    torch.set_default_dtype(torch.float64)
    worst = {"round trip": (0.0, ""), "log-det": (0.0, "")}
    for name in TRANSFORMS:
        transform, x, context = test_transforms.build(name)
        z, ladj = transform(x, context)
        truth = torch.linalg.slogdet(test_transforms.jacobian(transform.forward, x, context))[1]
        back, ladj_back = transform.inverse(z.detach(), context)
        truth_back = torch.linalg.slogdet(test_transforms.jacobian(transform.inverse, z.detach(), context))[1]
        found = {
            "round trip": float((back - x).abs().max()),
            "log-det": float(torch.maximum((ladj - truth).abs(), (ladj_back - truth_back).abs()).max()),
        }
        worst = {key: max(worst[key], (value, name)) for key, value in found.items()}
    torch.set_default_dtype(torch.float32)
    for key, (value, name) in worst.items():
        row("7", f"float64, {len(TRANSFORMS)} transforms, worst {key} ({name})", value, "<= 1e-9")
    for model, blocks in (("rnvp", 24), ("glow", 24), ("nice", 24)):
        errors = []
        for seed in SEEDS:
            run, _ = train(f"model={model}", f"model.n_blocks={blocks}", "trainer.max_steps=600", f"seed={seed}")
            errors.append(inncli.load(run.path).diagnostics(10_000)["invertibility_error"])
        row("7", f"float32, {model}, 24 blocks, trained: round trip", errors, "<= 1e-4")
    trained = inncli.load(run.path)
    with torch.no_grad():
        trained.model.blocks.parts[0].parts[0].subnet.hidden[0].weight.fill_(1e6)
    row(
        "",
        "control: a weight of 1e6 in one subnet: round trip",
        trained.diagnostics(1000)["invertibility_error"],
        "must exceed 1e-4",
    )


FIGURES = {f.__name__: f for f in (contracts,)}
