"""A sweep or a search from a stranger: whatever its directory says, nothing of it is run, imported or composed.

Each case is a directory that would leave the canary, or compose a yaml of its own, if what it says were taken for more
than data. It is refused with one line and code 2, and stays as it was. What a user asks for with `--resimulate` runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from inncli.cli.app import main
from inncli.config.trust import Trust, ask_to_run, gate
from inncli.errors import UserFileRefused
from inncli.runs.sweep_dir import SweepDir

pytestmark = pytest.mark.filterwarnings("ignore:.*experimental")  # of Optuna, on the making of trials

TINY = [
    "trainer.max_steps=20",
    "task.n_train=300",
    "model.n_blocks=1",
    "model.block.hidden=[8]",
    "trainer.batch_size=32",
    "device=cpu",
]
SIMULATOR = "inncli.tasks.simulator.Simulator"  # as 0.1 to 0.4 called it: this name opens too
FROM_HERE = "../" * 12 + "proc/self/cwd/their/evil"  # a yaml of the stranger's, as the name of a group's
CODE = """
from pathlib import Path
Path({canary!r}).touch()
def prior(n, rng): return rng.normal(size=(n, 2))
def simulate(x, rng): return x[:, :1]
"""
SPACE = "trainer.lr=interval(1e-3,1e-2)"
SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=1", *TINY]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A run that a stranger may have: its config is in order."""
    folder = tmp_path_factory.mktemp("template")
    before = os.environ.get("INN_OUTPUTS")
    os.environ["INN_OUTPUTS"] = str(folder / "out")
    try:
        assert main(["train", *TINY, f"hydra.run.dir={folder / 'run'}"]) == 0
    finally:
        os.environ.pop("INN_OUTPUTS")
        if before is not None:
            os.environ["INN_OUTPUTS"] = before
    return folder / "run"


class Stranger:
    """What a stranger can write: the sweep's directory `their`, and all that lies in it."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.path, self.template = folder / "their", template
        self.canary = folder / "canary"
        self.path.mkdir()
        self.file = self.path / "evil.py"
        self.file.write_text(CODE.format(canary=str(self.canary)))
        self.config = yaml.safe_load((template / "config.yaml").read_text())
        self.evil = {**self.config, "task": self.simulator()}

    def simulator(self, **more) -> dict:
        return {"_target_": SIMULATOR, "_partial_": True, "file": str(self.file), "n_train": 300, **more}

    def sweep(self, *words: str, **job) -> None:
        """A sweep of two jobs, of which the first is waiting; `job` says more of the second, a done one."""
        jobs = [
            {"job": 0, "status": "waiting", "overrides": ["seed=0"], "config": self.config},
            {"job": 1, "status": "done", "overrides": ["seed=1"], "config": self.config, **job},
        ]
        self.manifest(overrides=["seed=0,1", *words], jobs=jobs, search=False)

    def search(self, *words: str) -> None:
        self.manifest(overrides=[*SEARCH, *words], jobs=[], search=True)

    def manifest(self, **fields) -> None:
        text = json.dumps({"id": "their", "status": "interrupted", **fields})
        (self.path / "sweep.json").write_text(text)

    def record(self, number: int, **fields) -> None:
        (self.path / ".jobs").mkdir(exist_ok=True)
        told = {"job": number, "overrides": [f"seed={number}"], "status": "failed", **fields}
        (self.path / ".jobs" / f"{number}.json").write_text(json.dumps(told))

    def run(self, number: int, config: dict, status: str = "interrupted", keep: bool = False) -> None:
        """A job's own directory, stopped before its first checkpoint; with `keep` as it was trained."""
        run = shutil.copytree(self.template, self.path / str(number))
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        info = json.loads((run / "run.json").read_text())
        if not keep:
            shutil.rmtree(run / "checkpoints")
            for name in ("metrics.jsonl", "pairs.npz"):
                (run / name).unlink(missing_ok=True)
            info["data"] = {}
        (run / "run.json").write_text(json.dumps({**info, "id": str(number), "status": status}))

    def yaml(self, node: dict) -> None:
        (self.path / "evil.yaml").write_text("# @package _global_\n" + yaml.safe_dump(node))

    def callback(self) -> None:
        """A yaml that has hydra run the file."""
        self.yaml(
            {"hydra": {"callbacks": {"x": {"_target_": "inncli.tasks.user_file.UserFile", "path": str(self.file)}}}}
        )

    def study(self, params: dict | None = None, value: float | None = None) -> None:
        """A study with one trial, RUNNING with these values, or COMPLETE where there is a value."""
        optuna = pytest.importorskip("optuna", reason="needs pip install 'inncli[optuna]'")
        from optuna.trial import TrialState, create_trial

        study = optuna.create_study(study_name="inn", storage=f"sqlite:///{self.path / 'study.db'}")
        made = {
            name: optuna.distributions.CategoricalDistribution((chosen,)) for name, chosen in (params or {}).items()
        }
        state = TrialState.RUNNING if value is None else TrialState.COMPLETE
        study.add_trial(create_trial(state=state, params=params or {}, distributions=made, value=value))


CASES: dict[str, Callable[[Stranger], None]] = {}
OF_SEARCHES = set()


def case(make: Callable[[Stranger], None]) -> Callable[[Stranger], None]:
    CASES[make.__name__] = make
    return make


def case_of_a_search(make: Callable[[Stranger], None]) -> Callable[[Stranger], None]:
    OF_SEARCHES.add(make.__name__)
    return case(make)


# ---- configs -----------------------------------------------------------------------------------------
@case
def a_config_in_the_manifest(their):
    their.sweep(status="waiting", config=their.evil)


@case
def a_config_in_a_record(their):
    their.sweep()
    their.record(7, config=their.evil)


@case
def a_stopped_run_that_only_a_record_knows(their):
    their.sweep()
    their.record(5)
    their.run(5, their.evil)


@case
def a_stopped_run_of_a_listed_job(their):
    their.sweep(status="interrupted")
    their.run(1, their.evil)


@case
def a_task_of_the_strangers_own_class(their):
    their.sweep(status="waiting", config={**their.config, "task": {"_target_": "evil.Task", "file": str(their.file)}})


@case
def the_loader_of_files_as_a_task(their):
    task = {"_target_": "inncli.tasks.user_file.UserFile", "path": str(their.file)}
    their.sweep(status="waiting", config={**their.config, "task": task})


@case
def a_simulator_as_a_logger(their):
    their.sweep(status="waiting", config={**their.config, "logger": their.simulator()})


@case
def a_simulator_inside_a_model(their):
    model = {**their.config["model"], "block": their.simulator()}
    their.sweep(status="waiting", config={**their.config, "model": model})


@case
def names_of_yamls_that_are_paths(their):
    their.callback()
    their.sweep(status="waiting", config={**their.config, "names": {**their.config["names"], "task": FROM_HERE}})


# ---- words of a sweep --------------------------------------------------------------------------------
def shared(word: str):
    def make(their):
        their.callback()
        their.sweep()
        manifest = json.loads((their.path / "sweep.json").read_text())
        for job in manifest["jobs"]:
            job["overrides"] = [word]
        their.manifest(**{key: manifest[key] for key in ("overrides", "jobs", "search")})

    return make


CASES["a_recipe_by_a_path"] = shared(f"experiment={FROM_HERE}")
CASES["a_recipe_in_a_list"] = shared(f"experiment=[{FROM_HERE}]")
CASES["a_recipe_that_is_added"] = shared(f"+experiment=[{FROM_HERE}]")
CASES["a_recipe_filled_in"] = shared("experiment=${oc.env:EVIL}")
CASES["a_recipe_among_shipped_ones"] = shared(f"experiment=[concrete,{FROM_HERE}]")


def words(*given: str):
    def make(their):
        their.callback()
        their.sweep(*given)

    return make


CASES["a_callback"] = words("+hydra.callbacks.x={_target_: os.mkdir, path: canary}")
CASES["a_search_path"] = words("hydra.searchpath=[file:///proc/self/cwd/their]")
CASES["a_job_logging"] = words(f"hydra/job_logging={FROM_HERE}")
CASES["hydra_as_a_whole"] = words("++hydra={callbacks: {x: {_target_: os.mkdir, path: canary}}}")
CASES["a_launcher_by_a_path"] = words("hydra/launcher=..")
CASES["a_launchers_class"] = words("hydra/launcher=joblib", "hydra.launcher._target_=os.mkdir")
CASES["a_cluster_to_send_code_to"] = words("hydra/launcher=ray", "hydra.launcher.ray.init.address=evil:6379")
CASES["a_launcher_taken_away"] = words("~hydra.launcher.n_jobs=null")
CASES["an_old_folder_of_submitit"] = words("hydra/launcher=slurm_local", "hydra.launcher.submitit_folder=their/old")


# ---- words of a search -------------------------------------------------------------------------------
def searched(*given: str):
    def make(their):
        their.callback()
        their.search(*(word.replace("EVIL", str(their.file)) for word in given))

    return make


SEARCHED = {
    "a_choice_of_targets": [f"++task=choice({{n_train:300}},{{_target_:{SIMULATOR},file:EVIL}})"],
    "a_choice_of_tasks": [SPACE, "task=simulator", "task.file=EVIL"],
    "a_choice_of_files": ["task=simulator", "task.file=choice(EVIL,b.py)"],
    "a_target": [SPACE, f"task._target_={SIMULATOR}", "+task.file=EVIL"],
    "a_recipe_in_a_list_of_a_search": [SPACE, f"experiment=[{FROM_HERE}]"],
    "a_choice_of_recipes": [f"experiment={FROM_HERE},null"],
    "a_recipe_in_another_place": [SPACE, f"+experiment@hydra.callbacks={FROM_HERE}"],
    "a_group_by_a_path": [SPACE, "model=../task/ring"],
    "a_group_in_another_place": [SPACE, "+task@model.block=ring"],
    "a_group_taken_away": [SPACE, "~task"],
    "every_yaml_of_a_group": ["task=glob(*)"],
    "a_value_filled_in_from_the_environment": [SPACE, "logger=mlflow", "logger.experiment=${oc.env:HOME}"],
    "a_value_filled_in_from_hydra": [SPACE, "logger=mlflow", "logger.experiment='${hydra:runtime.cwd}'"],
    "a_space_inside_the_sweeper": ["+hydra.sweeper.params.task='choice(ring,simulator)'"],
    "a_space_of_hydras_settings": [SPACE, "++hydra.sweeper.params={hydra.job.name: x}"],
    "a_samplers_class": [SPACE, "hydra.sweeper.sampler._target_=os.mkdir"],
    "a_sampler_by_a_path": [SPACE, f"hydra/sweeper/sampler={FROM_HERE}"],
    "a_pruners_class": [SPACE, "++hydra.sweeper.pruner={_target_: os.mkdir, path: canary}"],
}
CASES |= {name: searched(*given) for name, given in SEARCHED.items()}
OF_SEARCHES |= SEARCHED.keys()


# ---- what a study says, and the directories of its trials --------------------------------------------
def studied(**params):
    def make(their):
        their.yaml(
            {"hydra": {"job_logging": {"version": 1, "handlers": {"x": {"()": "os.mkdir", "path": str(their.canary)}}}}}
        )
        their.search(SPACE)
        their.study({key: value.replace("EVIL", str(their.file)) for key, value in params.items()})

    return make


STUDIED = {
    "a_trial_that_is_a_simulator": {"++task": f"{{_target_: {SIMULATOR}, file: EVIL, n_train: 300}}"},
    "a_trial_that_is_a_recipe": {"experiment": f"[{FROM_HERE}]"},
    "a_trial_that_is_a_logging": {"hydra/job_logging": FROM_HERE},
    "a_trial_that_is_a_setting_of_hydras": {"hydra.job.name": "evil"},
    "a_trial_that_is_filled_in": {"trainer.lr": "${oc.env:EVIL}"},
    "a_trial_that_chooses_by_a_path": {"task": FROM_HERE},
}
CASES |= {name: studied(**params) for name, params in STUDIED.items()}
OF_SEARCHES |= STUDIED.keys()


@case_of_a_search
def a_trials_own_directory(their):
    their.search(SPACE)
    their.study({"trainer.lr": 0.005})
    their.run(0, their.evil)


@case_of_a_search
def a_directory_of_a_trial_to_come(their):
    their.search(SPACE)
    their.run(0, their.evil)


@case_of_a_search
def names_of_the_best_trial(their):
    their.callback()
    their.search(SPACE)
    their.study({}, value=-9.0)
    names = {**their.config["names"], "task": FROM_HERE}
    their.run(0, {**their.config, "names": names}, status="done", keep=True)


@case_of_a_search
def a_study_with_triggers_of_its_own_tables(their):
    their.search(SPACE)
    (their.path / "study.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 200)


# ---- the test ----------------------------------------------------------------------------------------
def below(folder: Path) -> dict:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != "study.db-journal"
    }


@pytest.mark.parametrize("name", CASES)
def test_a_strangers_sweep_is_refused_and_nothing_of_it_is_taken_for_more_than_data(
    name, inn, template, tmp_path, monkeypatch
):
    if name in OF_SEARCHES:
        pytest.importorskip("optuna", reason="needs pip install 'inncli[optuna]'")
    monkeypatch.setenv("EVIL", FROM_HERE)
    their = Stranger(tmp_path, template)
    CASES[name](their)
    before = below(tmp_path)
    assert inn("resume", "their", code=2) == ""
    assert len(inn.err.splitlines()) == 1, inn.err
    assert below(tmp_path) == before


@pytest.mark.parametrize("module", ["joblib", "multiprocessing", "torch", "queue"])
def test_a_module_in_the_working_folder_is_not_imported(module, inn, template, tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs pip install 'inncli[joblib]'")
    their = Stranger(tmp_path, template)
    their.sweep("hydra/launcher=joblib", "hydra.launcher.n_jobs=1")
    their.file.rename(their.path / f"{module}.py")
    before = below(tmp_path)
    monkeypatch.chdir(their.path)
    assert inn("resume", ".", code=2) == ""
    assert inn.err.startswith(f"{module}.py lies in the working folder") and len(inn.err.splitlines()) == 1
    assert below(tmp_path) == before


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has had a safe path since 3.11")
def test_processes_that_inn_starts_look_for_no_module_in_the_working_folder(tmp_path):
    from inncli.io.worker_path import leave_safe_path, safe_path

    (tmp_path / "evil.py").write_text("")
    ask = [sys.executable, "-c", "import importlib.util as u; print(u.find_spec('evil'))"]

    def seen() -> str:
        return subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    with safe_path():
        assert seen() == "None\n"
        leave_safe_path()
        assert "evil.py" in seen(), "a simulator's own processes are not our affair"


# ---- what the user asked for -------------------------------------------------------------------------
def test_the_gate_is_shut_but_for_the_files_of_a_trust(tmp_path):
    mine, other = tmp_path / "mine.py", tmp_path / "other.py"
    trust = Trust().to_run([{"task": {"file": str(mine)}}])
    with pytest.raises(UserFileRefused):
        ask_to_run(mine)
    with gate(trust):
        assert ask_to_run(mine) == trust
        with pytest.raises(UserFileRefused):
            ask_to_run(other)
    with pytest.raises(UserFileRefused):
        ask_to_run(mine)


@pytest.mark.parametrize("launcher", ["basic", "joblib", "slurm_local"])
def test_with_resimulate_a_sweep_of_ones_own_simulator_goes_on(launcher, inn, tmp_path):
    """The permission reaches the job in its process, and the processes that draw its pairs."""
    needed = {"joblib": "hydra_plugins.hydra_joblib_launcher", "slurm_local": "submitit"}.get(launcher)
    if needed is not None:
        pytest.importorskip(needed)
    (tmp_path / "mine.py").write_text(CODE.format(canary=str(tmp_path / "canary")))
    words = ["task=simulator", "task.file=mine.py", *TINY, "task.n_train=1100", "task.workers=2"]
    inn("train", "-m", "seed=0,1", *words)
    (path,) = (tmp_path / "out" / "sweeps").iterdir()
    shutil.rmtree(path / "0")
    (tmp_path / "canary").unlink()
    again = ["resume", path] + ([] if launcher == "basic" else [f"hydra/launcher={launcher}"])
    inn(*again, code=2)
    assert inn.err == (
        f"the jobs of sweep {path.name} run a simulator file, {tmp_path / 'mine.py'}; "
        "look at it, and add --resimulate to run it\n"
    )
    assert not (tmp_path / "canary").exists()
    assert "2 of 2 jobs done" in inn(*again, "--resimulate")
    assert (tmp_path / "canary").exists()
    assert [job["status"] for job in SweepDir(path).jobs()] == ["done", "done"]
