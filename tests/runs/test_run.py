"""The run directory: claims, durability, and how a run is found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from inncli.errors import CheckpointError, RunError
from inncli.runs import registry
from inncli.runs.registry import (
    find_run,
    list_runs,
    new_run_id,
    outputs_root,
    read_runs,
    reserve,
)
from inncli.runs.run_dir import RunDir


def finished(root, name, ended="2026-11-23T10:00:00.000000+00:00", **fields):
    run = RunDir.create(Path(root) / name, task="ring", model="rnvp", **fields)
    run.update_info(status="done", ended=ended)
    return run


def child(code: str, *args) -> subprocess.Popen:
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        text=True,
        env=here,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    )


FROZEN = datetime(2026, 11, 23, 10, 4, 59)


# ---- claim ---------------------------------------------------------------------------------------
CLAIM = """
import sys
from inncli.errors import RunError
from inncli.runs.run_dir import RunDir
print("ready", flush=True); sys.stdin.readline()
try:
    RunDir.create(sys.argv[1], task=sys.argv[2])
    print("mine", flush=True)
except RunError:
    print("taken", flush=True)
sys.stdin.readline()
"""


def test_two_processes_never_share_a_directory(tmp_path):
    children = [child(CLAIM, tmp_path / "run", name) for name in "abcd"]
    for process in children:
        assert process.stdout.readline() == "ready\n"
    for process in children:  # all imported: now they race
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.stdout.readline().strip() for process in children]
    for process in children:
        process.communicate("\n", timeout=20)
    assert sorted(answers) == ["mine", "taken", "taken", "taken"]
    assert RunDir(tmp_path / "run").info()["task"] == "abcd"[answers.index("mine")]


def test_a_killed_process_frees_its_run_and_a_live_one_does_not(tmp_path):
    process = child(CLAIM, tmp_path / "run", "ring")
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "mine\n"
    run = RunDir(tmp_path / "run")
    assert run.state() == "running"
    with pytest.raises(RunError) as caught:
        run.reopen()
    assert str(caught.value) == (
        f"run run is being trained by another process (pid {process.pid} on "
        f"{os.uname().nodename}); wait for it or stop it first"
    )
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (run.info()["status"], run.state()) == ("running", "interrupted")
    run.reopen()
    assert run.info()["pid"] == os.getpid()
    assert run.state() == "running"
    run.update_info(status="done")


def test_an_existing_log_file_is_fine_but_a_run_or_a_file_is_not(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "train.log").write_text("hydra was here")
    RunDir.create(tmp_path / "run")
    with pytest.raises(RunError, match="taken"):
        RunDir.create(tmp_path / "run")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text("{}")  # an old run without .lock, say
    with pytest.raises(RunError, match="taken"):
        RunDir.create(tmp_path / "old")
    assert (tmp_path / "old" / "run.json").read_text() == "{}"
    (tmp_path / "claimed").mkdir()
    with open(tmp_path / "claimed" / ".lock", "w") as lock:  # another program's
        lock.write("4711")
    with pytest.raises(RunError, match="taken"):
        RunDir.create(tmp_path / "claimed")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="taken"):
        RunDir.create(tmp_path / "file")


def test_reserve_gives_each_caller_its_own_directory(tmp_path, monkeypatch):
    chance = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(registry.secrets, "token_hex", lambda n: next(chance))
    monkeypatch.setattr(registry, "datetime", type("Frozen", (), {"now": staticmethod(lambda: FROZEN)}))
    first, second = (reserve(tmp_path / "deep", "ring", "rnvp") for _ in range(2))
    assert (first.name, second.name) == ("2026-11-23_10-04_ring_rnvp_aaaa", "2026-11-23_10-04_ring_rnvp_bbbb")
    assert first.is_dir() and second.is_dir()


def test_run_ids_have_no_path_in_them():
    name = new_run_id("../../etc", "my model")
    assert "/" not in name and " " not in name


# ---- config and info -----------------------------------------------------------------------------
def test_config_survives_as_plain_yaml(tmp_path):
    config = {
        "seed": 0,
        "device": "auto",
        "threads": None,
        "trainer": {"lr": 1e-5, "clip": 5.0},
        "task": {"x": ["cement", "1e-3", "yes", "Größe"], "x_bounds": {}, "A": [[1.0, 0.5]]},
    }
    run = RunDir.create(tmp_path / "run")
    run.write_config(config, ["model=rnvp", "task.x=[a,b]"])
    assert run.config() == config
    import yaml

    assert yaml.safe_load((run.path / "overrides.yaml").read_text()) == ["model=rnvp", "task.x=[a,b]"]
    before = run.config_hash()
    run.config_file.write_text(run.config_file.read_text().replace("seed: 0", "seed: 1"))
    assert run.config_hash() != before


@pytest.mark.parametrize(
    "name, text",
    [
        ("run.json", ""),
        ("run.json", '{"status": "done", "task'),
        ("run.json", "[1, 2]"),
        ("run.json", "\xff"),
        ("run.json", '{"status": "fine"}'),
        ("run.json", '{"stat": 1}'),
        ("run.json", None),
        ("config.yaml", ""),
        ("config.yaml", "a: [1"),
        ("config.yaml", "- 1"),
        ("config.yaml", None),
        ("config.yaml", "a: !!python/object/apply:os.system ['touch pwned']"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    run = RunDir.create(tmp_path / "run")
    run.write_config({"seed": 0}, [])
    (run.path / name).unlink() if text is None else (run.path / name).write_bytes(text.encode("latin1"))
    with pytest.raises(CheckpointError) as caught:
        run.info() if name == "run.json" else run.config()
    assert str(run.path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "pwned").exists()


def test_info_keeps_what_it_had_and_stays_json(tmp_path):
    import numpy as np

    run = RunDir.create(tmp_path / "run", task="ring", seed=3)
    run.update_info(planned_steps=np.int64(700), metrics={"val_loss": np.float32(0.5), "worst": float("inf")})
    text = run.info_file.read_text()
    info = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert (info["task"], info["seed"], info["planned_steps"]) == ("ring", 3, 700)
    assert info["metrics"] == {"val_loss": 0.5, "worst": None}
    assert info["versions"]["torch"] and info["started"] and info["ended"] is None
    run.update_info(status="failed")
    assert run.info()["ended"] >= info["started"]
    with pytest.raises(ValueError, match="status"):
        run.update_info(status="finished")
    assert run.info()["status"] == "failed"
    assert sorted(path.name for path in run.path.iterdir()) == [".lock", "run.json"]  # no temporary left


def test_a_reader_never_meets_half_a_run_json(tmp_path):
    run = RunDir.create(tmp_path / "run")
    writer = child(
        """
import sys
from inncli.runs.run_dir import RunDir
run = RunDir(sys.argv[1])
for i in range(150):
    run.update_info(metrics={"padding": "x" * (i * 97 % 20000)})
""",
        run.path,
    )
    reads = 0
    while writer.poll() is None:
        assert run.info()["status"] == "running"
        reads += 1
    assert writer.returncode == 0
    assert reads > 20


# ---- metrics -------------------------------------------------------------------------------------
def test_metrics_survive_a_half_written_line(tmp_path):
    run = RunDir(tmp_path)
    assert run.metrics() == []
    for epoch in range(4):
        run.append_metrics({"epoch": epoch, "val_loss": float("nan") if epoch == 2 else 1.0 / (1 + epoch)})
    whole = run.metrics_file.read_bytes()
    for line in whole.splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    for cut in range(len(whole)):  # killed after any byte
        run.metrics_file.write_bytes(whole[:cut])
        read = run.metrics()
        assert [entry["epoch"] for entry in read] == list(range(len(read)))
        assert len(read) - whole[:cut].count(b"\n") in (0, 1)
        run.append_metrics({"epoch": 9})
        assert [entry["epoch"] for entry in run.metrics()] == [*range(len(read)), 9]


def test_cut_metrics_keeps_bytes_and_drops_garbage(tmp_path):
    run = RunDir(tmp_path)
    run.cut_metrics(3)
    assert not run.metrics_file.exists()
    for epoch in range(6):
        run.append_metrics({"epoch": epoch, "val_loss": 0.1 + epoch})
    lines = run.metrics_file.read_bytes().splitlines(keepends=True)
    garbage = [b"\x00\xff garbage\n", b"[1]\n"]
    run.metrics_file.write_bytes(b"".join([*lines[:2], *garbage, *lines[2:], b'{"epoch": 6, "v']))
    run.cut_metrics(3)
    assert run.metrics_file.read_bytes() == b"".join(lines[:4])


# ---- finding -------------------------------------------------------------------------------------
def test_the_default_run_is_the_last_to_finish(tmp_path):
    with pytest.raises(RunError) as caught:
        find_run(None, tmp_path)
    assert str(caught.value) == (
        f"expected a finished run under {tmp_path}, got none; train one with `inn train`, or name one with `run`"
    )
    finished(tmp_path, "a", ended="2026-11-23T12:00:00.000000+00:00")  # started first, finished last
    finished(tmp_path, "b", ended="2026-11-23T11:00:00.000000+00:00")
    RunDir.create(tmp_path / "c")
    RunDir.create(tmp_path / "d").update_info(status="failed")
    assert find_run(None, tmp_path).id == "a"
    assert [run.id for run in list_runs(tmp_path)] == ["a", "b", "c", "d"]


def test_a_run_is_found_by_directory_id_or_unique_prefix(tmp_path, monkeypatch):
    names = ["2026-11-23_10-04_ring_rnvp_3fa9", "2026-11-23_10-04_ring_nice_0001"]
    for name in names:
        finished(tmp_path, name)
    finished(tmp_path, "sweeps/2026-11-24_09-00_ring_glow_beef/1")
    finished(tmp_path, "sweeps/2026-11-24_09-00_ring_glow_beef/10")
    sweep = tmp_path / "sweeps" / "2026-11-24_09-00_ring_glow_beef"
    assert find_run(str(tmp_path / names[0]), "/nowhere").id == names[0]
    assert find_run(names[1], tmp_path).path == tmp_path / names[1]
    assert find_run("2026-11-23_10-04_ring_n", tmp_path).id == names[1]
    # an exact id wins over the longer id it begins
    assert find_run("2026-11-24_09-00_ring_glow_beef/1", tmp_path).path == sweep / "1"
    monkeypatch.chdir(sweep)
    assert find_run("10", tmp_path).id == "2026-11-24_09-00_ring_glow_beef/10"
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    assert outputs_root() == tmp_path
    assert len(list_runs()) == 4


def test_a_run_that_is_not_there_says_what_to_do(tmp_path):
    for i in range(7):
        finished(tmp_path, f"2026-11-23_10-04_ring_rnvp_000{i}")

    def message(spec):
        with pytest.raises(RunError) as caught:
            find_run(spec, tmp_path)
        return str(caught.value).replace(str(tmp_path), "R")

    assert message("2026-11-23_10-04_ring_rnpv_0003") == (
        "no run '2026-11-23_10-04_ring_rnpv_0003' under R; did you mean '2026-11-23_10-04_ring_rnvp_0003'? "
        "try `inn runs`"
    )
    assert message("zzz") == "no run 'zzz' under R; try `inn runs`"
    assert message("") == "no run '' under R; try `inn runs`"
    assert message("2026") == (
        "`run` '2026' fits 7 runs: "
        + ", ".join(f"2026-11-23_10-04_ring_rnvp_000{i}" for i in range(5))
        + ", ...; give more of the id"
    )
    (tmp_path / "folder").mkdir()
    assert message(str(tmp_path / "folder")) == (
        "expected a run directory, got R/folder, which has no run.json; try `inn runs`"
    )


def test_foreign_folders_are_passed_over_and_damaged_runs_are_seen(tmp_path):
    finished(tmp_path, "2026-11-23_10-04_ring_rnvp_0001")
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("")
    (tmp_path / "other_tool").mkdir()
    (tmp_path / "other_tool" / "run.json").write_text('{"status": "queued"}')
    (tmp_path / "a_list").mkdir()
    (tmp_path / "a_list" / "run.json").write_text("[]")
    (tmp_path / "dir_json" / "run.json").mkdir(parents=True)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "sweeps" / "x").mkdir(parents=True)
    (tmp_path / "sweeps" / "x" / "sweep.json").write_text("{}")
    (tmp_path / "2026-11-22_cut").mkdir()
    (tmp_path / "2026-11-22_cut" / "run.json").write_text('{"status": "do')
    assert [(run.id, info["status"]) for run, info in read_runs(tmp_path)] == [
        ("2026-11-22_cut", "damaged"),
        ("2026-11-23_10-04_ring_rnvp_0001", "done"),
    ]
    assert find_run(None, tmp_path).id == "2026-11-23_10-04_ring_rnvp_0001"
    assert list_runs(tmp_path / "nowhere") == []


def test_a_thousand_runs_are_listed_within_a_second(tmp_path):
    text = finished(tmp_path, "first").info_file.read_text()
    for i in range(999):
        (tmp_path / f"run{i}").mkdir()
        (tmp_path / f"run{i}" / "run.json").write_text(text)
    start = time.process_time()
    assert len(list_runs(tmp_path)) == 1000
    assert time.process_time() - start < 1.0


def test_posterior_names_are_new_and_the_newest_is_found(tmp_path):
    run = RunDir(tmp_path)
    assert run.latest_posterior() is None
    names = {run.next_posterior_path() for _ in range(20)}
    assert len(names) == 20
    run.posteriors.mkdir()
    for age, name in enumerate(["new.npz", "old.npz"]):
        (run.posteriors / name).write_bytes(b"")
        os.utime(run.posteriors / name, (1e9 - age, 1e9 - age))
    assert run.latest_posterior().name == "new.npz"
