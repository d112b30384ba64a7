"""`inn evaluate`: numbers on held-out pairs, with error bars, and a verdict for each question."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from inncli.cli import output
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, RunOption, SeedOption
from inncli.errors import RequestError

MEANING = {
    "invertibility_error": "largest round-trip error, in sds of x",
    "nll": "negative log-likelihood of a held-out x, in nats",
    "nll_exact": "the same by the exact density",
    "kl": "KL divergence of the model from the exact density, in nats",
    "share_without_density": "held-out rows outside the model's support, left out of nll",
    "err_resim": "mean of |s(x) - y|^2 over draws and held-out ys",
    "err_resim_median": "the median over ys of what a y's draws give",
    "resimulation_error": "root of err_resim, in units of y",
    "resimulation_error_truth": "the same of the true x: the noise",
    "err_resim_worst": "the largest of them",
    "mmd2": "squared MMD of draws to exact ones, the mean over ys (Kruse's Err_post); 0 where they agree",
    "mmd2_median": "the median over ys",
    "mmd2_worst": "the largest of them",
    "refined_mmd2": "the same of draws moved onto y = s(x)",
    "refined_err_resim": "err_resim of draws moved onto y = s(x)",
    "nonfinite_draws": "share of draws that are no numbers",
    "c2st": "accuracy of telling draws from exact ones: .5 perfect, 1 useless",
}


def evaluate(
    run: RunOption = None,
    y: Annotated[list[str] | None, typer.Option(
        "--y", metavar="VALUES", show_default="3 held-out ys",
        help="Where to compare with the exact posterior: 0.3 or name=3,other=4; may be repeated.")] = None,
    y_file: Annotated[str | None, typer.Option(
        "--y-file", metavar="FILE", help="The same as a table (CSV, Parquet, NPZ), one a row.")] = None,
    samples: Annotated[int | None, typer.Option(
        "--samples", "-n", min=100, metavar="N", show_default="10000; 2000 of more than 4 unknowns",
        help="Draws a side of the two-sample test; fewer are faster, and not comparable with published figures.")] = None,
    seed: SeedOption = 0,
    resimulate: Annotated[bool, typer.Option(
        "--resimulate", help="Run your own simulator file again, for new pairs and the resimulation error.")] = False,
    refine: Annotated[bool, typer.Option(
        "--refine", help="Also compare draws moved onto the simulator's own y, as `inn invert --refine` moves them.")] = False,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    json: JsonOption = False,
) -> None:
    """Say what a run is worth: numbers on held-out pairs, with error bars, and a verdict for each question.

    Measures what the task allows: round trip and likelihood always, draws against y where y can be simulated,
    draws against exact ones where the answer is known. The same seed gives the same numbers.

    \b
    Examples:
      inn evaluate
      inn evaluate --y 0.3 --y 1.0 --run 2026-11-23_10-04
      inn evaluate --json | jq .metrics.c2st

    Next: `inn plot posterior --y ... --reference`.
    """
    from inncli.run import find_run

    if y and y_file is not None:
        raise RequestError("expected one of --y and --y-file, got both; leave one out")
    found = find_run(run)

    import numpy as np

    from inncli.evaluation import evaluate as evaluated
    from inncli.observation import parse_y, read_points
    from inncli.pipeline import open_run

    inverter = open_run(found, device, config_dir)
    rows = None
    if y or (y_file is not None and inverter.y is None):
        rows = np.concatenate([parse_y(words, inverter.y, found.id) for words in y or [""]])
    elif y_file is not None:
        rows = read_points(y_file, inverter.y, found.id)
    warnings = [] if rows is None else inverter.unfamiliar(rows)
    result = evaluated(inverter, found, seed=seed, samples=samples, y=rows, resimulate=resimulate, refine=refine)
    if json:
        output.as_json({**asdict(result), "warnings": warnings})
    else:
        _print(found, result)
    for warning in warnings:
        output.note(f"warning: {warning}")


def _print(run, found) -> None:
    from inncli.metrics.verdicts import QUESTIONS

    info = run.info()
    output.line(f"run {run.id}: {info['model']} on {info['task']}, {found.settings['held_out']:,} held-out rows "
                f"({found.settings['held_out_from']})")
    output.table(["metric", "value", "+-", ""], [
        [name, float(value), found.se.get(name), MEANING.get(name, "")] for name, value in found.metrics.items()])
    output.line("")
    for name, verdict in found.verdicts.items():
        output.line(f"{QUESTIONS[name]} {'Yes' if verdict.ok else 'No'}: {verdict.text}.")
