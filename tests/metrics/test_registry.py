"""The registry of metrics: what its entries say, and the tables that follow from them."""

from __future__ import annotations

import pytest

from inncli.metrics import registry
from inncli.metrics.registry import METRICS
from inncli.metrics.verdicts import QUESTIONS

TABLES = {  # the columns of 0.4.0, which scripts may count on
    "compare": "nll kl c2st mmd2 err_resim calibrated invertibility_error seconds parameters",
    "kruse": "mmd2 mmd2_median mmd2_worst err_resim err_resim_median refined_mmd2 refined_err_resim calibrated seconds "
    "parameters",
    "training": "val_loss seconds parameters",
    "plot": "nll c2st mmd2 err_resim val_loss",
}
LOWER = (
    "nll kl val_loss loss c2st mmd2 mmd2_median mmd2_worst err_resim err_resim_median err_resim_worst refined_mmd2 "
    "refined_err_resim resimulation_error invertibility_error nonfinite_draws share_without_density max_moment_error "
    "seconds"
)


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_of_a_table_and_their_order(table):
    assert " ".join(registry.columns(table)) == TABLES[table]


def test_which_way_is_better():
    ways = {way: {m.name for m in METRICS.values() if m.better == way} for way in ("lower", "higher", "nearest")}
    assert ways["lower"] == set(LOWER.split()) and ways["higher"] == {"ess", "beats_marginal_by"}
    perfect = {name: METRICS[name].perfect for name in ways["nearest"]}
    assert perfect == {"follows_y": 1, "z_score": 1, "coverage_50": 0.5, "coverage_80": 0.8, "coverage_90": 0.9}
    assert METRICS["coverage_90"].badness(0.85) == pytest.approx(0.05)
    assert METRICS["ess"].badness(0.3) == -0.3 and METRICS["nll"].badness(-2.0) == -2.0


def test_names_stand_once_and_what_is_evaluated_has_a_meaning():
    assert len(registry._ENTRIES) == len(METRICS)
    without = {name for name, metric in METRICS.items() if not metric.meaning}
    assert without == {"loss", "val_loss", "seconds", "parameters", "max_moment_error", *QUESTIONS}
    assert all(metric.applies for metric in METRICS.values())
    assert {name: metric.mark for name, metric in METRICS.items() if metric.mark is not None} == {"c2st": 0.5}


def test_an_unknown_metric_has_no_meaning_and_no_best():
    stranger = registry.find("entropy")
    assert (stranger.name, stranger.heading, stranger.meaning, stranger.has_best) == ("entropy", "entropy", "", False)
    assert METRICS["mmd2"].heading == "Err_post"
