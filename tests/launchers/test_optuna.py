"""The Optuna search: its study survives a kill, trials are pruned by the curves on disk, the best one is a recipe."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="needs pip install 'inncli[optuna]'")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

from inncli import launchers  # noqa: E402
from inncli.cli.app import main  # noqa: E402
from inncli.config import compose  # noqa: E402
from inncli.launchers.optuna import Pruning, read_trial  # noqa: E402
from inncli.launchers.space import search_space  # noqa: E402
from inncli.runs.registry import find_run  # noqa: E402
from inncli.runs.run_dir import RunDir  # noqa: E402
from inncli.runs.run_info import Ending  # noqa: E402
from inncli.runs.sweep_dir import SweepDir  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # pytest turns them on again

TINY = ["model=nice", "model.n_blocks=1", "task.n_train=400", "trainer.max_epochs=4"]
SEARCH = [
    "train",
    "-m",
    "hydra/sweeper=optuna",
    *TINY,
    "trainer.lr=tag(log,interval(1e-4,1e-1))",
    "model.block.hidden=[4],[8,8]",
    "hydra.sweeper.n_jobs=1",
]


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


def the_sweep(outputs):
    (path,) = (outputs / "sweeps").iterdir()
    return SweepDir(path)


def study_of(sweep):
    return optuna.load_study(study_name="inn", storage=f"sqlite:///{sweep.path / 'study.db'}")


def states(sweep):
    return [trial.state.name for trial in study_of(sweep).trials]


def test_a_search_that_was_killed_goes_on_and_its_best_config_trains(outputs, capsys):
    # Long trials, so that the kill meets one in the middle.
    words = [
        *SEARCH,
        "hydra.sweeper.n_trials=4",
        "trainer.max_epochs=40",
        "trainer.checkpoint_seconds=.1",
        "hydra.sweeper.pruner=null",
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    search = subprocess.Popen(
        [sys.executable, "-m", "inncli", *words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    third = outputs / "sweeps"
    for _ in range(1200):
        if any(RunDir(path).info().get("steps") for path in third.glob("*/2") if (path / "run.json").exists()):
            break
        time.sleep(0.05)
    search.send_signal(signal.SIGKILL)
    search.wait()
    sweep = the_sweep(outputs)
    assert states(sweep)[:2] == ["COMPLETE"] * 2 and states(sweep)[2:] == ["RUNNING"]
    before = {n: (sweep.run(n).path / "run.json").read_bytes() for n in (0, 1)}
    asked = [trial.params for trial in study_of(sweep).trials]

    assert main(["resume", sweep.id]) == 0
    assert states(sweep) == ["COMPLETE"] * 4
    assert [trial.params for trial in study_of(sweep).trials][:3] == asked  # the third was continued, not drawn anew
    assert {n: (sweep.run(n).path / "run.json").read_bytes() for n in before} == before
    assert len({json.dumps(trial.params) for trial in study_of(sweep).trials}) == 4
    for trial in study_of(sweep).trials:  # the study agrees with the runs
        assert trial.value == sweep.run(trial.number).info()["metrics"]["val_loss"]
        assert trial.intermediate_values == {
            line["epoch"]: line["val_loss"] for line in sweep.run(trial.number).metrics()
        }

    best = study_of(sweep).best_trial
    assert "experiment=best" in capsys.readouterr().out
    assert main(["train", "--config-dir", str(sweep.path), "experiment=best"]) == 0
    run = find_run()
    assert run.info()["metrics"]["val_loss"] == best.value  # the same config and seed: the same run
    assert run.config()["trainer"]["lr"] == best.params["trainer.lr"]

    # More trials on request.
    assert main(["resume", sweep.id, "hydra.sweeper.n_trials=5"]) == 0
    assert states(sweep) == ["COMPLETE"] * 5


def test_a_trial_that_falls_behind_is_pruned_and_no_failure(outputs, capsys):
    # The search draws the rate that learns twice, then one that is far too low to follow.
    words = [
        "train",
        "-m",
        "hydra/sweeper=optuna",
        *TINY,
        "hydra.sweeper.n_jobs=1",
        "hydra.sweeper.n_trials=3",
        "trainer.max_epochs=20",
        "hydra.sweeper.pruner.n_startup_trials=1",
        "hydra.sweeper.pruner.n_warmup_steps=8",
    ]
    assert main([*words, "trainer.lr=1e-2,1e-6", "seed=6"]) == 0
    sweep = the_sweep(outputs)
    jobs = sweep.jobs()
    rates = [trial.params["trainer.lr"] for trial in study_of(sweep).trials]
    assert rates == [1e-2, 1e-2, 1e-6], "the sampler draws otherwise: choose another seed"
    assert [job["status"] for job in jobs] == ["done", "done", "pruned"]
    assert states(sweep) == ["COMPLETE", "COMPLETE", "PRUNED"]
    run = sweep.run(2)
    assert 8 <= len(run.metrics()) < 20 and run.last.exists()  # it can be continued, by `inn resume` of the run
    info = run.info()
    assert (info["status"], info["ended_by"], info["pruned"]) == ("interrupted", "pruned", True)
    assert "pruned" in capsys.readouterr().out
    assert sweep.manifest()["status"] == "done"


def runs_with_curves(tmp_path, curves):
    runs = []
    for number, (status, curve) in enumerate(curves):
        run = RunDir.create(tmp_path / str(number))
        for epoch, loss in enumerate(curve, 1):
            run.append_metrics({"epoch": epoch, "step": epoch, "val_loss": loss})
        if status != "running":
            run.update_info(status=status, metrics={"val_loss": min(curve)})
        runs.append(run)
    return runs


def test_pruning_compares_with_the_finished_trials_at_the_same_epoch(tmp_path):
    pruning = Pruning(optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2), tmp_path)
    runs = runs_with_curves(
        tmp_path,
        [
            ("done", [3, 2, 1]),
            ("done", [4, 3, 2]),
            ("failed", [9, 9, 9]),
            ("running", [2, 2]),
            ("running", [5, 5]),
            ("running", [9]),
        ],
    )
    assert pruning(runs[3]) is None  # better than the median of 2 and 3
    assert pruning(runs[4]) is Ending.PRUNED
    assert pruning(runs[5]) is None  # the first epoch is too early to tell
    assert Pruning(optuna.pruners.MedianPruner(n_startup_trials=3), tmp_path)(runs[4]) is None  # too few have ended
    for run in runs[3:]:
        run.release()


def test_how_a_run_reads_as_a_trial(tmp_path):
    runs = runs_with_curves(tmp_path, [("done", [2, 1]), ("failed", [2]), ("interrupted", [2]), ("running", [2])])
    assert [read_trial(run)[0].name for run in runs] == ["COMPLETE", "FAIL", "RUNNING", "RUNNING"]
    assert read_trial(runs[0])[1:] == (1, {1: 2, 2: 1})
    runs[2].update_info(pruned=True)
    assert read_trial(runs[2])[0].name == "PRUNED"
    assert read_trial(RunDir(tmp_path / "none"))[0].name == "RUNNING"
    runs[3].release()


@pytest.mark.parametrize(
    "word, told",
    [
        ("trainer.lrr=interval(1e-4,1e-1)", "lrr"),
        ("trainer.lr=interval(-1,1)", "trainer.lr"),
        ("model=nice,ncie", "ncie"),
        ("trainer.max_steps=20", "a search needs settings to choose from, and got one value of each"),
    ],
)
def test_a_wrong_space_is_one_line_and_nothing_is_written(outputs, capsys, word, told):
    assert main(["train", "-m", "hydra/sweeper=optuna", word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not outputs.exists()


@pytest.mark.parametrize(
    "word, told",
    [
        ("n_trials=abc", "hydra.sweeper.n_trials: expected a whole number of 1 or more, got 'abc'"),
        ("n_trials=0", "hydra.sweeper.n_trials: expected a whole number of 1 or more, got 0"),
        (
            "sampler._target_=optuna.samplers.GridSampler",
            "hydra.sweeper.sampler: GridSampler.__init__() got an unexpected keyword "
            "argument 'n_startup_trials'; `inn train -c hydra` shows its settings",
        ),
        ("n_jobs=0", "hydra.sweeper.n_jobs: expected a whole number of 1 or more, got 0"),
    ],
)
def test_wrong_settings_of_a_search(outputs, capsys, word, told):
    assert main(["train", "-m", "hydra/sweeper=optuna", f"hydra.sweeper.{word}", "seed=1,2"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == told
    assert not any((outputs / "sweeps").iterdir())


def test_a_search_goes_on_beside_what_is_damaged(outputs, capsys):
    words = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=1",
        "hydra.sweeper.n_jobs=1",
        "trainer.lr=interval(.001,.01)",
        "task.n_train=200",
        "model.n_blocks=1",
        "trainer.max_epochs=2",
    ]
    assert main(["train", "-m", *words]) == 0
    (path,) = (outputs / "sweeps").iterdir()
    (path / "0" / "run.json").write_text("{")
    (path / "0" / "config.yaml").unlink()
    main(["resume", str(path), "hydra.sweeper.n_trials=2"])
    states = {job["job"]: job["status"] for job in SweepDir(path).jobs()}
    assert states == {0: "failed", 1: "done"}, capsys.readouterr().err
    capsys.readouterr()
    (path / "study.db").write_text("nothing that SQLite knows")
    assert main(["resume", str(path), "hydra.sweeper.n_trials=3"]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith(f"{path / 'study.db'} is damaged (file is not a database)")
    )
    assert SweepDir(path).manifest()["status"] != "running"


def test_a_search_by_a_recipe_leaves_its_best_config(outputs):
    words = ["experiment=search_spline", "task.n_train=200", "trainer.max_steps=2", "hydra.sweeper.n_trials=2"]
    assert main(["train", "-m", *words]) == 0
    sweep = the_sweep(outputs)
    assert states(sweep) == ["COMPLETE"] * 2
    assert "- override /model: spline" in sweep.best_config.read_text()


@pytest.fixture
def old_search(outputs):
    """A search that inn 0.4.0 with Optuna 2.10 began; its third trial was killed before its first step."""
    path = outputs / "sweeps" / "old"
    shutil.copytree(Path(__file__).parents[1] / "fixtures" / "search_0_4", path)
    with sqlite3.connect(path / "study.db") as database:
        database.executescript((path / "study.sql").read_text())
    database.close()
    (path / "study.sql").unlink()
    return SweepDir(path)


def test_a_search_of_0_4_goes_on(old_search, capfd):
    with sqlite3.connect(old_search.path / "study.db") as database:
        drawn = database.execute("SELECT param_value FROM trial_params WHERE param_name = 'trainer.lr'").fetchall()
    before = {n: (old_search.path / str(n) / "run.json").read_bytes() for n in (0, 1)}
    assert main(["resume", "old", "hydra.sweeper.n_trials=4"]) == 0
    said = capfd.readouterr().err
    assert "Warning" not in said and "alembic" not in said
    trials = study_of(old_search).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 4
    assert [(trial.params["trainer.lr"],) for trial in trials[:3]] == drawn  # the third was not drawn anew
    assert [trial.value for trial in trials[2:]] == [old_search.run(n).info()["metrics"]["val_loss"] for n in (2, 3)]
    assert {n: (old_search.path / str(n) / "run.json").read_bytes() for n in before} == before
    assert old_search.best_config.is_file() and not list(old_search.path.glob(".*.tmp"))


def test_a_study_of_a_newer_optuna_is_one_line(old_search, capsys):
    with sqlite3.connect(old_search.path / "study.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    assert main(["resume", "old"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"{old_search.path / 'study.db'} is of another version of Optuna than ")


def test_an_optuna_that_is_too_old_is_one_line(outputs, capsys, monkeypatch):
    monkeypatch.setattr(launchers.importlib.metadata, "version", lambda name: "2.10.1")
    assert main(["train", "-m", "hydra/sweeper=optuna", "seed=1,2"]) == 2
    assert capsys.readouterr().err == (
        "the search needs a newer optuna than 2.10.1, which is installed; get it with `pip install 'inncli[optuna]'`\n"
    )
    assert not outputs.exists()


@pytest.mark.parametrize(
    "word, want",
    [
        ("a=1,2", CategoricalDistribution([1, 2])),
        ("a=x,null,true,[8,8]", CategoricalDistribution(["x", "null", True, "[8,8]"])),
        ("a=choice([4],'b c')", CategoricalDistribution(["[4]", "b c"])),
        ("a=shuffle(range(3))", None),
        ("a=range(2,6)", IntDistribution(2, 6)),
        ("a=range(2,6,2)", IntDistribution(2, 6, step=2)),
        ("a=range(0,1,0.25)", FloatDistribution(0, 1, step=0.25)),
        ("a=interval(1,8)", FloatDistribution(1, 8)),
        ("a=int(interval(1,8))", IntDistribution(1, 8)),
        ("a=tag(log,int(interval(1,8)))", IntDistribution(1, 8, log=True)),
        ("a=interval(0.0,1)", FloatDistribution(0, 1)),
        ("a=tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("model=glob(r*)", CategoricalDistribution(["rnvp"])),
    ],
)
def test_the_space_is_read_from_overrides(word, want):
    with compose.composer():
        space, fixed = search_space(compose.parse([word, "b=3", "c=1,2", "c=2"]))
    (found,) = space.values()  # c has one value
    assert fixed == {"b": "3", "c": "2"}
    if want is None:
        assert sorted(found.choices) == [0, 1, 2]
    else:
        assert found == want


@pytest.mark.parametrize("word", ["trainer.lr=tag(log,interval(0.0,1.0))", "model.n_blocks=range(5,2)"])
def test_bounds_that_are_none_are_one_line(outputs, capsys, word):
    assert main(["train", "-m", "hydra/sweeper=optuna", word]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_shipped_search_composes(capsys):
    from inncli import config

    jobs = config.plan(["experiment=search_spline"], multirun=True)
    assert all(not job.exact and job.config["names"]["model"] == "spline" for job in jobs)
