"""Certificates of the i-ResNet, its exact log-determinant, its solver."""

from __future__ import annotations

import shutil

import numpy as np
import torch
from common import WORK, inn, row, train

import inncli
from inncli.training.checkpoint import load_checkpoint, save_checkpoint
from inncli.transforms.blocks import ResidualBlock
from inncli.transforms.residual import residuals


def trained(*words: str):
    """A run and its training's CPU seconds by this process's clock of its children."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run, _ = train("model=iresnet", *words)
    return run, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def certificates() -> None:
    """Certificates, round trips and log-dets after training, and a hand-made net."""
    for words, what in ((("seed=0",), "ring"), (("task=linear",), "linear 2x4")):
        run, _ = trained(*words)
        opened = inncli.load(run.path)
        health = opened.diagnostics(10_000)
        found = [value for name, value in health.items() if name.startswith("lipschitz")]
        row("4", f"{what}, float32: largest certificate of {len(found)} blocks", max(found), "asked: < 1")
        row("4", f"{what}, float32: round trip at 10,000 draws", health["invertibility_error"], "asked: <= 5e-5")
        run64, _ = trained(*words, "dtype=float64")
        health = inncli.load(run64.path).diagnostics(10_000)
        row("4", f"{what}, float64: round trip at 10,000 draws", health["invertibility_error"], "asked: <= 1e-8")
        row("4", f"{what}, float64: largest certified error of a block's inverse", health["solver_error_bound"])
    run, _ = trained("seed=0")
    files = [WORK / name for name in ("first.npz", "second.npz")]
    for file in files:
        inn("density", "--run", str(run.path), "--y", "0.3", "--grid", "100", "--out", str(file))
    row("4", "two calls of inn density: bytes equal", files[0].read_bytes() == files[1].read_bytes(), "asked: 1")
    _log_det()
    _hand_made(run)


def _log_det() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    for dim in (2, 16, 64):
        block, x = _block(dim)
        truth = torch.linalg.slogdet(
            torch.stack([torch.autograd.functional.jacobian(lambda r, b=block: b(r[None])[0][0], r) for r in x])
        )[1]
        row(
            "4",
            f"d = {dim}, L = {block.parts[-1].net.certificate():.3f}: log-det against autograd's slogdet, float64",
            float((block(x)[1] - truth).abs().max()),
            "asked: <= 1e-8",
        )
        wrong = float((-block.inverse(x)[1] - block(x)[1]).abs().max())
        row("", f"control: d = {dim}: the log-det taken at z instead of x", wrong, "must exceed 1e-8")
    torch.set_default_dtype(before)


def _block(dim: int):
    """A block of 128, trained for 50 steps on two far clusters in float64; 20 of their points."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    block = ResidualBlock(dim, 0, [128])
    x = torch.randn(256, dim, generator=generator)
    x[:128] += 4
    block.initialise(x)
    optimizer = torch.optim.Adam(block.parameters(), lr=1e-2)
    for _ in range(50):
        optimizer.zero_grad()
        z, ladj = block(x)
        (z.square().sum(1) / 2 - ladj).mean().backward()
        optimizer.step()
    return block.eval(), x[118:138]


def _hand_made(run) -> None:
    tensors, meta = load_checkpoint(run.best)
    folder = shutil.copytree(run.path, WORK / "hand_made")
    name = [name for name in tensors if name.endswith("net.lipschitz")][3]
    tensors[name] = torch.tensor(1.5, dtype=torch.float64)
    meta.pop("checksum")
    save_checkpoint(folder / "checkpoints" / "best.safetensors", tensors, meta)
    done = inn("invert", "--run", str(folder), "--y", "1", check=False)
    row("4", "hand-made net with L >= 1: exit code", done.returncode, "asked: 2")
    print(f"      {done.stderr.strip()}")


def solver() -> None:
    """Evaluations a row and a block on the trained ring: Banach, Anderson and Newton from the same start."""
    run, _ = trained("seed=0")
    opened = inncli.load(run.path)
    opened.diagnostics(1000)
    parts = [part for _, part in residuals(opened.model)]
    for tolerance, share in ((1e-6, "1/2"), (1e-10, "1/3")):
        counts = {
            method: [float(part.solve(*part.asked, method, tolerance).evaluations.double().mean()) for part in parts]
            for method in ("banach", "anderson", "newton")
        }
        for k, part in enumerate(parts):
            shown = ", ".join(f"{method} {values[k]:.1f}" for method, values in counts.items())
            print(f"      error <= {tolerance:g}, block {k}, L = {part.net.certificate():.3f}: {shown}")
        plain = np.mean(counts["banach"])
        for method in ("anderson", "newton"):
            row(
                "4",
                f"evaluations a block, {method} / Banach, error <= {tolerance:g}",
                np.mean(counts[method]) / plain,
                f"asked: <= {share}" if method == "anderson" else "its Jacobian counts as d",
            )


FIGURES = {f.__name__: f for f in (certificates, solver)}
