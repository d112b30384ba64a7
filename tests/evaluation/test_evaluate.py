"""`inn evaluate`: against exact posteriors, against models made wrong on purpose, and as a command."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from inncli._version import __version__
from inncli.cli.app import main
from inncli.evaluation import reference as exact_posteriors
from inncli.evaluation.evaluate import measure
from inncli.evaluation.request import EvaluationRequest
from inncli.inference.trained_model import TrainedModel
from inncli.io.atomic import file_sha256
from inncli.metrics.c2st import c2st
from inncli.metrics.registry import METRICS
from inncli.metrics.verdicts import reproduces_y
from inncli.models.base import Model
from inncli.tasks.densities.eight_gaussians import EightGaussians
from inncli.tasks.toy.linear import Linear

TASK = Linear(A=[[1.0, 0.5, -0.5], [0.0, 1.0, 1.0]], noise=0.2)
META = {"config": {"dtype": "float64"}}
DRAWS = 1_500


@pytest.fixture(scope="module", autouse=True)
def fast():
    """A quadratic classifier stands in for the published one, which takes seconds a call."""

    def quick(x, reference):
        rows, side = np.concatenate([x, reference]), np.repeat([0, 1], [len(x), len(reference)])
        half = np.arange(len(rows)) % 2 == 0
        return QuadraticDiscriminantAnalysis().fit(rows[half], side[half]).score(rows[~half], side[~half])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_posteriors, "c2st_scores", lambda compared, **_: [quick(*both) for both in compared])
        yield


def test_the_published_classifier_tells_what_differs_from_what_does_not():
    x, same, moved = np.random.default_rng(0).standard_normal((3, 400, 2)) + np.array([0, 0, 1.0])[:, None, None]
    assert abs(c2st(x, same) - 0.5) < 0.06
    # the best possible classifier looks at which side of the middle a row lies: Phi(sqrt(2) / 2)
    assert c2st(x, moved) == pytest.approx(0.760, abs=0.04)
    assert c2st(x, moved) == c2st(x, moved)
    # z-scored by the reference: units don't matter
    units = np.array([1e-6, 1e6])
    assert c2st(x * units, moved * units) == pytest.approx(c2st(x, moved), abs=0.01)


class Exact(Model):
    """The exact posterior of the linear task, or what `spoil(mean, sd_factor)` makes of it."""

    def __init__(self, shift=0.0, width=1.0, ignore_y=False):
        super().__init__(TASK.x, TASK.y)
        self.shift, self.width, self.ignore_y = shift, width, ignore_y

    def _parts(self, y):
        rows = [TASK.posterior(row) for row in y.numpy()]
        covariance = torch.eye(3) if self.ignore_y else torch.as_tensor(rows[0][1])
        means = torch.zeros(len(y), 3) if self.ignore_y else torch.as_tensor(np.array([mean for mean, _ in rows]))
        return means.double() + self.shift, covariance.double() * self.width**2

    def sample(self, y, n, generator):
        means, covariance = self._parts(y)
        noise = torch.randn(len(y), n, 3, generator=generator, dtype=torch.float64)
        return means[:, None] + noise @ torch.linalg.cholesky(covariance).T

    def log_prob(self, x, y):
        means, covariance = self._parts(y)
        return torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance).log_prob(x - means)

    def diagnostics(self, x, y):
        return {"invertibility_error": self.shift * 1e-6}

    def check(self, x, y, generator):
        return {"held_out_rows": float(len(x) + len(y)), "noise": float(torch.randn(1, generator=generator))}


def judged(model, seed=0, **kwargs):
    return measure(
        TrainedModel(model, META, "exact", torch.device("cpu")),
        TASK.test_pairs(0),
        TASK,
        seed=seed,
        samples=DRAWS,
        **kwargs,
    )


@pytest.fixture(scope="module")
def exact():
    return judged(Exact())


def test_the_exact_posterior_is_found_to_be_exact(exact):
    assert abs(exact.metrics["c2st"] - 0.5) < 0.03
    assert all(verdict.ok for verdict in exact.verdicts.values()) and len(exact.verdicts) == 5
    # -log p(x|y) of a Gaussian has its entropy for a mean, whatever y
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * TASK.posterior(np.zeros(2))[1])[1]
    assert abs(exact.metrics["nll"] - entropy) < 4 * exact.se["nll"] < 0.2
    # s(x) - y* of an exact draw is distributed as that of the true x: two noises of sd .2
    assert exact.metrics["resimulation_error_truth"] == pytest.approx(0.2 * np.sqrt(2), rel=0.06)
    assert exact.metrics["resimulation_error"] == pytest.approx(0.2 * np.sqrt(2), rel=0.06)
    assert exact.metrics["err_resim"] == pytest.approx(exact.metrics["resimulation_error"] ** 2)
    assert exact.metrics["nonfinite_draws"] == 0


def test_the_models_own_numbers_join_the_metrics(exact):
    assert exact.metrics["held_out_rows"] == 2_000 and exact.metrics["invertibility_error"] == 0
    assert exact.settings["held_out"] == 1_000 and exact.settings["c2st"]["draws"] == DRAWS
    assert [len(entry["y"]) for entry in exact.observations] == [2, 2, 2]
    scores = [entry["c2st"] for entry in exact.observations]
    assert exact.metrics["c2st"] == pytest.approx(np.mean(scores))
    assert exact.se["c2st"] == pytest.approx(np.std(scores, ddof=1) / np.sqrt(3))


@pytest.mark.parametrize(
    "spoiled, refused",
    [
        (Exact(shift=0.5), {"invertible": False, "matches_truth": False, "reproduces_y": False, "calibrated": False}),
        (Exact(width=1.5), {"matches_truth": False, "calibrated": False}),
        (Exact(ignore_y=True), {"matches_truth": False, "reproduces_y": False, "calibrated": False}),
    ],
    ids=["biased", "too wide", "ignores y"],
)
def test_a_model_made_wrong_on_purpose_is_found_out(request, exact, spoiled, refused):
    found = judged(spoiled, y=np.array([[0.5, -1.0]]))
    assert found.metrics["c2st"] > exact.metrics["c2st"] + 0.05
    assert found.metrics["nll"] > exact.metrics["nll"] + 3 * exact.se["nll"]
    assert {name: found.verdicts[name].ok for name in refused} == refused
    assert found.verdicts["calibrated"].text.startswith(request.node.callspec.id)
    assert found.observations[0]["y"] == [0.5, -1.0] and "c2st" not in found.se  # one y has no spread


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(exact):
    again, other = judged(Exact()), judged(Exact(), seed=1)
    assert again == exact
    for name in ("c2st", "resimulation_error", "noise"):
        assert other.metrics[name] != exact.metrics[name]


def test_draws_that_are_no_numbers_are_counted():
    class Broken(Exact):
        def sample(self, y, n, generator):
            x = super().sample(y, n, generator)
            x[:, : n // 5] = torch.nan
            return x

    assert judged(Broken()).metrics["nonfinite_draws"] == pytest.approx(0.2)


def test_a_density_is_held_against_its_own_prior_and_closed_form():
    task = EightGaussians()

    class Wide(Model):
        def __init__(self, sd):
            super().__init__(task.x, None)
            self.sd = sd

        def sample(self, y, n, generator):
            return self.sd * torch.randn(1, n, 2, generator=generator, dtype=torch.float64)

        def log_prob(self, x, y):
            inside = x[:, 0] < 3  # a tenth of the rows or so have no density at all
            log_prob = torch.distributions.Normal(0.0, self.sd).log_prob(x).sum(1)
            return torch.where(inside, log_prob, -torch.inf)

    pairs = task.test_pairs(0)
    found = measure(TrainedModel(Wide(2.0), META, "wide", torch.device("cpu")), pairs, task, samples=DRAWS)
    inside = pairs.x[:, 0] < 3
    assert found.metrics["share_without_density"] == pytest.approx(1 - inside.mean())
    assert found.metrics["nll"] == pytest.approx(np.mean(np.log(2 * np.pi * 4) + (pairs.x[inside] ** 2).sum(1) / 8))
    assert found.metrics["kl"] == pytest.approx(found.metrics["nll"] - found.metrics["nll_exact"])
    assert found.metrics["c2st"] > 0.6 and not found.verdicts["matches_truth"].ok
    assert "resimulation_error" not in found.metrics and "invertible" not in found.verdicts


# ---- the command -------------------------------------------------------------------------------------
SMALL = ["trainer.max_steps=20", "model.n_blocks=2"]
SIMULATOR = """import numpy as np
def prior(n, rng): return rng.standard_normal((n, 2))
def observe(x): return x.sum(1, keepdims=True)
def simulate(x, rng): open("ran", "a").close(); return observe(x) + 0.1 * rng.standard_normal((len(x), 1))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind, and the simulator's folder."""
    root = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2)).round(1)
    np.savetxt(root / "t.csv", np.column_stack([x, x.sum(1)]), delimiter=",", header="a,b,c", comments="", fmt="%.3f")
    (root / "sim.py").write_text(SIMULATOR)
    words = {
        "ring": ["task=ring"],
        "density": ["task=eight_gaussians"],
        "table": ["task=table", f"task.file={root}/t.csv", "task.y=[c]"],
        "simulator": ["task=simulator", f"task.file={root}/sim.py", "task.n_train=500"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        patch.chdir(root)
        for name, more in words.items():
            assert main(["train", *more, *SMALL, f"hydra.run.dir={root}/{name}"]) == 0
    (root / "ran").unlink()
    return root


@pytest.fixture
def inn(runs, monkeypatch, capsys):
    """Runs a command where the runs are; gives exit code, stdout, stderr."""
    monkeypatch.setenv("INN_OUTPUTS", str(runs))
    monkeypatch.chdir(runs)

    def call(*words):
        capsys.readouterr()
        return main(list(words)), *capsys.readouterr()

    return call


ALWAYS = {"invertibility_error", "nll", "nonfinite_draws"}
CALIBRATION = {"coverage_50", "coverage_80", "coverage_90", "sbc_p", "tarp_p", "follows_y", "contraction", "z_score"}
CALIBRATION |= {"beats_marginal_by"}
RESIM = {"err_resim", "err_resim_median", "resimulation_error", "resimulation_error_truth"}


@pytest.mark.parametrize(
    "run, words, metrics, source",
    [
        (
            "ring",
            [],
            ALWAYS | CALIBRATION | RESIM | {"c2st", "c2st_sd", "unfamiliar_ys", "mmd2", "mmd2_median", "mmd2_worst"},
            "new pairs",
        ),
        ("density", [], ALWAYS | {"nll_exact", "kl", "c2st"}, "new pairs"),
        ("table", [], ALWAYS | CALIBRATION | {"unfamiliar_ys"}, "test rows of the table"),
        ("simulator", [], ALWAYS | CALIBRATION | {"unfamiliar_ys"}, "validation rows"),
        ("simulator", ["--resimulate"], ALWAYS | CALIBRATION | {"unfamiliar_ys"} | RESIM, "new pairs"),
    ],
)
def test_json_holds_what_the_task_allows_and_nothing_that_is_no_number(inn, runs, run, words, metrics, source):
    code, out, err = inn("evaluate", "--run", run, "-n", "300", "--json", *words)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert {"metrics", "se", "settings", "verdicts"} <= set(found)
    assert set(found["metrics"]) == metrics and set(found["se"]) <= metrics
    assert all(isinstance(value, float) for part in ("metrics", "se") for value in found[part].values())
    assert all(METRICS[name].meaning for name in metrics) and all(METRICS[name].has_error for name in found["se"])
    assert found["settings"]["held_out_from"] == source and found["settings"]["run"] == run
    assert found["verdicts"]["invertible"]["ok"] is True
    assert (runs / "ran").exists() == (run == "simulator" and bool(words))  # a file runs only where asked
    (runs / "ran").unlink(missing_ok=True)


def test_a_table_is_judged_by_the_rows_it_set_aside(inn, runs):
    from inncli.inference.opening import open_run
    from inncli.inference.run_task import task_of
    from inncli.runs.run_dir import RunDir

    found = json.loads(inn("evaluate", "--run", "table", "--json", "--folds", "0")[1])
    test = task_of(RunDir(runs / "table")).test_pairs(0)
    assert found["settings"]["held_out"] == len(test) == 30
    # spread over the cells of .1, the likelihood stays that of the cells
    trained = open_run(RunDir(runs / "table"))
    spread = [
        -trained.log_prob(test.x + 0.1 * (np.random.default_rng(k).random((30, 2)) - 0.5), test.y).mean()
        for k in range(20)
    ]
    assert min(spread) - 0.05 < found["metrics"]["nll"] < max(spread) + 0.05


def test_table_for_people_and_given_ys(inn, runs):
    (runs / "ys.csv").write_text("y1\n0.3\n90\n")
    code, out, err = inn("evaluate", "--run", "ring", "-n", "300", "--y-file", "ys.csv")
    assert code == 0 and "lies outside what training saw" in err
    assert "c2st" in out and "Does it match the exact answer? " in out and "1,000 held-out rows" in out
    both = json.loads(inn("evaluate", "--run", "ring", "-n", "300", "--json", "--y", "0.3", "--y", "y1=1")[1])
    assert [entry["y"] for entry in both["observations"]] == [[0.3], [1.0]]


def test_the_verdicts_stand_before_the_numbers(inn, runs):
    out = inn("evaluate", "--run", "ring", "-n", "300")[1]
    places = [out.index(text) for text in ("held-out rows", "Is it calibrated?", "Does it match", "metric ", "nll ")]
    assert places == sorted(places)


def test_a_second_call_answers_from_what_was_kept_without_torch(inn, runs, monkeypatch):
    words = ("evaluate", "--run", "table", "--json")
    first = inn(*words, "--fresh")
    kept = list((runs / "table" / "evaluations").glob("*.json"))
    code, out, err = inn(*words)
    assert (code, out) == (0, first[1]) and err.startswith("found on 20") and first[2] == ""
    script = (
        "import sys; from inncli.cli.app import main; code = main(sys.argv[1:]); "
        "sys.exit(code or ('torch' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout) == (0, first[1])
    for path in kept:  # measured anew, the same to the last byte
        path.unlink()
    assert inn(*words) == first


@pytest.fixture
def reads(monkeypatch):
    """Counts, from now on, how often a file is opened and how often it is hashed, by its name."""
    opened, hashed = Counter(), Counter()

    def count(counter, function):
        def counted(path, *args, **kwargs):
            counter[Path(path).name if isinstance(path, (str, Path)) else path] += 1
            return function(path, *args, **kwargs)

        return counted

    monkeypatch.setattr(os, "open", count(opened, os.open))
    monkeypatch.setattr("builtins.open", count(opened, open))
    counted = count(hashed, file_sha256)
    for name, module in list(sys.modules.items()):
        if name.startswith("inncli.") and getattr(module, "file_sha256", None) is file_sha256:
            monkeypatch.setattr(module, "file_sha256", counted)
    return opened, hashed


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "--run", "ring", "-n", "200", "--fresh"),
        ("evaluate", "--run", "ring", "-n", "200", "--y", "0.3", "--fresh"),
        ("evaluate", "--run", "simulator", "--resimulate", "--fresh"),
        ("evaluate", "--run", "table", "--seed", "31"),
        ("compare", "table", "-n", "201"),
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_a_fresh_evaluation_reads_the_config_once_and_hashes_the_checkpoint_once(inn, runs, reads, words):
    opened, hashed = reads
    assert inn(*words)[0] == 0
    assert opened["config.yaml"] == 1 and hashed["best.safetensors"] == 1
    (runs / "ran").unlink(missing_ok=True)


def test_what_was_measured_while_the_weights_were_replaced_is_not_kept(inn, runs, monkeypatch):
    from inncli.evaluation import evaluate as module

    best = runs / "table" / "checkpoints" / "best.safetensors"

    def replaced(*args):
        found = measured(*args)
        shutil.copy(best, best.with_name("other"))
        best.with_name("other").rename(best)
        return found

    measured = module.evaluate
    before = set((runs / "table" / "evaluations").glob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", replaced)
        code, out, err = inn("evaluate", "--run", "table", "--seed", "41", "--json")
    assert (code, err) == (0, "not kept, since the files of run table changed meanwhile\n")
    assert set((runs / "table" / "evaluations").glob("*")) == before
    assert json.loads(inn("evaluate", "--run", "table", "--seed", "41", "--json")[1]) == json.loads(out)


def test_an_evaluation_that_0_4_0_kept_is_found():
    """The key is a hash of these facts, spelt out; other spellings would leave what was kept unfound."""
    from inncli.evaluation.cache import VERSION, key

    class Run:
        weights_hash = staticmethod(lambda: "w")
        config_hash = staticmethod(lambda: "c")

    facts = {"version": VERSION, "inn": __version__, "weights": "w", "config": "c", "file": None, "seed": 3}
    facts |= {
        "samples": 200,
        "y": [[0.3, 1.0]],
        "resimulate": False,
        "refine": True,
        "device": "cpu",
        "steps": None,
        "folds": 0,
    }
    request = EvaluationRequest(3, 200, np.array([[0.3, 1.0]]), False, True, "cpu")
    spelt = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    assert key(Run, request, None) == spelt
    assert request == EvaluationRequest(3, 200, ((0.3, 1.0),), False, True, "cpu") and request.points.shape == (1, 2)


def test_what_was_asked_otherwise_or_is_damaged_is_measured_anew(inn, runs):
    words = ("evaluate", "--run", "table", "--json")
    first = inn(*words)[1]
    folder = runs / "table" / "evaluations"
    before = set(folder.glob("*.json"))
    other = inn(*words, "--seed", "1")
    assert other[1] != first and other[2] == "" and len(set(folder.glob("*.json")) - before) == 1
    for path in folder.glob("*.json"):
        path.write_text(path.read_text()[:200])
    assert inn(*words) == (0, first, "")
    assert "found on" in inn(*words)[2] and "found on" not in inn(*words, "--fresh")[2]


def test_the_picture_of_calibration_takes_any_evaluation_of_its_seed(runs, inn):
    from inncli.evaluation.cache import Question, cached, cached_calibration
    from inncli.runs.registry import find_run

    run = find_run("table")
    inn("evaluate", "--run", "table", "--seed", "7", "-n", "123", "--json", "--folds", "0")
    seven, eight = (Question(run, EvaluationRequest(seed=seed)) for seed in (7, 8))
    assert cached(seven) is None
    found = cached_calibration(seven)
    assert found == cached(Question(run, EvaluationRequest(seed=7, samples=123)))
    assert found.cached and found.evaluation.details["calibration"]["n"] > 0
    assert cached_calibration(eight) is None


def test_evaluations_are_kept_for_others_to_read(runs, inn):
    from inncli.evaluation.cache import Question, cached
    from inncli.evaluation.evaluate import answer
    from inncli.runs.run_dir import RunDir

    run = RunDir(runs / "table")
    five, six = (Question(run, EvaluationRequest(seed=seed)) for seed in (5, 6))
    first, again = answer(five), cached(five)
    found = first.evaluation
    assert again.evaluation == found and again.made == first.made and first.made.startswith("20")
    assert (first.cached, again.cached, first.not_kept) == (False, True, None) and cached(six) is None
    assert found.verdicts["calibrated"].text and found.details["calibration"]["n"] == 30


@pytest.mark.parametrize(
    "words, message",
    [
        ("--run ring --y 0.3 --y-file ys.csv", "expected one of --y and --y-file, got both; leave one out"),
        ("--run ring --resimulate", "--resimulate: run ring has no simulator file; leave it out"),
        (
            "--run table --y 0.3",
            "--y: the task of run table has no exact posterior to compare with there; leave it out",
        ),
        (
            "--run density --y 0.3",
            "run density has no y, its model is a density p(x); use `inn sample` or `inn density`",
        ),
        ("--run nowhere", "no run 'nowhere' under ROOT; try `inn runs`"),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(inn, runs, words, message):
    assert inn("evaluate", *words.split()) == (2, "", message.replace("ROOT", str(runs)) + "\n")


def test_a_table_that_changed_is_refused(inn, runs):
    text = (runs / "t.csv").read_text()
    (runs / "t.csv").write_text(text.replace("-", "", 1))
    try:
        code, out, err = inn("evaluate", "--run", "table")
        assert (code, out) == (2, "") and "has changed since run table was trained on it" in err
    finally:
        (runs / "t.csv").write_text(text)


def test_draws_that_reproduce_y_at_all_but_a_few_ys_pass_and_are_counted():
    noise, rng = 0.1, np.random.default_rng(0)
    squares = noise**2 * rng.chisquare(10, 1_000) / 10
    assert reproduces_y(squares, noise, spread=2.0).ok
    assert not reproduces_y(1.5**2 * squares, noise, spread=2.0).ok
    for share, ok in ((0.02, True), (0.1, False)):
        some = squares.copy()
        some[: int(share * 1_000)] = 4.0  # which carries the mean: 2 of noise .1
        verdict = reproduces_y(some, noise, spread=2.0)
        assert verdict.ok is ok and f"at {share:.1%} of ys beyond 0.375" in verdict.text
