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
        "inncli/tasks/published/sir.csv",
    } <= set(names)
    data = {name for name in names if name.startswith("inncli/data/")}
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
    inn("train", "experiment=concrete", "trainer.max_epochs=1")
    assert "cement" in inn("invert", "--y", "compressive_strength=40", "--samples", "100")
