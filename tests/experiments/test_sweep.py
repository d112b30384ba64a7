"""Sweeps: the manifest, how each job stands, locks, a killed worker, and what is shown of them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from inncli.errors import CheckpointError, RunError
from inncli.runs import locks
from inncli.runs.run_dir import RunDir
from inncli.runs.sweep_dir import SweepDir
from inncli.runs.sweeps import find, find_sweep

SMALL = ["task.n_train=200", "trainer.max_epochs=2", "model.n_blocks=1"]
HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}


def only_sweep(tmp_path) -> SweepDir:
    (path,) = (tmp_path / "out" / "sweeps").iterdir()
    return SweepDir(path)


def states(sweep) -> list[str]:
    return [job["status"] for job in sweep.jobs()]


def age(seconds: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_jobs_of_one_repeated_value_show_it():
    from inncli.cli.sweep_table import rows

    jobs = [
        {
            "job": n,
            "overrides": ["seed=0"],
            "status": "done",
            "metrics": {},
            "steps": 1,
            "planned_steps": 1,
            "seconds": 1.0,
        }
        for n in range(2)
    ]
    assert [row[1] for row in rows(jobs)] == ["seed=0", "seed=0"]


# ---- the manifest ------------------------------------------------------------------------------------
def test_the_manifest_is_whole_before_the_first_job(inn, tmp_path, monkeypatch):
    from inncli import config

    seen = {}

    def launch(task, words, *, directory, trust):
        seen["manifest"] = json.loads((directory / "sweep.json").read_text())
        seen["jobs"] = SweepDir(directory).jobs()

    monkeypatch.setattr(config, "launch", launch)
    words = ["seed=1,2", *SMALL, "hydra.job_logging.root.level=INFO"]
    out = inn("train", "-m", *words, code=1)
    manifest = seen["manifest"]
    assert manifest["status"] == "running" and manifest["overrides"] == words
    assert [job["overrides"] for job in manifest["jobs"]] == [["seed=1", *SMALL], ["seed=2", *SMALL]]
    assert [job["config"]["seed"] for job in manifest["jobs"]] == [1, 2]
    assert [job["status"] for job in seen["jobs"]] == ["waiting", "waiting"]
    # Jobs that never ran are shown as such, whatever the launcher says.
    assert "0 of 2 jobs done" in out and out.count("waiting") == 2


@pytest.mark.parametrize("text", ["", "[]", '{"jobs": [{"job": "0"}]}', '{"jobs": [{"job": 0, "overrides": "x"}]}'])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(CheckpointError, match="sweep.json is damaged"):
        SweepDir(tmp_path).jobs()


def test_the_directory_is_chosen_by_inn(inn):
    inn("train", "-m", "seed=1,2", "hydra.sweep.subdir=x", code=2)
    assert inn.err.startswith("hydra.sweep.subdir is chosen by inn")


# ---- how the jobs stand ------------------------------------------------------------------------------
def made(tmp_path, number: int, **fields) -> RunDir:
    run = RunDir.create(tmp_path / str(number), task="ring", model="rnvp")
    run.update_info(status="failed")  # gives the lock up
    run._write_info({**run.info(), "status": "running", "error": None, **fields})
    return run


def test_every_state_is_told_from_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("INN_STALE_SECONDS", "30")
    sweep = SweepDir(tmp_path)
    sweep.start(["seed=range(10)"], [{"overrides": [f"seed={n}"], "config": {}} for n in range(11)])
    made(tmp_path, 1, status="done", metrics={"val_loss": 1.5})
    made(tmp_path, 2, status="failed", error="NonFiniteError: step 3")
    sweep.log(2).write_text("Traceback")
    made(tmp_path, 3, pid=dead_pid(), steps=7)
    made(tmp_path, 4, pid=1, host="elsewhere", heartbeat=age(10))
    made(tmp_path, 5, pid=1, host="elsewhere", heartbeat=age(40))
    made(tmp_path, 6, status="interrupted")
    made(tmp_path, 7, status="interrupted", preempted=True)
    records = tmp_path / ".jobs"
    records.mkdir()
    gone = {"host": socket.gethostname(), "pid": dead_pid(), "heartbeat": age(0)}
    # Before there is a run.json the job's own record speaks: killed, failed, alive elsewhere.
    (records / "8.json").write_text(json.dumps({"job": 8, "overrides": [], "status": "running", **gone}))
    (records / "9.json").write_text(json.dumps({"job": 9, "overrides": [], "status": "failed", "error": "OSError: x"}))
    (records / "10.json").write_text(
        json.dumps(
            {"job": 10, "overrides": [], "status": "running", "pid": 1, "host": "elsewhere", "heartbeat": age(1)}
        )
    )
    jobs = sweep.jobs()
    assert [job["status"] for job in jobs] == [
        "waiting",
        "done",
        "failed",
        "killed",
        "running",
        "killed",
        "interrupted",
        "preempted",
        "killed",
        "failed",
        "running",
    ]
    assert jobs[2]["error"] == "NonFiniteError: step 3" and jobs[2]["traceback"] == str(sweep.log(2))
    assert jobs[3]["error"] == "killed at step 7" and jobs[3]["traceback"] is None
    assert jobs[8]["error"] == "killed before its first step" and jobs[9]["error"] == "OSError: x"
    assert jobs[1]["metrics"] == {"val_loss": 1.5}
    # The same words stay in the manifest when the records are gone.
    for number in (4, 7, 10):
        made(tmp_path, number, status="done") if not (tmp_path / str(number)).exists() else RunDir(
            tmp_path / str(number)
        ).update_info(status="done")
    kept = [job["status"] for job in sweep.finish()]
    assert not list(records.iterdir()) and [job["status"] for job in sweep.jobs()] == kept
    assert kept[8:] == ["killed", "failed", "done"] and sweep.manifest()["status"] == "failed"


def test_a_new_attempt_of_a_killed_job_runs(tmp_path):
    sweep = SweepDir(tmp_path)
    sweep.start([], [{"overrides": ["seed=0"], "config": {}}])
    made(tmp_path, 0, pid=dead_pid())
    assert states(sweep) == ["killed"]
    with sweep.attempt(0, ["seed=0"]) as record:
        assert states(sweep) == ["running"]  # it draws its pairs again, run.json is still the old one
        with sweep.attempt(0, ["seed=0"]) as second:  # in this very process the lock is its own
            second.end(status="failed", error="x")
        record.end(status="failed", error="x")
    assert states(sweep) == ["failed"]


def test_a_killed_claim_leaves_the_directory_free(tmp_path):
    sweep = SweepDir(tmp_path)
    sweep.start([], [{"overrides": [], "config": {}}])
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / ".lock").touch()  # killed between its lock and its run.json
    with sweep.attempt(0, []) as record:
        RunDir.create(tmp_path / "0").update_info(status="done")
        record.end(status="done")
    assert states(sweep) == ["done"]


# ---- the report --------------------------------------------------------------------------------------
def test_the_table_at_the_end(inn, tmp_path):
    out = inn("train", "-m", "trainer.lr=1e30,1e-3", *SMALL, code=1)
    sweep = only_sweep(tmp_path)
    lines = out.splitlines()
    assert lines[0].split() == ["job", "overrides", "state", "val", "loss", "steps", "time"]
    assert lines[2].split()[:4] == ["0", "trainer.lr=1e+30", "failed", "-"] and "0/2" in lines[2]
    assert lines[3].split()[:3] == ["1", "trainer.lr=0.001", "done"]
    loss = RunDir(sweep.path / "1").info()["metrics"]["val_loss"]
    assert lines[3].split()[3] == f"{loss:.5g}" and "1 of 2 jobs done" in out and f"next: inn resume {sweep.id}" in out
    failed, last = inn.err.splitlines()[-2:]
    assert failed.startswith("job 0 (trainer.lr=1e+30 task.n_train=200") and "failed: NonFiniteError: step " in failed
    log = failed.partition("(traceback: ")[2].rstrip(")")
    assert "Traceback" in Path(log).read_text() and "NonFiniteError" in Path(log).read_text()
    assert last == f"expected 2 jobs done, got 1, kept under {sweep.path}; `inn resume {sweep.id}` runs the others"


def test_runs_of_a_sweep(inn, tmp_path):
    inn("train", "-m", "trainer.lr=1e30,1e-3", *SMALL, code=1)
    sweep = only_sweep(tmp_path)
    out = inn("runs", "--sweep", sweep.id[:12])
    assert "1 failed, 1 done of 2 jobs" in out and "job 0 (trainer.lr=1e+30" in out and "train.log" in out
    shown = json.loads(inn("runs", "--sweep", sweep.path, "--json"))
    assert shown["status"] == "failed" and [job["status"] for job in shown["jobs"]] == ["failed", "done"]
    assert shown["jobs"][1]["metrics"]["val_loss"] == RunDir(sweep.path / "1").info()["metrics"]["val_loss"]
    inn("runs", "--watch", code=2)
    assert inn.err == "--watch follows a sweep; name it with --sweep SWEEP\n"
    inn("runs", "--sweep", "nothing", code=2)
    assert inn.err.startswith("no sweep 'nothing' under ")


def test_watching_ends_with_the_sweep(tmp_path):
    """Another process changes the jobs; each change is one line, and a dead holder ends the watch."""
    sweep = SweepDir(tmp_path / "sweeps" / "s")
    sweep.path.mkdir(parents=True)
    sweep.start([], [{"overrides": ["seed=0"], "config": {}}])
    with sweep.held():
        watch = subprocess.Popen(
            [sys.executable, "-m", "inncli", "runs", "--sweep", "s", "--watch"],
            text=True,
            stdout=subprocess.PIPE,
            env=HERE | {"INN_OUTPUTS": str(tmp_path)},
        )
        assert watch.stdout.readline() == "job 0 waiting\n"
        run = RunDir.create(sweep.path / "0")
        assert watch.stdout.readline() == "job 0 running\n"
        run.update_info(status="done", metrics={"val_loss": 2.0})
        assert watch.stdout.readline() == "job 0 done\n"
        assert watch.poll() is None
        sweep.finish()
    out, _ = watch.communicate(timeout=30)
    assert watch.returncode == 0 and "done; 1 done of 1 jobs" in out


def test_a_name_that_fits_several(tmp_path):
    for name in ("2026-11-23_a", "2026-11-23_b"):
        (tmp_path / "sweeps" / name).mkdir(parents=True)
        SweepDir(tmp_path / "sweeps" / name).start([], [])
    RunDir.create(tmp_path / "2026-11-24_run").update_info(status="done")
    assert find("2026-11-23_a", tmp_path).id == "2026-11-23_a" and find("2026-11-24", tmp_path).id == "2026-11-24_run"
    with pytest.raises(RunError, match="fits 2 sweeps: 2026-11-23_a, 2026-11-23_b"):
        find_sweep("2026-11-23", tmp_path)
    with pytest.raises(RunError, match="no sweep '2026-11-24_run'"):
        find_sweep("2026-11-24_run", tmp_path)


# ---- locks -------------------------------------------------------------------------------------------
HOLD = """
import sys, time
from inncli.runs.sweep_dir import SweepDir
with SweepDir(sys.argv[1]).held():
    print("mine", flush=True)
    time.sleep(60)
"""


def test_two_processes_never_run_one_sweep_and_a_dead_one_keeps_nothing(inn, tmp_path):
    sweep = SweepDir(tmp_path / "s")
    sweep.path.mkdir()
    sweep.start([], [{"overrides": [], "config": {}}])
    holder = subprocess.Popen([sys.executable, "-c", HOLD, sweep.path], text=True, stdout=subprocess.PIPE, env=HERE)
    assert holder.stdout.readline() == "mine\n" and sweep.state() == "running"
    inn("resume", sweep.path, code=2)
    assert inn.err == (
        f"sweep s is being run by another process (pid {holder.pid} on {socket.gethostname()}); "
        f"watch it with `inn runs --sweep {sweep.path} --watch`, or stop it first\n"
    )
    holder.kill()
    holder.wait()
    assert sweep.state() == "killed"
    with sweep.held():
        assert sweep.state() == "running"


def test_a_holder_on_another_host_counts_while_its_heart_beats(tmp_path):
    sweep = SweepDir(tmp_path)
    sweep.start([], [])
    (tmp_path / ".jobs").mkdir()
    holder = {"host": "elsewhere", "pid": 1, "status": "running"}
    (tmp_path / ".jobs" / "sweep.json").write_text(json.dumps({**holder, "heartbeat": age(50)}))
    assert sweep.state() == "running"
    with pytest.raises(RunError, match="pid 1 on elsewhere"), sweep.held():
        pass
    (tmp_path / ".jobs" / "sweep.json").write_text(json.dumps({**holder, "heartbeat": age(70)}))
    assert sweep.state() == "killed"
    with sweep.held():
        assert sweep.state() == "running"


def test_a_sweep_whose_job_lives_is_not_resumed(inn, tmp_path):
    sweep = SweepDir(tmp_path / "s")
    sweep.path.mkdir()
    sweep.start([], [{"overrides": [], "config": {}}] * 2)
    run = RunDir.create(sweep.path / "1")
    inn("resume", sweep.path, code=2)
    assert inn.err.startswith("1 jobs of sweep s are still being trained (the first: job 1)")
    run.update_info(status="done")


def test_looking_at_a_lock_does_not_take_it(tmp_path):
    file = tmp_path / ".lock"
    assert locks.held(file) is None
    locks.hold(file)
    assert locks.held(file) is True and locks.held_here(file)
    seen = subprocess.run(
        [sys.executable, "-c", "import sys; from inncli.runs import locks; print(locks.held(sys.argv[1]))", file],
        text=True,
        capture_output=True,
        env=HERE,
    )
    assert seen.stdout == "True\n"
    locks.release(file)
    assert locks.held(file) is False


# ---- joblib ------------------------------------------------------------------------------------------
SIMULATOR = """
import os
import signal
import numpy as np

def prior(n, rng):
    return rng.normal(size=(n, 1))

def simulate(x, rng):
    if len(x) > 50:  # not in the trial that comes before the sweep
        {trap}
    return x + 0.1 * rng.normal(size=x.shape)
"""


def test_joblib_a_killed_and_a_failed_job_leave_the_others(inn, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    traps = {
        "a": "pass",
        "b": f"assert not os.path.exists('{flag}'), 'on purpose'",
        "c": f"os.path.exists('{flag}') and os.kill(os.getpid(), signal.SIGKILL)",
        "d": "pass",
    }
    for name, trap in traps.items():
        (tmp_path / f"{name}.py").write_text(SIMULATOR.format(trap=trap))
    words = ["task=simulator", "task.file=a.py,b.py,c.py,d.py", *SMALL]
    run = subprocess.run(
        [sys.executable, "-m", "inncli", "train", "-m", *words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        text=True,
        capture_output=True,
        cwd=tmp_path,
        env=HERE | {"INN_OUTPUTS": str(tmp_path / "out")},
        timeout=300,
    )
    assert run.returncode == 1, run.stderr
    sweep = only_sweep(tmp_path)
    jobs = sweep.jobs()
    assert [job["status"] for job in jobs] == ["done", "failed", "killed", "done"], run.stderr
    assert "on purpose" in jobs[1]["error"] and "on purpose" in Path(jobs[1]["traceback"]).read_text()
    assert jobs[2]["error"] == "killed before its first step" and "2 of 4 jobs done" in run.stdout
    assert "job 2 (task=simulator task.file=c.py" in run.stderr
    kept = files(sweep.path / "0") | files(sweep.path / "3")
    flag.unlink()
    for name in (".lock", "config.yaml", "overrides.yaml"):  # as it leaves them that is killed a moment later
        (sweep.path / "2" / name).touch()
    # The plain launcher finishes what joblib began, from the folder of someone else.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    out = inn("resume", sweep.path, "--resimulate", "hydra/launcher=basic")
    assert "4 of 4 jobs done" in out and states(sweep) == ["done"] * 4
    assert files(sweep.path / "0") | files(sweep.path / "3") == kept  # byte for byte, times included
    losses = [RunDir(sweep.path / str(n)).info()["metrics"]["val_loss"] for n in range(4)]
    assert len(set(losses)) == 1  # the four files say the same, and so do both launchers
    assert RunDir(sweep.path / "2").overrides() == ["task=simulator", "task.file=c.py", *SMALL]


def files(folder: Path) -> dict:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_joblib_leaves_no_worker_behind_when_its_sweep_is_killed(tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "inncli",
            "train",
            "-m",
            "seed=range(4)",
            "task.n_train=200",
            "model.n_blocks=1",
            "trainer.max_steps=1000000",
            "hydra/launcher=joblib",
            "hydra.launcher.n_jobs=2",
        ],
        cwd=tmp_path,
        env=HERE | {"INN_OUTPUTS": str(tmp_path / "out")},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(found := list(tmp_path.glob("out/sweeps/*/*/metrics.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    runs = [RunDir(path.parent) for path in found]
    workers = [run.info()["pid"] for run in runs]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
    assert [(run.info()["status"], run.last.is_file()) for run in runs] == [("interrupted", True)] * 2


@pytest.mark.parametrize("jobs", ["abc", "0", "1.5"])
def test_joblib_with_a_wrong_number_of_jobs(inn, tmp_path, jobs):
    inn("train", "-m", "seed=1,2", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}", code=2)
    assert inn.err.splitlines()[-1].startswith("hydra.launcher.n_jobs: expected a whole number of 1 or more, or -1 ")
    assert list((tmp_path / "out" / "sweeps").iterdir()) == []


def test_a_recipe_may_choose_the_launcher(inn, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "both.yaml").write_text(
        "# @package _global_\ndefaults: [{override /hydra/launcher: joblib}]\n"
        "hydra: {launcher: {n_jobs: '${threads}'}, sweeper: {params: {seed: '1,2'}}}\n"
    )
    words = ["--config-dir", "mine", "experiment=both", "trainer.lr=.001", *SMALL, "trainer.max_epochs=1"]
    inn("train", "-m", *words, "threads=0", code=2)  # for the launcher as for the jobs
    assert "2 of 2 jobs done" in inn("train", "-m", *words)
    assert "locally" not in inn.err
    sweep = only_sweep(tmp_path)
    assert [RunDir(sweep.path / str(n)).overrides() for n in range(2)] == [job["overrides"] for job in sweep.jobs()]
    shutil.rmtree(sweep.path / "1")
    assert states(sweep) == ["done", "waiting"]  # what is gone is to be done again
    assert "2 of 2 jobs done" in inn("resume", "--config-dir", "mine", sweep.path) and "locally" not in inn.err
    assert "job 0: " not in inn.err
    (sweep.path / "0" / "run.json").write_text("{")
    assert states(sweep) == ["failed", "done"] and "run.json is damaged" in sweep.jobs()[0]["error"]


def test_joblib_without_its_extra(inn, tmp_path, monkeypatch):
    from inncli import launchers

    real = launchers._installed
    monkeypatch.setattr(launchers, "_installed", lambda name: "joblib" not in name and real(name))
    inn("train", "-m", "seed=1,2", "hydra/launcher=joblib", code=2)
    assert "pip install 'inncli[joblib]'" in inn.err and len(inn.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_joblib_stops_at_a_signal_with_its_checkpoints(tmp_path):
    words = [
        "seed=1,2,3",
        "task.n_train=400",
        "model.n_blocks=1",
        "trainer.max_steps=100000",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "trainer.checkpoint_seconds=1000",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "inncli", "train", "-m", *words],
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=HERE | {"INN_OUTPUTS": str(tmp_path / "out")},
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("out/sweeps/*/[01]/metrics.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    jobs = only_sweep(tmp_path).jobs()
    assert [job["status"] for job in jobs] == ["interrupted", "interrupted", "waiting"]
    assert all(job["steps"] > 0 for job in jobs[:2])  # checkpoints that only the signal can have written
