"""The wheel carries configs and the sample table, and works from an empty directory."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


@pytest.mark.slow
def test_wheel_works_from_an_empty_directory(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, REPO], check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "inncli/conf/train.yaml",
        "inncli/conf/model/rnvp.yaml",
        "inncli/data/concrete.csv",
        "inncli/tasks/benchmarks/published/sir.csv",
        "hydra_plugins/inncli/__init__.py",
    } <= set(names)
    assert not [name for name in names if "plugins" in name and name != "hydra_plugins/inncli/__init__.py"]
    assert "hydra_plugins/__init__.py" not in names, "a namespace, which other packages share"
    data = {name for name in names if name.startswith("inncli/data/") and not name.endswith(".py")}
    assert data == {"inncli/data/concrete.csv", "inncli/data/README.md"}, "only what is ours to give"

    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True, timeout=300)
    (tmp_path / "empty").mkdir()

    def inn(*words):
        done = subprocess.run(
            [sys.executable, "-m", "inncli", *words],
            cwd=tmp_path / "empty",
            text=True,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path / "site" / "inncli" / "conf") in inn("doctor")
    inn("train", "task.n_train=500", "trainer.max_epochs=1")
    assert "y1 = 0.3: 1,000 draws" in inn("invert", "--y", "0.3", "--samples", "1000")
    assert "2 of 2 jobs done" in inn("train", "-m", "seed=1,2", "task.n_train=200", "trainer.max_steps=2")
    inn("train", "experiment=concrete", "trainer.max_epochs=1")
    assert "cement" in inn("invert", "--y", "compressive_strength=40", "--samples", "100")


@pytest.mark.slow
def test_an_editable_install_has_hydras_plugins_on_its_path(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path, "--editable", REPO], check=True, timeout=300)
    lines = [line for path in tmp_path.glob("*.pth") for line in path.read_text().split()]
    assert sorted(lines) == [str(REPO), str(REPO / "inncli" / "launchers" / "plugins")]
