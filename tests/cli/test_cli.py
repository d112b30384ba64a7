"""The commands on small runs: what they print, what they write, how they end."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from inncli.cli.app import main

SMALL = ["task.n_train=200", "trainer.max_epochs=2", "model.n_blocks=2"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An outputs folder with a run on the ring and, finished last, one on eight_gaussians."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        assert main(["train", *SMALL, f"hydra.run.dir={root}/ring"]) == 0
        assert main(["train", "task=eight_gaussians", *SMALL, f"hydra.run.dir={root}/eight"]) == 0
    return root


@pytest.fixture
def inn(root, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; gives what it printed on stdout."""
    monkeypatch.setenv("INN_OUTPUTS", str(root))
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        got = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert got == code, err
        run.err = err
        return out

    return run


def runs_in(folder):
    return sorted(p for p in folder.iterdir() if p.name != "sweeps") if folder.exists() else []


def test_train_makes_one_run_directory(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out put's"))
    out = inn("train", *SMALL, "seed=3")
    (run,) = runs_in(tmp_path / "out put's")
    assert run.name in out and "next: inn" in out
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["seed"] == 3 and config["names"]["model"] == "rnvp"
    assert yaml.safe_load((run / "overrides.yaml").read_text()) == [*SMALL, "seed=3"]
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert not list(run.rglob(".hydra")) and sorted(p.name for p in tmp_path.iterdir()) == ["out put's"]


def test_show_config_writes_nothing(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "none"))
    config = yaml.safe_load(inn("train", "-c", "job", "model=glow"))
    assert config["model"]["block"]["_target_"].endswith("GlowBlock") and not list(tmp_path.iterdir())


def test_sweep_trains_every_job(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    out = inn("train", "-m", "model=nice,rnvp", *SMALL)
    (sweep,) = (tmp_path / "sweeps").iterdir()
    assert "2 of 2 jobs done" in out and runs_in(tmp_path) == []
    assert sorted(p.name for p in sweep.iterdir()) == [".lock", "0", "1", "sweep.json"]
    manifest = json.loads((sweep / "sweep.json").read_text())
    assert manifest["status"] == "done" and [job["status"] for job in manifest["jobs"]] == ["done", "done"]
    assert [yaml.safe_load((sweep / n / "config.yaml").read_text())["names"]["model"] for n in "01"] == ["nice", "rnvp"]


def test_a_failed_job_leaves_the_others(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    out = inn("train", "-m", "trainer.lr=1e30,1e-3", "device=cpu,cuda:77", *SMALL, code=1)
    (sweep,) = (tmp_path / "sweeps").iterdir()
    jobs = json.loads((sweep / "sweep.json").read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["failed", "failed", "done", "failed"]
    assert "1 of 4 jobs done" in out
    lines = inn.err.splitlines()
    for number in (0, 1, 3):
        assert sum(line.startswith(f"job {number} (trainer.lr=") for line in lines) == 1
    assert "NonFiniteError" in jobs[0]["error"] and "'cuda:77' is not available" in jobs[1]["error"]
    # A run that failed keeps its directory, a wrong request only the log with its traceback.
    assert sorted(p.name for p in sweep.iterdir()) == [".lock", "0", "1", "2", "3", "sweep.json"]
    assert sorted(p.name for p in (sweep / "1").iterdir()) == ["train.log"]


def test_an_unexpected_failure_keeps_its_traceback(inn, tmp_path, monkeypatch):
    from inncli.experiments import train

    real = train._fit
    monkeypatch.setattr(train, "_fit", lambda run, *a, **k: 1 / 0 if run.path.name == "0" else real(run, *a, **k))
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    inn("train", "-m", "seed=1,2", *SMALL, code=1)
    (sweep,) = (tmp_path / "sweeps").iterdir()
    assert "ZeroDivisionError: division by zero" in inn.err
    assert "Traceback" in (sweep / "0" / "train.log").read_text() and (sweep / "1" / "run.json").exists()


def test_own_model_from_a_config_folder(inn, tmp_path, monkeypatch):
    (tmp_path / "cfg" / "model").mkdir(parents=True)
    (tmp_path / "cfg" / "model" / "point.yaml").write_text("_target_: point_model.Point\n_partial_: true\n")
    (tmp_path / "cfg" / "point_model.py").write_text(
        "import torch\nfrom inncli.models.base import Model\n\n\n"
        "class Point(Model):\n    has_density = False\n\n"
        "    def __init__(self, x, y):\n        super().__init__(x, y)\n"
        "        self.map = torch.nn.Linear(y.dim, x.dim)\n\n"
        "    def loss(self, x, y, generator):\n        return ((self.map(y.float()) - x) ** 2).mean()\n\n"
        "    def sample(self, y, n, generator):\n        return self.map(y.float())[:, None].expand(-1, n, -1)\n"
    )
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "o"))
    code = (
        "import sys; from inncli.cli.app import main; "
        "sys.exit(main(['train', '--config-dir', 'cfg', 'model=point', *sys.argv[1:]]) "
        "or main(['invert', '--y', '1', '-n', '3', '--config-dir', 'cfg', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "task.n_train=200", "trainer.max_epochs=1"],
        text=True,
        capture_output=True,
        timeout=120,
    )  # its own process: it extends sys.path
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout[done.stdout.index("{") :])["samples"] == 3
    assert "not one that conf/" in (inn("invert", "--y", "1", code=2) or inn.err)


def test_invert_table_and_file(inn, root):
    out = inn("invert", "--y", "0.3", "--samples", 50, "--run", "ring", "--out", "new folder/set.npz")
    assert "y1 = 0.3: 50 draws from run ring" in out and "resimulation error" in out and "x2" in out
    with np.load("new folder/set.npz") as data:
        assert data["x"].shape == (1, 50, 2) and data["y"].tolist() == [[0.3]]
    inn("invert", "--y", "0.3", "--run", "ring")
    assert list((root / "ring" / "posteriors").glob("*.npz"))


def test_the_next_step_finds_the_set(inn, root, tmp_path):
    out = inn("invert", "--y", 0.3, "--run", "ring", "--samples", 50, "--out", "my set.npz")
    assert out.endswith("next: inn plot posterior --set 'my set.npz'\n")
    assert inn("plot", "posterior", "--set", "my set.npz") == "my set.png\n"
    assert inn("invert", "--y", 0.3, "--run", "ring").endswith("next: inn plot posterior --run ring\n")


def test_invert_json_and_warning(inn, tmp_path):
    (tmp_path / "o.csv").write_text("y1\n0.5\n-7\n")
    got = json.loads(inn("invert", "--y-file", "o.csv", "-n", 20, "--run", "ring", "--json", "--out", "a.csv"))
    assert [entry["y"] for entry in got["observations"]] == [{"y1": 0.5}, {"y1": -7.0}]
    assert set(got["observations"][0]["x"]["x1"]) == {"mean", "sd", "q05", "q50", "q95"}
    assert got["observations"][0]["resimulation_error"] > 0
    first, second = got["warnings"]
    assert first.startswith("observation 2: y lies outside") and second.startswith("when training ended")  # 5 steps
    assert inn.err.startswith("warning: observation 2: y lies outside what training saw: y1=-7")


def test_negative_y_is_a_value(inn):
    assert "y1 = -0.05" in inn("invert", "--y", "-0.05", "-n", 5, "--run", "ring")


def test_the_same_seed_gives_the_same_draws(inn):
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        inn("invert", "--y", "1", "-n", 5, "--seed", seed, "--run", "ring", "--out", f"{name}.npz")
    a, b, c = (np.load(f"{name}.npz")["x"] for name in "abc")
    assert (a == b).all() and (a != c).any()


def test_sample_with_and_without_y(inn):
    assert "y1" in inn("sample", "-n", 30, "--run", "ring", "--out", "s.npz")
    with np.load("s.npz") as data:
        assert data["x"].shape == (30, 2) and data["y"].shape == (30, 1)
    got = json.loads(inn("sample", "-n", 30, "--json"))  # the latest finished run
    assert got["run"] == "eight" and set(got["columns"]) == {"x1", "x2"}


def test_a_column_with_a_large_offset_is_shown_with_digits_that_tell_its_values_apart(inn, tmp_path):
    jd = 2460000 + np.random.default_rng(0).uniform(0, 30, (200, 2))
    (tmp_path / "t.csv").write_text("t,when\n" + "".join(f"{a},{b}\n" for a, b in jd))
    inn(
        "train", "task=table", "task.file=t.csv", "task.y=[when]", "trainer.max_steps=2", f"hydra.run.dir={tmp_path}/jd"
    )
    out = inn("invert", "--y", "2460002.5", "--run", tmp_path / "jd")
    assert out.startswith("when = 2460002.5: 1,000 draws")
    for line in (out, inn("sample", "--run", tmp_path / "jd")):
        quantiles = next(row for row in line.splitlines() if row.startswith("t ")).split()[3:]
        assert len(set(quantiles)) == 3 and all(2459990 < float(q) < 2460040 for q in quantiles)
    (tmp_path / "p.csv").write_text("t\n2460001.5\n2460012\n")
    out = inn("density", "--points", "p.csv", "--y", "2460002.5", "--run", tmp_path / "jd")
    assert "2460001.5 " in out and "2460012 " in out


def test_density_on_a_grid_and_at_points(inn, tmp_path):
    got = json.loads(inn("density", "--grid", 80, "--json", "--out", "d.npz"))
    assert got["integral"] == pytest.approx(1, abs=0.01) and (tmp_path / "d.png").exists()
    (tmp_path / "p.csv").write_text("x2,x1\n0.5,1\n0,0\n")
    given = json.loads(inn("density", "--points", "p.csv", "--y", "0.3", "--run", "ring", "--json"))
    import inncli

    want = inncli.load("ring").log_prob([[1, 0.5], [0, 0]], 0.3)
    assert given["log_prob"] == pytest.approx(want.tolist(), rel=1e-5)


def test_the_grid_holds_the_outer_halves_of_recording_cells(inn, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 3, 300), rng.integers(0, 3, 300), rng.normal(size=300)])
    np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="a,b,y", comments="")
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "runs"))
    inn("train", "task=table", "task.file=t.csv", "task.y=[y]", "trainer.max_steps=2", "model.n_blocks=2")
    found = json.loads(inn("density", "--grid", 90, "--y", 0, "--json", "--out", "d.npz"))
    assert found["integral"] == pytest.approx(1, abs=0.03)
    with np.load("d.npz") as d:
        assert d["x"].min() < -0.45 and d["x"].max() > 2.45


def test_train_says_what_was_left_out(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "runs"))
    rows = np.random.default_rng(0).normal(size=(60, 2))
    rows[5, 0] = rows[7, 1] = np.nan
    np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="a,y", comments="")
    short = ["trainer.max_steps=2", "model.n_blocks=2"]
    out = inn("train", "task=table", "task.file=t.csv", "task.y=[y]", "task.on_invalid=drop", *short)
    assert "\n2 rows with a missing or non-finite value were dropped\n" in out
    assert "dropped: 2\n" in inn("show")
    (tmp_path / "sim.py").write_text(
        "import numpy as np\ndef prior(n, rng): return rng.normal(size=(n, 1))\n"
        "def simulate(x, rng): return np.where(x > 0, x + rng.normal(size=x.shape), np.nan)\n"
    )
    out = inn("train", "task=simulator", "task.file=sim.py", "task.n_train=100", *short)
    assert " of 100 simulations failed (a NaN in y) and were left out\n" in out
    # where the model draws an x that can't be simulated, the error is that of the others
    got = json.loads(inn("invert", "--y", 0.1, "--resimulate", "--json"))
    assert 0 < got["observations"][0]["resimulation_error"] < 5


def test_a_changed_simulator_file_is_warned_of(inn, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "runs"))
    file, run = tmp_path / "sim.py", tmp_path / "runs" / "own"
    text = (
        "import numpy as np\ndef prior(n, rng): return rng.normal(size=(n, 1))\n"
        "def simulate(x, rng): return x + 0.1 * rng.normal(size=x.shape)\n"
    )
    file.write_text(text)
    inn(
        "train",
        "task=simulator",
        "task.file=sim.py",
        "task.n_train=100",
        "trainer.max_steps=2",
        "model.n_blocks=1",
        f"hydra.run.dir={run}",
    )
    asked = {"invert": ["--y", 0.1, "--json", "--resimulate"], "evaluate": ["--json", "--resimulate"]}
    for command, words in asked.items():
        assert json.loads(inn(command, *words))["warnings"] == [] and "changed" not in inn.err
    file.write_text(text.replace("0.1", "0.2"))
    said = (
        f"{file} has changed since run own was trained on it: what it simulates now need not be what the model "
        "learned; restore the file or train again"
    )
    for command, words in asked.items():
        assert json.loads(inn(command, *words))["warnings"] == [said]
        assert inn.err.count(f"warning: {said}\n") == 1
    inn("plot", "latent", "--resimulate")
    assert inn.err == f"warning: {said}\n"
    for unasked in (["evaluate"], ["plot", "latent"]):
        inn(*unasked)
        assert "changed" not in inn.err
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "status": "interrupted"}))
    (run / "checkpoints" / "last.safetensors").unlink()
    inn("resume", "own", "--resimulate")  # from its kept pairs, which are the first file's
    assert inn.err.endswith(
        "was trained on it: training went on with the pairs that were kept; restore the file or train again\n"
    )
    info = json.loads((run / "run.json").read_text())
    del info["data"]["simulator_sha256"]  # an older run says nothing
    (run / "run.json").write_text(json.dumps(info))
    assert json.loads(inn("invert", "--y", 0.1, "--resimulate", "--json"))["warnings"] == []


def test_doctor(inn):
    assert "all in order" in inn("doctor")
    checks = {row["name"]: row for row in json.loads(inn("doctor", "--run", "ring", "--json"))["checks"]}
    assert checks["model"]["ok"] and "cpu" in checks["devices"]["text"]


def test_doctor_says_what_is_wrong(inn, monkeypatch, tmp_path):
    from inncli.cli import doctor

    monkeypatch.setitem(doctor.NEEDED, "omegaconf", ("2.3", "2.3.0", "because"))
    out = inn("doctor", code=1)
    assert "PROBLEM" in out and "expected omegaconf>=2.3,<2.3.0, got" in inn.err


def test_closed_pipe_is_quiet(root):
    done = subprocess.run(
        f"{sys.executable} -m inncli runs --json | true",
        shell=True,
        capture_output=True,
        text=True,
        env=os.environ | {"INN_OUTPUTS": str(root)},
        timeout=60,
    )
    assert done.stderr == ""


PRINTING = [
    "runs",
    "--help",
    "train -c job",
    "invert --y 0.3 --run ring --json",
    "invert --y-file ys.csv --run ring -n 100 --json",
    "compare --no-evaluate",
]


@pytest.fixture
def many(root, tmp_path):
    """How to run a command in a folder with observations whose JSON no pipe holds."""
    (tmp_path / "ys.csv").write_text("y1\n" + "0.3\n" * 200)
    return {
        "cwd": tmp_path,
        "env": {**os.environ, "INN_OUTPUTS": str(root)},
        "text": True,
        "capture_output": True,
        "timeout": 60,
    }


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", PRINTING)
def test_output_that_cannot_be_written_is_one_line(many, words, unbuffered):
    many["env"]["PYTHONUNBUFFERED"] = unbuffered
    done = subprocess.run(f"{sys.executable} -m inncli {words} > /dev/full", shell=True, **many)
    said = [line for line in done.stderr.splitlines() if "not evaluated" not in line and "warning" not in line]
    assert (done.returncode, said) == (
        1,
        ["the output can't be written: No space left on device; free the place or send it elsewhere"],
    )


@pytest.mark.parametrize("words", PRINTING)
def test_a_reader_that_has_seen_enough_is_no_failure(many, words):
    command = f"{sys.executable} -m inncli {words}"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command} | head -1"], **many)
    assert done.returncode == 0 and "Error" not in done.stderr, done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stdout_or_stderr_is_no_failure(many, closed):
    for words in ("runs", "train device=[cpu,cpu] trainer.max_steps=2 task.n_train=200 model.n_blocks=1"):
        assert subprocess.run(f"{sys.executable} -m inncli {words} {closed}", shell=True, **many).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_stops_at_a_signal(number, tmp_path):
    words = ["-m", "seed=1,2", "task.n_train=2000", "model.n_blocks=1", "trainer.max_epochs=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "inncli", "train", *words],
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"INN_OUTPUTS": str(tmp_path)},
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("sweeps/*/0/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    (sweep,) = (tmp_path / "sweeps").iterdir()
    assert json.loads((sweep / "sweep.json").read_text())["status"] == "interrupted"
    assert json.loads((sweep / "0" / "run.json").read_text())["status"] == "interrupted" and not (sweep / "1").exists()


@pytest.mark.parametrize(
    "shell, line, cursor, want",
    [
        ("bash", "inn tr", 1, {"train"}),
        ("bash", "inn train model = rn", 4, {"rnvp"}),
        ("bash", "inn train model =", 3, {"nice", "rnvp", "glow"}),
        ("bash", "inn train task = table task.fi", 5, {"task.file="}),
        ("bash", "inn train --res", 2, {"--resume"}),
        ("bash", "inn invert --run ri", 3, {"ring"}),
        ("zsh", "inn train model=rn", None, {'"model=rnvp"'}),
        ("zsh", "inn train model=glow trainer.l", None, {'"trainer.lr="'}),
    ],
)
def test_completion(shell, line, cursor, want, root):
    env = {
        "_INN_COMPLETE": f"complete_{shell}",
        "INN_OUTPUTS": str(root),
        "COMP_WORDS": line,
        "COMP_CWORD": str(cursor),
        "_TYPER_COMPLETE_ARGS": line,
    }
    done = subprocess.run(
        [sys.executable, "-m", "inncli"], env=os.environ | env, text=True, capture_output=True, timeout=60
    )
    words = done.stdout if shell == "zsh" else set(done.stdout.split())
    assert all(word in words for word in want), (done.stdout, done.stderr)
