"""Several processes that train one model: the loss of the joined batch, one run directory, and no process left behind.

Two processes are started once, by what `device=[cpu,cpu]` uses, and go through everything that `battery` asks of them.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from catalogue import MODELS
from inncli import config, runtime
from inncli.cli.app import main
from inncli.errors import ConfigError, Interrupted, LostProcessError, NonFiniteError, TrainingError
from inncli.experiments import train
from inncli.experiments.setup import build_setup, new_model, split_pairs
from inncli.inference import opening
from inncli.io import torchrun
from inncli.models.adjoint import Adjoint
from inncli.models.inn import INN
from inncli.nn import sharding
from inncli.objectives.bidirectional import Bidirectional
from inncli.objectives.bidirectional_ml import BidirectionalML
from inncli.objectives.nll import NLL
from inncli.objectives.regression import Regression
from inncli.runs.run_dir import RunDir
from inncli.tasks.toy.ring import Ring
from inncli.training import distributed
from inncli.training.checkpoint import load_checkpoint
from inncli.training.group import alone
from inncli.training.loop import Loop
from inncli.training.state import Data
from inncli.training.trainer import Trainer
from inncli.variables import Variables

X, Y = Variables.numbered("x", 2), Variables.numbered("y", 1)
ROWS, BATCH, SEED, STEPS = 210, 33, 3, 10  # an odd batch: the processes' parts differ in length
CPU = torch.device("cpu")


def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS + 41, 2, generator=generator, dtype=torch.float64)
    y = x.square().sum(1, keepdim=True)
    return Data(ROWS, lambda epoch: (x[:ROWS], y[:ROWS]), (x[ROWS:], y[ROWS:]))


def started(make, objective):
    torch.manual_seed(7)
    model = make().double()
    objective.attach(model, Ring())
    model.initialise(*data().epoch_pairs(0), torch.Generator().manual_seed(0))
    return model, objective


class Apart(Bidirectional):
    """The averaged gradients of each process's own loss: no pair of rows of two processes counts."""

    def forward(self, model, batch, step, generator):
        share, sharding._share = sharding._share, None
        try:
            if share is not None:
                batch = tuple(part[share.own(len(part))] for part in batch)
            return super().forward(model, batch, step, generator)
        finally:
            sharding._share = share


def inn():
    return INN(X, Y, n_blocks=2, hidden=[16], padding=1)


PARTS = {
    "spline": lambda: started(lambda: MODELS["spline"](x=X, y=Y), NLL()),
    "glow": lambda: started(lambda: MODELS["glow"](x=X, y=Y), NLL()),
    "recorded": lambda: started(
        lambda: MODELS["rnvp"](x=Variables(names=("x1", "x2"), bounds=((None, None),) * 2, steps=(0.5, 0.0)), y=Y),
        NLL(),
    ),
    "mmd": lambda: started(inn, Bidirectional(ramp=4)),
    "ml": lambda: started(inn, BidirectionalML()),
    "regression": lambda: started(lambda: Adjoint(X, Y, hidden=[16], n_starts=8), Regression()),
    "apart": lambda: started(inn, Apart(ramp=4)),
}


def curve(group, name, seed=SEED):
    """Losses, gradient norms and validation of a few steps, and the weights after them."""
    model, objective = PARTS[name]()
    trainer = Trainer(max_steps=STEPS, batch_size=BATCH, lr=1e-3)
    loop = Loop(trainer, model, objective, data(), seed, Path("none"), Path("none"), {}, group)
    found = []
    with group.sharing():
        loop.start()
        while not loop.finished:
            found.append(loop.take_step()[0])
            found.append(math.sqrt(sum(float(p.grad.square().sum()) for p in loop.parameters)))
            if loop.at_epoch_end:
                found.append(loop.end_epoch()["val_loss"])
    return found, [p.detach().numpy().copy() for p in loop.parameters]


def settings(*words):
    return config.plan(
        [
            "model=rnvp",
            "model.n_blocks=1",
            "task.n_train=400",
            "trainer.batch_size=32",
            "dtype=float64",
            "trainer.max_steps=55",
            "device=[cpu,cpu]",
            *words,
        ]
    )[0].config


def battery(group, folder):
    """Everything asked of two processes, as the first one saw it; what each saw where the name ends in `each`."""
    found = {f"curve {name}": curve(group, name)[0] for name in PARTS}
    found["weights each"] = group.each(curve(group, "spline")[1])
    found["other noise"] = curve(group, "mmd", SEED + group.rank)[0]
    found["roulette each"] = group.each(_roulette(group))
    found["bad row each"] = group.each(_refused(lambda: _with_bad_row(group)))
    found["stopped each"] = group.each(_refused(lambda: _stopped(group, folder / "b")))
    train._train(group, settings(), group.same(folder / "a"), [])
    train._resume(group, RunDir(folder / "b"))
    found["odd start each"] = group.each(_refused(lambda: _odd_start(group)))
    found["written each"] = group.each(len(os.listdir(folder)))
    return found


def _refused(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _roulette(group):
    """Estimated log-dets of a residual block on shared rows: as one process draws them."""
    torch.manual_seed(0)
    model = MODELS["iresnet"](x=X, y=Y).double()
    model.blocks.parts[0].parts[-1].log_det = "roulette"
    x, y = data().epoch_pairs(0)
    torch.manual_seed(5)
    with group.sharing(), torch.no_grad():
        return model._to_z(x[:BATCH], y[:BATCH])[1].numpy()


class Marked(nn.Module):
    """Spoils the row that comes out at a given number."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def forward(self, x):
        return x / torch.where((x - self.at).abs() < 1e-9, 0.0, 1.0)


def _with_bad_row(group):
    torch.manual_seed(0)
    model = Adjoint(X, Y, hidden=[8], n_starts=8).double()
    x = data().epoch_pairs(0)[0]
    last = torch.randperm(ROWS, generator=runtime.generator("cpu", SEED, "order", 0))[BATCH - 1]
    model.net = nn.Sequential(nn.Linear(2, 1).double(), Marked(at=100.0))
    nn.init.ones_(model.net[0].weight)
    nn.init.constant_(model.net[0].bias, 100.0 - float(x[last].sum()))  # so that it is a row of the last process
    loop = Loop(Trainer(batch_size=BATCH), model, Regression(), data(), SEED, Path("none"), Path("none"), {}, group)
    loop.progress.planned_steps = 10
    with group.sharing():
        loop.take_step()


def _stopped(group, path):
    if group.rank == 1:  # a signal to any of them stops all

        def kill():
            while not (path / "metrics.jsonl").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=kill, daemon=True).start()
    train._train(group, settings(), group.same(path), [])


def _odd_start(group):
    setup = build_setup(settings(f"seed={group.rank}"), group)
    new_model(setup, split_pairs(setup, setup.task.training_pairs(group.rank)))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return distributed.run(["cpu", "cpu"], battery, folder), folder


@pytest.mark.parametrize("name", [name for name in PARTS if name != "apart"])
def test_losses_gradients_and_validation_are_those_of_one_process(seen, name):
    one = curve(alone(CPU), name)[0]
    assert np.allclose(seen[0][f"curve {name}"], one, rtol=1e-9, atol=0) and len(set(one)) > STEPS


def test_losses_of_parts_and_noise_of_its_own_would_show(seen):
    one = np.array(curve(alone(CPU), "mmd")[0])
    for control in ("curve apart", "other noise"):
        assert np.abs(np.array(seen[0][control]) / one - 1).max() > 1e-3, control


def test_weights_keep_the_same_bits_in_every_process(seen):
    first, second = seen[0]["weights each"]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_estimates_inside_a_block_draw_what_one_process_draws(seen):
    one = _roulette(alone(CPU))
    assert all(np.array_equal(one, each) for each in seen[0]["roulette each"])


def test_a_row_of_one_process_that_is_not_finite_ends_all_with_its_layer(seen):
    with pytest.raises(NonFiniteError) as alone_says:
        _with_bad_row(alone(CPU))
    first, second = seen[0]["bad row each"]
    assert first == second == f"NonFiniteError: {alone_says.value}" and "layer net.1 (Marked)" in first


def test_a_signal_to_one_process_stops_all_at_one_step_and_resume_gives_the_same_bytes(seen):
    first, second = seen[0]["stopped each"]
    assert first.startswith("Interrupted: SIGTERM at step ") and "checkpoint written; continue with" in first
    assert second.split(" of ")[0] == first.split(" of ")[0]
    a, b = (RunDir(seen[1] / name) for name in "ab")
    mine, other = (load_checkpoint(run.last)[0] for run in (a, b))
    assert mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)
    assert [{**line, "seconds": 0} for line in a.metrics()] == [{**line, "seconds": 0} for line in b.metrics()]
    assert a.info()["status"] == "done" and a.info()["device"] == "cpu,cpu" and seen[0]["written each"] == [2, 2]


def test_processes_that_start_from_other_pairs_are_told(seen):
    assert all(
        said.startswith("TrainingError: the processes of this run don't start from the same pairs")
        for said in seen[0]["odd start each"]
    )


def test_a_run_of_two_is_continued_by_one_and_opened_anywhere(seen, tmp_path):
    """Not bit for bit, for one process sums in another order; but to the last digits."""
    whole = RunDir(seen[1] / "a")
    stopped = RunDir(tmp_path / "c")
    with pytest.raises(Interrupted):
        train._train(alone(CPU), settings("device=cpu"), stopped.path, []) if _soon(stopped) else None
    stopped.update_info(device="cuda:7")  # this machine has no such device
    stopped.release()
    train.resume(stopped)
    assert stopped.info()["device"] == "cpu"
    losses = ([line["val_loss"] for line in run.metrics()] for run in (whole, stopped))
    assert np.allclose(*losses, rtol=1e-6)
    draws = (opening.open_run(run, "cpu").sample(np.array([[1.0]]), 50, 0) for run in (whole, stopped))
    assert np.allclose(*draws, atol=1e-4)


def _soon(run):
    def kill():
        while not run.metrics_file.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=kill, daemon=True).start()
    return True


# ---- asking ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words, said",
    [
        ("device=[cpu,cuda:9]", "device 'cuda:9' is not available; this machine has cpu"),
        ("device=cuda:9", "device 'cuda:9' is not available; this machine has cpu"),
        ("device=[]", "device: expected a device or a list of some, got an empty list"),
        ("device=[cpu,1]", "device: expected text or a list, each entry text, got"),
    ],
)
def test_a_device_that_is_not_there_is_found_before_anything_is_written(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(runtime, "available_devices", lambda: ["cpu"])
    assert main(["train", words]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_lists_of_devices(monkeypatch):
    monkeypatch.setattr(runtime, "available_devices", lambda: ["cuda:0", "cuda:1", "mps", "cpu"])
    assert [str(device) for device in runtime.resolve_devices(["cuda", "cuda:1"])] == ["cuda:0", "cuda:1"]
    for names, words in (
        (["cuda:0", "cuda"], "cuda:0 is named twice"),
        (["cpu", "cuda:0"], "devices of one kind"),
        (["mps", "mps"], "a list of CUDA devices or of cpu"),
    ):
        with pytest.raises(ConfigError, match=words):
            runtime.resolve_devices(names)
    for name, value in {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 2, "MASTER_ADDR": "h", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    assert torchrun.rank() == 1
    assert [str(device) for device in distributed._of_launcher("auto")] == ["cuda:0", "cuda:1"]
    assert [str(device) for device in distributed._of_launcher("cpu")] == ["cpu", "cpu"]
    with pytest.raises(ConfigError, match="torchrun started 2 processes here, got 1 devices"):
        distributed._of_launcher(["cpu"])
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert torchrun.rank() is None


# ---- losing ------------------------------------------------------------------------------------------
def dies(group, how):
    """The second process ends; the first waits for it."""
    if group.rank == 1:
        if how == "raises":
            raise ValueError("no luck\nat all")
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        group.same(None)
        group.each(None)
    except LostProcessError:
        Path(f"{how}-told").touch()
        raise


@pytest.mark.slow
@pytest.mark.parametrize(
    "how, error, words",
    [
        (
            "killed",
            TrainingError,
            r"process 1 of this run \(pid \d+, cpu\) was killed by SIGKILL; the last checkpoint is kept",
        ),
        ("raises", ValueError, "no luck"),
    ],
)
def test_a_process_that_ends_ends_the_others(tmp_path, monkeypatch, how, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words) as said:
        distributed.run(["cpu", "cpu"], dies, how)
    assert (tmp_path / f"{how}-told").exists(), "the other one was told, not killed"
    assert how != "raises" or "in dies" in str(said.value.__cause__), "its traceback comes along"


def inn_process(folder, *words, launcher=("-m", "inncli")):
    env = {**os.environ, "INN_OUTPUTS": str(folder), "PYTHONPATH": str(Path(distributed.__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, *launcher, "train", "model.n_blocks=1", "task.n_train=400", "trainer.batch_size=32", *words],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_steps(folder, process):
    while not list(folder.glob("*/metrics.jsonl")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    return RunDir(next(folder.glob("*/metrics.jsonl")).parent)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_all_with_a_checkpoint(tmp_path, number):
    process = inn_process(tmp_path, "device=[cpu,cpu]", "trainer.max_steps=1000000")
    run = wait_for_steps(tmp_path, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out
    assert err.strip().splitlines()[-1].startswith(f"{signal.Signals(number).name} at step ")
    assert (
        run.info()["status"] == "interrupted"
        and run.info()["steps"] == load_checkpoint(run.last)[1]["training"]["step"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("who", ["first", "second", "starter"])
def test_a_killed_process_ends_the_run_and_leaves_nobody(tmp_path, who):
    process = inn_process(tmp_path, "device=[cpu,cpu]", "trainer.max_steps=1000000")
    run = wait_for_steps(tmp_path, process)
    workers = [
        int(pid)
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    first = run.info()["pid"]
    (second,) = set(workers) - {first}
    os.kill({"first": first, "second": second, "starter": process.pid}[who], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_text() for pid in workers):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.1)
    assert run.state() in ("failed", "interrupted")
    load_checkpoint(run.last)
    if who == "second":
        assert run.state() == "failed" and f"(pid {second}, cpu) was killed by SIGKILL" in run.info()["error"]
        assert run.info()["ended_by"] == "error"  # the cause, and not `lost_process`
    if who != "starter":
        assert process.returncode == 1 and "was killed by SIGKILL" in err.strip().splitlines()[-1]


@pytest.mark.slow
def test_torchrun_trains_one_run(tmp_path):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "inncli")
    words = ["trainer.max_steps=20", "dtype=float64"]
    process = inn_process(tmp_path / "two", *words, "device=cpu", launcher=launcher)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (path,) = (tmp_path / "two").iterdir()
    assert out.count("20 steps in") == 1 and err.count("training 20 steps") == 1
    assert inn_process(tmp_path / "one", *words).wait() == 0
    two, one = (json.loads((next(tmp_path.glob(f"{name}/*/run.json"))).read_text()) for name in ("two", "one"))
    assert two["device"] == "cpu,cpu" and two["metrics"]["val_loss"] == pytest.approx(
        one["metrics"]["val_loss"], rel=1e-9
    )
    shutil.rmtree(path)
    process = inn_process(tmp_path / "two", "device=cuda:9", launcher=launcher)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and err.count("device 'cuda:9' is not available") == 1
    assert not list((tmp_path / "two").glob("*"))


@pytest.mark.slow
def test_a_job_of_a_sweep_on_joblib_trains_on_two(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    process = inn_process(
        tmp_path,
        "-m",
        "seed=0,1",
        "device=[cpu,cpu]",
        "trainer.max_steps=20",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=1",
    )
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    infos = [json.loads(path.read_text()) for path in tmp_path.glob("sweeps/*/*/run.json")]
    assert [(info["status"], info["device"], info["steps"]) for info in infos] == [("done", "cpu,cpu", 20)] * 2
