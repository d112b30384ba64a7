"""Every wrong request: exit code 2, exactly one line on stderr, nothing on stdout, nothing written."""

import shutil

import pytest

from inncli.cli.app import main


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """An outputs folder with one small run of p(x|y) and one of p(x)."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        small = ["task.n_train=200", "trainer.max_epochs=1", "model.n_blocks=2"]
        assert main(["train", "task=eight_gaussians", *small, f"hydra.run.dir={root}/density_run"]) == 0
        assert main(["train", *small, f"hydra.run.dir={root}/ring_run"]) == 0
    return root


@pytest.fixture
def ask(outputs, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; gives the exit code and the line on stderr."""
    monkeypatch.setenv("INN_OUTPUTS", str(outputs))
    monkeypatch.chdir(tmp_path)

    def files():
        return sorted(str(p) for root in (outputs, tmp_path) for p in root.rglob("*"))

    def run(*words):
        before = files()
        code = main(list(words))
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and err.endswith("\n"), (out, err)
        assert files() == before, "something was written"
        return code, err.removesuffix("\n")

    return run


R = "ring_run"
WRONG = [
    # commands and options
    (["invrt"], "inn has no command 'invrt'; did you mean 'invert'?"),
    (["frobnicate"], "inn has no command 'frobnicate'; try `inn --help`"),
    (["invert", "--sampels", "3"], "inn invert has no option --sampels; did you mean '--samples'?"),
    (["train", "--bogus"], "inn train has no option --bogus; try `inn train --help`"),
    (["invert", "--y"], "option '--y' requires an argument; try `inn invert --help`"),
    (
        ["invert", "--y", "1", "--samples", "many"],
        "invalid value for '--samples' / '-n': 'many' is not a valid int range; try `inn invert --help`",
    ),
    (
        ["invert", "--y", "1", "--samples", "0"],
        "invalid value for '--samples' / '-n': 0 is not in the range x>=1; try `inn invert --help`",
    ),
    (["invert", "--y", "1", "extra"], "got unexpected extra argument(s) (extra); try `inn invert --help`"),
    # overrides
    (["train", "trainer.learing_rate=1"], "'trainer.learing_rate' is not a setting; did you mean 'trainer.lr'?"),
    (["train", "trainer.lr=fast"], "trainer.lr: expected a number above 0, got 'fast'; for example trainer.lr=0.005"),
    (["train", "-m", "seed=1,x"], "seed: expected a whole number of 0 or more, got 'x'"),
    (["train", "task=table", "task.file=nope.csv"], "nope.csv is not there"),
    (["train", "-m", "seed=1,2", "task=table", "task.file=nope.csv"], "nope.csv is not there"),
    (["train", "--resume", R], f"run {R} is finished (1 steps); start a new one with `inn train`"),
    (["train", "--resume", R, "seed=1"], "--resume takes the run's own config and nothing else; leave out 'seed=1'"),
    (["train", "-m", "-c", "job"], "-c prints one config and -m trains several; give one of them"),
    (
        ["train", "--config-dir", "nope"],
        "--config-dir: expected a folder, got nope, which is none; it holds e.g. model/mine.yaml and mine.py",
    ),
    (
        ["train", "-m", "seed=1,2", "hydra.sweep.dir=x"],
        "hydra.sweep.dir is chosen by inn, so that no two sweeps share one; set INN_OUTPUTS to keep them elsewhere",
    ),
    (
        ["train", "hydra/launcher=joblib"],
        "'hydra/launcher=joblib' is for a sweep, and this trains one run; add -m, or leave it out",
    ),
    (
        ["train", "+hydra.sweeper.n_trials=3"],
        "'+hydra.sweeper.n_trials=3' is for a sweep, and this trains one run; add -m, or leave it out",
    ),
    # runs
    (
        ["invert", "--y", "1", "--run", "rnig_run"],
        "no run 'rnig_run' under {root}; did you mean 'ring_run'? try `inn runs`",
    ),
    # y
    (["invert"], "expected one of --y and --y-file, got neither; e.g. inn invert --y 0.3"),
    (
        ["invert", "--y", "1", "--y-file", "o.csv"],
        "expected one of --y and --y-file, got both; e.g. inn invert --y 0.3",
    ),
    (
        ["invert", "--y", "1,2", "--run", R],
        f"y has 2 values, run {R} was trained on 1 (y1); pass one value, e.g. --y 0.3",
    ),
    (
        ["invert", "--y", "nan", "--run", R],
        "y1: expected a finite number, got nan; leave the row out or measure it again",
    ),
    (["invert", "--y", "abc", "--run", R], "y1: expected a number, got 'abc'; e.g. --y y1=0.3"),
    (["invert", "--y-file", "o.csv", "--run", R], "o.csv is not there"),
    (
        ["invert", "--y", "1", "--run", "density_run"],
        "run density_run has no y, its model is a density p(x); use `inn sample` or `inn density`",
    ),
    (
        ["invert", "--y", "1", "--run", R, "--device", "cuda:77"],
        "device 'cuda:77' is not available; this machine has {devices}",
    ),
    # where to write
    (
        ["invert", "--y", "1", "--out", "a.foo"],
        "--out: expected a name that ends in one of .npz .csv .parquet .nc, got 'a.foo'; change its suffix",
    ),
    (["sample", "--out", "."], "--out: expected a file name, got the folder .; add a name, e.g. result.npz"),
    # density
    (["density"], "expected one of --points and --grid, got neither; e.g. inn density --grid 200"),
    (["density", "--grid", "5", "--run", R], f"run {R} models x given y (y1); pass the observation with --y"),
    (
        ["density", "--grid", "9999", "--run", "density_run"],
        "--grid 9999 has 9999^2 points for 2 unknowns, at most 4,000,000 are computed; pass fewer, or a table with "
        "--points",
    ),
    (["density", "--points", "p.csv", "--run", "density_run"], "p.csv is not there"),
]


@pytest.mark.parametrize("words, line", WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_request(ask, outputs, words, line):
    from inncli.runtime import available_devices

    line = line.replace("{root}", str(outputs)).replace("{devices}", ", ".join(available_devices()))
    assert ask(*words) == (2, line)


def test_no_finished_run(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "none"))
    code, line = ask("invert", "--y", "1")
    assert code == 2 and "inn train" in line


def test_a_wrong_request_leaves_no_outputs_folder(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "new"))
    assert ask("train", "task=table", "task.file=nope.csv") == (2, "nope.csv is not there")


def test_a_users_own_folder_is_never_removed(ask, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    code, _ = ask("train", f"hydra.run.dir={tmp_path}/mine", "task=table", "task.file=nope.csv")
    assert code == 2 and (tmp_path / "mine" / "thesis.tex").exists()


@pytest.mark.parametrize("name", ["config.yaml", "data", "report.html"])
def test_a_run_does_not_write_over_files_of_the_users(ask, tmp_path, name):
    (tmp_path / "my thesis").mkdir()
    (tmp_path / "my thesis" / name).write_text("x")
    assert ask("train", "hydra.run.dir='my thesis'", "trainer.max_steps=2") == (
        2,
        f"expected a new directory for the run, got {tmp_path}/my thesis, which holds another {name}; "
        "leave hydra.run.dir out or name another",
    )


@pytest.mark.parametrize("word", ["hydra.run.dir=mine", "hydra.output_subdir=cfg"])
def test_a_run_may_lie_beside_other_files(outputs, tmp_path, monkeypatch, word):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "slurm-1.out").write_text("x")
    assert main(["train", word, "trainer.max_steps=2", "task.n_train=200", "model.n_blocks=1"]) == 0


def test_the_next_step_of_a_run_elsewhere_names_its_directory(outputs, tmp_path, monkeypatch, capsys):
    import shlex

    monkeypatch.setenv("INN_OUTPUTS", str(outputs))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my run").mkdir()
    assert main(["train", "hydra.run.dir='my run'", "trainer.max_steps=2", "task.n_train=200"]) == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("next: ").partition(", or")[0])
    assert words == ["inn", "show", "--run", f"{tmp_path}/my run"] and main(words[1:]) == 0
    assert main(["invert", "--y", "0.3", "--run", "my run"]) == 0
    assert capsys.readouterr().out.endswith("next: inn plot posterior --run 'my run'\n")


@pytest.mark.parametrize(
    "name, damage",
    [
        ("checkpoints/best.safetensors", lambda data: data[: len(data) // 2]),
        ("checkpoints/best.safetensors", lambda data: data[:-10] + bytes(b ^ 1 for b in data[-10:])),
        ("config.yaml", lambda data: data.replace(b"seed: 0", b"seed: 1")),
        ("config.yaml", lambda data: b"{"),
        ("run.json", lambda data: data[:20]),
    ],
    ids=["cut", "flipped", "edited config", "no yaml", "cut info"],
)
def test_damaged_run(ask, outputs, name, damage, tmp_path):
    shutil.copytree(outputs / "ring_run", tmp_path / "bad")
    file = tmp_path / "bad" / name
    file.write_bytes(damage(file.read_bytes()))
    words = (
        ["show", "--run", str(tmp_path / "bad")]
        if name == "run.json"
        else ["invert", "--y", "1", "--run", str(tmp_path / "bad")]
    )
    code, line = ask(*words)
    assert code == 2 and file.name in line


def test_a_run_that_can_not_be_read_is_not_called_damaged(ask, outputs, monkeypatch):
    from inncli.runs import run_dir as run

    def refused(path, *more):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(run, "read_json", refused)
    assert ask("show", "--run", R) == (
        2,
        f"{outputs}/{R}/run.json can't be read (Permission denied); ask its owner, or name another run",
    )


@pytest.mark.parametrize(
    "words", [["invert", "--y", "1"], ["sample"], ["density", "--y", "1", "--grid", "5"], ["report"]]
)
def test_a_run_that_can_not_be_written_to_is_noticed_before_drawing(ask, outputs, monkeypatch, words):
    from inncli.cli import options
    from inncli.inference import opening

    monkeypatch.setattr(options.os, "access", lambda path, mode: False)
    monkeypatch.setattr(opening, "open_run", lambda *words: 1 / 0)
    assert ask(*words, "--run", R) == (2, f"{outputs}/{R} can't be written to; name a file elsewhere with --out")


def test_missing_column(ask, tmp_path):
    (tmp_path / "o.csv").write_text("a,b\n1,2\n")
    code, line = ask("invert", "--y-file", "o.csv", "--run", R)
    assert (code, line) == (2, f"o.csv has no column 'y1', run {R} was trained on 1 (y1); it has a, b")


def test_debug_shows_the_traceback_anywhere(outputs, monkeypatch, capsys):
    monkeypatch.setenv("INN_OUTPUTS", str(outputs))
    for words in (["--debug", "invert", "--y", "abc", "--run", R], ["invert", "--y", "abc", "--run", R, "--debug"]):
        assert main(words) == 2
        assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_one_line_and_code_1(monkeypatch, capsys):
    from inncli.cli import runs

    monkeypatch.setattr(runs, "read_runs", lambda: 1 / 0)
    assert main(["runs"]) == 1
    assert capsys.readouterr().err == (
        "internal error, ZeroDivisionError: division by zero; run it again with --debug and report the traceback\n"
    )
