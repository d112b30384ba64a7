"""Folders of a stranger: sweeps, searches, runs that name the user's table, recipes, and modules that lie there.

Each command is refused with one line, or does what it was asked for and runs nothing of theirs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attacks import CODE, SEARCH, SIMULATOR, TINY, config_of, copied_runs, refused, sweep, within
from inncli.cli.app import main

TABLE = ["task=table", "task.file=mine.csv", "task.y=[y]"]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    folder = copied_runs(tmp_path, monkeypatch)
    rows = np.random.default_rng(0).normal(size=(200, 2))
    np.savetxt("mine.csv", rows, delimiter=",", header="x,y", comments="")
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


WORDS = (
    "hydra.job.env_set.LD_PRELOAD=/tmp/evil.so",
    "+hydra.job.env_set.PYTHONPATH=their",
    "hydra.job.env_copy=[PATH]",
    "+hydra/env=default",
    "+hydra.callbacks.x._target_=os.mkdir",
    "hydra.searchpath=[file:///tmp]",
    "hydra.run.dir=${oc.env:HOME}",
    "hydra.launcher.setup=[id]",
    "hydra/launcher=slurm_local,basic",
)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_hydras_is_not_taken_from_a_sweep(word, runs, capsys):
    sweep(words=[word])
    refused(runs, ["resume", "their"], "", capsys)


@pytest.mark.parametrize("word", [word for word in WORDS if "launcher" not in word])
def test_nor_is_a_sweep_resumed_with_one(word, runs, capsys):
    sweep()
    refused(runs, ["resume", "their", word], "a sweep is resumed with its own settings", capsys)


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
