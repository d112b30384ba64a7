"""The figures of the i-ResNet: the ring, certificates, round trips, the solver, and the step's time beside FrEIA's.

About 12 CPU minutes: five trainings of 1 to 2 minutes, twelve C2ST of half a minute.
"""

from __future__ import annotations

import functools
import shutil
import statistics
import time

import numpy as np
import torch
from common import SEEDS, WORK, inn, row, train

import inncli
from inncli.metrics.c2st import c2st
from inncli.tasks.toy.ring import Ring
from inncli.training.checkpoint import load_checkpoint, save_checkpoint
from inncli.transforms.blocks import ResidualBlock
from inncli.transforms.chain import Chain
from inncli.transforms.residual import residuals


@functools.cache
def trained(*words: str):
    """A run and its training's CPU seconds by this process's clock of its children."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run, _ = train("model=iresnet", *words)
    return run, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def ring() -> None:
    """C2ST on the ring at four ys, and how long training and sampling take."""
    task, scores, seconds, drawing = Ring(), {}, [], []
    for seed in SEEDS:
        run, took = trained(f"seed={seed}")
        seconds.append(took)
        opened = inncli.load(run.path)
        for y in (0.3, 1.0, 2.0, 4.0):
            begun = time.process_time()
            x = opened.sample([[y]], 10_000, seed)[0]
            drawing.append(time.process_time() - begun)
            scores.setdefault(y, []).append(
                c2st(x, task.reference_posterior(np.array([y]), 10_000, np.random.default_rng(seed)))
            )
    for y, values in scores.items():
        row("2", f"ring, iresnet, y = {y}: C2ST to the exact posterior", values, "asked: <= .60")
    row("2", "ring, iresnet: training, CPU seconds", seconds, "asked: <= 180")
    row("2", "ring, iresnet: 10,000 draws, CPU seconds", drawing)
    bent = x * np.array([1.1, 1.0])
    row(
        "",
        "control: one axis stretched by a tenth, y = 4: C2ST",
        c2st(bent, task.reference_posterior(np.array([4.0]), 10_000, np.random.default_rng(0))),
        "must exceed .60",
    )


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
            torch.stack([torch.autograd.functional.jacobian(lambda r: block(r[None])[0][0], r) for r in x])
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


def speed() -> None:
    """A train step of 8 blocks of 128 beside FrEIA's i-ResNet forward with log-det, one thread, interleaved."""
    try:
        from FrEIA.framework import SequenceINN
        from FrEIA.modules import IResNetLayer
    except ImportError:
        print('      FrEIA is not installed: pip install -c constraints.txt --no-deps "FrEIA==0.2"')
        return
    torch.set_num_threads(1)
    dim, width, blocks, rows = 4, 128, 8, 1000
    x = torch.randn(rows, dim, generator=torch.Generator().manual_seed(0))
    print(f"      dim {dim}, {blocks} blocks of {width}, batch {rows}, float32, 1 thread, CPU time; FrEIA's defaults:")
    print(
        "      20 series terms, 1 Hutchinson probe, ELU. Ours: exact log-det, its gradient, bounds of all norms, AdamW"
    )

    def ours(layers: int):
        torch.manual_seed(0)
        chain = Chain(dim, [ResidualBlock(dim, 0, [width] * layers) for _ in range(blocks)])
        optimizer = torch.optim.AdamW(chain.parameters(), lr=1e-3, fused=True)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            z, ladj = chain(x)
            (z.square().sum(1) / 2 - ladj).mean().backward()
            optimizer.step()

        return step

    def freia(layers: int):
        torch.manual_seed(0)
        net = SequenceINN(dim)
        for _ in range(blocks):
            net.append(IResNetLayer, internal_size=width, n_internal_layers=layers - 1)
        for layer in net.module_list:
            layer.lipschitz_correction()
        return lambda: net(x.clone())

    for mine, theirs, what in (
        (1, 2, "the shipped block, 4-128-4, to FrEIA's default, 4-128-128-4"),
        (1, 1, "4-128-4 to 4-128-4"),
        (2, 2, "4-128-128-4 to 4-128-128-4"),
    ):
        pair = ours(mine), freia(theirs)
        seconds = np.array([[_cpu_seconds(f) for f in pair] for _ in range(12)])[2:]
        ratios = seconds[:, 1] / seconds[:, 0]
        row("5", f"FrEIA forward / our train step, {what}", ratios, "asked: >= 8")
        print(
            f"      medians: ours {statistics.median(seconds[:, 0]) * 1e3:.1f} ms, FrEIA {statistics.median(seconds[:, 1]) * 1e3:.0f} ms"
        )


def _cpu_seconds(function) -> float:
    begun = time.process_time()
    function()
    return time.process_time() - begun


FIGURES = {f.__name__: f for f in (ring, certificates, solver, speed)}
