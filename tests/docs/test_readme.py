"""Every command of README.md and of the pages in docs/ runs, in order, with a short budget."""

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
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
STEPS = 15
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)#\s]+)\)")


def blocks(page, language):
    return [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def commands(page):
    """The words of each command line; `make` lines have their own place, the Makefile."""
    lines = [shlex.split(line, comments=True) for block in blocks(page, "sh") for line in block.splitlines()]
    return [words for words in lines if words and words[0] != "make"]


def short(words):
    """The same command with a budget of a few steps."""
    if words[:2] != ["inn", "train"] or "-c" in words:
        return words
    kept = [word for word in words if not word.startswith("trainer.max_steps=")]
    return [*kept, f"trainer.max_steps={STEPS}"]


def test_the_pages_were_read():
    every = [words for page in PAGES for words in commands(page)]
    assert len(every) > 40 and all(words[0] == "inn" for words in every)
    used = {words[1] for words in every}
    assert {"train", "invert", "plot", "density", "sample", "runs", "show", "evaluate", "report"} <= used


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_link_to_a_file_leads_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_the_readme_leads_to_every_page():
    links = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= set(links)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_block_runs(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "outputs"))
    # The classifier of 10,000 draws takes minutes on models of 15 steps; of 300 it is the same, but worse.
    few = lambda compared, **_: c2st_scores([(x[:300], y[:300]) for x, y in compared])  # noqa: E731 a name for the patch
    monkeypatch.setattr(reference, "c2st_scores", few)
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "concrete.csv", tmp_path / "data")
    programs = blocks(page, "python")
    for simulator in (block for block in programs if block.startswith("# my_sim.py")):
        (tmp_path / "my_sim.py").write_text(simulator, encoding="utf-8")
    notebooks = [block for block in programs if "inncli.load" in block]
    if notebooks and not commands(page):
        assert main(short(["inn", "train"])[1:]) == 0
        run_notebooks(notebooks, page)
    for number, words in enumerate(commands(page)):
        code = main(short(words)[1:])
        out, err = capfd.readouterr()
        assert code == 0, f"{shlex.join(words)}: exit {code}\n{err}"
        assert out.strip(), f"{shlex.join(words)} printed nothing"
        if number == 0:  # later the latest run has other columns than the block expects
            run_notebooks(notebooks, page)
        if "--out" in words:
            assert Path(words[words.index("--out") + 1]).is_file()


def run_notebooks(programs, page):
    """Runs blocks of Python that open the latest run, which is of the ring."""
    for program in programs:
        names = {}
        exec(compile(program, page.name, "exec"), names)
        assert names["x"].shape == (1, 1000, 2) and names["log_prob"].shape == (1000,)


RECIPES = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_and_opens(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the shipped table is found from an empty folder
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path))
    assert main(["train", f"experiment={recipe}", "trainer.max_steps=5", "hydra.run.dir=run"]) == 0
    run = inncli.load("run")
    y = run.meta["seen"]["low"] if run.y else None
    assert run.sample(y, 10).shape == (1, 10, run.x.dim)
