"""`inn evaluate`: numbers on held-out pairs, with error bars, and a verdict for each question."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from inncli.cli import console
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, RunOption, SeedOption
from inncli.errors import RequestError
from inncli.io.digits import shown

MEANING = {
    "invertibility_error": "largest round-trip error, in sds of x",
    "nll": "negative log-likelihood of a held-out x, in nats",
    "nll_exact": "the same by the exact density",
    "kl": "KL divergence of the model from the exact density, in nats",
    "share_without_density": "held-out rows outside the model's support, left out of nll",
    "err_resim": "mean of |s(x) - y|^2 over draws and held-out ys",
    "err_resim_median": "the median over ys of what a y's draws give",
    "resimulation_error": "root of err_resim, in units of y",
    "resimulation_error_truth": "the same of the true x: what the noise makes of it",
    "ess": "share of draws left when weighted by the exact prior and likelihood: 1 perfect",
    "err_resim_worst": "the largest of them",
    "mmd2": "squared MMD of draws to exact ones, the mean over ys (Kruse's Err_post); 0 where they agree",
    "mmd2_median": "the median over ys",
    "mmd2_worst": "the largest of them",
    "refined_mmd2": "the same of draws moved onto y = s(x)",
    "refined_err_resim": "err_resim of draws moved onto y = s(x)",
    "nonfinite_draws": "share of draws that are no numbers",
    "coverage_50": "share of true x inside their central 50 % interval, over all unknowns",
    "coverage_80": "the same of the 80 % interval",
    "coverage_90": "the same of the 90 % interval",
    "sbc_p": "chance of ranks as uneven as these, were it calibrated; the worst unknown",
    "tarp_p": "the same of distances to reference points that depend on y",
    "follows_y": "how far draws go along with y: 1 right, 0 not at all",
    "contraction": "1 - variance of x given y over that of x, mean of all unknowns",
    "z_score": "root mean square of (x - posterior mean) / sd: 1 where calibrated",
    "unfamiliar_ys": "share of held-out ys called unfamiliar, .01 where they are as in training",
    "c2st": "accuracy of telling draws from exact ones: .5 perfect, 1 useless",
    "c2st_sd": "its sd over the observations",
}


def evaluate(
    run: RunOption = None,
    y: Annotated[
        list[str] | None,
        typer.Option(
            "--y",
            metavar="VALUES",
            show_default="the published observations, or 3 held-out ys",
            help="Where to compare with the exact posterior: 0.3 or name=3,other=4; may be repeated.",
        ),
    ] = None,
    y_file: Annotated[
        str | None, typer.Option("--y-file", metavar="FILE", help="The same as a table (CSV, Parquet, NPZ), one a row.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            "-n",
            min=100,
            metavar="N",
            show_default="10000; 2000 of more than 4 unknowns",
            help="Draws a side of the two-sample test; fewer are faster, and not comparable with published figures.",
        ),
    ] = None,
    seed: SeedOption = 0,
    resimulate: Annotated[
        bool,
        typer.Option(
            "--resimulate", help="Run your own simulator file again, for new pairs and the resimulation error."
        ),
    ] = False,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine", help="Also compare draws moved onto the simulator's own y, as `inn invert --refine` moves them."
        ),
    ] = False,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure anew what an earlier call has found.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what a run is worth: numbers on held-out pairs, with error bars, and a verdict for each question.

    Measures what the task allows: round trip and likelihood always, draws against y where y can be simulated,
    draws against exact ones where the answer is known. The same seed gives the same numbers. They are kept in the run
    directory, so that asking again answers at once.

    \b
    Examples:
      inn evaluate
      inn evaluate --y 0.3 --y 1.0 --run 2026-11-23_10-04
      inn evaluate --json | jq .metrics.c2st

    Next: `inn plot posterior --y ... --reference`.
    """
    from inncli.runs.registry import find_run

    if y and y_file is not None:
        raise RequestError("expected one of --y and --y-file, got both; leave one out")
    found = find_run(run)

    from inncli.evaluation.cache import kept
    from inncli.inference.run_task import changed_simulator

    asked = {"seed": seed, "samples": samples, "y": None, "resimulate": resimulate, "refine": refine, "device": device}
    trained, warnings = None, []
    if y or y_file is not None:
        trained, asked["y"] = _given(found, y, y_file, device, config_dir)
        warnings = trained.unfamiliar(asked["y"])
    before = None if fresh else kept(found, **asked)
    if before is None:
        from inncli.evaluation.evaluate import evaluate_kept

        with console.progress() as on_progress:
            result = evaluate_kept(
                found, trained=trained, config_dir=config_dir, fresh=True, on_progress=on_progress, **asked
            )
        if kept(found, **asked) is None:
            console.note(f"not kept, since {found.path} can't be written to")
    else:
        result, made = before
        console.note(f"found on {made}; --fresh measures anew")
    warnings += changed_simulator(found, resimulate)
    if json:
        console.as_json({**asdict(result), "warnings": warnings})
    else:
        _print(found, result)
    for warning in warnings:
        console.note(f"warning: {warning}")


def _given(run, y, y_file, device, config_dir):
    """The opened run, and the ys that it was asked for, (n_obs, Dy)."""
    import numpy as np

    from inncli.data.observations import parse_y, read_points
    from inncli.inference.opening import open_run

    trained = open_run(run, device, config_dir)
    if y_file is not None and trained.y is not None:
        return trained, read_points(y_file, trained.y, run.id)
    return trained, np.concatenate([parse_y(words, trained.y, run.id) for words in y or [""]])


def _print(run, found) -> None:
    from inncli.metrics.verdicts import QUESTIONS

    info = run.info()
    console.line(
        f"run {run.id}: {info['model']} on {info['task']}, {found.settings['held_out']:,} held-out rows "
        f"({found.settings['held_out_from']})"
    )
    console.table(
        ["metric", "value", "+-", ""],
        [
            [name, None if value is None else float(value), found.se.get(name), MEANING.get(name, "")]
            for name, value in found.metrics.items()
        ],
    )
    console.line("")
    told = [entry for entry in found.observations if "familiarity" in entry]
    if told:
        console.table(
            ["y", "c2st", "distance to training ys", "percentile", "familiar"],
            [
                [
                    ", ".join(shown(value, sd=10, least=6) for value in entry["y"]),
                    entry.get("c2st"),
                    entry["familiarity"]["distance"],
                    entry["familiarity"]["percentile"],
                    "yes" if entry["familiarity"]["familiar"] else "NO",
                ]
                for entry in told
            ],
        )
        console.line("")
    for name, question in QUESTIONS.items():
        if name in found.verdicts:
            verdict = found.verdicts[name]
            console.line(f"{question} {'Yes' if verdict.ok else 'No'}: {verdict.text}.")
