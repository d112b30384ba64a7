"""`inn runs`, `inn show` and `inn plot`, on one small trained run."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest

from inncli.cli.app import main
from inncli.cli.cells import duration, steps
from inncli.cli.plot.group import Figures
from inncli.cli.show import flat
from inncli.inference import posterior_files
from inncli.inference.posterior_set import PosteriorSet
from inncli.plots import posterior
from inncli.runs.registry import find_run
from inncli.runs.run_dir import RunDir


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An outputs folder with a finished ring run that has kept a posterior set."""
    root = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        assert main(["train", "trainer.max_epochs=2", "task.n_train=300"]) == 0
        assert main(["invert", "--y", "0.3", "-n", "50"]) == 0
    return root


@pytest.fixture
def outputs(trained, tmp_path, monkeypatch):
    """A copy of it that a test may spoil, and the working directory empty."""
    root = tmp_path / "outputs"
    shutil.copytree(trained, root)
    monkeypatch.setenv("INN_OUTPUTS", str(root))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return root


@pytest.fixture
def inn(capsys):
    """Runs a command; gives exit code, stdout, stderr."""

    def call(*words):
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def files(root):
    return {path for path in root.rglob("*") if path.is_file()}


# ---- runs ----------------------------------------------------------------------------------------
def test_runs_lists_what_is_there_newest_last(outputs, inn):
    older = RunDir.create(
        outputs / "2020-01-01_00-00_linear_glow_0000",
        task="linear",
        model="glow",
        started="2020-01-01T00:00:00.000000+00:00",
        steps=10,
        planned_steps=99,
    )
    older.update_info(status="failed", seconds=125.0)
    (outputs / "zz_cut").mkdir()
    (outputs / "zz_cut" / "run.json").write_text("{")
    code, out, err = inn("runs")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[2:]]
    assert " ".join(rows[0]) == "2020-01-01_00-00_linear_glow_0000 failed linear glow - 10/99 2:05 min"
    info = find_run().info()
    assert rows[1][:4] == [find_run().id, "done", "ring", "rnvp"]
    assert float(rows[1][4]) == pytest.approx(info["metrics"]["val_loss"], rel=1e-4)
    assert rows[1][5] == str(info["steps"])
    assert rows[2][:2] == ["zz_cut", "damaged"]


def test_runs_json_is_for_machines(outputs, inn):
    code, out, _ = inn("runs", "--json")
    (entry,) = json.loads(out)
    assert code == 0
    assert entry["path"] == str(find_run().path)
    assert (entry["id"], entry["status"]) == (find_run().id, "done")
    shutil.rmtree(outputs)
    assert inn("runs", "--json") == (0, "[]\n", "")
    assert inn("runs") == (0, "", f"no runs under {outputs}; train one with `inn train`\n")


def test_runs_needs_no_torch_and_a_thousand_of_them_take_under_a_second(tmp_path, monkeypatch, inn):
    import sys

    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    for i in range(1000):
        (tmp_path / f"run{i:04}").mkdir()
        (tmp_path / f"run{i:04}" / "run.json").write_text('{"status": "done", "started": "2026"}')
    for name in [name for name in sys.modules if name.split(".")[0] in ("torch", "numpy", "hydra")]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it again would raise
    start = time.perf_counter()
    code, out, _ = inn("runs", "--json")
    assert (code, len(json.loads(out))) == (0, 1000)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "seconds, text",
    [
        (None, None),
        (0.0, "0.0 s"),
        (9.96, "10 s"),
        (59.6, "60 s"),
        (99.4, "99 s"),
        (99.6, "1:40 min"),
        (3599.4, "59:59 min"),
        (3599.6, "1:00 h"),
        (7500, "2:05 h"),
        (90061, "25:01 h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_steps():
    assert [
        steps(info) for info in ({}, {"steps": 7}, {"steps": 7, "planned_steps": 7}, {"steps": 0, "planned_steps": 9})
    ] == [None, "7", "7", "0/9"]


# ---- show ----------------------------------------------------------------------------------------
def test_show_tells_state_metrics_config_task_and_health(outputs, inn):
    code, out, err = inn("show")
    run = find_run()
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for expected in [f"id {run.id}", "status done", "trainer.max_epochs 2", "task.n_train 300", "x: x1, x2", "y: y1"]:
        assert expected in lines
    assert [line for line in lines if line in ("run", "metrics", "config", "task", "model")] == [
        "run",
        "metrics",
        "config",
        "task",
        "model",
    ]
    name, value = lines[-1].split()
    assert name == "invertibility_error"
    assert 0 < float(value) < 1e-3


def test_show_json(outputs, inn):
    code, out, _ = inn("show", "--json", "--run", find_run().id[:12])
    shown = json.loads(out)
    assert code == 0
    assert shown["config"] == find_run().config()
    assert shown["run"]["metrics"] == find_run().info()["metrics"]
    assert set(shown) == {"run", "config", "task", "diagnostics"}
    assert shown["diagnostics"]["invertibility_error"] < 1e-3


def test_show_of_a_run_that_never_came_to_a_checkpoint(outputs, inn):
    run = find_run()
    shutil.rmtree(run.path / "checkpoints")
    run.update_info(status="interrupted")
    code, out, _ = inn("show", "--run", run.id)
    assert code == 0
    assert out.splitlines()[-1] == f"  no checkpoint yet; `inn resume {run.id}` continues the run"


def test_settings_are_shown_as_one_types_them():
    nested = {"_target_": "x", "b": [1, 2], "c": None, "d": True, "e": {"f": 1e-3}}
    assert flat({"a": nested, "g": "cpu"}) == [("a.b", "[1,2]"), ("a.d", "true"), ("a.e.f", 1e-3), ("g", "cpu")]


# ---- plot ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words, name",
    [
        (["training"], "training.png"),
        (["posterior"], "posterior.png"),
        (["density", "--y", "0.3", "--grid", "20"], "density.png"),
        (["posterior", "--y", "0.3", "-n", "40", "--reference", "--x", "x2"], "posterior.png"),
    ],
)
def test_plot_writes_a_picture_into_the_run_and_says_where(outputs, inn, words, name):
    code, out, err = inn("plot", *words)
    assert (code, out, err) == (0, f"{find_run().plots / name}\n", "")
    assert (find_run().plots / name).read_bytes().startswith(b"\x89PNG")
    assert files(outputs.parent / "here") == set()


def test_an_unknown_whose_name_holds_a_comma_is_picked_in_quotes(tmp_path, inn):
    draws = np.random.default_rng(0).normal(size=(1, 50, 2))
    posterior_files.save(PosteriorSet(draws, None, [[0.0]], ("a, kg", "b"), ("y",)), tmp_path / "s.npz")
    assert inn("plot", "posterior", "--set", str(tmp_path / "s.npz"), "--x", '"a, kg"')[0] == 0
    assert inn("plot", "posterior", "--set", str(tmp_path / "s.npz"), "--x", "a, kg")[2] == (
        "expected an unknown out of a, kg, b, got 'a'; pick one of those\n"
    )


def test_plot_out_and_a_set_without_a_run(outputs, inn):
    shutil.copy(find_run().latest_posterior(), "mine.npz")
    shutil.rmtree(outputs)
    assert inn("plot", "posterior", "--set", "mine.npz") == (0, "mine.png\n", "")
    assert inn("plot", "posterior", "--set", "mine.npz", "--out", "deep/p.svg") == (0, "deep/p.svg\n", "")
    with open("deep/p.svg") as file:
        assert "<svg" in file.read()


def test_the_reference_drawn_is_the_exact_posterior(outputs, inn, monkeypatch):
    seen = {}

    def keep(draws, obs, names, reference, cloud):
        from inncli.plots.style import new_figure

        seen.update(draws=draws, truth=reference, cloud=cloud)
        return new_figure(1, 1)

    monkeypatch.setattr(posterior, "posterior_pairs", keep)
    assert inn("plot", "posterior", "--y", "0.3", "--reference", "--cloud", "-n", "30")[0] == 0
    # the simulator's own y of each draw, without noise
    np.testing.assert_allclose(seen["cloud"][:, 0], np.sum(seen["draws"].x[0] ** 2, axis=1))
    assert seen["draws"].x.shape == (1, 30, 2)
    # y = |x|^2 + noise, so |x|^2 given y = 0.3 is near 0.3 give or take the noise of 0.05
    assert np.mean(np.sum(seen["truth"] ** 2, axis=1)) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    "words, message",
    [
        (
            "posterio",
            "expected a picture out of training, posterior, density, calibration, latent, view, convergence, "
            "cobweb, got 'posterio'; did you mean 'posterior'?",
        ),
        (
            "training --out p.txt",
            "--out: expected a name that ends in one of .png .svg .pdf, got 'p.txt'; change its suffix",
        ),
        (
            "training --y 0.3",
            "--y goes with `inn plot posterior, density, view or cobweb`, got `inn plot training`; leave it out",
        ),
        ("density --reference", "--reference goes with `inn plot posterior`, got `inn plot density`; leave it out"),
        (
            "latent --samples 5",
            "--samples goes with `inn plot posterior, density or view`, got `inn plot latent`; leave it out",
        ),
        ("density --cloud", "--cloud goes with `inn plot posterior`, got `inn plot density`; leave it out"),
        ("posterior --resimulate", "--resimulate goes with --cloud or --reference here; leave it out"),
        ("latent --resimulate", "--resimulate: run RUN has no simulator file; leave it out"),
        ("view --y 0.3", "run RUN: its task has no view of its own, as arms and images have; try `inn plot posterior`"),
        ("posterior --grid 50", "--grid goes with `inn plot density`, got `inn plot posterior`; leave it out"),
        ("posterior --samples 5", "--samples goes with --y, a set that is there has its draws; leave it out"),
        ("density", "run RUN models x given y (y1); pass --y, e.g. --y 0.3"),
        ("posterior --obs 3", "expected an observation from 0 to 0, got 3; pick one of those"),
        ("posterior --obs 3 --reference", "expected an observation from 0 to 0, got 3; pick one of those"),
        ("posterior --x x1,x3", "expected an unknown out of x1, x2, got 'x3'; pick one of those"),
        ("posterior --set no.npz", "expected a posterior set, got no.npz, which is not there; check the path"),
        ("posterior --set no.npz --y 1", "--set draws a set that is there, --y a new one; pass only one of them"),
        ("posterior --y 1,2", "y has 2 values, run RUN was trained on 1 (y1); pass one value, e.g. --y 0.3"),
        ("training --run zzz", "no run 'zzz' under ROOT; try `inn runs`"),
    ],
)
def test_a_wrong_request_is_one_line_code_2_and_writes_nothing(outputs, inn, words, message):
    before = files(outputs.parent)
    code, out, err = inn("plot", *words.split())
    assert (code, out) == (2, "")
    assert err == message.replace("RUN", find_run().id).replace("ROOT", str(outputs)) + "\n"
    assert files(outputs.parent) == before


@pytest.mark.parametrize(
    "words, message",
    [
        ("", "missing argument 'KIND'; try `inn plot --help`"),
        ("--run RUN", "missing argument 'KIND'; try `inn plot --help`"),
        (
            "--seed 3 trainign",
            f"expected a picture out of {', '.join(Figures.lines)}, got 'trainign'; did you mean 'training'?",
        ),
        ("posterior --gird 3", "inn plot posterior has no option --gird; try `inn plot posterior --help`"),
        ("--gird 3 density", "inn plot density has no option --gird; did you mean '--grid'?"),
        ("training --r 0", "--r goes with `inn plot cobweb`, got `inn plot training`; leave it out"),
        ("training more", "got unexpected extra argument(s) (more); try `inn plot training --help`"),
        ("density --grid", "option '--grid' requires an argument; try `inn plot --help`"),
        (
            "cobweb --steps 0",
            "invalid value for '--steps': 0 is not in the range 1<=x<=10000; try `inn plot cobweb --help`",
        ),
    ],
)
def test_words_that_no_figure_takes_are_told_apart(outputs, inn, words, message):
    code, out, err = inn("plot", *words.replace("RUN", find_run().id).split())
    assert (code, out, err) == (2, "", message + "\n")


@pytest.mark.parametrize(
    "words",
    [
        "--run {run} training",
        "-o training.png --run={run} training",
        "--seed 1 --device cpu training --config-dir .",  # options that it took and does not use
        "--obs 0 training",
        "-- training",
    ],
)
def test_options_may_stand_before_the_figure(outputs, inn, words):
    code, out, err = inn("plot", *words.format(run=find_run().id).split())
    assert (code, err) == (0, "") and out.endswith("training.png\n")


def test_a_figure_shows_its_own_options_alone(inn):
    code, out, _ = inn("plot", "training", "--help")
    assert code == 0 and "--run" in out and "Examples:" in out and "--grid" not in out and "--seed" not in out
    code, out, _ = inn("plot", "--run", "x", "--help")
    assert code == 0 and all(f"  {name} " in out for name in Figures.lines)


def test_what_is_not_there_yet_is_said(outputs, inn):
    run = find_run()
    shutil.rmtree(run.posteriors)
    run.metrics_file.write_text("")
    assert inn("plot", "training")[2] == (
        f"run {run.id} has no trained epoch yet (status done); wait for its first, or pick another run with --run\n"
    )
    assert inn("plot", "posterior")[2] == (
        f"run {run.id} has kept no posterior set; draw one with `inn invert --y ...`, or pass --y here\n"
    )
