"""What hydra gives a job that its public functions compose and run: log, directory, callbacks, interpolations."""

import ast
import logging
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

import inncli
from inncli import config
from inncli.cli.app import main
from inncli.config import compose
from inncli.config.trust import NOTHING
from inncli.errors import ConfigError, TrainingError

TINY = ["model=nice", "model.n_blocks=1", "task.n_train=200", "trainer.max_steps=2"]
CALLBACKS = """
import pathlib

def note(*words):
    with open(pathlib.Path(__file__).with_name("told"), "a") as file:
        print(*words, file=file)

class Recorder:
    def __init__(self, name):
        self.name = name

    def on_run_start(self, config, config_name):
        note(self.name, "run_start", config_name, config.seed)

    def on_run_end(self, config, config_name, job_return):
        note(self.name, "run_end", config_name, job_return.status.name)

    def on_multirun_start(self, config, config_name):
        note(self.name, "multirun_start", config_name)

    def on_multirun_end(self, config, config_name):
        note(self.name, "multirun_end", config_name)

    def on_job_start(self, config, task_function):
        note(self.name, "job_start", config.hydra.job.name)

    def on_job_end(self, config, job_return):
        note(self.name, "job_end", job_return.status.name)

class Broken(Recorder):
    def on_job_start(self, config, task_function):
        raise OSError("on purpose")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's config folder, whose recipe `called` has callbacks; where they lie, `told` says what they were told."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "recording.py").write_text(CALLBACKS)
    (tmp_path / "mine" / "experiment" / "called.yaml").write_text(
        textwrap.dedent("""
        # @package _global_
        hydra:
          callbacks:
            one: {_target_: recording.Recorder, name: one}
            two: {_target_: recording.Broken, name: two}
        """).lstrip()
    )
    yield tmp_path / "mine"
    sys.modules.pop("recording", None)


def told(folder) -> list[str]:
    return (folder / "told").read_text().splitlines()


def planned(*words, trust=NOTHING):
    (job,) = config.plan(list(words), trust=trust)
    return job


# ---- a single run ------------------------------------------------------------------------------------
def test_a_single_run_is_composed_once_and_sees_its_own_command_line(folder, monkeypatch):
    with compose.composer():
        kind = type(GlobalHydra.instance().config_loader())
    load, composed = kind.load_configuration, []

    def counted(self, *args, **kwargs):
        composed.append(args)
        return load(self, *args, **kwargs)

    monkeypatch.setattr(kind, "load_configuration", counted)
    monkeypatch.setattr(sys, "argv", ["as", "it", "was"])
    seen = []
    config.run(lambda cfg: seen.append((sys.argv, cfg.seed, "hydra" in cfg)), planned("seed=3"), folder / "run")
    assert seen == [(["as", "it", "was"], 3, False)] and len(composed) == 1


def test_the_jobs_log_lies_in_its_directory_by_hydras_job_logging(folder):
    job = planned("hydra.job_logging.formatters.line.format='%(levelname)s: %(message)s'")
    config.run(lambda cfg: logging.getLogger("mine").info("here"), job, folder / "run")
    assert (folder / "run" / "train.log").read_text() == "INFO: here\n"


def test_the_directory_of_a_run_may_be_the_users(folder):
    places = []
    job = planned("hydra.run.dir=${hydra:job.name}_${seed}", "seed=4")
    config.run(lambda cfg: places.append(config.job_place(cfg)), job)
    assert places == [config.Place(folder.parent / "train_4", None, ["seed=4"])]
    places.clear()
    config.run(lambda cfg: places.append(config.job_place(cfg)), planned("seed=4"), folder / "it's {here}")
    assert [place.path for place in places] == [folder / "it's {here}"]


def test_hydras_own_copy_of_the_config_on_request(folder):
    config.run(lambda cfg: None, planned("seed=4"), folder / "none")
    assert list((folder / "none").iterdir()) == []
    config.run(lambda cfg: None, planned("hydra.output_subdir=.hydra", "seed=4"), folder / "run")
    kept = {path.name: yaml.safe_load(path.read_text()) for path in (folder / "run" / ".hydra").iterdir()}
    assert set(kept) == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert kept["config.yaml"]["seed"] == 4 and kept["overrides.yaml"] == ["seed=4"]
    assert kept["hydra.yaml"]["hydra"]["mode"] == "RUN"


def test_hydra_is_asked_within_a_job_and_in_its_yamls(folder):
    (folder / "experiment" / "named.yaml").write_text(
        "# @package _global_\ndefaults: [{override /logger: mlflow}]\nlogger: {experiment: 'by_${hydra:job.name}'}\n"
    )
    trust = config.Trust.of(folder)
    job = planned("experiment=named", "hydra.job.name=anna", trust=trust)
    assert job.config["logger"]["experiment"] == "by_anna"
    seen = []
    config.run(lambda cfg: seen.append(config.job_config(cfg, trust)), job, folder / "run", trust)
    assert seen == [job.config]


def test_callbacks_are_told_of_a_run(folder):
    with pytest.warns(UserWarning, match="Callback Broken.on_job_start raised OSError: on purpose"):
        assert main(["train", "--config-dir", "mine", "experiment=called", "seed=4", *TINY]) == 0
    assert told(folder) == [
        "one run_start train 4",
        "two run_start train 4",
        "one job_start train",
        "two job_end COMPLETED",
        "one job_end COMPLETED",
        "two run_end train COMPLETED",
        "one run_end train COMPLETED",
    ]


def test_callbacks_are_told_of_a_failure_which_then_comes_to_the_caller(folder, capsys):
    trust = config.Trust.of(folder)

    def fails(cfg):
        raise TrainingError("on purpose")

    with pytest.raises(TrainingError, match="on purpose"), pytest.warns(UserWarning):
        config.run(fails, planned("experiment=called", trust=trust), folder / "run", trust)
    assert told(folder)[-2:] == ["two run_end train FAILED", "one run_end train FAILED"]
    assert "Error executing job" not in capsys.readouterr().err

    def raises(cfg):
        raise ValueError("the task's own, and no word about overrides")

    with pytest.raises(ValueError, match="the task's own") as error, pytest.warns(UserWarning):
        config.run(raises, planned("experiment=called", trust=trust), folder / "run", trust)
    assert not isinstance(error.value, ConfigError)


@pytest.mark.parametrize("part", ["job", "hydra", "all"])
def test_a_config_is_shown_in_parts(folder, capsys, part):
    assert main(["train", "-c", part, "seed=4", "hydra.run.dir=here"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert ("seed" in shown, "hydra" in shown) == (part != "hydra", part != "job")
    if part != "job":
        assert shown["hydra"]["overrides"] == {"hydra": ["hydra.run.dir=here"], "task": ["seed=4"]}
        assert ("help" in shown["hydra"]) == (part == "all")
    if part != "hydra":
        assert shown["seed"] == 4 and shown["model"]["_target_"].startswith("inncli.models.")
    assert list(folder.parent.iterdir()) == [folder]


# ---- a sweep -----------------------------------------------------------------------------------------
def test_callbacks_are_told_of_a_sweep(folder):
    with pytest.warns(UserWarning, match="Callback Broken.on_job_start"):
        assert main(["train", "-m", "--config-dir", "mine", "experiment=called", "seed=4,5", *TINY]) == 0
    assert told(folder) == [
        "one multirun_start train",
        "two multirun_start train",
        *["one job_start train", "two job_end COMPLETED", "one job_end COMPLETED"] * 2,
        "two multirun_end train",
        "one multirun_end train",
    ]


def test_a_glob_names_the_users_yamls_too(folder):
    (folder / "trainer").mkdir()
    (folder / "trainer" / "mine.yaml").write_text("defaults: [default, _self_]\nlr: .002\n")
    jobs = config.plan(["trainer=glob(m*)", "seed=1"], multirun=True, trust=config.Trust.of(folder))
    assert [(job.config["names"]["trainer"], job.config["trainer"]["lr"]) for job in jobs] == [("mine", 0.002)]


def test_a_search_path_that_is_not_there_is_said():
    with pytest.raises(ConfigError, match="expected a folder, got /nowhere"):
        config.plan(["hydra.searchpath=[file:///nowhere]"])


# ---- no more than hydra's public part ----------------------------------------------------------------
def test_no_private_part_of_hydra_is_imported():
    files = sorted(Path(inncli.__file__).parent.rglob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [f"{n.module}.{alias.name}" for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names]
    of_hydra = [name for name in names if re.match(r"(hydra|hydra_plugins|omegaconf)\b", name)]
    assert len(of_hydra) > 30 and [name for name in of_hydra if re.search(r"\._[a-z]", name)] == []


def test_hydras_plugins_are_found_without_their_libraries(folder):
    """In a process of its own: hydra finds our names while none of the libraries behind them is imported."""
    code = (
        "import sys\nfrom inncli.config import compose\nfrom hydra.core.plugins import Plugins\n"
        "from hydra.plugins.launcher import Launcher\nfrom hydra.plugins.sweeper import Sweeper\n"
        "with compose.composer(): pass\n"
        "names = [c.__name__ for k in (Launcher, Sweeper) for c in Plugins.instance().discover(k)"
        " if c.__module__ == 'hydra_plugins.inncli']\n"
        "print(*names, *({'optuna', 'ray', 'submitit', 'joblib', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["Joblib", "Ray", "Slurm", "SlurmLocal", "Optuna", "Planned"], done.stderr
