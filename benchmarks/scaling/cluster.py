"""Sweeps on a real Slurm, by joblib and by Ray, and the Optuna search that is killed and resumed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import INN, WORK, inn, row

from inncli.runs.registry import find_run
from inncli.runs.sweep_dir import SweepDir

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))
import slurm_cluster  # noqa: E402

STEPS = 500
# In the sweep that is broken on purpose it also slows the training down: 10 s at least, in which a job can be struck.
SIMULATOR = """
import os
import time
from pathlib import Path

from torch.optim.optimizer import register_optimizer_step_post_hook

if (Path(__file__).parent / "broken").exists():
    register_optimizer_step_post_hook(lambda *_: time.sleep(.02))

def prior(n, rng):
    if os.environ.get("SLURM_ARRAY_TASK_ID") == "0" and (Path(__file__).parent / "broken").exists():
        raise ValueError("the sensor is off")
    return rng.normal(size=(n, 2))

def simulate(x, rng):
    return (x ** 2).sum(1, keepdims=True) + .05 * rng.normal(size=(len(x), 1))
"""


def grid(launcher: str, env: dict, *words: str) -> tuple[subprocess.Popen, SweepDir]:
    """Starts the 2 x 3 sweep in an outputs folder of its own."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    env["INN_OUTPUTS"], env["PYTHONPATH"] = str(root), str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [
            *INN,
            "train",
            "-m",
            "model=nice,rnvp",
            "seed=range(0,3)",
            "task=simulator",
            f"task.file={WORK / 'sim.py'}",
            "task.n_train=2000",
            f"trainer.max_steps={STEPS}",
            "trainer.checkpoint_seconds=.5",
            f"hydra/launcher={launcher}",
            *words,
        ],
        env=env,
        cwd=WORK,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: list(root.glob("sweeps/*/sweep.json")))
    return process, SweepDir(next(root.glob("sweeps/*")))


def until(condition, seconds: float = 300):
    """Waits for a condition and returns its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise SystemExit("waited in vain")
        time.sleep(0.1)
    return value


def info(sweep: SweepDir, number: int) -> dict:
    """run.json of a job, empty before there is one."""
    run = sweep.run(number)
    return run.info() if run.info_file.exists() else {}


def losses(sweep: SweepDir) -> dict[str, float]:
    """The final validation loss of each set of overrides."""
    return {" ".join(job["overrides"][:2]): job["metrics"]["val_loss"] for job in sweep.jobs()}


def slurm() -> None:
    """A 2 x 3 sweep as a job array; with jobs raised, killed, preempted, cancelled; resumed; by joblib and Ray."""
    reason = slurm_cluster.missing()
    if reason:
        print(f"not run: {reason}")
        return
    (WORK / "sim.py").write_text(SIMULATOR)
    with slurm_cluster.cluster() as env:
        begun = time.monotonic()
        process, plain = grid("slurm", env)
        out, err = process.communicate()
        print(out)
        row("1", "plain 2 x 3: exit code", process.returncode, "asked: 0")
        row("1", "plain 2 x 3: jobs done", sum(job["status"] == "done" for job in plain.jobs()), "asked: 6")
        arrays = {info(plain, n)["scheduler"]["slurm_array_job_id"] for n in range(6)}
        row("1", "plain 2 x 3: job arrays", len(arrays), "asked: 1")
        row("1", "plain 2 x 3: wall s, Python's start included", time.monotonic() - begun)
        wanted = losses(plain)

        (WORK / "broken").touch()
        begun = time.monotonic()
        process, bad = grid("slurm", env)
        ids = {}
        for number in (1, 2, 3):
            found = until(lambda n=number: info(bad, n) if info(bad, n).get("steps") else None)
            ids[number] = f"{found['scheduler']['slurm_array_job_id']}_{found['scheduler']['slurm_array_task_id']}"
            if number == 1:
                os.kill(found["pid"], signal.SIGKILL)
            elif number == 2:
                subprocess.Popen(["scancel", "--signal=USR2", ids[2]], env=env)  # it may try again for seconds
                stopped = until(lambda: info(bad, 2) if info(bad, 2).get("preempted") else None)["steps"]
            else:
                subprocess.run(["scancel", ids[3]], env=env, check=True)
        out, err = process.communicate()
        print(out, "\n".join(line for line in err.splitlines() if line.startswith(("job ", "expected"))), sep="")
        states = [job["status"] for job in bad.jobs()]
        row("1", "a job raised, one SIGKILLed, one USR2, one scancel: exit code", process.returncode, "asked: 1")
        wrong = sum(
            a != b for a, b in zip(states, ["failed", "killed", "done", "interrupted", "done", "done"], strict=True)
        )
        row("1", "jobs whose state in the table is not the true one", wrong, "asked: 0")
        row("1", "wall s", time.monotonic() - begun)
        words = ["sacct", "-n", "-X", "-o", "JobID,State", "--parsable2", "-j", ids[1].partition("_")[0]]
        sacct = subprocess.run(words, env=env, capture_output=True, text=True).stdout
        row("1", "control: raised jobs that sacct calls COMPLETED", "_0|COMPLETED" in sacct, "so sacct is not asked")
        log = "".join(path.read_text() for path in bad.path.glob(".submitit/*_2/*log.err"))
        *_, after = log.split(f"training {STEPS} steps")
        row("1", "step at which USR2 met the job", stopped)
        row(
            "1",
            "step of the first epoch line after the requeue",
            int(re.search(r"step (\d+)/", after)[1]),
            f"asked: > {stopped}",
        )
        row("1", "cancelled jobs that were queued again", info(bad, 3)["status"] != "interrupted", "asked: 0")

        (WORK / "broken").unlink()
        ended = {n: info(bad, n)["ended"] for n in (2, 4, 5)}
        begun = time.monotonic()
        done = inn("resume", str(bad.path), "--resimulate", env=env, check=False)
        print(done.stdout)
        row("1", "inn resume SWEEP: exit code", done.returncode, "asked: 0")
        row("1", "jobs done", sum(job["status"] == "done" for job in bad.jobs()), "asked: 6")
        row("1", "finished jobs that were run again", sum(info(bad, n)["ended"] != ended[n] for n in ended), "asked: 0")
        row("1", "wall s", time.monotonic() - begun)
        row(
            "1",
            "jobs whose val_loss is not that of the undisturbed sweep, bit for bit",
            sum(losses(bad)[key] != wanted[key] for key in wanted),
            "asked: 0",
        )
    for launcher in ("joblib", "ray"):
        begun = time.monotonic()
        process, sweep = grid(launcher, dict(os.environ))
        err = process.communicate()[1]
        if process.returncode:
            raise SystemExit(err)
        row(
            "1",
            f"{launcher}: jobs whose val_loss is not Slurm's, bit for bit",
            sum(losses(sweep)[key] != wanted[key] for key in wanted),
            "asked: 0",
        )
        row("1", f"{launcher}: wall s", time.monotonic() - begun)
    row("1", "control: different val_losses among the 6 jobs", len(set(wanted.values())), "asked: 6")


def search() -> None:
    """12 trials on the ring, killed (-9) after 5, resumed to 12; the best config is trained."""
    import optuna

    root = Path(tempfile.mkdtemp(dir=WORK))
    env = {**os.environ, "INN_OUTPUTS": str(root), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [
            *INN,
            "train",
            "-m",
            "experiment=search_spline",
            "task.n_train=4000",
            "trainer.max_epochs=12",
            "trainer.checkpoint_seconds=.5",
            "hydra.sweeper.n_trials=12",
            "hydra.sweeper.n_jobs=1",
        ],
        env=env,
        cwd=WORK,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: [p for p in root.glob("sweeps/*/5/run.json") if '"steps": 0' not in p.read_text()], 600)
    process.kill()
    process.communicate()
    sweep = SweepDir(next(root.glob("sweeps/*")))

    def trials() -> list:
        return optuna.load_study(study_name="inn", storage=f"sqlite:///{sweep.path / 'study.db'}").trials

    before = trials()
    ended = [trial for trial in before if trial.state.is_finished()]
    row("2", "trials ended when the search was killed", len(ended), "asked: 5")
    steps = info(sweep, 5)["steps"]
    kept = {trial.number: sweep.run(trial.number).info_file.read_bytes() for trial in ended}
    done = inn("resume", str(sweep.path), env=env, check=False)
    print(done.stdout)
    after = trials()
    row("2", "exit code of inn resume", done.returncode, "asked: 0")
    row("2", "trials of the study", len(after), "asked: 12")
    row(
        "2",
        "ended trials that the resume touched",
        sum(sweep.run(n).info_file.read_bytes() != raw for n, raw in kept.items()),
        "asked: 0",
    )
    row("2", "settings tried twice", 12 - len({str(trial.params) for trial in after}), "asked: 0")
    row("2", "step at which trial 5 was killed, before it went on", steps)
    row("2", "trials pruned, no failures", sum(trial.state.name == "PRUNED" for trial in after))
    row("2", "trials failed", sum(trial.state.name == "FAIL" for trial in after), "asked: 0")
    finished = [trial for trial in after if trial.value is not None and trial.state.name == "COMPLETE"]
    best = min(finished, key=lambda trial: trial.value)
    row("2", "val_loss of the finished trials", [trial.value for trial in finished])
    inn("train", "--config-dir", str(sweep.path), "experiment=best", env=env)
    again = find_run(None, root).info()["metrics"]["val_loss"]
    row("2", "val_loss of the best trial", best.value)
    row("2", "val_loss of `inn train --config-dir SWEEP experiment=best`", again, "asked: the same")
    inn("train", "model=spline", "task.n_train=4000", "trainer.max_epochs=12", env=env)
    row(
        "2",
        "control: val_loss of the untuned spline in the same epochs",
        find_run(None, root).info()["metrics"]["val_loss"],
        "asked: above",
    )


FIGURES = {"slurm": slurm, "search": search}
