"""`inn report`: the page holds what was found, escapes what it was given, and asks for nothing."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from jinja2 import UndefinedError

from inncli.cli.app import main
from inncli.evaluation import evaluate as evaluation_room
from inncli.evaluation.evaluate import Evaluation
from inncli.inference.opening import open_run
from inncli.metrics.registry import METRICS
from inncli.metrics.verdicts import QUESTIONS, Verdict
from inncli.plots.style import data_uri
from inncli.reporting import figures, page
from inncli.reporting import report as report_page
from inncli.reporting.report import report
from inncli.runs.registry import find_run

HOSTILE = '<script>alert("x")</script>'
NO_END = {"meta", "link", "img", "br"}
DOT = page.Picture("a dot", "", "data:image/png;base64,", 1)


class Page(HTMLParser):
    """Tags with their attributes, texts, and whether every tag was closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.open, self.rows = [], [], [], []
        self.feed(html)
        assert self.open == [], "tags left open"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in NO_END:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return "\n".join(self.texts)

    @property
    def headings(self):
        lines, at = [], None
        for tag, _ in self.tags:
            at = tag
            if tag in ("h1", "h2"):
                lines.append(at)
        return lines


def asks_for_nothing(html: str) -> Page:
    """The page, once nothing in it names another file or server, and the policy stands first."""
    found = Page(html)
    for tag, attrs in found.tags:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base"), tag
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "data", "action", "background"):
                assert value.startswith("data:"), (tag, value[:60])
    style = html.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style and "</" not in style
    policy = next(
        attrs["content"] for attrs in found.of("meta") if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    for attrs in found.of("img"):
        assert len(attrs["alt"]) > 15
        head, _, data = attrs["src"].partition(",")
        assert head == "data:image/png;base64" and base64.b64decode(data, validate=True).startswith(b"\x89PNG")
    return found


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """An outputs folder with a small ring run; its evaluation is stood in for by the tests."""
    root = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        assert main(["train", "trainer.max_steps=20", "task.n_train=300", "threads=1"]) == 0
    return root


@pytest.fixture
def run(ring, tmp_path, monkeypatch):
    root = tmp_path / "outputs"
    shutil.copytree(ring, root)
    monkeypatch.setenv("INN_OUTPUTS", str(root))
    monkeypatch.chdir(tmp_path)
    coarse(monkeypatch)
    return find_run()


def coarse(monkeypatch):
    """Pictures of few dots and points: what they show is tested by those of `plots`."""
    for name, value in {"DRAWS": 200, "LATENT": 200, "GRID": 20}.items():
        monkeypatch.setattr(report_page, name, value)
    monkeypatch.setattr(report_page, "data_uri", lambda figure: data_uri(figure, dpi=25))


def curves(names=("x1", "x2")):
    levels = np.linspace(0, 1, 21).tolist()
    return {
        "n": 100,
        "draws": 50,
        "names": [*names, "tarp"],
        "ranks": {name: [5] * 20 for name in names},
        "levels": levels,
        "coverage": {name: levels for name in names},
        "tarp": {"levels": levels, "coverage": levels},
    }


def found(**fields):
    return Evaluation(
        **{
            "metrics": {"nll": -1.23456, "c2st": 0.5432, "nonfinite_draws": 0.0},
            "se": {"nll": 0.0345},
            "settings": {"held_out": 1000, "held_out_from": "new pairs"},
            "verdicts": {
                "matches_truth": Verdict(False, "far from the exact draws"),
                "invertible": Verdict(True, "round trip off by 1e-6", "yes up to 3e-4"),
                "calibrated": Verdict(None, "380 rows needed"),
            },
            "details": {"calibration": curves()},
            **fields,
        }
    )


@pytest.fixture
def inn(capsys):
    def call(*words, code=0):
        capsys.readouterr()
        assert main(list(map(str, words))) == code
        out, err = capsys.readouterr()
        return err if code else out

    return call


def no_evaluation(monkeypatch, result):
    monkeypatch.setattr(evaluation_room, "evaluate", lambda *a, **k: result)


# ---- the page of a run ------------------------------------------------------------------------------
def test_the_page_says_what_was_found(run):
    html = report(run, open_run(run, "cpu"), found())
    shown = asks_for_nothing(html)
    assert shown.headings[0] == "h1" and shown.headings.count("h1") == 1
    for question, answer in (("matches_truth", "No."), ("invertible", "Yes."), ("calibrated", "Can't tell.")):
        at = shown.texts.index(QUESTIONS[question] + " ")
        assert shown.texts[at + 1] == answer
    assert "Rule: yes up to 3e-4." in shown.text and "380 rows needed." in shown.text
    assert [attrs["class"] for attrs in shown.of("li")] == ["open", "yes", "no"]
    assert shown.text.index("What it is worth") < shown.text.index("Numbers") < shown.text.index("Every setting")
    rows = {row[0]: row[1:] for row in shown.rows if row}
    assert rows["nll"] == ["−1.235", "0.035", METRICS["nll"].meaning]  # to the second digit of its error
    assert rows["c2st"][0] == "0.5432"
    assert rows["seed"] == [str(run.config()["seed"])]
    # calibration, two posteriors, a density of the two unknowns, the latent, the losses
    assert [attrs["alt"].split()[0] for attrs in shown.of("img")] == ["Rank", "Pair", "Pair", "The", "The", "Losses"]
    assert f"inn report {run.id}" in shown.text
    assert "trainer.max_steps=20" in shown.text and "seed=0" in shown.text
    assert yaml.safe_load(next(text for text in shown.texts if "max_steps: 20" in text)) == run.config()
    assert all(attrs.get("scope") for attrs in shown.of("th"))


def test_the_posterior_is_drawn_at_the_ys_asked_for(run, monkeypatch):
    seen = []

    def keep(draws, obs, reference, names, truth, cloud):
        from inncli.plots.style import new_figure

        seen.append((draws, reference, truth, cloud))
        return new_figure(1, 1)

    monkeypatch.setattr(report_page, "posterior_pairs", keep)
    trained = open_run(run, "cpu")
    shown = asks_for_nothing(report(run, trained, found(), y=np.array([[0.7]]), warnings=["y is far"]))
    ((draws, reference, truth, cloud),) = seen
    assert draws.y.tolist() == [[0.7]] and truth is None
    assert np.mean(np.sum(reference**2, axis=1)) == pytest.approx(0.7, abs=0.02)
    np.testing.assert_allclose(cloud[:, 0], np.sum(draws.x[0] ** 2, axis=1))
    assert "given y1 = 0.7" in shown.text and "y is far" in shown.text
    seen.clear()
    report(run, trained, found())
    for draws, _, truth, _ in seen:  # a held-out pair: its own x is marked
        assert abs(np.sum(truth**2) - draws.y[0, 0]) < 0.3


def test_a_picture_that_fails_leaves_its_reason_and_the_rest(run, monkeypatch):
    from inncli.errors import ConvergenceError

    def fail(*words, **more):
        raise ConvergenceError("the blocks <overflow>")

    monkeypatch.setattr(figures, "latent", fail)
    html = report(run, open_run(run, "cpu"), found())
    shown = asks_for_nothing(html)
    assert "Not drawn: the blocks <overflow>" in shown.text
    assert "<overflow>" not in html
    assert any("Losses" in attrs["alt"] for attrs in shown.of("img"))


def test_without_calibration_or_verdicts_the_page_stands(run):
    shown = asks_for_nothing(report(run, open_run(run, "cpu"), found(details={}, verdicts={})))
    assert "Nothing of this run could be asked." in shown.text
    assert not any("Rank" in attrs["alt"] for attrs in shown.of("img"))


# ---- hostile words ----------------------------------------------------------------------------------
def test_hostile_column_names_and_labels_are_text(tmp_path, monkeypatch, inn):
    names = [f"a{HOSTILE}", 'b" onload="x', "c&amp;<img src=http://e.org/x>"]
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 2)).round(3).tolist()
    lines = [",".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names)]
    lines += [f'{a},{b},"{"</pre><script>" if a > 0 else "low"}"' for a, b in rows]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    config = ["task=table", "task.file=t.csv", "trainer.max_steps=5", "threads=1"]
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.chdir(tmp_path)
    coarse(monkeypatch)
    columns = [json.dumps(name) for name in names]
    inn("train", *config, f"task.x=[{','.join(columns[:2])}]", f"task.y=[{columns[2]}]")
    no_evaluation(monkeypatch, found(verdicts={HOSTILE: Verdict(True, HOSTILE)}, metrics={HOSTILE: 1.0}, details={}))
    path = inn("report").strip()
    html = Path(path).read_text()
    shown = asks_for_nothing(html)
    assert "<script" not in html.lower()
    for name in names:
        assert name in shown.text
    assert HOSTILE in [row[0] for row in shown.rows if row]
    assert "</pre><script>" in shown.text  # the label of y, as words


def a_page(say=str, **fields):
    """A page that has everything once; `say` makes the words of each place."""
    table = page.Table(say("caption"), [say("header"), "value"], [[say("row"), say("cell")]], numeric=[1])
    drawn = page.Picture(say("alt"), say("figcaption"), "data:image/png;base64," + say("source"), 960)
    failed = page.Picture("a picture that failed", "", None, reason=say("reason"))
    everything = {
        "names": say("names"),
        "run": say("run"),
        "ended": say("ended"),
        "answers": [page.Answer(say("question"), say("answer"), say("why"), say("rule"), "open")],
        "warnings": [say("warning")],
        "numbers": [table],
        "figures": {say("title"): [drawn, failed]},
        "facts": table,
        "settings": say("settings"),
        "commands": say("commands"),
    }
    return page.Page(**{**everything, **fields})


def test_every_value_is_text_wherever_it_stands():
    said = []

    def hostile(place):
        said.append(f"{place}'\">{HOSTILE}</pre>")
        return said[-1]

    html = a_page(hostile).html()
    assert "<script" not in html
    shown = Page(html)
    places = [*shown.texts, *(value for _, attrs in shown.tags for value in attrs.values() if value)]
    assert len(said) == 19
    assert [words for words in said if not any(words in place for place in places)] == []


@pytest.mark.parametrize("field", [field.name for field in fields(page.Page)])
def test_a_page_that_lacks_what_its_template_names_is_an_error(field):
    lacking = a_page()
    del vars(lacking)[field]
    with pytest.raises(UndefinedError, match=f"'{field}' is undefined"):
        lacking.html()


def test_a_section_without_anything_to_show_is_left_out():
    assert {"Numbers", "Density"} < set(Page(a_page(figures={"Density": [DOT]}).html()).texts)
    assert not {"Numbers", "Density"} & set(Page(a_page(numbers=[], figures={"Density": []}).html()).texts)


def test_numbers_stand_to_the_right_with_a_minus_sign():
    assert [page.number(cell) for cell in (-1.5, 123456.0, 7, "a-b", None)] == ["−1.5", "1.2346e+05", "7", "a-b", ""]
    shown = Page(a_page().html())
    assert [attrs["class"] for attrs in shown.of("th") if "class" in attrs] == ["text", "number"] * 2
    assert [attrs["class"] for attrs in shown.of("td")] == ["number"] * 2


# ---- the command ------------------------------------------------------------------------------------
def test_the_command_writes_one_file_and_the_same_bytes_again(run, monkeypatch, inn):
    no_evaluation(monkeypatch, found())
    path = inn("report").strip()
    assert path == str(run.path / "report.html")
    first = Path(path).read_bytes()
    shutil.rmtree(run.path / "evaluations")
    inn("report", run.id[:-2], "--out", "again.html")
    assert Path("again.html").read_bytes() == first
    assert len(first) < 3e6


@pytest.mark.parametrize(
    "words, message",
    [
        (["a", "--run", "b"], "expected one run, got a and --run b; leave one out"),
        (["--out", "r.pdf"], "--out: expected a name that ends in one of .html, got 'r.pdf'; change its suffix"),
        (["--resimulate"], "--resimulate: run RUN has no simulator file; leave it out"),
        (["--y", "1,2"], "y has 2 values, run RUN was trained on 1 (y1); pass one value, e.g. --y 0.3"),
        (["zzz"], "no run 'zzz' under ROOT; try `inn runs`"),
    ],
)
def test_a_wrong_request_is_one_line_and_writes_nothing(run, inn, words, message):
    before = sorted(run.path.rglob("*"))
    assert inn("report", *words, code=2) == message.replace("RUN", run.id).replace("ROOT", str(run.path.parent)) + "\n"
    assert sorted(run.path.rglob("*")) == before


SIMULATOR = """
import pathlib
def prior(n, rng):
    return rng.normal(size=(n, 2))
def simulate(x, rng):
    pathlib.Path("ran").touch()
    return x[:, :1] + x[:, 1:] ** 2
"""
KINDS = {  # words of the training -> first words of the alt texts, beside the losses
    "density": (["task=eight_gaussians"], ["The", "The"]),
    "search": (["model=adjoint"], ["Pair", "Pair"]),
    "without a density": (["model=inn_mmd"], ["Pair", "Pair", "The"]),
    "images": (["task=digits", "model.n_blocks=1"], ["Pair", "Pair", "Images", "The"]),
    "arms": (["task=inverse_kinematics"], ["Pair", "Pair", "Draws", "Draws", "The"]),
    "own simulator": (["task=simulator", "task.file=sim.py"], ["Pair", "Pair", "The", "The"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_has_its_page(kind, tmp_path, monkeypatch, inn):
    words, expected = KINDS[kind]
    (tmp_path / "sim.py").write_text(SIMULATOR)
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.chdir(tmp_path)
    coarse(monkeypatch)
    inn("train", *words, "trainer.max_steps=2", "threads=1", *([] if kind == "images" else ["task.n_train=300"]))
    (tmp_path / "ran").unlink(missing_ok=True)
    no_evaluation(monkeypatch, found(details={}))
    shown = asks_for_nothing(Path(inn("report").strip()).read_text())
    assert [attrs["alt"].split()[0] for attrs in shown.of("img")] == [*expected, "Losses"]
    assert "Not drawn" not in shown.text
    if kind == "own simulator":
        assert not (tmp_path / "ran").exists(), "the user's file was run unasked"
        shown = asks_for_nothing(Path(inn("report", "--resimulate").strip()).read_text())
        assert (tmp_path / "ran").exists()
        assert "what the simulator makes of the draws" in shown.text
        assert "--resimulate" in shown.text
