"""What is closed to a user is named as what it is: which path, and that it is closed; never as damage or as absence."""

import shutil
from pathlib import Path

import pytest

import elsewhere
from inncli.config import registry
from inncli.errors import RequestError
from inncli.io.permissions import check_open

KEPT = Path(__file__).parents[1] / "fixtures" / "runs" / "1"
SIMULATOR = "def prior(n, rng):\n    return rng.normal(size=(n, 2))\ndef simulate(x, rng):\n    return x[:, :1]\n"
ASK = "ask its owner, or name another"


def made(folder: Path) -> dict[str, Path]:
    """Things that another user keeps closed, by name."""
    for name in ("run", "weights", "folder", "info"):
        shutil.copytree(KEPT / "flow", folder / name)
    (folder / "tables").mkdir()
    for table in (folder / "t.csv", folder / "tables" / "t.csv"):
        table.write_text("a,b,c\n" + "1,2,3\n4,5,6\n" * 10)
    (folder / "sim.py").write_text(SIMULATOR)
    for name in ("conf", "names"):
        (folder / name / "model").mkdir(parents=True)
        shutil.copy(registry.conf_dir() / "model" / "rnvp.yaml", folder / name / "model" / "mine.yaml")
    (folder / "outputs").mkdir()
    (folder / "readable").mkdir()
    closed = {
        "run": (folder / "run", 0o700),
        "weights": (folder / "weights" / "checkpoints" / "best.safetensors", 0o600),
        "checkpoints": (folder / "folder" / "checkpoints", 0o700),
        "info": (folder / "info" / "run.json", 0o600),
        "table": (folder / "t.csv", 0o600),
        "tables": (folder / "tables", 0o700),
        "simulator": (folder / "sim.py", 0o600),
        "conf": (folder / "conf", 0o700),
        "names": (folder / "names" / "model", 0o711),  # its yamls can be read by those who know their names
        "outputs": (folder / "outputs", 0o700),
        "readable": (folder / "readable", 0o755),
    }
    for path, mode in closed.values():
        path.chmod(mode)
    elsewhere.belongs_to_another(*folder.iterdir())
    return {name: path for name, (path, _) in closed.items()}


def test_what_is_closed_is_named(tmp_path):
    elsewhere.skip_unless_root()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "work").mkdir()
    at = made(tmp_path / "theirs")
    expected = {
        ("show", "--run", at["run"]): "run is closed to you",
        ("resume", at["run"]): "run is closed to you",
        ("compare", at["run"]): "run is closed to you",
        ("invert", "--run", at["weights"].parents[1], "--y", "1", "--out", "i.npz"): "best.safetensors can't be read",
        ("show", "--run", at["checkpoints"].parent): "checkpoints can't be read",
        ("show", "--run", at["info"].parent): "run.json can't be read",
        ("train", "task=table", f"task.file={at['table']}", "task.y=[c]"): "t.csv can't be read",
        ("train", "task=table", f"task.file={at['tables'] / 't.csv'}", "task.y=[c]"): "tables is closed to you",
        ("train", "task=simulator", f"task.file={at['simulator']}"): "sim.py can't be read",
        ("train", "--config-dir", at["conf"], "model=mine"): "conf is closed to you",
        ("train", "--config-dir", at["names"].parent, "model=yours"): "model can't be read",
        ("train", f"hydra.run.dir={at['outputs'] / 'run'}"): "outputs is closed to you",
        ("train", f"hydra.run.dir={at['readable'] / 'run'}"): "readable can't be written to",
        ("invert", "--run", KEPT / "flow", "--y-file", at["table"], "--out", "i.npz"): "t.csv can't be read",
    }
    told = elsewhere.run(expected, tmp_path / "work", bound=True)
    for (code, out, err), said in zip(told, expected.values(), strict=True):
        assert (code, out, len(err.splitlines())) == (2, "", 1) and said in err and ASK in err, (said, err)
    told = elsewhere.run([["runs"], ["show"]], tmp_path / "work", outputs=at["outputs"], bound=True)
    assert [(code, err) for code, _, err in told] == [
        (2, f"{at['outputs']} can't be read (permission denied); {ASK}\n")
    ] * 2


def test_a_closed_folder_of_configs_is_not_an_empty_one(tmp_path, monkeypatch):
    def scandir(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("inncli.io.permissions.os.scandir", scandir)
    with pytest.raises(RequestError, match=r"trainer can't be .* \(permission denied\); ask its owner"):
        registry.choices("trainer")
    monkeypatch.undo()
    check_open(tmp_path / "absent")
