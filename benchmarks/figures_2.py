"""The figures of the first path: `make figures-2` prints each from the committed tree with shipped configs.

    python benchmarks/figures_2.py             all of them, about 40 minutes on 2 cores
    python benchmarks/figures_2.py ring cli    some of them

Every accuracy is the median of 3 training seeds with its range. `control` lines repeat a check on a
model that was broken on purpose: a check that can't fail says nothing.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import INN, SEEDS, WORK, inn, row, train

import inncli
from inncli.inference.run_task import task_of
from inncli.metrics.c2st import c2st
from inncli.runs.run_dir import RunDir
from inncli.tasks.densities.eight_gaussians import EightGaussians
from inncli.tasks.toy.linear import Linear
from inncli.tasks.toy.ring import Ring
from inncli.training.checkpoint import load_checkpoint


# ---- 2, 3: the ring ----------------------------------------------------------------------------------
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


# ---- 3: linear ---------------------------------------------------------------------------------------
def linear() -> None:
    """The 2x4 linear task at three ys against its exact Gaussian posterior, 10^5 draws."""
    task = Linear(**{k: v for k, v in _conf("task/linear.yaml").items() if k in ("A", "b", "noise")})
    sd_y = np.sqrt(np.diag(task.A @ task.A.T) + task.noise_sd**2)
    ys = np.array([task.b, task.b + 0.7 * sd_y * [1, -1], task.b + 3 * sd_y / np.sqrt(2)])
    for start in ("true", "false"):
        errors = {}
        for seed in SEEDS:
            trained = inncli.load(train("task=linear", f"model.linear_start={start}", f"seed={seed}")[0].path)
            for y, where in zip(ys, ("at the mean", "1 sd out", "3 sd out")):
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


# ---- 4: concrete -------------------------------------------------------------------------------------
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


# ---- 5: density --------------------------------------------------------------------------------------
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


# ---- 6: kill -9 --------------------------------------------------------------------------------------
def kill() -> None:
    """Five runs killed at a random moment and resumed, against one that was never stopped."""
    words = ["trainer.max_steps=1000", "trainer.checkpoint_seconds=0.5"]
    whole, _ = train(*words)
    truth = load_checkpoint(whole.best)[0]
    rng, equal, steps = random.Random(0), 0, []
    for _ in range(5):
        root = Path(tempfile.mkdtemp(dir=WORK))
        env = {**os.environ, "INN_OUTPUTS": str(root)}
        victim = subprocess.Popen(
            [*INN, "train", *words], cwd=WORK, env=env, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while not list(root.glob("*/metrics.jsonl")):
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 0.8 * whole.info()["seconds"]))
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        (folder,) = (p.parent for p in root.glob("*/run.json"))
        steps.append(load_checkpoint(RunDir(folder).last)[1]["training"]["step"])
        inn("train", "--resume", str(folder), env=env)
        again = load_checkpoint(RunDir(folder).best)[0]
        equal += all(torch.equal(truth[name], again[name]) for name in truth)
        lines = [{k: v for k, v in line.items() if k != "seconds"} for line in RunDir(folder).metrics()]
        assert lines == [{k: v for k, v in line.items() if k != "seconds"} for line in whole.metrics()]
    row("6", f"killed at steps {steps} of {whole.info()['steps']}: resumed weights bit-identical, of 5", equal, "5")
    other = load_checkpoint(train(*words, "seed=1")[0].best)[0]
    row(
        "",
        "control: another seed has the same weights",
        all(torch.equal(truth[k], other[k]) for k in truth),
        "must be 0",
    )


# ---- 7: contracts ------------------------------------------------------------------------------------
def contracts() -> None:
    """Worst round trip and log-det error over the catalogue in float64; 24 blocks in float32 after training."""
    tests = Path(__file__).parent.parent / "tests"
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


# ---- 8, 9, 11: the command line ----------------------------------------------------------------------
def cli() -> None:
    """Start-up, wrong requests, four trainings in the same instant."""
    for words in (["--help"], ["train", "--help"]):
        taken = []
        for _ in range(7):
            begun = time.perf_counter()
            inn(*words)
            taken.append(time.perf_counter() - begun)
        row("8", f"inn {' '.join(words)}: s, median of seven", taken, "< .3")
    probe = "import sys, inncli.cli.app; print(int('torch' in sys.modules or 'hydra' in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    row("8", "torch or hydra imported by the command line", int(loaded.stdout), "0")

    run, _ = train("trainer.max_steps=20")
    broken = WORK / "broken" / run.id
    shutil.copytree(run.path, broken)
    best = broken / "checkpoints" / "best.safetensors"
    best.write_bytes(best.read_bytes()[:-100])
    (WORK / "points.csv").write_text("x1,wrong\n1,2\n")
    before = sorted(WORK.rglob("*"))
    requests = [
        ["train", "trainer.learning_rate=1"],
        ["train", "--epochs", "3"],
        ["train", "trainer.lr=fast"],
        ["invert", "--run", "nosuchrun", "--y", "1"],
        ["invert", "--run", str(run.path), "--y", "1.5,0"],
        ["invert", "--run", str(run.path), "--y", "nan"],
        ["density", "--run", str(run.path), "--y", "1", "--points", "points.csv"],
        ["invert", "--run", str(broken), "--y", "1"],
    ]
    good = 0
    for words in requests:
        done = inn(*words, check=False)
        lines = done.stderr.rstrip("\n").split("\n")
        good += done.returncode == 2 and len(lines) == 1 and not done.stdout
        shown = " ".join(words).replace(str(WORK), "...")
        print(f"    inn {shown}\n      -> {done.returncode}: {lines[0].replace(str(WORK), '...')}")
    row("9", "wrong requests with code 2, one line, nothing written", good * (sorted(WORK.rglob("*")) == before), "8")

    root = Path(tempfile.mkdtemp(dir=WORK))
    env = {**os.environ, "INN_OUTPUTS": str(root)}
    four = [
        subprocess.Popen(
            [*INN, "train", "trainer.max_steps=30", f"seed={seed}"],
            cwd=WORK,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for seed in range(4)
    ]
    codes = [process.wait() for process in four]
    done = json.loads(inn("runs", "--json", env=env).stdout)
    seeds = {RunDir(root / entry["id"]).config()["seed"] for entry in done if entry["status"] == "done"}
    row("11", "intact run directories of four started in the same instant", len(seeds) * (codes == [0] * 4), "4")


# ---- closed-form layer alone, and the two ways to keep a box -----------------------------------------
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


BOX_INSIDE = """import numpy as np
x_bounds = [(-1, 1), (-1, 1)]
def prior(n, rng): return rng.uniform(-1, 1, (n, 2))
def observe(x): return (x**2).sum(1, keepdims=True)
def simulate(x, rng): return observe(x) + 0.05 * rng.standard_normal((len(x), 1))
"""
BOX_EDGE = BOX_INSIDE.replace("(x**2).sum(1, keepdims=True)", "x.sum(1, keepdims=True)")


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


FIGURES = {f.__name__: f for f in (cli, ring, linear, concrete, density, kill, contracts, extras)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or FIGURES:
        print(f"-- {chosen}: {FIGURES[chosen].__doc__.splitlines()[0]}", flush=True)
        FIGURES[chosen]()
