"""`inn compare`: what is taken together, what differs, what is best; and as a command on runs and sweeps."""

from __future__ import annotations

import csv
import io
import json
import shutil
import statistics

import pytest

from inncli.cli.app import main
from inncli.cli.compare_table import mean_text
from inncli.errors import RunError
from inncli.evaluation import evaluate as evaluate_module
from inncli.evaluation import reference as exact
from inncli.evaluation.compare import lines
from inncli.evaluation.entries import Entry
from inncli.evaluation.groups import differences, problems
from inncli.metrics import registry
from inncli.runs.run_dir import RunDir


def entry(model="rnvp", seed=0, metrics=None, **config):
    flat = {
        "model": model,
        "task": "ring",
        "task.noise": 0.05,
        "task.n_train": 1000,
        "trainer": "default",
        "trainer.lr": 5e-3,
        "objective": "nll",
        **{key.replace("__", "."): value for key, value in config.items()},
    }
    return Entry(RunDir(f"{model}_{seed}"), {"status": "done", "seed": seed}, flat, metrics or {})


# ---- what differs ------------------------------------------------------------------------------------
def test_a_choice_stands_for_what_its_yaml_says():
    a, b = (entry(model, model__n_blocks=n, model__block=model).config for model, n in (("rnvp", 8), ("spline", 4)))
    assert differences([a, b]) == ["model"]
    other = {**b, "model.n_blocks": 5}
    assert differences([a, b, other]) == ["model", "model.n_blocks"]
    assert differences([a, a]) == []


def test_what_a_model_brings_with_it_goes_without_saying():
    a = entry("rnvp").config
    b = entry("inn", trainer="inn", trainer__lr=2e-2, objective="bidirectional").config
    assert differences([a, b]) == ["model"]
    c = entry("rnvp", objective="maxent").config  # now the model does not tell the objective
    assert differences([a, b, c]) == ["model", "objective"]


def test_seeds_are_taken_together_with_mean_and_sd():
    values = {("rnvp", 0): 1.0, ("rnvp", 1): 3.0, ("rnvp", 2): 2.0, ("spline", 0): 0.5}
    (problem,) = problems(entry(model, seed, {"nll": value}) for (model, seed), value in values.items())
    rnvp, spline = problem.groups
    assert rnvp.mean_sd("nll") == (2.0, statistics.stdev([1, 2, 3])) and spline.mean_sd("nll") == (0.5, None)
    assert rnvp.mean_sd("c2st") is None and [group.config for group in problem.groups] == [
        {"model": "rnvp"},
        {"model": "spline"},
    ]
    assert problem.best("nll") == [spline] and problem.best("c2st") == []
    problem.sort("nll")
    assert problem.groups == [spline, rnvp]


@pytest.mark.parametrize(
    "metric, good, bad",
    [("nll", -3.0, 2.0), ("ess", 0.9, 0.1), ("coverage_90", 0.88, 0.99), ("z_score", 1.1, 0.5), ("c2st", 0.52, 0.9)],
)
def test_each_metric_knows_which_way_is_better(metric, good, bad):
    (problem,) = problems([entry("a", metrics={metric: bad}), entry("b", metrics={metric: good})])
    assert [group.config["model"] for group in problem.best(metric)] == ["b"]
    assert registry.find(metric).badness(good) < registry.find(metric).badness(bad)


def test_equals_are_all_best_and_alone_nothing_is():
    (problem,) = problems(
        [entry("a", metrics={"nll": 1.0, "entropy": 3.0}), entry("b", metrics={"nll": 1.0, "entropy": 1.0})]
    )
    assert len(problem.best("nll")) == 2 and problem.best("entropy") == []  # no better is declared
    (alone,) = problems([entry("a", metrics={"nll": 1.0})])
    assert alone.best("nll") == []


def test_tasks_are_kept_apart_and_budgets_are_not():
    found = problems([entry(), entry(task__n_train=100), entry(task__noise=0.1), entry(task="sine")])
    assert [(problem.task, problem.config, len(problem.groups)) for problem in found] == [
        ("ring", {"task.noise": 0.05}, 2),
        ("ring", {"task.noise": 0.1}, 1),
        ("sine", {}, 1),
    ]
    assert [group.config for group in found[0].groups] == [{"task.n_train": 1000}, {"task.n_train": 100}]


def test_kruse_runs_show_the_published_columns():
    metrics = dict.fromkeys(("nll", "mmd2", "mmd2_median", "err_resim", "err_resim_median", "seconds"), 1.0)
    runs = [entry(metrics=metrics, evaluation="kruse"), entry("spline", metrics=metrics, evaluation="kruse")]
    for run in runs:
        run.evaluated = True
    (problem,) = problems(runs)
    assert problem.columns == ["mmd2", "mmd2_median", "err_resim", "err_resim_median", "seconds"]


def test_lines_of_a_picture_run_along_the_number_that_differs():
    runs = [
        entry(model, seed, {"nll": float(n)}, task__n_train=n)
        for model in ("rnvp", "spline")
        for n in (1000, 100)
        for seed in (0, 1)
    ]
    (problem,) = problems(runs)
    key, found = lines(problem)
    assert key == "task.n_train" and [label for label, _ in found] == [{"model": "rnvp"}, {"model": "spline"}]
    assert [[at for at, _ in points] for _, points in found] == [[100, 1000]] * 2
    assert [len(group.entries) for _, points in found for _, group in points] == [2] * 4
    (problem,) = problems([*runs, entry("rnvp", 0, {"nll": 0.0}, trainer__lr=1e-3)])
    with pytest.raises(RunError, match="task.n_train, trainer.lr differ; choose one with `x="):
        lines(problem)
    assert lines(problem, "trainer.lr")[0] == "trainer.lr"
    with pytest.raises(RunError, match="`x`: 'model' is no number"):
        lines(problem, "model")


@pytest.mark.parametrize(
    "mean, sd, text",
    [
        (-2.3104, 0.0213, "-2.310 +- 0.021"),
        (0.52, None, "0.52"),
        (59458.0, 0.0, "59,458"),
        (1234.5, 120.0, "1,234 +- 120"),
        (4.9e-6, 3.4e-6, "4.9e-06 +- 3.4e-06"),
        (float("nan"), None, "-"),
        (1.23456, None, "1.235"),
        (0.0, 0.5, "0.00 +- 0.50"),
    ],
)
def test_numbers_have_the_digits_that_their_spread_allows(mean, sd, text):
    assert mean_text(mean, sd) == text


# ---- the command -------------------------------------------------------------------------------------
SMALL = ["task.n_train=200", "trainer.max_epochs=2", "model.n_blocks=1"]
SIMULATOR = """import numpy as np
def prior(n, rng): return rng.standard_normal((n, 2))
def simulate(x, rng): return x.sum(1, keepdims=True) + 0.1 * rng.standard_normal((len(x), 1))
"""


@pytest.fixture(scope="module", autouse=True)
def fast():
    """The published classifier takes seconds a call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            exact,
            "c2st_scores",
            lambda compared, **_: [0.5 + min(abs(x.mean() - reference.mean()), 0.5) for x, reference in compared],
        )
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A sweep of 2 models x 2 seeds, one with a job that failed and one that was refused, and runs of other tasks."""
    root = tmp_path_factory.mktemp("runs")
    (root / "sim.py").write_text(SIMULATOR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        patch.chdir(root)
        assert main(["train", "-m", "model=nice,rnvp", "seed=0,1", *SMALL]) == 0
        (sweep,) = (root / "sweeps").iterdir()
        sweep.rename(root / "sweeps" / "whole")
        assert main(["train", "-m", "trainer.lr=1e30,1e-3", "device=cpu,cuda:77", *SMALL]) == 1
        next(path for path in (root / "sweeps").iterdir() if path.name != "whole").rename(root / "sweeps" / "partly")
        assert main(["train", "task=eight_gaussians", *SMALL, f"hydra.run.dir={root}/eight"]) == 0
        assert main(["train", "task=simulator", "task.file=sim.py", *SMALL, f"hydra.run.dir={root}/own"]) == 0
    return root


@pytest.fixture
def inn(root, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; gives exit code, stdout, stderr."""
    monkeypatch.setenv("INN_OUTPUTS", str(root))
    monkeypatch.chdir(tmp_path)

    def call(*words):
        capsys.readouterr()
        return main([str(word) for word in words]), *capsys.readouterr()

    return call


def test_a_sweep_as_json_agrees_with_its_runs(inn, root):
    code, out, err = inn("compare", "whole", "-n", 200, "--json")
    found = json.loads(out)
    assert code == 0 and set(found) == {"runs", "groups", "failed"} and found["failed"] == []
    assert [(run["model"], run["seed"]) for run in sorted(found["runs"], key=lambda run: run["run"])] == [
        ("nice", 0),
        ("nice", 1),
        ("rnvp", 0),
        ("rnvp", 1),
    ]
    assert {json.dumps(group["config"]) for group in found["groups"]} == {'{"model": "nice"}', '{"model": "rnvp"}'}
    for group in found["groups"]:
        mine = [run["metrics"]["nll"] for run in found["runs"] if run["run"] in group["runs"]]
        assert group["seeds"] == [0, 1] and len(mine) == 2
        assert group["metrics"]["nll"] == {"mean": statistics.fmean(mine), "sd": statistics.stdev(mine), "n": 2}
        assert group["verdicts"]["invertible"] == {"yes": 2, "of": 2, "cant_tell": 0}
    means = [group["metrics"]["nll"]["mean"] for group in found["groups"]]
    assert means == sorted(means) and ["nll" in group["best"] for group in found["groups"]] == [True, False]
    # inn evaluate, asked the same, says the same
    alone = json.loads(inn("evaluate", "--run", "whole/2", "-n", 200, "--json")[1])
    (same,) = [run for run in found["runs"] if run["run"] == "whole/2"]
    assert alone["metrics"].items() <= same["metrics"].items() and same["metrics"]["parameters"] > 100


def test_what_was_found_is_kept_and_found_again_exactly(inn, root):
    first = inn("compare", "whole", "-n", 200, "--json")
    again = inn("compare", root / "sweeps" / "whole", "-n", 200, "--json")
    assert "evaluating" not in again[2] and again[1] == first[1]
    for run in (root / "sweeps" / "whole").iterdir():
        shutil.rmtree(run / "evaluations", ignore_errors=True)
    anew = inn("compare", "whole", "-n", 200, "--json")
    assert "evaluating 4 of 4: whole/" in anew[2] and anew[1] == first[1]


def test_only_what_the_metrics_need_is_measured_and_it_never_passes_for_the_whole(inn, root, monkeypatch):
    for folder in root.rglob("evaluations"):
        shutil.rmtree(folder)
    ran = []
    for step in ("_own_checks", "_likelihood", "add_calibration", "_resimulation", "add_c2st", "add_mmd2"):
        real = getattr(evaluate_module, step)
        monkeypatch.setattr(evaluate_module, step, lambda *a, step=step, real=real: ran.append(step) or real(*a))
    words = ("compare", "whole/0", "whole/2", "-n", 200, "--json")

    def compared(*more):
        ran.clear()
        code, out, err = inn(*words, *more)
        assert code == 0
        return json.loads(out)["runs"], err

    runs, _ = compared("--metric", "seconds", "--metric", "val_loss")
    assert ran == [] and not any(run["evaluated"] for run in runs)
    runs, _ = compared("--metric", "nll")
    assert ran == ["_likelihood"] * 2 and {"nll"} == {"nll", "c2st", "follows_y"} & runs[0]["metrics"].keys()
    part = {run["run"]: run["metrics"]["nll"] for run in runs}
    runs, err = compared("--metric", "nll")
    assert ran == [] and "evaluating" not in err and {run["run"]: run["metrics"]["nll"] for run in runs} == part
    compared("--metric", "nll", "--sort", "invertibility_error")
    assert ran == ["_own_checks", "_likelihood"] * 2
    _, err = compared("--no-evaluate")  # a part is no evaluation
    assert "2 of 2 runs were not evaluated" in err
    runs, _ = compared()
    assert len(ran) == 12 and {"nll", "c2st", "follows_y", "nonfinite_draws"} <= runs[0]["metrics"].keys()
    assert {run["run"]: run["metrics"]["nll"] for run in runs} == part
    _, err = compared("--metric", "matches_truth", "--metric", "coverage_90")  # the whole answers for a part
    assert ran == [] and "evaluating" not in err


def test_the_table_marks_the_best(inn):
    code, out, err = inn("compare", "who", "whole/0", "-n", 200, "--metric", "nll", "--metric", "seconds")
    title, heads, rule, first, second, foot, *_ = out.splitlines()
    assert code == 0 and title.strip() == "ring: 4 runs" and heads.split() == ["config", "seeds", "nll", "seconds"]
    assert "+-" in first and first.count("*") + second.count("*") == 2 and foot == "* best of its column"
    cells = [float(row.split("+-")[0].split()[-1]) for row in (first, second)]
    assert cells[0] < cells[1] and "*" in first.split("+-")[1] and "\x1b" not in out
    worst = inn("compare", "whole", "-n", 200, "--metric", "nll", "--sort", "seconds")[1]
    assert worst.count("model=") == 2


def test_a_sweep_with_failed_jobs_tells_them_and_compares_the_rest(inn):
    code, out, err = inn("compare", "partly", "-n", 200, "--json")
    found = json.loads(out)
    assert code == 0 and len(found["runs"]) == 1 and found["runs"][0]["run"] == "partly/2"
    assert sorted((entry["run"], entry["status"]) for entry in found["failed"]) == [
        ("job 1 of partly", "failed"),
        ("job 3 of partly", "failed"),
        ("partly/0", "failed"),
    ]
    assert "left out partly/0 (failed): NonFiniteError" in err and "cuda:77" in err and found["groups"][0]["best"] == []


def test_runs_of_several_tasks_make_a_table_each(inn):
    code, out, err = inn("compare", "whole/0", "eight", "own", "-n", 200)
    assert (
        code == 0 and [title in out for title in ("ring: 1 run", "eight_gaussians: 1 run", "simulator")] == [True] * 3
    )
    assert "*" not in out  # nothing to be better than
    found = json.loads(inn("compare", "own", "-n", 200, "--json")[1])
    assert (
        "nll" in found["runs"][0]["metrics"] and "err_resim" not in found["runs"][0]["metrics"]
    )  # its file is not run
    asked = json.loads(inn("compare", "own", "whole/0", "-n", 200, "--resimulate", "--json")[1])
    assert all(run["evaluated"] for run in asked["runs"])


def test_without_a_name_all_finished_runs_by_what_is_known(inn, root):
    for file in root.rglob("evaluations"):
        shutil.rmtree(file)
    code, out, err = inn("compare")
    assert code == 0 and "ring: 5 runs" in out and "val_loss" in out and "nll" not in out
    assert "7 of 7 runs were not evaluated in this way; --evaluate does it" in err and "evaluating" not in err


def test_csv_has_a_row_a_run(inn, tmp_path):
    code, out, err = inn("compare", "whole", "--no-evaluate", "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (
        code == 0
        and [row["seed"] for row in rows] == ["0", "1"] * 2
        and {row["model"] for row in rows} == {"nice", "rnvp"}
    )
    assert all(float(row["val_loss"]) for row in rows)
    assert inn("compare", "whole", "--no-evaluate", "--csv", tmp_path / "t.csv")[0] == 0
    assert (tmp_path / "t.csv").read_text() == out


@pytest.mark.parametrize("suffix, start", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_picture_by_suffix_and_the_same_bytes(inn, tmp_path, suffix, start):
    words = ["compare", "whole", "--no-evaluate", "--plot", "--out"]
    assert inn(*words, f"a.{suffix}")[0] == 0 == inn(*words, f"b.{suffix}")[0]
    one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert one.startswith(start) and one == two


def test_the_curve_goes_through_the_means_and_shows_every_seed():
    from inncli.plots.compare import compare_plot

    series = {"a": [(100.0, {"nll": [1.0, 3.0]}), (10_000.0, {"nll": [0.5, 0.5]})], "b": [(100.0, {"nll": [4.0]})]}
    (axes,) = compare_plot(series, ["nll"], "task.n_train").axes
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "task.n_train" and axes.get_ylabel() == "nll"
    curve, other = (container.lines[0] for container in axes.containers)
    assert list(curve.get_ydata()) == [2.0, 0.5] and list(other.get_ydata()) == [4.0]
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert sorted(y for line in dots for y in line.get_ydata()) == [0.5, 0.5, 1.0, 3.0]


def test_the_picture_of_a_sweep_lies_in_it(inn, root):
    code, out, err = inn("compare", "whole", "--no-evaluate", "--plot")
    assert code == 0 and (root / "sweeps" / "whole" / "compare.png").is_file() and "picture: " in out


@pytest.mark.parametrize(
    "words, message",
    [
        ("nowhere", "no run 'nowhere' under ROOT; try `inn runs`"),
        ("whole --metric nl --no-evaluate", "no run has a metric 'nl'; there are "),
        ("whole --metric val_los --no-evaluate", "no run has a metric 'val_los'; did you mean 'val_loss'?"),
        ("partly/0", "expected finished runs to compare, got none (NonFiniteError"),
        ("whole --x task.n_train", "--x goes with --plot; add that, or leave it out"),
        ("whole --plot --out a.jpg", "--out: expected a name that ends in one of .png .svg .pdf"),
        (
            "whole eight --no-evaluate --plot",
            "--plot draws runs of one task, got ring, eight_gaussians; name fewer runs",
        ),
        ("whole --json --csv -", "--json and --csv - both want stdout"),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(inn, root, words, message):
    code, out, err = inn("compare", *words.split())
    last = err.splitlines()[-1]
    assert (code, out) == (2, "") and last.startswith(message.replace("ROOT", str(root))), err


def test_a_run_that_cannot_be_judged_leaves_the_others(inn, root, tmp_path):
    copy = root / "copied"
    shutil.copytree(root / "sweeps" / "whole" / "1", copy)
    (copy / "checkpoints" / "best.safetensors").write_bytes(b"nothing")
    try:
        code, out, err = inn("compare", "copied", "whole/0", "-n", 200, "--json")
        found = json.loads(out)
        assert code == 0 and {run["run"]: run["evaluated"] for run in found["runs"]} == {
            "copied": False,
            "whole/0": True,
        }
        assert "copied was not evaluated: checkpoint" in err
        (copy / "config.yaml").write_text("[")
        code, out, err = inn("compare", "copied", "whole/0", "-n", 200)
        assert code == 0 and "left out copied (damaged): " in err
    finally:
        shutil.rmtree(copy)


def test_a_prefix_of_several_is_refused(inn, root):
    shutil.copytree(root / "eight", root / "eighty")
    try:
        assert inn("compare", "eig")[::2] == (2, "'eig' fits 2 runs and sweeps: eight, eighty; give more of the id\n")
        assert inn("compare", "eight", "--no-evaluate")[0] == 0  # a whole id is that run
    finally:
        shutil.rmtree(root / "eighty")


# ---- how much data -----------------------------------------------------------------------------------
def test_the_experiment_sweeps_the_budget_and_takes_more():
    from inncli import config

    sizes = [100, 300, 1000, 3000, 10000, 30000, 100000]
    jobs = config.plan(["experiment=how_much_data"], multirun=True)
    assert [job.config["task"]["n_train"] for job in jobs] == sizes and all(job.exact for job in jobs)
    jobs = config.plan(["experiment=how_much_data", "model=rnvp,spline"], multirun=True)
    assert len(jobs) == 2 * len(sizes) and {job.config["names"]["model"] for job in jobs} == {"rnvp", "spline"}
    (single,) = config.plan(["experiment=how_much_data"])
    assert single.config["task"]["n_train"] == 10_000


@pytest.mark.slow
def test_hydra_runs_what_was_planned(tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    assert main(["train", "-m", "experiment=how_much_data", "trainer.max_steps=1", "model.n_blocks=1"]) == 0
    (sweep,) = (tmp_path / "sweeps").iterdir()
    sizes = [RunDir(sweep / str(n)).config()["task"]["n_train"] for n in range(7)]
    assert sizes == [100, 300, 1000, 3000, 10000, 30000, 100000]


@pytest.mark.parametrize("size", [100, 1_700])
def test_fewer_pairs_are_the_first_of_more(size):
    from inncli.tasks.toy.ring import Ring

    few, many = Ring(n_train=size).training_pairs(3), Ring(n_train=5_000).training_pairs(3)
    whole = size - size % 1_000  # a block drawn in part is not its beginning: x and noise come one after the other
    assert (few.x[:whole] == many.x[:whole]).all() and (few.y[:whole] == many.y[:whole]).all()
    assert (few.x == many.x[:size]).all()
