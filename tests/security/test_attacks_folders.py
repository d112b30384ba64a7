"""Folders of a stranger: sweeps, searches, runs that name the user's table, recipes, and modules that lie there.

Each command is refused with one line, or does what it was asked for and runs nothing of theirs.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from attacks import CODE, SIMULATOR, TINY, copied_runs, refused, within
from inncli.cli.app import main

BEST = ["train", "--config-dir", "their", "experiment=best"]
TABLE = ["task=table", "task.file=mine.csv", "task.y=[y]"]
SEARCH = [
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=1",
    "hydra.sweeper.n_jobs=1",
    "trainer.lr=interval(1e-3,1e-2)",
]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    folder = copied_runs(tmp_path, monkeypatch)
    rows = np.random.default_rng(0).normal(size=(200, 2))
    np.savetxt("mine.csv", rows, delimiter=",", header="x,y", comments="")
    return folder


def config_of(run: str) -> dict:
    return yaml.safe_load(Path(run, "config.yaml").read_text())


def sweep(config: dict | None = None, words: list[str] = (), search: bool = False, **fields) -> Path:
    """A stranger's sweep, `their`, with one waiting job."""
    folder = Path("their")
    folder.mkdir(exist_ok=True)
    jobs = [] if search else [{"job": 0, "status": "waiting", "overrides": [], "config": config or config_of("flow")}]
    told = {"id": "their", "status": "interrupted", "overrides": list(words), "search": search, "jobs": jobs, **fields}
    (folder / "sweep.json").write_text(json.dumps(told))
    return folder


# ---- a record that names a table of the user's -------------------------------------------------------
def names_my_table(run: str, sha256: str | None) -> None:
    """A run of one x and one y whose table is now `mine.csv`; with a checksum or without."""
    file = Path(run, "run.json")
    info = json.loads(file.read_text())
    info["data"] = {"pairs": 180, "file": "mine.csv", **({} if sha256 is None else {"sha256": sha256})}
    file.write_text(json.dumps(info))


@pytest.fixture(scope="module")
def on_tables(tmp_path_factory):
    """Two runs of one command, whose table was another one each time; and such a run, stopped."""
    folder = tmp_path_factory.mktemp("tables")
    before = Path.cwd(), os.environ.get("INN_OUTPUTS")
    os.chdir(folder)
    os.environ["INN_OUTPUTS"] = str(folder)
    try:
        for seed, name in enumerate(("one", "two")):
            rows = np.random.default_rng(seed).normal(size=(200, 2))
            np.savetxt("mine.csv", rows, delimiter=",", header="x,y", comments="")
            assert main(["train", *TABLE, *TINY, f"hydra.run.dir={name}"]) == 0
    finally:
        os.chdir(before[0])
        os.environ.pop("INN_OUTPUTS") if before[1] is None else os.environ.update(INN_OUTPUTS=before[1])
    return folder


@pytest.fixture
def tables(on_tables, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(on_tables, tmp_path / "runs"))
    for name in ("one", "two"):  # the table is named by its path
        file = folder / name / "run.json"
        file.write_text(file.read_text().replace(str(on_tables), str(folder)))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INN_OUTPUTS", str(folder))
    return folder


@pytest.mark.parametrize(
    "words", [["report", "two"], ["evaluate", "--run", "two"], ["sample", "--run", "two", "-n", "3"]]
)
@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_a_run_that_names_my_table_without_its_checksum_is_told_nothing_of_it(words, sha256, tables, capsys):
    names_my_table("two", sha256)
    drop_binding("two")
    refused(tables, words, "without its checksum" if sha256 is None else "has changed", capsys)


def drop_binding(run: str) -> None:
    """Makes the checkpoints like those of inn 0.4, which name no data; all checksums are right."""
    from inncli.training.checkpoint import load_checkpoint, save_checkpoint

    for file in Path(run, "checkpoints").iterdir():
        values, meta = load_checkpoint(file)
        for key in ("data", "checksum"):
            meta.pop(key, None)
        save_checkpoint(file, values, meta)


def stopped(run: str) -> None:
    file = Path(run, "run.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "status": "interrupted"}))


def test_a_stopped_run_that_names_my_table_is_not_trained_on_it(tables, capsys):
    names_my_table("two", None)
    drop_binding("two")
    stopped("two")
    refused(tables, ["resume", "two"], "without its checksum", capsys)


@pytest.mark.parametrize("name, words", [("best", ["invert", "--run", "two", "--y", "0"]), ("last", ["resume", "two"])])
def test_a_checkpoint_of_the_same_command_on_another_table_is_refused(name, words, tables, capsys):
    shutil.copy(f"one/checkpoints/{name}.safetensors", f"two/checkpoints/{name}.safetensors")
    stopped("two")
    refused(tables, words, "other data", capsys)


@pytest.mark.parametrize("told", [{}, {"tables": ["0" * 64]}, {"tables": 5}, {"tables": [[1]]}])
def test_a_sweep_whose_job_names_my_table_is_not_trained_on_it(told, tables, capsys):
    sweep(config_of("two"), **told)
    refused(tables, ["resume", "their"], "mine.csv", capsys)


def test_a_search_whose_words_name_my_table_is_not_trained_on_it(tables, capsys):
    pytest.importorskip("optuna")
    sweep(words=[*SEARCH, *TABLE], search=True)
    refused(tables, ["resume", "their"], "mine.csv", capsys)


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


# ---- what lies in a sweep ----------------------------------------------------------------------------
def test_what_submitit_left_is_not_unpickled(runs, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    from inncli.launchers.slurm import SlurmLocal

    pickles = Path("their/.submitit/7")
    pickles.mkdir(parents=True)
    launcher = object.__new__(SlurmLocal)
    launcher.params = {"submitit_folder": str(pickles.parent.absolute() / "%j"), "timeout_min": 1}
    monkeypatch.setenv("PATH", os.environ["PATH"])
    folders = {str(launcher._executor().folder) for _ in range(3)}
    assert len(folders) == 3 and not any(Path(folder.replace("%j", "7")).exists() for folder in folders)


PLACES = {
    "a pipe for the manifest": lambda their: ((their / "sweep.json").unlink(), os.mkfifo(their / "sweep.json")),
    "a pipe for a record": lambda their: ((their / ".jobs").mkdir(), os.mkfifo(their / ".jobs" / "0.json")),
    "records by a link": lambda their: (their / ".jobs").symlink_to(Path("flow").absolute()),
    "a job by a link": lambda their: (their / "0").symlink_to(Path("flow_stopped").absolute()),
    "a lock by a link": lambda their: (their / ".lock").symlink_to(Path("mine.csv").absolute()),
    "a log by a link": lambda their: (
        (their / "0").mkdir(),
        (their / "0/train.log").symlink_to(Path("mine.csv").absolute()),
    ),
    "submitit's folder by a link": lambda their: (their / ".submitit").symlink_to(Path("flow").absolute()),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_sweep_leads_nowhere_else_and_waits_for_nobody(name, runs, capsys):
    PLACES[name](sweep())
    refused(runs, ["resume", "their"], "", capsys)


def test_what_a_saved_config_says_is_not_filled_in(runs, capsys, monkeypatch):
    monkeypatch.setenv("SECRET", "secret")
    config = config_of("table")
    config["task"]["file"] = "${oc.env:SECRET}.csv"
    sweep(config)
    assert main(["resume", "their"]) == 1
    text = "".join(capsys.readouterr())
    assert "${oc.env:SECRET}.csv is not there" in text and "secret" not in text


# ---- modules that lie in the working folder ----------------------------------------------------------
MODULES = (
    "hydra",
    "joblib",
    "multiprocessing",
    "numpy",
    "optuna",
    "pathlib",
    "sitecustomize",
    "submitit",
    "torch",
    "yaml",
)
STARTS = {
    "as a module": (["runs"], True),
    "workers of a simulator": (
        ["train", "task=simulator", "task.file=../sim.py", "task.workers=2", "task.n_train=1100"],
        False,
    ),
    "a process for each device": (["train", "task.n_train=300", "device=[cpu,cpu]"], False),
    "joblib": (["train", "-m", "seed=0,1", "task.n_train=300", "hydra/launcher=joblib"], False),
    "submitit": (["train", "-m", "seed=0", "task.n_train=300", "hydra/launcher=slurm_local"], False),
}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has had a safe path since 3.11")
@pytest.mark.parametrize("name", STARTS)
def test_no_process_imports_what_lies_in_the_working_folder(name, tmp_path, monkeypatch):
    words, as_module = STARTS[name]
    if "joblib" in name:
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    if "submitit" in name:
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    folder = tmp_path / "their"
    folder.mkdir()
    (tmp_path / "sim.py").write_text(SIMULATOR.format(canary=str(tmp_path / "ran")))
    for module in MODULES:
        (folder / f"{module}.py").write_text(CODE.format(canary=str(tmp_path / "canary")))
    package = str(Path(sys.modules["inncli"].__file__).parents[1])
    start = [sys.executable, *([] if as_module else ["-P"]), "-m", "inncli"]
    with within(400):
        done = subprocess.run(
            [*start, *words, *(TINY[:-1] if "device=[cpu,cpu]" in words else TINY if words[0] == "train" else [])],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": package, "INN_OUTPUTS": str(tmp_path / "out")},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "canary").exists()
