"""A run directory from a stranger: each of these is refused with one line and code 2; nothing runs, nothing is written.

The strangers' runs are made from the fixture runs and signed with valid checksums where they can be: a checksum is
no defence against whoever wrote the file. The canary is a file that any of them would create if its code ran.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from inncli import runtime
from inncli.cli.app import main
from inncli.errors import ConfigError
from inncli.evaluation import cache
from inncli.evaluation.request import EvaluationRequest
from inncli.runs.run_dir import RunDir
from inncli.training.checkpoint import load_checkpoint, save_checkpoint

KEPT = Path(__file__).parents[1] / "fixtures" / "runs" / "1"
INVERT = ["invert", "--run", "flow", "--y", "1.5", "-n", "5"]
SHOW = ["show", "--run", "flow"]
RESUME = ["train", "--resume", "flow_stopped"]
SAMPLE = ["sample", "--run", "flow", "-n", "5"]
EVALUATE = ["evaluate", "--run", "flow"]
MANY = ["resume", "many"]
JOBS = ["runs", "--sweep", "many"]
COMPARE = ["compare", "many", "--no-evaluate"]
SET = ["plot", "posterior", "--set", "flow/posteriors/set.npz"]
PARQUET, NETCDF = ([*SET[:-1], f"flow/posteriors/set.{suffix}"] for suffix in ("parquet", "nc"))
BOUND = 300 * 2**20  # bytes that Python and numpy may take to refuse; torch's tensors are counted by the kernel

CODE = """
from pathlib import Path
Path({canary!r}).touch()
def prior(n, rng): return rng.normal(size=(n, 2))
def simulate(x, rng): return x[:, :1]
"""


# ---- how they are made -------------------------------------------------------------------------------
def resign(run: Path, change: Callable[[dict], object] = lambda config: None, tensors=None, meta=None) -> None:
    """Edits the config and whatever else, with all hashes and checksums valid."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    config = change(config) or config
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for file in (run / "checkpoints").iterdir():
        values, facts = load_checkpoint(file)
        facts = {**facts, "config": config, "config_hash": RunDir(run).config_hash()}
        facts.pop("checksum")
        values = values if tensors is None else tensors(values) or values
        save_checkpoint(file, values, facts if meta is None else meta(facts) or facts)


def setting(path: str, value):
    """A stranger's config with one setting changed; the rest is in order."""
    *way, last = path.split(".")

    def make(folder: Path) -> None:
        def change(config):
            node = config
            for word in way:
                node = node[word]
            node[last] = value(folder) if callable(value) else value

        for name in ("flow", "flow_stopped"):
            resign(folder / name, change)

    return make


def evil(folder: Path) -> str:
    """A simulator file that leaves the canary."""
    path = folder / "flow" / "sim.py"
    path.write_text(CODE.format(canary=str(folder / "canary")))
    return str(path)


def evil_task(folder: Path, **more) -> dict:
    return {"_target_": "inncli.tasks.user.simulator.Simulator", "_partial_": True, "file": evil(folder), **more}


def evil_task_at_once(folder: Path) -> dict:
    return {"_target_": "inncli.tasks.user.simulator.Simulator", "file": evil(folder)}


def tensors(change):
    return lambda folder: [resign(folder / name, tensors=change) for name in ("flow", "flow_stopped")]


def metas(change):
    return lambda folder: [resign(folder / name, meta=change) for name in ("flow", "flow_stopped")]


def file(name: str, data: bytes | Callable[[bytes], bytes], run: str = "flow"):
    """A file of the run with other bytes."""

    def make(folder: Path) -> None:
        path = folder / run / name
        path.write_bytes(data(path.read_bytes()) if callable(data) else data)

    return make


def config_bytes(data: bytes | Callable[[bytes], bytes]):
    """A config file with these bytes, whose hash the checkpoint carries."""

    def make(folder: Path) -> None:
        file("config.yaml", data)(folder)
        path = folder / "flow" / "checkpoints" / "best.safetensors"
        values, facts = load_checkpoint(path)
        facts.pop("checksum")
        sha256 = hashlib.sha256((folder / "flow" / "config.yaml").read_bytes()).hexdigest()
        save_checkpoint(path, values, {**facts, "config_hash": sha256})

    return make


def info(**fields):
    return file("run.json", lambda data: json.dumps({**json.loads(data), **fields}).encode())


def linked(name: str, run: str = "flow"):
    """A file or folder of the run that lies elsewhere."""

    def make(folder: Path) -> None:
        path = folder / run / name
        elsewhere = folder.parent / "elsewhere"
        path.rename(elsewhere) if path.exists() else elsewhere.mkdir()
        path.symlink_to(elsewhere)

    return make


def header(change):
    """A checkpoint with another safetensors header: a change of it as JSON, or of its bytes."""

    def edit(data: bytes) -> bytes:
        (length,) = struct.unpack("<Q", data[:8])
        new = change(data[8 : 8 + length])
        return struct.pack("<Q", len(new)) + new + data[8 + length :]

    return file("checkpoints/best.safetensors", edit)


def huge_header(raw: bytes) -> bytes:
    entries = json.loads(raw)
    name = next(name for name in entries if name != "__metadata__")
    entries[name]["shape"] = [10**15]
    return json.dumps(entries).encode()


def doubled(raw: bytes) -> bytes:
    name = next(name for name in json.loads(raw) if name != "__metadata__")
    entry = json.dumps({name: json.loads(raw)[name]})[1:-1].encode()
    return b"{" + entry + b"," + raw[1:]


def npz(name: str, change):
    """An npz of the run with its arrays changed, and its checksum in run.json set right."""

    def make(folder: Path) -> None:
        for run in ("flow", "flow_stopped"):
            path = folder / run / name
            if path.exists():
                with np.load(path) as loaded:
                    arrays = dict(loaded)
                data = change(arrays)
                if not isinstance(data, bytes):
                    buffer = io.BytesIO()
                    np.savez(buffer, **arrays)
                    data = buffer.getvalue()
                path.write_bytes(data)
                facts = json.loads((folder / run / "run.json").read_text())
                if "data" in facts and name == "data/pairs.npz":
                    facts["data"]["pairs_sha256"] = hashlib.sha256(data).hexdigest()
                    (folder / run / "run.json").write_text(json.dumps(facts))

    return make


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def npy(shape: tuple, descr: str = "<f8", data: bytes = b"") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue() + data


class Canary:
    def __reduce__(self):
        return (os.system, (f"touch {os.environ['CANARY']}",))


def pickled(arrays):
    arrays["x"] = np.array([Canary()], dtype=object)


def bomb(arrays) -> bytes:
    return zipped(x=npy((2**25 + 2**20,), data=bytes(2**28 + 2**23)))


def laughs(levels: int = 12) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


def nan_weights(values):
    values[next(name for name in values if name.endswith("weight"))].fill_(float("nan"))


def inf_weights(values):
    values[next(name for name in values if name.endswith("weight"))].fill_(float("inf"))


def without_one(values):
    values.pop(next(name for name in values if name.startswith("model.")))


def half_precision(values):
    return {name: value.half() if value.is_floating_point() else value for name, value in values.items()}


def other_shape(values):
    name = next(name for name in values if name.startswith("model.") and name.endswith("weight"))
    values[name] = values[name].repeat(2, 1)


def pretender(folder: Path) -> None:
    """A module of the stranger's beside the run, and a target that names it."""
    (folder / "flow" / "mine.py").write_text(CODE.format(canary=str(folder / "canary")))
    setting("model._target_", "mine.Model")(folder)


def no_kept_pairs(folder: Path) -> None:
    setting("task", evil_task)(folder)
    shutil.rmtree(folder / "flow" / "data")


def fifo(folder: Path) -> None:
    (folder / "flow" / "config.yaml").unlink()
    os.mkfifo(folder / "flow" / "config.yaml")


def sweep(words: list[str] = (), change: Callable[[Path], object] = lambda folder: None, **job):
    """A stranger's sweep of one stopped job."""

    def make(folder: Path) -> None:
        place = folder / "sweeps" / "many"
        shutil.copytree(folder / "flow_stopped", place / "0")
        entry = {"job": 0, "status": "interrupted", "overrides": [], **job}
        (place / "sweep.json").write_text(
            json.dumps(
                {"id": "many", "status": "interrupted", "overrides": list(words), "jobs": [entry], "search": False}
            )
        )
        change(place)

    return make


def record(data: object, name: str = "0.json"):
    """What a stranger's sweep says of a job of its own, or of who runs it."""

    def change(place: Path) -> None:
        (place / ".jobs").mkdir()
        (place / ".jobs" / name).write_text(data if isinstance(data, str) else json.dumps(data))

    return sweep(change=change)


def long_form(note: str = "{}", **changed):
    """A set in Parquet with other columns or another note."""

    def make(folder: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        columns = {
            "obs": [0.0, 0.0],
            "y1": [1.0, 1.0],
            "draw": [0.0, 1.0],
            "x1": [1.0, 2.0],
            "log_prob": [0.0, 0.0],
            **changed,
        }
        table = pa.table({name: pa.array(values, pa.float64()) for name, values in columns.items()})
        parquet.write_table(table.replace_schema_metadata({"inn": note}), folder / "flow/posteriors/set.parquet")

    return make


def netcdf(change):
    """A set in NetCDF, changed as an HDF5 file."""

    def make(folder: Path) -> None:
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "flow/posteriors/set.nc", "a") as file:
            change(file, h5py)

    return make


def replaced(**how):
    def change(file, h5py):
        del file["posterior/x1"]
        file["posterior"].create_dataset("x1", **how)

    return change


def virtual(file, h5py):
    layout = h5py.VirtualLayout((1, 4), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(1, 4))
    del file["posterior/x1"]
    file.create_virtual_dataset("posterior/x1", layout)


def column(key: str, value: list):
    """What the checkpoints say of both columns of x."""
    return metas(lambda meta: meta["x"].update({key: value}))


def related(constants=(1.0,), steps=(0.0, 0.0, 0.0)):
    """Checkpoints that say of a third column of x how it follows from the two of the model, which have other names."""

    def change(meta):
        columns = {"names": ["u", "v", "w"], "steps": list(steps)}
        meta["relations"] = {
            "columns": columns,
            "dependent": [2],
            "constants": list(constants),
            "weights": [[-1.0, -1.0]],
            "slack": [0.1],
        }

    return metas(change)


def on_circle(ends: list):
    """A posterior set that says of x1 that it lies on a circle."""

    def change(arrays):
        meta = json.loads(str(arrays["meta"]))
        arrays["meta"] = np.array(json.dumps({**meta, "periodic": {"x1": ends}}))

    return npz("posteriors/set.npz", change)


def piped(name: str):
    """A pipe in place of a file of the run."""

    def make(folder: Path) -> None:
        path = folder / "flow" / name
        path.unlink()
        os.mkfifo(path)

    return make


def pipe_as_table(folder: Path) -> None:
    os.mkfifo(folder / "t.csv")
    info(data={"file": "t.csv", "sha256": "0" * 64})(folder)
    setting(
        "task", {"_target_": "inncli.tasks.measured.table.Table", "_partial_": True, "file": str(folder / "t.csv")}
    )(folder)


def tensorboard_elsewhere(folder: Path) -> None:
    """A logger that writes into the run, whose folder for it lies elsewhere."""
    setting("logger", {"_target_": "inncli.loggers.tensorboard.TensorBoard", "_partial_": True})(folder)
    linked("tensorboard", "flow_stopped")(folder)


def evil_job(place: Path) -> None:
    """The record of the sweep is in order, the config of its job is not."""
    resign(place / "0", lambda config: config.update(task=evil_task(place.parents[1])))


def job_elsewhere(place: Path) -> None:
    (place / "0").rename(place.parents[2] / "elsewhere")
    (place / "0").symlink_to(place.parents[2] / "elsewhere")


# ---- the list ----------------------------------------------------------------------------------------
# name: (how it is made, the command, words of the line)
HOSTILE = {
    # code
    "target os.system": (setting("model", {"_target_": "os.system", "command": "touch canary"}), INVERT, "os.system"),
    "target through an import": (
        setting("model._target_", "inncli.runs.run_dir.os.system"),
        INVERT,
        "inncli.runs.run_dir.os.system",
    ),
    "target of the stranger's module": (pretender, INVERT, "mine.Model"),
    "target with a source to read": (
        setting("model", {"_target_": "subprocess.run", "args": ["touch", "canary"]}),
        INVERT,
        "subprocess.run",
    ),
    "target that is a list": (setting("model._target_", ["os.system"]), INVERT, "_target_"),
    "simulator as the model": (setting("model", evil_task), INVERT, "Simulator"),
    "simulator inside the model": (setting("model.block", evil_task_at_once), INVERT, "Simulator"),
    "simulator as the evaluation": (setting("evaluation", evil_task_at_once), EVALUATE, "Simulator"),
    "simulator as the objective": (setting("objective", evil_task_at_once), RESUME, "Simulator"),
    "simulator as the task, resumed": (setting("task", evil_task), RESUME, "--resimulate"),
    "simulator without its pairs, sampled": (no_kept_pairs, SAMPLE, "--resimulate"),
    "simulator without workers, refined": (setting("task", evil_task), [*INVERT, "--refine"], "--resimulate"),
    "yaml that calls": (config_bytes(b"a: !!python/object/apply:os.system ['touch canary']"), INVERT, "config.yaml"),
    "pickled pairs": (npz("data/pairs.npz", pickled), SAMPLE, "pairs.npz"),
    "pickled posterior set": (npz("posteriors/set.npz", pickled), SET, "set.npz"),
    "pickle for a checkpoint": (
        lambda folder: (folder / "flow/checkpoints/best.safetensors").write_bytes(pickle.dumps(Canary())),
        INVERT,
        "best.safetensors",
    ),
    # out of the run directory
    "checkpoint by a link": (linked("checkpoints/best.safetensors"), INVERT, "link"),
    "checkpoints by a link": (linked("checkpoints"), INVERT, "link"),
    "config by a link": (linked("config.yaml"), INVERT, "link"),
    "run.json by a link": (linked("run.json"), SHOW, "link"),
    "pairs by a link": (linked("data/pairs.npz"), SAMPLE, "link"),
    "posteriors by a link": (linked("posteriors"), INVERT, "link"),
    "draws by a link": (linked("draws"), SAMPLE, "link"),
    "densities by a link": (linked("densities"), INVERT, "link"),
    "ys of training in the wrong order": (
        metas(lambda meta: meta["seen"].update(low=[9.0], high=[1.0])),
        INVERT,
        "training saw",
    ),
    "ys of training that are null": (metas(lambda meta: meta["seen"].update(low=[None])), INVERT, "training saw"),
    "ys of training as labels without end": (
        metas(lambda meta: meta["seen"].update(columns=[], high=[3e9])),
        INVERT,
        "training saw",
    ),
    "distances of training ys without ranks": (
        metas(lambda meta: meta["seen"]["calibration"].update(rank=[])),
        INVERT,
        "training saw",
    ),
    "plots by a link": (linked("plots"), ["plot", "posterior", "--run", "flow"], "link"),
    "metrics by a link": (linked("metrics.jsonl", "flow_stopped"), RESUME, "link"),
    "lock by a link": (linked(".lock", "flow_stopped"), RESUME, "link"),
    "a pipe for the config": (fifo, INVERT, "no regular file"),
    "a run of another folder": (lambda folder: None, ["show", "--run", "../../../etc"], "no run"),
    "a device as the table": (
        setting(
            "task",
            {"_target_": "inncli.tasks.measured.table.Table", "_partial_": True, "file": "/dev/zero.csv/../zero"},
        ),
        EVALUATE,
        "",
    ),
    # more than there is
    "10^15 numbers in a checkpoint": (header(huge_header), INVERT, "declare"),
    "10^15 numbers in the pairs": (npz("data/pairs.npz", lambda a: zipped(x=npy((10**14, 10)))), SAMPLE, "declares"),
    "negative size in the pairs": (
        npz("data/pairs.npz", lambda a: zipped(x=npy((-1, 2), data=bytes(16)))),
        SAMPLE,
        "pairs.npz",
    ),
    "10^15 numbers in a set": (npz("posteriors/set.npz", lambda a: zipped(x=npy((1, 10**15, 2)))), SET, "declares"),
    "a zip bomb": (npz("data/pairs.npz", bomb), SAMPLE, "unpack"),
    "a subnet of 10^12 units": (setting("model.block.hidden", [10**12]), INVERT, "larger"),
    "a subnet of 10^5 by 10^5": (setting("model.block.hidden", [10**5, 10**5]), INVERT, "larger"),
    "10^9 blocks": (setting("model.n_blocks", 10**9), INVERT, "larger"),
    "10^9 blocks, resumed": (setting("model.n_blocks", 10**9), RESUME, "larger"),
    "an embedding of 10^13": (setting("model.dim_embedding", 10**13), INVERT, "larger"),
    "10^9 threads": (setting("threads", 10**9), INVERT, "threads"),
    "a YAML bomb": (config_bytes(laughs()), INVERT, "aliases"),
    "YAML that holds itself": (config_bytes(b"a: &a [*a]"), INVERT, "itself"),
    "YAML nested deep": (config_bytes(b"[" * 50_000), INVERT, "nested"),
    "YAML of 20 MB": (config_bytes(b"#" * (20 * 2**20)), INVERT, "bytes"),
    "YAML number of 10^6 digits": (config_bytes(b"a: " + b"9" * 10**6), INVERT, "digits"),
    "JSON nested deep": (file("run.json", b"[" * 200_000), SHOW, "deep"),
    "header longer than the file": (
        file("checkpoints/best.safetensors", lambda d: b"\xff" * 7 + b"\x7f" + d[8:]),
        INVERT,
        "header",
    ),
    # not what it should be
    "NaN weights": (tensors(nan_weights), INVERT, "not finite"),
    "infinite weights": (tensors(inf_weights), INVERT, "not finite"),
    "NaN weights, resumed": (tensors(nan_weights), RESUME, "not finite"),
    "a tensor is missing": (tensors(without_one), INVERT, "missing"),
    "a tensor is missing, resumed": (tensors(without_one), RESUME, "missing"),
    "a tensor too many": (tensors(lambda v: v.update({"model.more": torch.zeros(2)})), INVERT, "no part"),
    "a tensor of another shape": (tensors(other_shape), INVERT, "shape"),
    "a tensor of another dtype": (tensors(half_precision), INVERT, "dtype"),
    "a tensor twice": (header(doubled), INVERT, "twice"),
    "another config in the checkpoint": (
        metas(lambda m: m.update(config={**m["config"], "seed": 9})),
        INVERT,
        "different things",
    ),
    "columns of wrong types": (metas(lambda m: m.update(x={"names": [1, None]})), INVERT, "columns"),
    "no columns": (metas(lambda m: m.update(x=None)), INVERT, "columns"),
    "progress of wrong types": (metas(lambda m: m.update(training={"step": "all"})), RESUME, "training stands"),
    "a negative step": (metas(lambda m: m["training"].update(step=-1)), RESUME, "training stands"),
    "no metadata": (
        header(lambda raw: json.dumps({k: v for k, v in json.loads(raw).items() if k != "__metadata__"}).encode()),
        INVERT,
        "damaged",
    ),
    "NaN pairs": (npz("data/pairs.npz", lambda a: a["x"].fill(np.nan)), SAMPLE, "not finite"),
    "pairs of text": (
        npz("data/pairs.npz", lambda a: a.update(x=a["x"].astype(str).astype("U3") + "a")),
        SAMPLE,
        "pairs.npz",
    ),
    "pairs of other columns": (npz("data/pairs.npz", lambda a: a.update(y=np.zeros((100, 3)))), SAMPLE, "shape"),
    "pairs of other columns, resumed": (
        npz("data/pairs.npz", lambda a: a.update(y=np.zeros((100, 3)))),
        RESUME,
        "columns",
    ),
    "pairs of other rows": (npz("data/pairs.npz", lambda a: a.update(y=a["y"][:7])), SAMPLE, "rows"),
    "a lone npy for the pairs": (npz("data/pairs.npz", lambda a: npy((1,), data=bytes(8))), SAMPLE, "pairs.npz"),
    "status of a wrong type": (info(status=["done"]), SHOW, "status"),
    "steps of a wrong type": (info(steps="many"), SHOW, "steps"),
    "negative steps": (info(steps=-5), SHOW, "steps"),
    "metrics of a wrong type": (info(metrics=[1, 2]), SHOW, "metrics"),
    "run.json is a list": (file("run.json", b"[]"), SHOW, "status"),
    "a key twice in run.json": (file("run.json", lambda d: b'{"status": "done",' + d.strip()[1:]), SHOW, "twice"),
    "a key twice in config.yaml": (config_bytes(lambda d: d + b"\nseed: 1\n"), INVERT, "twice"),
    "a setting of a wrong type": (setting("model.n_blocks", "many"), INVERT, "n_blocks"),
    "a negative size": (setting("model.n_blocks", -3), INVERT, "n_blocks"),
    "a setting that is none": (setting("model.evil", 1), INVERT, "evil"),
    # sweeps
    "a sweep with a launcher of its own": (sweep(["hydra.launcher._target_=os.system"]), MANY, "could run a command"),
    "a sweep whose launcher runs a script": (
        sweep(["hydra/launcher=slurm", "hydra.launcher.setup=[touch canary]"]),
        MANY,
        "could run a command",
    ),
    "a sweep with a line for sbatch": (
        sweep(['hydra.launcher.partition="a\n touch canary"']),
        MANY,
        "could run a command",
    ),
    "a sweep whose job names a simulator": (sweep(change=evil_job), MANY, "--resimulate"),
    "a sweep whose record names a simulator": (
        sweep(config={"task": {"_target_": "inncli.tasks.user.simulator.Simulator", "file": "sim.py"}}),
        MANY,
        "--resimulate",
    ),
    "a sweep whose job lies elsewhere": (sweep(change=job_elsewhere), MANY, "link"),
    "a sweep of a job that is no number": (sweep(job="../../flow"), MANY, "sweep.json"),
    "a sweep with words of wrong types": (sweep([3]), MANY, "sweep.json"),
    "a sweep nested deep": (sweep(change=lambda place: (place / "sweep.json").write_text("[" * 90_000)), JOBS, "deep"),
    "a sweep nested deep, compared": (
        sweep(change=lambda place: (place / "sweep.json").write_text("[" * 90_000)),
        COMPARE,
        "deep",
    ),
    "a sweep of job -3": (sweep(job=-3), JOBS, "sweep.json"),
    "a sweep of job 10^30": (sweep(job=10**30), COMPARE, "sweep.json"),
    "a sweep whose job has no words": (sweep(overrides=[1, None]), JOBS, "sweep.json"),
    "a sweep whose state is a list": (sweep(status=["done"]), JOBS, "sweep.json"),
    "a sweep of two jobs of one number": (
        sweep(
            change=lambda place: (place / "sweep.json").write_text(
                json.dumps({"overrides": [], "jobs": 2 * [{"job": 0, "overrides": []}]})
            )
        ),
        MANY,
        "twice",
    ),
    # sets
    "a set of 10^15 rows": (long_form(obs=[0.0, 1e15]), PARQUET, "rows"),
    "a set of infinite rows": (long_form(obs=[0.0, float("inf")]), PARQUET, "set.parquet"),
    "a set of no rows": (
        long_form(**dict.fromkeys(("obs", "y1", "draw", "x1", "log_prob"), [])),
        PARQUET,
        "set.parquet",
    ),
    "a set whose note is nested deep": (long_form("[" * 90_000), PARQUET, "deep"),
    "a Parquet bomb": (
        long_form(**dict.fromkeys(("obs", "y1", "draw", "x1", "log_prob"), np.zeros(2**23))),
        PARQUET,
        "unpack",
    ),
    "a set of NaN": (long_form(x1=[None, None]), PARQUET, "finite"),
    "a set of infinities": (npz("posteriors/set.npz", lambda a: a["x"].fill(np.inf)), SET, "finite"),
    "a set whose meta is nested deep": (
        npz("posteriors/set.npz", lambda a: a.update(meta=np.array("[" * 90_000))),
        SET,
        "deep",
    ),
    "a set in NetCDF that leads elsewhere": (
        netcdf(lambda file, h5py: file["posterior"].__setitem__("more", h5py.ExternalLink("/etc/passwd", "x"))),
        NETCDF,
        "link",
    ),
    "a set in NetCDF that lies elsewhere": (
        netcdf(replaced(shape=(1, 4), dtype="f8", external=[("/etc/passwd", 0, 32)])),
        NETCDF,
        "another file",
    ),
    "a set in NetCDF made of other files": (netcdf(virtual), NETCDF, "another file"),
    "10^12 numbers in a set in NetCDF": (
        netcdf(replaced(shape=(1, 10**12), dtype="f8", chunks=(1, 1024))),
        NETCDF,
        "declares",
    ),
    "a set in NetCDF of one number": (netcdf(replaced(data=1.0)), NETCDF, "set.nc"),
    "a set in NetCDF whose note is nested deep": (
        netcdf(lambda file, h5py: file.attrs.__setitem__("inn", "[" * 60_000)),
        NETCDF,
        "deep",
    ),
    # more of a run
    "a pipe for the table": (pipe_as_table, EVALUATE, "can't be read"),
    "10^12 draws to compare": (
        setting(
            "evaluation",
            {"_target_": "inncli.evaluation.settings.EvaluationSettings", "_partial_": True, "draws": 10**12},
        ),
        EVALUATE,
        "at most",
    ),
    "a task that is a number": (setting("task", 5), SHOW, "config.yaml"),
    "names that are text": (setting("names", "x"), SHOW, "config.yaml"),
    "a metric of 400 digits": (info(metrics={"val_loss": 10**400}), SHOW, "metrics"),
    "a device that is a number": (info(device=5), SHOW, "device"),
    "the folder of a logger by a link": (tensorboard_elsewhere, RESUME, "link"),
    # what later releases keep: maps, circles, relations
    "maps of some columns": (column("maps", ["identity", ""]), INVERT, "columns"),
    "a step of infinity": (column("steps", [float("inf"), 0.0]), INVERT, "columns"),
    "a step of next to nothing": (column("steps", [1e-320, 0.0]), INVERT, "columns"),
    "a bound that is no number": (column("bounds", [[float("nan"), 1.0], [None, None]]), INVERT, "columns"),
    "a point mass that is no number": (column("heaps", [[float("nan")], []]), INVERT, "columns"),
    "a circle of next to nothing": (
        metas(lambda m: m["x"].update(bounds=[[0.0, None], [None, None]], periods=[1e-320, None])),
        INVERT,
        "columns",
    ),
    "a circle without an end": (
        metas(lambda m: m["x"].update(bounds=[[0.0, None], [None, None]], periods=[float("inf"), None])),
        INVERT,
        "columns",
    ),
    "a circle from nowhere": (column("periods", [1.0, None]), INVERT, "columns"),
    "relations of other columns": (related(), INVERT, "related"),
    "relations of numbers that are none": (related(constants=[float("nan")]), INVERT, "related"),
    "relations of steps that are none": (related(steps=[0.0, float("inf"), 0.0]), INVERT, "related"),
    "a set on a circle of next to nothing": (on_circle([0, 1e-320]), SET, "periodic"),
    "a set on a circle without an end": (on_circle([-1e308, 1e308]), SET, "periodic"),
    "a set on a circle of 400 digits": (on_circle([0, 10**400]), SET, "periodic"),
    "a pipe for the weights": (piped("checkpoints/best.safetensors"), INVERT, "no regular file"),
    "a pipe for the pairs": (piped("data/pairs.npz"), SAMPLE, "no regular file"),
    # formats
    "a newer checkpoint": (metas(lambda m: m.update(format=2)), INVERT, "format 2"),
    "an unknown format": (metas(lambda m: m.update(format="x")), INVERT, "format 'x'"),
    "a newer run.json": (info(format=2), SHOW, "format 2"),
    "a newer set": (npz("posteriors/set.npz", lambda a: a.update(meta=np.array('{"format": 2}'))), SET, "format 2"),
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    folder = Path(shutil.copytree(KEPT, tmp_path / "runs"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INN_OUTPUTS", str(folder))
    monkeypatch.setenv("CANARY", str(folder / "canary"))
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Every entry below a folder with what it holds."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "-"
        for path in sorted(folder.rglob("*"))
    }


def refused(folder: Path, words: list[str], expected: str, capsys) -> None:
    """The command ends with 2 and one line that says `expected`; no code ran, nothing changed, memory stayed small."""
    before = contents(folder.parent)
    capsys.readouterr()
    tracemalloc.start()
    code = main(words)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    err = capsys.readouterr().err
    assert code == 2, (code, err)
    assert len(err.splitlines()) == 1 and expected in err and len(err) < 1000, err
    assert not (folder / "canary").exists()
    assert contents(folder.parent) == before
    assert peak < BOUND


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stranger_s_run_is_refused(name, runs, capsys):
    make, words, expected = HOSTILE[name]
    make(runs)
    refused(runs, words, expected, capsys)


def test_there_are_forty():
    assert len(HOSTILE) >= 40


# ---- shown, and no harm done -------------------------------------------------------------------------
STEERS = "\x1b]0;mine\x07\x1b[31m\x9b2J\u202e"


def no_steering(words: list[str], capsys, code: int = 0) -> str:
    """What a command prints, which holds nothing that a terminal would obey."""
    capsys.readouterr()
    assert main(words) == code, capsys.readouterr().err
    out, err = capsys.readouterr()
    assert not set(STEERS) - set("]0;mine[31m2J") & set(out + err)
    return out + err


def test_what_steers_a_terminal_is_spelt_out(runs, capsys):
    info(model=STEERS, task=STEERS, error=STEERS, metrics={f"val_loss{STEERS}": 1.0})(runs)
    for words in (["runs"], ["runs", "--json"], SHOW):
        assert r"\u001b[31m" in no_steering(words, capsys), words
    sweep(status="failed", error=STEERS, overrides=[STEERS], job=7)(runs)
    assert r"\u001b[31m" in no_steering(JOBS, capsys)
    info(status=STEERS)(runs)
    no_steering(SHOW, capsys, 2)
    (runs / "table").rename(runs / "a\x1b[31m")
    os.rename(os.fsencode(runs / "inn"), os.fsencode(runs) + b"/b\xff")  # no UTF-8
    assert r"a\u001b[31m" in (out := no_steering(["runs"], capsys)) and r"b\udcff" in out


def test_a_title_is_no_markup(runs, capsys):
    setting("names.task", "[/red][bold]x" + STEERS)(runs)
    assert "[/red][bold]x" in no_steering(["compare", "flow", "--no-evaluate"], capsys)


def test_records_of_jobs_that_say_nothing_sensible_are_passed_over(runs, capsys):
    for number, data in enumerate(
        [
            "[" * 90_000,
            {"job": 5, "status": "failed"},
            {"job": 0, "overrides": [], "status": {"a": 1}},
            {"job": 0, "overrides": [], "status": "running", "scheduler": [1]},
            {"job": -5, "overrides": [], "status": "failed"},
            {"job": 5, "overrides": [], "config": 5},
        ]
    ):
        record(data)(runs)
        assert "1 interrupted of 1 jobs" in no_steering(JOBS, capsys), number
        shutil.rmtree(runs / "sweeps")
    for data in ("[1]", "[" * 90_000):
        record(data, "sweep.json")(runs)
        no_steering(JOBS, capsys)
        shutil.rmtree(runs / "sweeps")


def test_a_stranger_s_evaluation_is_shown_as_text_or_measured_anew(runs, capsys):
    run, whole = (
        RunDir(runs / "flow"),
        {
            "metrics": {"nll": 1.0},
            "se": {},
            "settings": {"held_out": 5, "held_out_from": STEERS + "<script>"},
            "observations": [],
            "verdicts": {"calibrated": {"ok": True, "text": STEERS + "<script>alert(1)</script>"}},
            "details": {},
        },
    )
    question = cache.Question(run, EvaluationRequest())
    key = question.key

    def keep(**changed):
        run.write_evaluation(key, {"made": "now", "base": key, "evaluation": {**whole, **changed}})

    keep()
    assert "<script>" in no_steering(EVALUATE, capsys)
    no_steering(["report", "flow", "--out", "r.html"], capsys)
    page = (runs / "r.html").read_text()
    assert "&lt;script&gt;" in page and "<script" not in page
    assert cache.cached(question) is not None
    for changed in (
        {"metrics": {"nll": "x"}},
        {"metrics": [1]},
        {"se": {"nll": "x"}},
        {"settings": {}},
        {"settings": [1]},
        {"settings": {"held_out": "x"}},
        {"verdicts": {"calibrated": {"ok": "no", "text": "x"}}},
        {"verdicts": [1]},
        {"verdicts": {"calibrated": {"ok": True, "text": 5}}},
        {"observations": 5},
        {"observations": [{"y": ["a"]}]},
        {"observations": [{"y": [1.0], "familiarity": 3}]},
        {"details": 5},
        {"more": 1},
    ):
        keep(**changed)
        assert cache.cached(question) is None, changed
        assert cache.cached_calibration(question) is None, changed


def test_a_report_of_what_is_not_there(runs, capsys):
    info(started="yesterday", ended=None, steps=None, epochs=None, versions=None, model="<script>", git='"><script>')(
        runs
    )
    no_steering(["report", "flow", "--out", "r.html"], capsys)
    assert "yesterday" in (page := (runs / "r.html").read_text()) and "<script" not in page


def test_metrics_of_a_line_without_an_end(runs):
    run = RunDir(runs / "flow")
    lines = run.metrics()
    with open(run.metrics_file, "ab") as file:
        file.write(
            b'{"epoch": 1, "x": '
            + b"[" * 90_000
            + b'\n{"epoch": 1'
            + b"0" * 400
            + b'}\n{"epoch": 2, "loss": Infinity}\n'
        )
        file.truncate(file.tell() + 2**30)  # a hole: it takes no room
    tracemalloc.start()
    assert run.metrics() == lines
    assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    tracemalloc.stop()


def test_a_run_of_a_thousand_processes_is_none(runs):
    with pytest.raises(ConfigError, match="at most"):
        runtime.resolve_devices(1000 * ["cpu"])
    assert not runtime.is_here(1000 * ["cpu"])  # such a run goes on as device=auto


# ---- cut anywhere ------------------------------------------------------------------------------------
def boundaries(path: Path) -> list[int]:
    """Where the sections of a file end: header, JSON part, tensors; members of a zip; lines of text."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        (length,) = struct.unpack("<Q", data[:8])
        entries = json.loads(data[8 : 8 + length])
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        return [0, 4, 8, 8 + length // 2, 8 + length, *(8 + length + end for end in ends[:6]), len(data) - 1]
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            starts = [member.header_offset for member in archive.infolist()]
        return [0, 4, *starts[1:], data.rfind(b"PK\1\2"), data.rfind(b"PK\5\6"), len(data) - 1]
    return [0, 1, len(data) // 2, len(data) - 3]


CUT = [
    ("checkpoints/best.safetensors", INVERT),
    ("checkpoints/last.safetensors", RESUME),
    ("data/pairs.npz", SAMPLE),
    ("posteriors/set.npz", SET),
    ("config.yaml", INVERT),
    ("run.json", SHOW),
    ("posteriors/set.parquet", [*SET[:-1], "flow/posteriors/set.parquet"]),
    ("posteriors/set.nc", [*SET[:-1], "flow/posteriors/set.nc"]),
]


@pytest.mark.parametrize("name, words", CUT, ids=[name for name, _ in CUT])
def test_a_file_cut_at_the_end_of_each_section_is_named(name, words, runs, capsys):
    path = runs / ("flow_stopped" if words is RESUME else "flow") / name
    whole = path.read_bytes()
    for end in sorted(set(boundaries(path))):
        path.write_bytes(whole[:end])
        refused(runs, words, path.name, capsys)


ALTERED = [*CUT[:4], *CUT[6:]]


@pytest.mark.parametrize("name, words", ALTERED, ids=[name for name, _ in ALTERED])
def test_an_altered_byte_is_noticed(name, words, runs, capsys):
    path = runs / ("flow_stopped" if words is RESUME else "flow") / name
    if "posteriors" in name:  # in the numbers themselves
        from inncli.inference import posterior_files

        kept = posterior_files.load(path)
        posterior_files.save(kept, path)  # what older code wrote has no checksums in Parquet and NetCDF
        data = bytearray(path.read_bytes())
        at = bytes(data).find(kept.x[0, 1].tobytes()[:8]) + 3
        assert at > 3
    else:
        data = bytearray(path.read_bytes())
        # the last number of a checkpoint, in its last digits: nothing but the checksum can tell
        at = len(data) - 4 if path.suffix == ".safetensors" else len(data) // (3 if "pairs" in name else 2)
    data[at] ^= 16
    path.write_bytes(data)
    refused(runs, words, path.name, capsys)
