"""The launcher presets: what they ask for, what they say where something is missing, and jobs that are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inncli import launchers
from inncli.cli.app import main
from inncli.config import compose
from inncli.errors import CheckpointError, Interrupted
from inncli.launchers import CHOICES, requeue
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending
from inncli.runs.sweep_dir import SweepDir

TINY = ["model=nice", "model.n_blocks=1", "task.n_train=400", "trainer.max_steps=20"]
LAUNCHERS = ("slurm", "slurm_local", "ray", "joblib")


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


def needs(choice):
    extra, modules, _ = CHOICES[choice]
    for module in modules:
        pytest.importorskip(module, reason=f"needs pip install 'inncli[{extra}]'")


# ---- presets -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("choice", [*LAUNCHERS, "optuna"])
def test_without_its_extra_a_choice_says_how_to_get_it(choice, outputs, capsys, monkeypatch):
    monkeypatch.setattr(launchers, "_installed", lambda module: False)
    group = "sweeper" if choice == "optuna" else "launcher"
    assert main(["train", "-m", "seed=0,1", f"hydra/{group}={choice}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"pip install 'inncli[{CHOICES[choice][0]}]'" in line
    assert not outputs.exists()


def test_presets_compose_where_no_plugin_is_installed(tmp_path):
    # Else hydra's own error would come before ours.
    code = (
        "import sys; from inncli.launchers import CHOICES; from inncli.cli.app import main; "
        "sys.modules.update({name: None for _, modules, _ in CHOICES.values() for name in modules}); "
        "sys.exit(main(['train', '-m', 'seed=0,1', *sys.argv[1:]]))"
    )
    for word in (*(f"hydra/launcher={choice}" for choice in LAUNCHERS), "experiment=search_spline"):
        done = subprocess.run(
            [sys.executable, "-c", code, word],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert done.returncode == 2 and "pip install" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_slurm_without_sbatch_is_one_line(outputs, capsys, monkeypatch):
    monkeypatch.setattr(launchers, "_installed", lambda module: True)
    monkeypatch.setattr(launchers.shutil, "which", lambda name: None)
    assert main(["train", "-m", "seed=0,1", "hydra/launcher=slurm"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sbatch" in line and "slurm_local" in line
    assert not outputs.exists()


def sbatch_file(monkeypatch, tmp_path, *words):
    """The text that sbatch would get."""
    needs("slurm")
    from submitit.slurm.slurm import SlurmExecutor

    from inncli.launchers.slurm import Slurm

    monkeypatch.setattr(SlurmExecutor, "affinity", classmethod(lambda cls: 2))  # as if srun were there
    with compose.composer() as composed:
        node = composed([f"hydra.sweep.dir={tmp_path}", "hydra/launcher=slurm", *words]).hydra.launcher
    launcher = Slurm(
        **{key: node[key] for key in node if key not in ("_target_", "submitit_folder")}, submitit_folder=str(tmp_path)
    )
    return launcher._executor()._executor._make_submission_file_text("inn", "0")


def test_the_slurm_preset_asks_for_no_more_than_it_is_told(monkeypatch, tmp_path):
    plain = sbatch_file(monkeypatch, tmp_path)
    for word in ("gpu", "gres", "partition", "mem", "cpus", "account", "qos", "constraint"):
        assert f"--{word}" not in plain
    for word in ("--time=60", "--signal=USR2@60", "--requeue", "--nodes=1", "--job-name=inn"):
        assert word in plain
    told = sbatch_file(
        monkeypatch,
        tmp_path,
        "hydra.launcher.partition=gpu",
        "hydra.launcher.gpus_per_node=2",
        "hydra.launcher.mem_gb=4",
        "hydra.launcher.timeout_min=5",
        "+hydra.launcher.additional_parameters.nice=100",
    )
    for word in ("--partition=gpu", "--gpus-per-node=2", "--mem=4GB", "--time=5", "--nice=100", "--requeue"):
        assert word in told


# ---- jobs that are killed ----------------------------------------------------------------------------
def killed_sweep(outputs, *words):
    """A sweep of two jobs of which the first is killed; its exit code, directory and stderr."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    sweep = subprocess.Popen(
        [sys.executable, "-m", "inncli", "train", "-m", *TINY, "seed=0,1", *words],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(2000):
        first = next((RunDir(p) for p in outputs.glob("sweeps/*/0") if (p / "run.json").exists()), None)
        if first and first.info().get("steps"):
            break
        time.sleep(0.05)
    os.kill(first.info()["pid"], signal.SIGKILL)
    error = sweep.communicate(timeout=300)[1]
    return sweep.returncode, SweepDir(first.path.parent), error


def test_submitits_own_link_does_not_hinder_a_resume_but_its_folder_must_be_one(tmp_path):
    sweep = SweepDir(tmp_path / "sweep")
    (sweep.path / ".submitit" / "1").mkdir(parents=True)
    (sweep.path / ".submitit" / "submission.sh").symlink_to(sweep.path / ".submitit" / "1")  # as submitit leaves it
    assert sweep.check_own() is sweep
    (sweep.path / ".submitit").rename(tmp_path / "elsewhere")
    (sweep.path / ".submitit").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match=".submitit is a link"):
        sweep.check_own()


LONG = ["trainer.max_steps=300", "trainer.checkpoint_seconds=.1"]


@pytest.mark.parametrize("choice", ["slurm_local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_killed_job_ends_itself_and_not_the_sweep(choice, outputs):
    needs(choice)
    code, sweep, error = killed_sweep(outputs, *LONG, f"hydra/launcher={choice}")
    assert code == 1
    assert [job["status"] for job in sweep.jobs()] == ["killed", "done"]
    assert "killed at step" in error and error.splitlines()[-1].startswith("expected 2 jobs done, got 1")
    assert main(["resume", sweep.id]) == 0  # by the same launcher
    assert [job["status"] for job in sweep.jobs()] == ["done", "done"]


@pytest.mark.slow
def test_every_launcher_gives_the_same_numbers(outputs):
    losses = {}
    for choice in ("basic", "slurm_local", "joblib", "ray"):
        if choice in CHOICES:
            needs(choice)
        assert main(["train", "-m", *TINY, "seed=0,1", f"hydra/launcher={choice}"]) == 0
        sweep = SweepDir(max((outputs / "sweeps").iterdir(), key=lambda path: path.stat().st_mtime))
        losses[choice] = [job["metrics"]["val_loss"] for job in sweep.jobs()]
    assert all(found == losses["basic"] for found in losses.values())
    assert losses["basic"][0] != losses["basic"][1]


# ---- back into the queue -----------------------------------------------------------------------------
@pytest.fixture
def job(tmp_path, monkeypatch):
    """A run in a Slurm job by submitit; the controller answers with `job.told`, and `job.asked` counts the requeues."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    for name, value in {"JOB_ID": "7", "ARRAY_JOB_ID": "5", "ARRAY_TASK_ID": "2", "RESTART_COUNT": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)

    class Job:
        told, asked, run = "JobState=RUNNING Restarts=1", [], RunDir.create(tmp_path / "run")

        def stop(self, reason):
            self.asked.clear()
            self.run.update_info(status="interrupted")
            requeue.back_to_queue(self.run, Interrupted("stopped", reason))
            return len(self.asked), self.run.fine_state()

    def controller(words, **_):
        assert words == ["scontrol", "-o", "show", "job", "5_2"]
        return subprocess.CompletedProcess(words, 0, stdout=Job.told)

    monkeypatch.setattr(requeue.subprocess, "run", controller)

    def submitit(number, frame):
        Job.asked.append(number)
        raise SystemExit(-1)

    before = signal.signal(signal.SIGUSR2, submitit)
    yield Job()
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize("reason", [signal.SIGUSR2, signal.SIGTERM])
def test_a_preempted_job_is_queued_again(job, reason):
    with pytest.raises(SystemExit):
        job.stop(reason)
    assert job.asked == [signal.SIGUSR2]
    assert job.run.fine_state() == "preempted"


def test_a_cancelled_job_is_not_queued_again(job):
    for told in ("JobState=CANCELLED Restarts=1", "JobState=COMPLETING Restarts=1", ""):
        type(job).told = told
        assert job.stop(signal.SIGTERM) == (0, "interrupted")


def test_a_job_that_slurm_has_queued_again_is_left_to_it(job):
    type(job).told = "JobState=COMPLETING Reason=None Restarts=2"
    assert job.stop(signal.SIGTERM) == (0, "preempted")


def test_ctrl_c_and_pruning_are_no_preemption(job):
    assert job.stop(signal.SIGINT) == job.stop(Ending.PRUNED) == (0, "interrupted")


def test_a_plain_run_is_never_queued(job, monkeypatch):
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    assert job.stop(signal.SIGUSR2) == (0, "interrupted")


def test_a_job_that_submitit_will_not_queue_again_stays_interrupted(job):
    def refuse(number, frame):
        raise RuntimeError("Job not requeued because: timed-out too many times.")

    signal.signal(signal.SIGUSR2, refuse)
    assert job.stop(signal.SIGUSR2) == (0, "interrupted")
