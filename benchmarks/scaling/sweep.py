"""Sweeps: what launching costs, how fast a thousand runs are listed, and 60 kill -9 while a sweep goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from common import INN, WORK, inn, row

from inncli.runs.run_dir import RunDir
from inncli.runs.sweep_dir import SweepDir
from inncli.training.checkpoint import load_checkpoint

TINY = [
    "task.n_train=400",
    "model.n_blocks=1",
    "model.block.hidden=[8]",
    "trainer.max_steps=60",
    "trainer.checkpoint_seconds=0.1",
]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
JOBS = int(os.environ.get("INN_JOBS") or 64)
KILLS = int(os.environ.get("INN_KILLS") or 25)


def outputs() -> tuple[Path, dict]:
    """A new outputs folder and the environment that names it."""
    root = Path(tempfile.mkdtemp(dir=WORK))
    return root, {**os.environ, "INN_OUTPUTS": str(root), "PYTHONPATH": str(Path(__file__).parents[2])}


def only_sweep(root: Path) -> SweepDir:
    """The one sweep of an outputs folder."""
    (file,) = root.glob("sweeps/*/sweep.json")
    return SweepDir(file.parent)


# ---- cost --------------------------------------------------------------------------------------------
def overhead() -> None:
    """64 jobs of one second each by joblib on 2 cores: wall time after worker start-up against 64 * 1 s / 2.

    On cores that other work shares the figure says nothing, so the first row asks whether there are two.
    """
    root, env = outputs()
    row("8", "time of two busy loops side by side, over that of one", busy(2) / busy(1), "2 cores: about 1")
    load, begun = os.getloadavg()[0], time.time()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    inn("train", "-m", f"seed=range({JOBS})", "trainer.max_seconds=1", *JOBLIB, env=env)
    ended = time.time()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    infos = [RunDir(Path(job["path"])).info() for job in only_sweep(root).jobs()]
    first = min(datetime.fromisoformat(info["started"]).timestamp() for info in infos)
    trained = sum(info["seconds"] for info in infos)
    row(
        "8",
        f"ratio of wall time to the ideal of {JOBS // 2} s, from the first job on",
        (ended - first) / (JOBS / 2),
        "asked: < 1.5",
    )
    row("8", "the same of the whole command, imports, planning and start-up included", (ended - begun) / (JOBS / 2))
    row(
        "8",
        "ratio of wall time to the seconds trained / 2",
        (ended - first) / (trained / 2),
        f"load before: {load:.1f}",
    )
    row("8", f"s before the first job: planning {JOBS} jobs, starting 2 workers", first - begun)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    row("8", f"CPU-s in all, of {JOBS} s trained", cpu)


def busy(processes: int) -> float:
    """Seconds until so many processes have counted far."""
    begun = time.perf_counter()
    for process in [subprocess.Popen([sys.executable, "-c", "sum(range(3 * 10**7))"]) for _ in range(processes)]:
        process.wait()
    return time.perf_counter() - begun


def thousand_runs() -> None:
    """`inn runs` and `inn runs --sweep` over 1,000 finished runs, the whole command."""
    root, env = outputs()
    inn("train", "trainer.max_steps=3", "model.n_blocks=1", env=env)
    (first,) = (path for path in root.iterdir() if path.name != "sweeps")
    sweep = SweepDir(root / "sweeps" / "s")
    sweep.path.mkdir(parents=True)
    config = RunDir(first).config()
    sweep.start(["seed=range(500)"], [{"overrides": [f"seed={n}"], "config": config} for n in range(500)])
    for n in range(999):
        copy = sweep.path / str(n) if n < 500 else root / f"{first.name}_{n}"
        copy.mkdir()
        for name in ("run.json", "config.yaml", "metrics.jsonl"):
            shutil.copy(first / name, copy / name)
    sweep.finish()
    for words, count in ((["runs"], 1000), (["runs", "--json"], 1000), (["runs", "--sweep", "s"], 500)):
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            lines = inn(*words, env=env).stdout.count("\n")
            seconds.append(time.perf_counter() - begun)
            assert lines >= count
        row("8", f"s, inn {' '.join(words)}", seconds, "asked: < 1")


# ---- the same numbers --------------------------------------------------------------------------------
def same_metrics() -> None:
    """The plain launcher and joblib: runs of the same overrides whose weights differ."""
    found = []
    for launcher in ([], JOBLIB):
        root, env = outputs()
        inn("train", "-m", "model=rnvp,nice", "seed=range(3)", *TINY, *launcher, env=env)
        found.append({" ".join(job["overrides"]): (weights(job), job["metrics"]) for job in only_sweep(root).jobs()})
    plain, joblib = found
    row(
        "1",
        "override sets whose metrics or weights differ, of 6",
        sum(plain[words] != joblib[words] for words in plain),
        "asked: 0",
    )
    row("1", "control: the same of seed 0 and seed 1", float(plain[min(plain)][0] == plain[max(plain)][0]), "must be 0")


def weights(job: dict) -> str:
    """A digest of a job's best weights."""
    tensors, _ = load_checkpoint(RunDir(Path(job["path"])).best)
    return hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()


# ---- kill -9 -----------------------------------------------------------------------------------------
def kills() -> None:
    """Kill -9 at random moments of a joblib sweep, of its own process or a worker, each followed by `inn resume`."""
    words = ["seed=range(6)", *TINY, *JOBLIB]
    root, env = outputs()
    inn("train", "-m", *words, env=env)
    undisturbed = {job["job"]: weights(job) for job in only_sweep(root).jobs()}
    rng, killed = random.Random(0), {"parent": 0, "worker": 0}
    unreadable = lost = differ = rounds = 0
    while sum(killed.values()) < KILLS:
        root, env = outputs()
        command, rounds = ["train", "-m", *words], rounds + 1
        while True:
            victim, code = one_attempt(command, root, env, rng, enough=sum(killed.values()) >= KILLS)
            if victim:
                killed[victim] += 1
            if not list(root.glob("sweeps/*/sweep.json")):
                continue  # killed before there was a sweep: start it again
            sweep = only_sweep(root)
            wait_for_orphans(sweep)
            unreadable += broken_files(sweep)
            done = {job["job"]: files(Path(job["path"])) for job in sweep.jobs() if job["status"] == "done"}
            lost += sum(kept != seen for kept, seen in ((kept, files(sweep.run(n).path)) for n, kept in DONE.items()))
            DONE.clear()
            DONE.update(done)
            if code == 0:
                break
            command = ["resume", str(sweep.path)]
        DONE.clear()
        differ += sum(weights(job) != undisturbed[job["job"]] for job in sweep.jobs())
    row("3", f"kill -9 of the sweep's process / of a worker, in {rounds} sweeps of 6 jobs: the first", killed["parent"])
    row("3", "... and the second", killed["worker"])
    row("3", "unreadable files", unreadable, "asked: 0")
    row("3", "finished jobs whose files changed later", lost, "asked: 0")
    row("3", f"jobs whose weights differ from the undisturbed sweep's, of {6 * rounds}", differ, "asked: 0")
    path = sweep.run(0).best
    path.write_bytes(path.read_bytes()[:-100])
    row("3", "control: unreadable files after one was cut", broken_files(sweep), "must be 1")


DONE: dict[int, dict] = {}  # what was done after the attempt before: job -> its files


def one_attempt(command: list[str], root: Path, env: dict, rng: random.Random, enough: bool) -> tuple[str | None, int]:
    """Runs a sweep and kills something of it at a random moment; what it was, and the exit code."""
    process = subprocess.Popen(
        [*INN, *command], env=env, cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if enough:
        return None, process.wait()
    early, deadline = rng.random() < 0.2, time.monotonic() + rng.uniform(2.0, 10.0)
    while not early and process.poll() is None and not running(root):
        deadline = time.monotonic() + rng.uniform(0.0, 8.0)
        time.sleep(0.02)
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    if process.poll() is not None:
        return None, process.returncode
    workers = [pid for pid in children(process.pid) if "popen_loky" in command_of(pid)]
    if workers and rng.random() < 0.5:
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
        return "worker", process.wait()
    process.kill()
    return "parent", process.wait()


def running(root: Path) -> bool:
    """Whether a job of the sweep has begun."""
    with contextlib.suppress(ValueError):  # no sweep yet
        return any(job["status"] == "running" for job in only_sweep(root).jobs())
    return False


def children(pid: int) -> list[int]:
    """The process ids whose parent is `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def command_of(pid: int) -> str:
    """The command line of a process; empty if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def wait_for_orphans(sweep: SweepDir) -> None:
    """A worker whose sweep was killed writes its checkpoint and ends."""
    deadline = time.monotonic() + 60
    while any(job["status"] == "running" for job in sweep.jobs()):
        assert time.monotonic() < deadline, sweep.jobs()
        time.sleep(0.2)


def broken_files(sweep: SweepDir) -> int:
    """How many files of the sweep can't be read as what they are."""
    broken = 0
    for path in sweep.path.rglob("*"):
        try:
            if path.suffix == ".json":
                json.loads(path.read_bytes())
            elif path.suffix == ".safetensors":
                load_checkpoint(path)
            elif path.name == "config.yaml":
                RunDir(path.parent).config()
        except Exception as error:  # whatever is wrong with it
            print(f"   {path}: {error}")
            broken += 1
    return broken


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FIGURES = {"overhead": overhead, "thousand_runs": thousand_runs, "same_metrics": same_metrics, "kills": kills}
