"""Who gets a directory: of two living processes one; after a kill at any instant the next one; locks or no locks."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from inncli.errors import RunError
from inncli.runs import claim, liveness, locks
from inncli.runs.run_dir import RunDir

HERE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
TINY = ["task.n_train=100", "model.n_blocks=1", "model.block.hidden=[8]", "trainer.max_steps=5", "threads=1"]

# A process that is killed just before its n-th call of the system; what it wrote last is cut in half.
KILLED = """
import fcntl, os, sys
sys.path.insert(0, {root!r})
from inncli.io import atomic
from inncli.runs import locks, provenance
from inncli.runs.run_dir import RunDir
provenance.git_commit = lambda: None  # a process of its own each time
{patch}

def killed_at(n):
    left = [n]
    def before(real):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)
            return real(*args, **kwargs)
        return call
    def torn(path, data):
        with open(path, "wb") as file:
            file.write(data if left[0] else data[: len(data) // 2])
    for module, names in ((os, ("mkdir", "open", "close", "fsync", "pwrite", "replace", "unlink", "stat", "lstat")),
                          (fcntl, ("lockf",))):
        for name in names:
            setattr(module, name, before(getattr(module, name)))
    atomic.Path.write_bytes = before(torn)
    return left

def claim(path):
    return RunDir.create(path, {{"task": {{"a": 1}}}}, ["seed=1"])

os.fsync = lambda fd: None  # no power fails here
begun = 0
for n in range(1000):
    path = os.path.join(sys.argv[1], str(n), "deep")
    child = os.fork()
    if not child:
        killed_at(n)
        claim(path)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if os.path.exists(os.path.join(path, "run.json")):
        break
    assert code == 9, code
    begun += os.path.exists(path)
    run = claim(path)
    assert run.config() == {{"task": {{"a": 1}}}} and run.overrides() == ["seed=1"] and run.state() == "running"
    assert not [name for name in os.listdir(path) if name.endswith(".tmp")], os.listdir(path)
    run.release()
print(begun)
"""
NO_LOCKS = """
import errno
def unsupported(*args):
    raise OSError(errno.ENOSYS, "Function not implemented")
fcntl.lockf = unsupported
"""
RIVAL = """
import fcntl, sys
sys.path.insert(0, {root!r})
from inncli.errors import RunError
from inncli.runs.run_dir import RunDir
{patch}
run = RunDir(sys.argv[1])
for line in sys.stdin:
    try:
        if line.strip() == "claim":
            run = RunDir.create(sys.argv[1])
        elif line.strip() == "reopen":
            run.reopen()
        else:
            run.update_info(status="interrupted")
        print("mine", flush=True)
    except RunError as error:
        print("taken" if "taken" in str(error) else "busy", flush=True)
"""
EITHER = pytest.mark.parametrize("patch", ["", NO_LOCKS], ids=["locks", "no locks"])


@pytest.fixture
def no_locks(monkeypatch):
    def unsupported(*args):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "lockf", unsupported)


def script(text, patch=""):
    return textwrap.dedent(text).format(root=HERE["PYTHONPATH"], patch=patch)


# ---- a dead claim ------------------------------------------------------------------------------------
@EITHER
def test_killed_at_any_call_before_run_json_leaves_a_directory_that_the_next_one_takes(tmp_path, patch):
    done = subprocess.run(
        [sys.executable, "-c", script(KILLED, patch), tmp_path], env=HERE, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40  # so many kills struck between the first mkdir and run.json


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", "config.yaml"]])
def test_the_same_command_works_after_a_kill(inn, tmp_path, left):
    run = RunDir.create(tmp_path / "run", {"task": {}}, [])
    run.release()
    for path in run.path.iterdir():
        if path.name not in left:
            path.unlink()
    if left:
        inn("resume", "run", code=2)
        assert "no run.json" in inn.err and len(inn.err.splitlines()) == 1
    inn("train", *TINY, "hydra.run.dir=run")
    assert run.info()["status"] == "done"
    inn("train", *TINY, "hydra.run.dir=run", code=2)
    assert "which is taken" in inn.err


def test_a_claim_of_0_4_says_nothing_and_what_it_wrote_is_not_overwritten(inn, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    inn("train", *TINY, "hydra.run.dir=run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".lock").touch()
    (tmp_path / "mine" / "config.yaml").write_text("the user's")
    inn("train", *TINY, "hydra.run.dir=mine", code=2)
    assert "which holds another config.yaml" in inn.err
    assert (tmp_path / "mine" / "config.yaml").read_text() == "the user's"


@pytest.mark.parametrize("kind", ["text", "link", "folder", "pipe"])
def test_a_lock_of_another_program_is_left_alone(tmp_path, kind):
    (tmp_path / "run").mkdir()
    lock = tmp_path / "run" / ".lock"
    make = {
        "text": lambda: lock.write_text("4711\n"),
        "link": lambda: lock.symlink_to(tmp_path / "elsewhere"),
        "folder": lock.mkdir,
        "pipe": lambda: os.mkfifo(lock),
    }
    make[kind]()
    with pytest.raises(RunError):
        RunDir.create(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == [".lock"] and not (tmp_path / "elsewhere").exists()


def test_a_claim_that_fails_is_given_up(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "write_config", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            RunDir.create(tmp_path / "run", {})
    RunDir.create(tmp_path / "run", {}).release()


# ---- living ones -------------------------------------------------------------------------------------
@pytest.fixture
def rivals(tmp_path, request):
    """Three processes that do as they are told: `say(number, word)` gives the answer, `start` does not wait for it."""
    patch = request.param
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script(RIVAL, patch), tmp_path / "run"],
            env=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def tell(process, word):
    process.stdin.write(word + "\n")
    process.stdin.flush()


def answers(processes):
    return sorted(process.stdout.readline().strip() for process in processes)


@pytest.mark.parametrize("rivals", ["", NO_LOCKS], ids=["locks", "no locks"], indirect=True)
def test_of_living_processes_one_wins_each_time(rivals, tmp_path):
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    run._lock_file.touch()  # a dead claim that all of them want
    for process in rivals:
        tell(process, "claim")
    assert answers(rivals) == ["mine", "taken", "taken"]
    first = next(process for process in rivals if process.pid == run.info()["pid"])
    others = [process for process in rivals if process is not first]
    for process in others:
        tell(process, "reopen")
    assert answers(others) == ["busy", "busy"]
    tell(first, "stop")
    assert answers([first]) == ["mine"]
    for process in rivals:
        tell(process, "reopen")
    assert answers(rivals) == ["busy", "busy", "mine"]
    first = next(process for process in rivals if process.pid == run.info()["pid"])
    others = [process for process in rivals if process is not first]
    first.send_signal(signal.SIGSTOP)  # its heart does not beat, and it lives
    tell(others[0], "reopen")
    assert answers(others[:1]) == ["busy"]
    first.kill()
    first.wait()
    for process in others:
        tell(process, "reopen")
    assert answers(others) == ["busy", "mine"]


def test_without_locks_and_names_the_heart_beat_decides(tmp_path, monkeypatch, no_locks):
    """As on another system than Linux."""
    monkeypatch.setattr(locks, "_name_on_host", lambda fd: None)
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        run = RunDir.create(tmp_path / "run")
        run.update_info(status="interrupted")
        run._write_info({**run.info(), "status": "running", "pid": sleeper.pid})
        with pytest.raises(RunError, match="being trained by another process"):
            run.reopen()
        monkeypatch.setenv("INN_STALE_SECONDS", "0.01")  # the number is another process's by now
        time.sleep(0.02)
        run.reopen()
        run.release()
        monkeypatch.delenv("INN_STALE_SECONDS")
        (tmp_path / "new").mkdir()
        there = {"host": "elsewhere", "pid": 1, "heartbeat": liveness.now()}
        RunDir(tmp_path / "new")._lock_file.write_text(json.dumps(there))
        with pytest.raises(RunError, match="taken"):
            RunDir.create(tmp_path / "new")
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_claim_that_is_taken_over_is_overwritten_by_one_write(tmp_path):
    lock = tmp_path / ".lock"
    claim.take(lock)
    locks.release(lock)
    assert lock.stat().st_size == claim.SIZE and claim.check(lock)
    claim.take(lock)
    with pytest.raises(claim.ClaimTakenError):
        claim.check(lock)
    locks.release(lock)
    assert lock.stat().st_size == claim.SIZE


def test_a_claim_that_this_process_has_is_not_taken_again(tmp_path):
    """Record locks don't keep the threads of a process apart."""
    lock = tmp_path / ".lock"
    claim.take(lock)
    with pytest.raises(claim.ClaimTakenError):
        claim.take(lock)
    locks.release(lock)
    claim.take(lock)
    locks.release(lock)
