"""Every command of README.md runs, in order, with a short budget."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

import inncli
from inncli.cli.app import main
from inncli.evaluation import reference
from inncli.metrics.c2st import c2st_scores

ROOT = Path(__file__).parents[2]
STEPS = 15
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(language):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return [text for name, text in BLOCK.findall(readme) if name == language]


def commands():
    """The words of each command line; `make` lines have their own place, the Makefile."""
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    return [words for words in lines if words and words[0] != "make"]


def short(words):
    """The same command with a budget of a few steps."""
    if words[:2] != ["inn", "train"] or "-c" in words:
        return words
    kept = [word for word in words if not word.startswith("trainer.max_steps=")]
    return [*kept, f"trainer.max_steps={STEPS}"]


def test_the_readme_was_read():
    assert len(commands()) > 10 and all(words[0] == "inn" for words in commands())
    used = {words[1] for words in commands()}
    assert {"train", "invert", "plot", "density", "sample", "runs", "show"} <= used


@pytest.mark.slow
def test_every_command_and_block_runs(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "outputs"))
    # The classifier of 10,000 draws takes minutes on models of 15 steps; of 300 it is the same, but worse.
    monkeypatch.setattr(
        reference, "c2st_scores", lambda compared: c2st_scores([(x[:300], y[:300]) for x, y in compared])
    )
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "concrete.csv", tmp_path / "data")
    (simulator,) = [block for block in blocks("python") if block.startswith("# my_sim.py")]
    (notebook,) = [block for block in blocks("python") if block != simulator]
    (tmp_path / "my_sim.py").write_text(simulator, encoding="utf-8")
    for number, words in enumerate(commands()):
        code = main(short(words)[1:])
        out, err = capfd.readouterr()
        assert code == 0, f"{shlex.join(words)}: exit {code}\n{err}"
        assert out.strip(), f"{shlex.join(words)} printed nothing"
        if number == 0:  # later the latest run has other columns than the block expects
            names = {}
            exec(compile(notebook, "README.md", "exec"), names)
            assert names["x"].shape == (1, 1000, 2) and names["log_prob"].shape == (1000,)
    assert (tmp_path / "mixes_at_40.csv").is_file()


RECIPES = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_and_opens(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the shipped table is found from an empty folder
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    assert main(["train", f"experiment={recipe}", "trainer.max_steps=5", "hydra.run.dir=run"]) == 0
    run = inncli.load("run")
    y = run.meta["seen"]["low"] if run.y else None
    assert run.sample(y, 10).shape == (1, 10, run.x.dim)
