"""`inn resume`: a run or a sweep that was stopped goes on as if it never had been; the heartbeat while one trains."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from inncli.errors import RunError
from inncli.io import atomic
from inncli.runs import liveness
from inncli.runs import run_dir as run_module
from inncli.runs.run_dir import RunDir
from inncli.runs.sweep_dir import SweepDir

TINY = ["task.n_train=200", "model.n_blocks=1", "model.block.hidden=[8]", "trainer.max_steps=60"]
HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A sweep whose process got kill -9 in the middle of job 1 of 3, and the same sweep undisturbed."""
    root = tmp_path_factory.mktemp("killed")
    words = [sys.executable, "-m", "inncli", "train", "-m", "seed=1,2,3", *TINY, "trainer.checkpoint_seconds=0"]
    subprocess.run(words, env=HERE | {"INN_OUTPUTS": str(root / "whole")}, check=True, capture_output=True)
    process = subprocess.Popen(
        words, env=HERE | {"INN_OUTPUTS": str(root / "cut")}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 900
    while process.poll() is None and time.monotonic() < deadline:
        found = list(root.glob("cut/sweeps/*/1/run.json"))
        if found and json.loads(found[0].read_bytes())["steps"] > 5:
            break
        time.sleep(0.01)
    else:
        pytest.fail("job 1 of the sweep never came past step 5")
    process.kill()
    process.wait()
    (cut,), (whole,) = ((root / name / "sweeps").iterdir() for name in ("cut", "whole"))
    return SweepDir(cut), SweepDir(whole)


def below(folder: Path) -> dict:
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


# ---- a sweep -----------------------------------------------------------------------------------------
def test_a_killed_sweep_resumes_to_the_same_bytes(inn, killed):
    cut, whole = killed
    before = cut.jobs()
    assert [job["status"] for job in before] == ["done", "killed", "waiting"]
    assert before[1]["error"] == f"killed at step {before[1]['steps']}" and 5 < before[1]["steps"] < 60
    kept = below(cut.path / "0")
    assert "3 of 3 jobs done" in inn("resume", cut.path)
    # Only what was not done, each with its own number; job 1 from its last step, job 2 from its first.
    assert "job 0: " not in inn.err and "job 1: seed=2" in inn.err and "job 2: seed=3" in inn.err
    assert inn.err.count("training 60 steps") == 2
    assert "training 60 steps from step " in inn.err and "training 60 steps, " in inn.err
    assert below(cut.path / "0") == kept
    for number in range(3):
        for name in ("config.yaml", "overrides.yaml"):
            assert (cut.path / str(number) / name).read_bytes() == (whole.path / str(number) / name).read_bytes()
        from inncli.training.checkpoint import load_checkpoint

        mine, theirs = (load_checkpoint(sweep.run(number).best)[0] for sweep in killed)
        assert mine.keys() == theirs.keys() and all((mine[name] == theirs[name]).all() for name in mine)
    assert cut.manifest()["status"] == "done" and not (cut.path / ".jobs").exists()
    assert "is done; nothing is left to run" in inn("resume", cut.path)


def test_words_of_a_resumed_sweep(inn, tmp_path):
    sweep = SweepDir(tmp_path / "out" / "sweeps" / "s")
    sweep.path.mkdir(parents=True)
    sweep.start(["seed=1"], [{"overrides": ["seed=1"], "config": {}}])
    before = below(sweep.path)
    inn("resume", "s", "trainer.lr=1", code=2)
    assert inn.err.startswith("a sweep is resumed with its own settings; expected words of its launcher")
    inn("resume", "s", "hydra/launcher=nothing", code=2)
    assert "hydra/launcher" in inn.err and len(inn.err.splitlines()) == 1
    inn("resume", "nothing", code=2)
    assert inn.err.startswith("no run 'nothing' under ")
    assert {path: entry for path, entry in below(sweep.path).items() if path.name != ".lock"} == before


@pytest.mark.parametrize(
    "word", ["++hydra={callbacks: {x: {_target_: os.mkdir, path: made}}}", "++hydra.sweeper.params={hydra.job.name: x}"]
)
def test_a_strangers_search_changes_nothing_of_hydra(inn, tmp_path, word):
    pytest.importorskip("optuna")
    sweep = SweepDir(tmp_path / "s")
    sweep.path.mkdir()
    sweep.start(["hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", *TINY, word], [])
    inn("resume", sweep.path, code=2)
    assert inn.err.startswith("hydra's own settings are for the whole sweep") and len(inn.err.splitlines()) == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "word",
    [
        "hydra.launcher.setup=[touch x]",
        "hydra.launcher._target_=os.system",
        "hydra/launcher=../../x",
        "+hydra.launcher.additional_parameters.wrap=x",
        "hydra.launcher.submitit_folder=/tmp/x",
        "hydra.launcher.n_jobs=${x}",
    ],
)
def test_a_strangers_sweep_says_nothing_to_the_launcher_that_could_run_a_command(inn, tmp_path, word):
    sweep = SweepDir(tmp_path / "s")
    sweep.path.mkdir()
    sweep.start(["seed=1", word], [{"overrides": ["seed=1"], "config": {}}])
    inn("resume", sweep.path, code=2)
    assert inn.err.startswith(f"sweep s sets {word!r}, which is not taken from a file") and "inn resume s " in inn.err


def test_a_strangers_sweep_writes_only_in_its_directory(inn, tmp_path):
    inn("train", "-m", "trainer.lr=1e30", *TINY, code=1)
    (path,) = (tmp_path / "out" / "sweeps").iterdir()
    (tmp_path / "elsewhere").mkdir()
    for file in (path / "0").iterdir():
        file.rename(tmp_path / "elsewhere" / file.name)
    (path / "0").rmdir()
    (path / "0").symlink_to(tmp_path / "elsewhere")
    before = below(tmp_path / "elsewhere")
    inn("resume", path, code=2)
    assert inn.err.startswith(f"{path / '0'} is a link")
    # The link was made since, by someone who may write there: a job looks for itself.
    with pytest.raises(RunError, match="is a link"), SweepDir(path).attempt(0, []):
        pass
    assert below(tmp_path / "elsewhere") == before


# ---- a run -------------------------------------------------------------------------------------------
def test_a_run_is_resumed_by_either_command(inn, tmp_path, monkeypatch):
    from inncli.experiments import train

    real = train.keep_pairs
    monkeypatch.setattr(train, "keep_pairs", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    for name in "ab":
        inn("train", *TINY, f"hydra.run.dir=out/{name}", code=130)
    monkeypatch.setattr(train, "keep_pairs", real)
    inn("resume", "a", "seed=1", code=2)
    assert inn.err == "a run is resumed with its own config and nothing else; leave out 'seed=1'\n"
    assert "run a: 60 steps" in inn("resume", "a") and "run b: 60 steps" in inn("train", "--resume", "b")
    metrics = [RunDir(tmp_path / "out" / name).info()["metrics"] for name in "ab"]
    assert metrics[0] == metrics[1]
    inn("resume", "a", code=2)
    assert "is finished" in inn.err


# ---- the heartbeat -----------------------------------------------------------------------------------
@pytest.fixture
def fast(monkeypatch):
    """A heartbeat every 20 ms."""
    monkeypatch.setattr(liveness, "BEAT", 0.02)


def wait_until(what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_the_heart_beats_while_nothing_else_happens_and_never_after(tmp_path, fast):
    before = set(threading.enumerate())  # other tests leave runs of theirs without an end
    run = RunDir.create(tmp_path / "run")
    begun = run.info()["heartbeat"]
    wait_until(lambda: run.info()["heartbeat"] > begun)
    assert len(set(threading.enumerate()) - before) == 1
    run.update_info(status="done")
    ended = run.info_file.read_bytes()
    time.sleep(0.2)
    assert run.info_file.read_bytes() == ended and not set(threading.enumerate()) - before
    other = RunDir.create(tmp_path / "other")
    other.update_info(status="interrupted")
    other.reopen()
    begun = other.info()["heartbeat"]
    wait_until(lambda: other.info()["heartbeat"] > begun)
    other.update_info(status="done")


def test_a_heartbeat_loses_no_update(tmp_path, monkeypatch):
    monkeypatch.setattr(liveness, "BEAT", 0.0)
    monkeypatch.setattr(atomic.os, "fsync", lambda fd: None)
    run = RunDir.create(tmp_path / "run")
    for step in range(300):
        run.update_info(steps=step)
        assert run.info()["steps"] == step
    run.update_info(status="done", steps=300)
    assert run.info()["steps"] == 300 and run.info()["status"] == "done"


def test_a_full_disk_stops_the_heartbeat_and_never_the_run(tmp_path, monkeypatch, fast):
    run = RunDir.create(tmp_path / "run")
    real, tried = run_module.atomic_write, []

    def full(path, data):
        if threading.current_thread().name == "inn heartbeat":
            tried.append(path)
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(run_module, "atomic_write", full)
    begun = run.info()["heartbeat"]
    wait_until(lambda: len(tried) > 2)
    assert run.info()["heartbeat"] == begun
    monkeypatch.setattr(run_module, "atomic_write", real)
    wait_until(lambda: run.info()["heartbeat"] > begun)  # there is room again
    run.update_info(status="done")


def test_the_heart_of_a_sweeps_job_beats_before_it_has_a_run(inn, tmp_path, monkeypatch, fast):
    """While the first pairs are drawn there is no run.json yet."""
    from inncli.tasks.toy.ring import Ring

    seen = []

    def slow(self, *args, real=Ring.training_pairs):
        (path,) = (tmp_path / "out" / "sweeps").iterdir()
        record = path / ".jobs" / "0.json"
        first = json.loads(record.read_bytes())["heartbeat"]
        wait_until(lambda: json.loads(record.read_bytes())["heartbeat"] > first)
        seen.append((SweepDir(path).jobs()[0]["status"], (path / "0" / "run.json").exists()))
        return real(self, *args)

    monkeypatch.setattr(Ring, "training_pairs", slow)
    inn("train", "-m", "seed=1", *TINY)
    assert seen == [("running", False)]


def test_a_run_on_another_host_is_left_alone_while_its_heart_beats(tmp_path, monkeypatch):
    monkeypatch.setenv("INN_STALE_SECONDS", "2")
    run = RunDir.create(tmp_path / "run")
    run.update_info(status="interrupted")
    run._write_info({**run.info(), "status": "running", "host": "elsewhere", "heartbeat": liveness.now()})
    assert run.state() == "running"
    with pytest.raises(RunError, match="being trained by another process .pid [0-9]+ on elsewhere"):
        run.reopen()
    time.sleep(2.1)
    assert run.state() == "interrupted" and run.fine_state() == "killed"
    run.reopen()
    run.update_info(status="done")


def test_a_requeued_job_takes_its_run_at_once(tmp_path, monkeypatch):
    """The same job of Slurm on another node: the process before it is gone, however fresh its heartbeat."""
    run = RunDir.create(tmp_path / "run")
    run.update_info(status="interrupted")
    job = {"slurm_job_id": "7", "slurm_procid": "0"}
    run._write_info(
        {**run.info(), "status": "running", "host": "elsewhere", "heartbeat": liveness.now(), "scheduler": job}
    )
    assert run.state() == "running"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert run.state() == "interrupted"
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert run.state() == "running"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no job control here")
def test_a_stopped_process_on_this_host_still_holds_its_run(tmp_path, monkeypatch):
    """Ctrl-Z stops the heartbeat, and the lock tells that the process lives."""
    monkeypatch.setenv("INN_STALE_SECONDS", "0.2")
    code = (
        "import sys, time; from inncli.runs.run_dir import RunDir; "
        "RunDir.create(sys.argv[1]); print(1, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "run"], env=HERE, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    assert RunDir(tmp_path / "run").state() == "running"
    process.kill()
    process.wait()
    assert RunDir(tmp_path / "run").fine_state() == "killed"
