"""Small tables judged by several nets, each at the rows that it has not seen."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from inncli.cli.app import main
from inncli.data.pairs import Pairs
from inncli.errors import RequestError
from inncli.evaluation import folds
from inncli.evaluation.answers import Answers
from inncli.evaluation.compare import questions
from inncli.evaluation.cross_validation import cross_validated
from inncli.evaluation.entries import read
from inncli.evaluation.evaluate import measure
from inncli.evaluation.folds import folds_for
from inncli.evaluation.request import EvaluationRequest
from inncli.experiments.folds import train_folds
from inncli.inference.opening import open_run
from inncli.inference.run_task import task_of
from inncli.inference.trained_model import TrainedModel
from inncli.models.base import Model
from inncli.runs.run_dir import RunDir
from inncli.variables import Variables

X, Y = Variables.numbered("x", 1), Variables.numbered("y", 1)


class Remembers(Model):
    """Knows the x of the rows that it was trained on to a millionth, and guesses elsewhere."""

    def __init__(self, pairs: Pairs, number: float = 0.0):
        super().__init__(X, Y)
        self.seen = dict(zip(pairs.y[:, 0].tolist(), pairs.x[:, 0].tolist(), strict=True))
        self.number = number

    def parts(self, y):
        mean = torch.tensor([[self.seen.get(value, 0.0)] for value in y[:, 0].tolist()], dtype=torch.float64)
        sd = torch.tensor([[1e-6 if value in self.seen else 1.0] for value in y[:, 0].tolist()], dtype=torch.float64)
        return mean, sd

    def sample(self, y, n, generator):
        mean, sd = self.parts(y)
        noise = torch.randn(len(y), n, 1, generator=generator, dtype=torch.float64)
        return mean[:, None] + sd[:, None] * noise

    def log_prob(self, x, y):
        return torch.distributions.Normal(*self.parts(y)).log_prob(x)[:, 0]


def opened(model: Model) -> TrainedModel:
    return TrainedModel(model, {"config": {"dtype": "float64"}}, "net", torch.device("cpu"))


def test_each_row_is_answered_by_the_net_that_has_not_seen_it():
    x, y = np.random.default_rng(0).standard_normal((2, 300, 1))
    pairs, part = Pairs(x, y), np.arange(300) % 3
    nets = [(opened(Remembers(pairs.take(part != k))), np.flatnonzero(part == k)) for k in range(3)]
    answers = Answers(pairs, nets)
    found = measure(nets[0][0], pairs.take(part == 0), None, answers=answers)
    # A normal of sd 1 about 0 at every row; one net at all rows would be right to a millionth at two thirds.
    assert found.metrics["nll"] == pytest.approx(0.5 * np.log(2 * np.pi) + np.mean(x**2) / 2, abs=1e-9)
    assert found.details["calibration"]["n"] == 300 and abs(found.metrics["contraction"]) < 0.3
    assert found.verdicts["beats_marginal"].ok is not True
    one = measure(nets[0][0], pairs, None)
    assert one.metrics["nll"] < -5 and one.verdicts["beats_marginal"].ok
    for rows, xs in answers.training_xs():
        assert not set(xs[:, 0]) & set(x[rows, 0]) and len(xs) == 200
    few = answers.first_rows(100)
    assert len(few.pairs) == 100 and sorted(np.concatenate([rows for _, rows in few.nets])) == list(range(100))


def run_of(seconds=1.0, rows=400, sha256="s", status="done", **task):
    info = {"seconds": seconds, "status": status, "data": {"pairs": rows, "sha256": sha256}}
    return SimpleNamespace(id="r", info=lambda: info, config=lambda: {"task": task, "seed": 0})


@pytest.mark.parametrize(
    "run, asked, folds",
    [
        (run_of(), None, 5),
        (run_of(), 0, 0),
        (run_of(rows=3_000), 3, 3),
        (run_of(rows=3_000), None, 0),
        (run_of(rows=1_000, test_fraction=0.5), None, 0),  # a thousand rows held out
        (run_of(seconds=25.0), None, 0),
        (run_of(seconds="1"), None, 0),
        (run_of(sha256=None), None, 0),
        (run_of(status="interrupted"), None, 0),
        (run_of(n_train=50), None, 0),
    ],
)
def test_a_small_table_whose_training_was_short_is_judged_by_five_nets(run, asked, folds):
    assert folds_for(run, asked) == folds


def test_one_net_is_no_cross_validation_and_a_run_without_a_table_has_none():
    with pytest.raises(RequestError, match="at least 2, or 0"):
        folds_for(run_of(), 1)
    trained = opened(Remembers(Pairs(np.zeros((1, 1)), np.zeros((1, 1)))))
    with pytest.raises(RequestError, match="has no table"):
        cross_validated(trained, run_of(), None, 5, None, train_folds, print)
    assert cross_validated(trained, run_of(), None, 5, ("c2st",), train_folds, print) is None


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run on a table of 60 rows, ten of them twice."""
    root = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    y = rng.standard_normal(50)
    rows = np.column_stack([y + 0.3 * rng.standard_normal(50), y]).round(3)
    np.savetxt(root / "t.csv", np.vstack([rows, rows[:10]]), delimiter=",", header="a,b", comments="", fmt="%.3f")
    words = ["task=table", f"task.file={root}/t.csv", "task.y=[b]", "trainer.max_steps=5", "model.n_blocks=1"]
    assert main(["train", *words, "device=cpu", f"hydra.run.dir={root}/run"]) == 0
    return root / "run"


def test_nets_are_trained_on_the_rows_of_the_others(small):
    run = RunDir(small)
    task = task_of(run)
    before = sorted(path.name for path in small.rglob("*"))
    told = []
    pairs, nets = train_folds(open_run(run, "cpu"), run, task, 3, on_progress=lambda words, share: told.append(share))
    assert sorted(np.concatenate([rows for _, rows in nets])) == list(range(60)) and told == sorted(told)
    for trained, rows in nets:
        inside = {tuple(row) for row in pairs.x[rows]}
        assert not inside & {tuple(row) for row in np.delete(pairs.x, rows, 0)}  # equal rows are in one part
        assert trained.log_prob(pairs.x[rows], pairs.y[rows]).shape == (len(rows),)
    weights = [torch.cat([p.flatten() for p in trained.model.parameters()]) for trained, _ in nets]
    assert not torch.equal(weights[0], weights[1])
    again = train_folds(open_run(run, "cpu"), run, task, 3)[1]
    assert torch.equal(weights[2], torch.cat([p.flatten() for p in again[2][0].model.parameters()]))
    assert sorted(path.name for path in small.rglob("*")) == before


def test_the_command_says_who_was_judged(small, capsys):
    def evaluate(*words):
        capsys.readouterr()
        assert main(["evaluate", "--run", str(small), *words]) == 0
        return capsys.readouterr().out

    found = json.loads(evaluate("--json", "--folds", "3"))
    assert found["settings"]["cross_validation"] == {"nets": 3, "rows": 60}
    assert found["settings"]["calibration"]["observations"] == 60
    for name in ("calibrated", "beats_marginal"):
        assert found["verdicts"][name]["text"].endswith("; cross-validated, 3 nets on 60 rows")
    alone = json.loads(evaluate("--json", "--folds", "0"))
    assert "cross_validation" not in alone["settings"] and alone["settings"]["calibration"]["observations"] == 6
    assert alone["verdicts"]["calibrated"]["ok"] is None
    assert json.loads(evaluate("--json", "--folds", "3", "--fresh")) == found
    assert "3 nets on 60 rows" in evaluate("--folds", "3")


def test_runs_are_compared_on_the_same_rows(small, capsys, tmp_path, monkeypatch):
    """One run that is judged by cross-validation stands beside another one only if that is too."""
    monkeypatch.setattr(folds, "FOLDS", 3)
    other = tmp_path / "other"
    shutil.copytree(small, other)
    shutil.rmtree(other / "evaluations", ignore_errors=True)

    def rows():
        entries = [read(RunDir(path)) for path in (small, other)]
        return [question.request.folds for question in questions(entries, EvaluationRequest())]

    assert main(["evaluate", "--run", str(small)]) == 0
    assert rows() == [0, 0]
    assert main(["evaluate", "--run", str(other)]) == 0
    assert rows() == [3, 3]
