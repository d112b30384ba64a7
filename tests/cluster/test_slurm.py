"""Sweeps on a real Slurm: `make test-slurm`. Marked, since it is installed and started first."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import slurm_cluster
from inncli.runs.sweep_dir import SweepDir

pytestmark = pytest.mark.slurm
STEPS = 500

# Loaded by the job, it also slows the training down: 10 s at least, in which a job can be struck, on any machine.
SIMULATOR = """
import os
import time
from pathlib import Path

from torch.optim.optimizer import register_optimizer_step_post_hook

register_optimizer_step_post_hook(lambda *_: time.sleep(.02))

def prior(n, rng):
    if os.environ.get("SLURM_ARRAY_TASK_ID") == "0" and not (Path(__file__).parent / "mended").exists():
        raise ValueError("the sensor is off")
    return rng.normal(size=(n, 2))

def simulate(x, rng):
    return (x ** 2).sum(1, keepdims=True) + .05 * rng.normal(size=(len(x), 1))
"""


@pytest.fixture(scope="module")
def slurm():
    reason = slurm_cluster.missing()
    if reason:
        pytest.skip(reason)
    try:
        with slurm_cluster.cluster() as found:
            yield {**found, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    except RuntimeError as error:
        if shutil.which("sbatch"):
            raise
        pytest.skip(f"Slurm could not be installed: {error}")


@pytest.fixture
def env(slurm, tmp_path):
    return {**slurm, "INN_OUTPUTS": str(tmp_path / "outputs")}


class Sweep:
    """A sweep that runs in a process of its own."""

    def __init__(self, env, *words):
        self.env = env
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inncli", *words], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def end(self, seconds=400):
        self.out, self.err = self.process.communicate(timeout=seconds)
        return self.process.returncode

    @property
    def dir(self):
        root = Path(self.env["INN_OUTPUTS"]) / "sweeps"
        return wait(lambda: next((SweepDir(file.parent) for file in root.glob("*/sweep.json")), None), "manifest")


def wait(condition, what, seconds=200):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"no {what() if callable(what) else what} after {seconds} s")


def info(sweep, number):
    run = sweep.run(number)
    return json.loads(run.info_file.read_bytes()) if run.info_file.exists() else {}


def steps(sweep, number):
    return info(sweep, number).get("steps") or 0


def slurm_id(sweep, number):
    ids = info(sweep, number)["scheduler"]
    return f"{ids['slurm_array_job_id']}_{ids['slurm_array_task_id']}"


def test_a_sweep_tells_the_truth_about_each_job_and_resume_runs_what_is_left(env, tmp_path):
    simulator = tmp_path / "sim.py"
    simulator.write_text(SIMULATOR)
    sweep = Sweep(
        env,
        "train",
        "-m",
        "model=nice,rnvp",
        "seed=range(0,3)",
        "hydra/launcher=slurm",
        "task=simulator",
        f"task.file={simulator}",
        "task.n_train=2000",
        f"trainer.max_steps={STEPS}",
        "trainer.checkpoint_seconds=.5",
    )
    kept = sweep.dir
    # 0 raises. 1 is killed, 2 is preempted by USR2, 3 by TERM, 4 is cancelled, 5 is left alone.
    acts = {
        1: lambda: os.kill(info(kept, 1)["pid"], signal.SIGKILL),
        2: lambda: scancel(env, "--signal=USR2", slurm_id(kept, 2)),
        3: lambda: scancel(env, "--signal=TERM", slurm_id(kept, 3)),
        4: lambda: scancel(env, slurm_id(kept, 4)),
    }
    before = {}

    def all_struck():  # they run side by side, and not for long
        for number in [*acts]:
            if 0 < steps(kept, number) < STEPS:
                acts.pop(number)()
        for number in (2, 3):
            stopped = info(kept, number)
            if stopped.get("preempted"):
                assert stopped["status"] == "interrupted" and 0 < stopped["steps"] < STEPS
                before[number] = stopped["steps"]
        return not acts and len(before) == 2

    wait(
        all_struck,
        lambda: (
            f"step of jobs {[*acts]}, or preemption seen of 2 and 3 but {before}; "
            f"run.json of each: {[info(kept, n) for n in range(6)]}"
        ),
    )
    assert sweep.end() == 1
    assert [job["status"] for job in kept.jobs()] == ["failed", "killed", "done", "done", "interrupted", "done"]
    assert "the sensor is off" in sweep.err and "killed at step" in sweep.err
    assert len({info(kept, n)["scheduler"]["slurm_array_job_id"] for n in (1, 2, 3, 5)}) == 1
    for number in (2, 3):
        assert info(kept, number)["steps"] == STEPS and not info(kept, number).get("preempted")
        log = "".join(p.read_text() for p in kept.path.glob(f".submitit/*_{number}/*log.err"))
        first, *_, last = log.split(f"training {STEPS} steps")[1:]
        assert int(re.search(rf"step (\d+)/{STEPS}", last)[1]) > before[number]  # it went on, and did not begin again

    (tmp_path / "mended").touch()
    ended = {number: info(kept, number)["ended"] for number in (2, 3, 5)}
    again = Sweep(env, "resume", str(kept.path), "--resimulate")
    assert again.end() == 0, again.err
    assert [job["status"] for job in kept.jobs()] == ["done"] * 6
    assert {number: info(kept, number)["ended"] for number in ended} == ended  # not run again
    for number in range(6):
        assert [line["step"] for line in kept.run(number).metrics()] == sorted(
            {line["step"] for line in kept.run(number).metrics()}
        ), "an epoch was trained twice"


def test_without_controller_or_accounting_the_heartbeat_decides(env, tmp_path):
    for name in ("squeue", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'accounting storage is disabled' >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    simulator = tmp_path / "sim.py"
    simulator.write_text(SIMULATOR)
    (tmp_path / "mended").touch()
    blind = {**env, "PATH": f"{tmp_path}:{env['PATH']}"}
    sweep = Sweep(
        blind,
        "train",
        "-m",
        "seed=0,1",
        "hydra/launcher=slurm",
        "task=simulator",
        f"task.file={simulator}",
        "task.n_train=2000",
        f"trainer.max_steps={STEPS}",
        "trainer.checkpoint_seconds=.5",
    )
    kept = sweep.dir
    wait(lambda: steps(kept, 0), "step")
    os.kill(info(kept, 0)["pid"], signal.SIGKILL)
    assert sweep.end() == 1
    assert [job["status"] for job in kept.jobs()] == ["killed", "done"]


def test_what_sbatch_refuses_is_one_line(env):
    sweep = Sweep(env, "train", "-m", "seed=0,1", "hydra/launcher=slurm", "hydra.launcher.partition=gpu")
    assert sweep.end(100) == 2
    (line,) = [line for line in sweep.err.splitlines() if "not accepted" in line]
    assert "partition" in line


def scancel(env, *words):
    """Asks once. Where Slurm says that a job is between two states, scancel would ask again after 5 s.

    The signal has arrived by then, and the job may be a new start, which the second one would hit.
    """
    asking = subprocess.Popen(["scancel", *words], env=env)
    threading.Timer(4, asking.kill).start()
