"""A stranger's search: the recipes in its folder, and its study."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attacks import CODE, SEARCH, SIMULATOR, TINY, config_of, copied_runs, refused, sweep
from inncli.cli.app import main

BEST = ["train", "--config-dir", "their", "experiment=best"]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    folder = copied_runs(tmp_path, monkeypatch)
    rows = np.random.default_rng(0).normal(size=(200, 2))
    np.savetxt("mine.csv", rows, delimiter=",", header="x,y", comments="")
    return folder


# ---- recipes in the folder of a sweep ----------------------------------------------------------------
def recipe(text: str, folder: str = "their", marker: str = "sweep.json") -> None:
    sweep()
    path = Path(folder, "experiment")
    path.mkdir(parents=True, exist_ok=True)
    (path / "best.yaml").write_text(text)
    if marker != "sweep.json":
        Path("their/sweep.json").rename(Path("their", marker))
    Path("evil.py").write_text(SIMULATOR.format(canary=str(Path("canary").absolute())))
    for module in ("hydra", "mine", "torch"):
        Path("their", f"{module}.py").write_text(CODE.format(canary=str(Path("canary").absolute())))


PACKAGE = "# @package _global_\n"
CALLBACK = "{x: {_target_: inncli.tasks.user.simulator.Simulator, file: evil.py}}"
RECIPES = {
    "a callback": f"{PACKAGE}hydra: {{callbacks: {CALLBACK}}}",
    "hydra's own place": f"# @package hydra.callbacks\nmodel: {CALLBACK}",
    "no place": "model: {n_blocks: 1}",
    "two places": f"{PACKAGE}# @package hydra\nmodel: {{n_blocks: 1}}",
    "a class that lies there": f"{PACKAGE}model: {{_target_: mine.Model}}",
    "a class inside a class": f"{PACKAGE}model: {{block: {{_target_: mine.Block}}}}",
    "a task as a model": f"{PACKAGE}model: {{_target_: inncli.tasks.user.simulator.Simulator, file: evil.py}}",
    "the environment": f"{PACKAGE}logger: {{experiment: '${{oc.env:SECRET}}'}}",
    "the environment in a key": f"{PACKAGE}model: {{'${{oc.env:SECRET}}': 1}}",
    "a yaml by a path": f"{PACKAGE}defaults: [override /model: ../task/ring]",
    "a yaml of hydra's": f"{PACKAGE}defaults: [override /hydra/launcher: joblib]",
    "a yaml that lies there": f"{PACKAGE}defaults: [override /model: theirs]",
    "a yaml in another place": f"{PACKAGE}defaults: ['/task@hydra.callbacks: ring']",
    "a simulator file": f"{PACKAGE}defaults: [override /task: simulator]\ntask: {{file: evil.py}}",
    "a class of Python's": f"{PACKAGE}model: !!python/object/apply:os.system ['touch canary']",
    "more than there is": f"{PACKAGE}model: &a [*a]",
}

CLASSES = ("a class that lies there", "a class inside a class", "a task as a model")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_in_the_folder_of_a_sweep_is_data(name, runs, capsys, monkeypatch):
    monkeypatch.setenv("SECRET", "secret")
    recipe(RECIPES[name])
    said = {"a simulator file": "add --resimulate"} | dict.fromkeys(CLASSES, "_target_")
    refused(runs, [*BEST, *TINY], said.get(name, "where a recipe is data"), capsys)


@pytest.mark.parametrize(
    "folder, marker", [("their", "run.json"), ("their/conf", "sweep.json"), ("their", "sweep.json")]
)
def test_so_is_one_in_the_folder_of_a_run_or_below(folder, marker, runs, capsys):
    recipe(RECIPES["a callback"], folder, marker)
    refused(runs, ["train", "--config-dir", folder, "experiment=best", *TINY], "where a recipe is data", capsys)


def test_a_yaml_of_another_group_in_the_folder_of_a_sweep_is_not_composed(runs, capsys):
    recipe(f"{PACKAGE}model: {{n_blocks: 1}}")
    Path("their/model").mkdir()
    Path("their/model/theirs.yaml").write_text("_target_: mine.Model")
    refused(runs, [*BEST, "model=theirs"], "only recipes are composed", capsys)


def test_a_recipe_that_is_a_pipe_is_not_waited_for(runs, capsys):
    recipe("")
    Path("their/experiment/best.yaml").unlink()
    os.mkfifo("their/experiment/best.yaml")
    refused(runs, BEST, "no regular file", capsys)


def test_the_advice_of_a_search_imports_nothing_that_lies_in_its_folder(runs, capsys):
    recipe(f"{PACKAGE}defaults: [override /model: spline]\ntrainer: {{lr: 0.004}}\n")
    assert main([*BEST, *TINY, "task.n_train=100", "hydra.run.dir=made"]) == 0
    assert config_of("made")["trainer"]["lr"] == 0.004 and config_of("made")["names"]["model"] == "spline"
    assert not Path("canary").exists() and str(Path("their").absolute()) not in sys.path


def test_with_resimulate_a_recipe_runs_its_simulator_file(runs, capsys):
    recipe(RECIPES["a simulator file"])
    assert main([*BEST, *TINY, "task.n_train=100", "--resimulate"]) == 0
    assert Path("canary").exists()


# ---- studies -----------------------------------------------------------------------------------------
def with_sql(*statements: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with contextlib.closing(sqlite3.connect(file)) as base, base:
            for statement in statements:
                base.execute(statement)

    return change


def a_journal_that_names_my_file(file: Path) -> None:
    """SQLite would take it for one of several databases', and remove the file that it names at its end."""
    name = os.fsencode(Path("mine.csv").absolute())
    end = len(name).to_bytes(4, "big") + (sum(name) & 0xFFFFFFFF).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
    head = bytes.fromhex("d9d505f920a163d7") + (0).to_bytes(4, "big") + bytes(4) + (1).to_bytes(4, "big")
    head += (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    journal = head.ljust(512, b"\0") + (1).to_bytes(4, "big") + name + end
    file.with_name("study.db-journal").write_bytes(journal)


def a_terabyte(file: Path) -> None:
    with open(file, "ab") as opened:
        opened.truncate(2**40)  # a hole: it takes no room


STUDIES = {
    "a view without end": with_sql(
        "ALTER TABLE trial_values RENAME TO kept",
        "CREATE VIEW trial_values AS WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n) SELECT k FROM n",
    ),
    "a trigger": with_sql("CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trials; END"),
    "a virtual table": with_sql("CREATE VIRTUAL TABLE v USING fts5(a)"),
    "a column that is computed": with_sql("CREATE TABLE v (a, b AS (hex(zeroblob(a))))"),
    "an index that is computed": with_sql("CREATE TABLE v (a)", "CREATE INDEX i ON v (hex(a))"),
    "a journal that names a file of mine": a_journal_that_names_my_file,
    "a terabyte": a_terabyte,
    "a distribution of no known kind": with_sql(
        "INSERT INTO trials (number, study_id, state) VALUES (0, 1, 'RUNNING')",
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (1, 'trainer.lr', 0.5, "
        '\'{"name": "os.system", "attributes": {"command": "touch canary"}}\')',
    ),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file)),
    "a link": lambda file: (file.rename("elsewhere"), file.symlink_to(Path("elsewhere").absolute())),
}


def study() -> Path:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = sweep(words=SEARCH, search=True) / "study.db"
    optuna.create_study(study_name="inn", storage=f"sqlite:///{file}")
    return file


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_looked_at_before_it_is_opened(name, runs, capsys, monkeypatch):
    STUDIES[name](study())
    monkeypatch.setattr(Path, "read_bytes", sparse_bytes)
    refused(runs, ["resume", "their"], "study.db", capsys)


def sparse_bytes(path: Path) -> bytes:
    """The bytes of a file, of a very large one its size."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return str(size).encode() if size > 2**30 else file.read()


class Canary:
    def __reduce__(self):
        return (os.system, (f"touch {Path('canary').absolute()}",))


def test_the_pickled_state_of_a_sampler_is_not_read(runs):
    pytest.importorskip("cmaes")
    import optuna

    from inncli.launchers.study import open_study

    file = study()
    made = optuna.load_study(study_name="inn", storage=f"sqlite:///{file}")
    made.sampler = optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=1)
    space = {name: optuna.distributions.FloatDistribution(0, 1) for name in "ab"}
    for _ in range(8):
        trial = made.ask(space)
        made.tell(trial, sum(trial.params.values()))
    made._storage.remove_session()
    pickled = json.dumps(pickle.dumps(Canary()).hex())
    columns = "trial_system_attributes (trial_id, key, value_json)"
    with_sql(
        "DELETE FROM trial_system_attributes WHERE key LIKE 'cma:optimizer%'",
        f"INSERT INTO {columns} VALUES (8, 'cma:optimizer:0', '{pickled}')",
    )(file)
    again = open_study(file)
    again.sampler = optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=1)
    again.ask(space)
    assert len(again.trials) == 9 and not Path("canary").exists()
