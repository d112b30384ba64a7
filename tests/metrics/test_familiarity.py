"""Is this y familiar? Against distributions whose ordinary and strange ys are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inncli.cli.app import main
from inncli.evaluation import reference
from inncli.metrics.out_of_distribution import (
    LEVEL,
    familiarity,
    training_statistics,
    unfamiliar,
)
from inncli.variables import Variables

MIX = np.random.default_rng(9).standard_normal((10, 10))


def two_clusters(n, rng):
    return np.where(rng.random((n, 1)) < 0.5, -3.0, 3.0) + 0.3 * rng.standard_normal((n, 1))


def collinear(n, rng):
    y = rng.standard_normal((n, 2))
    return np.column_stack([y, y.sum(1)])


YS = {  # how ys are drawn; ordinary ones; strange ones
    "ring": (lambda n, rng: (rng.standard_normal((n, 2)) ** 2).sum(1, keepdims=True), [[0.5], [3.0]], [[40.0], [-3.0]]),
    "gap": (two_clusters, [[3.0], [-3.2]], [[0.0], [9.0]]),
    "cauchy": (lambda n, rng: rng.standard_cauchy((n, 1)), [[0.0], [8.0]], [[1e7]]),
    "counts": (lambda n, rng: rng.poisson(4, (n, 1)) * 1.0, [[4.0], [3.5], [7.0]], [[60.0]]),
    "gaussian10": (lambda n, rng: rng.standard_normal((n, 10)) @ MIX, [np.zeros(10), MIX[0]], [8 * MIX[0]]),
    "collinear": (collinear, [[0.5, 0.5, 1.0]], [[0.5, 0.5, 3.0]]),
    "wide": (lambda n, rng: rng.standard_normal((n, 100)), [np.zeros(100)], [np.full(100, 4.0)]),
}


def kept(draw, n, seed):
    """What a checkpoint keeps of n ys, after its trip through JSON."""
    y = draw(n, np.random.default_rng(seed))
    return json.loads(json.dumps(training_statistics(y, Variables.numbered("y", y.shape[1]))))


@pytest.mark.parametrize("n", [100, 2_000])
@pytest.mark.parametrize("name", YS)
def test_ordinary_ys_are_familiar_strange_ones_are_not_and_false_alarms_are_as_rare_as_said(name, n):
    draw, ordinary, strange = YS[name]
    alarms = []
    for seed in range(12):
        seen = kept(draw, n, seed)
        assert all(entry["familiar"] for entry in familiarity(seen, np.array(ordinary)))
        if n > 50 * len(strange[0]):  # fewer rows can't tell the axes of a cloud from chance
            assert not any(entry["familiar"] for entry in familiarity(seen, np.array(strange)))
        new = draw(1_000, np.random.default_rng([seed, 1]))
        alarms.append(np.mean([not entry["familiar"] for entry in familiarity(seen, new)]))
    # the rate itself varies from one training set to the next; tied counts can only make it smaller
    assert np.mean(alarms) < 2 * LEVEL
    assert np.mean(alarms) > 0.3 * LEVEL or name == "counts"


def test_the_percentile_of_new_ys_is_uniform_and_grows_with_the_distance():
    draw = YS["gaussian10"][0]
    seen = kept(draw, 4_000, 0)
    found = familiarity(seen, draw(4_000, np.random.default_rng(1)))
    percentile = np.array([entry["percentile"] for entry in found])
    for q in (10, 50, 90, 99):
        assert np.mean(percentile <= q) == pytest.approx(q / 100, abs=0.04)
    order = np.argsort([entry["distance"] for entry in found])
    assert (np.diff(percentile[order]) >= 0).all()
    # another level asks for more
    strict = familiarity(seen, draw(4_000, np.random.default_rng(1)), level=0.1)
    assert np.mean([not entry["familiar"] for entry in strict]) == pytest.approx(0.1, abs=0.03)


def test_units_and_huge_outliers_in_training_change_nothing():
    y = two_clusters(3_000, np.random.default_rng(0))
    probes = np.array([[0.0], [3.0], [9.0]])
    plain = familiarity(training_statistics(y, Variables.numbered("y", 1)), probes)
    scaled = familiarity(training_statistics(1e6 * y - 5e6, Variables.numbered("y", 1)), 1e6 * probes - 5e6)
    assert [entry["distance"] for entry in scaled] == pytest.approx([entry["distance"] for entry in plain], rel=1e-3)
    dated = familiarity(
        training_statistics(y + 1.7e9, Variables.numbered("y", 1)), probes + 1.7e9
    )  # seconds since 1970
    assert [entry["distance"] for entry in dated] == pytest.approx([entry["distance"] for entry in plain], rel=1e-3)
    y[:5] = 1e12
    spoiled = familiarity(training_statistics(y, Variables.numbered("y", 1)), probes)
    assert [entry["familiar"] for entry in plain] == [entry["familiar"] for entry in spoiled] == [False, True, False]


def test_a_value_that_belongs_to_another_label():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 2_000)
    y = np.column_stack([label, np.where(label == 0, -4, 4) + 0.5 * rng.standard_normal(2_000)])
    names = Variables(("kind", "size"), labels=(("ash", "beech"), None))
    found = familiarity(training_statistics(y, names), np.array([[0.0, -4], [1.0, 4], [0.0, 4], [1.0, -4]]))
    assert [entry["familiar"] for entry in found] == [True, True, False, False]


def test_labels_alone_have_no_distance_and_few_rows_only_a_range():
    labels = Variables(("kind",), labels=(("ash", "beech"),))
    seen = training_statistics(np.array([[0.0], [1.0]] * 50), labels)
    assert familiarity(seen, np.array([[1.0]])) is None and unfamiliar(seen, np.array([[1.0]]), labels) == []
    seen = training_statistics(np.arange(5.0)[:, None], Variables.numbered("y", 1))
    assert familiarity(seen, np.array([[9.0]])) is None
    assert unfamiliar(seen, np.array([[9.0]]), Variables.numbered("y", 1)) == [
        "y lies outside what training saw: y1=9 (training saw 0 to 4)"
    ]
    date = Variables(("date",))
    (line,) = unfamiliar(training_statistics(2460000 + np.arange(5.0)[:, None], date), np.array([[2460009.0]]), date)
    assert line.endswith("date=2460009 (training saw 2460000 to 2460004)")


def test_what_is_kept_is_small():
    for dim, limit in ((1, 10_000), (10, 70_000), (100, 300_000)):
        y = np.random.default_rng(0).standard_normal((20_000, dim))
        assert len(json.dumps(training_statistics(y, Variables.numbered("y", dim)))) < limit


# ---- the commands ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INN_OUTPUTS", str(root))
        assert (
            main(["train", "task=ring", "trainer.max_steps=5", "model.n_blocks=1", f"hydra.run.dir={root}/ring"]) == 0
        )
    return root / "ring"


def test_invert_says_so_in_table_json_and_warning(run, capsys):
    words = ["invert", "--run", str(run), "-n", "10"]
    assert main([*words, "--y", "40"]) == 0
    out, err = capsys.readouterr()
    assert "UNFAMILIAR y: distance to training ys" in out and "percentile 100 among them" in out
    first, second = err.splitlines()
    assert first.startswith("warning: y lies outside what training saw: y1=40 (training saw ")
    assert second.startswith("warning: when training ended, draws at ")  # after five steps
    (run.parent / "ys.csv").write_text("y1\n1.5\n40\n")
    assert main([*words, "--y-file", str(run.parent / "ys.csv"), "--json"]) == 0
    inside, outside = (entry["familiarity"] for entry in json.loads(capsys.readouterr().out)["observations"])
    assert inside["familiar"] is True and outside["familiar"] is False and inside["level"] == LEVEL
    assert 0 <= inside["percentile"] < 99 < outside["percentile"] == 100 and inside["distance"] < outside["distance"]


def test_evaluate_says_so_of_given_ys_and_of_all_held_out_ones(run, capsys, monkeypatch):
    monkeypatch.setattr(reference, "c2st_scores", lambda compared, **_: [0.5 for _ in compared])
    assert main(["evaluate", "--run", str(run), "-n", "100", "--y", "1", "--y", "40", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [entry["familiarity"]["familiar"] for entry in found["observations"]] == [True, False]
    assert 0 < found["metrics"]["unfamiliar_ys"] < 0.03 and "warning: observation 2: y lies outside" in err
    assert main(["evaluate", "--run", str(run), "-n", "100", "--y", "40"]) == 0
    assert "NO" in capsys.readouterr().out


def test_a_run_of_an_older_inn_still_warns_of_its_range(run):
    import inncli

    trained = inncli.load(run)
    old = {key: trained.meta["seen"][key] for key in ("low", "high", "columns", "centre")}
    trained.meta = {**trained.meta, "seen": {**old, "precision": [[1.0]], "distance": 5.0}}
    assert trained.familiarity([[1.0]]) is None and trained.unfamiliar([[1.0]]) == []
    assert "y lies outside what training saw" in trained.unfamiliar([[40.0]])[0]
