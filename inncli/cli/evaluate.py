"""`inn evaluate`: numbers on held-out pairs, with error bars, and a verdict for each question."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from inncli import data, evaluation, experiments, inference, metrics
from inncli.cli import console
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, RunOption, SeedOption, TableOption
from inncli.errors import RequestError
from inncli.io.digits import shown
from inncli.metrics import registry
from inncli.runs.registry import find_run
from inncli.runs.run_dir import RunDir
from inncli.runs.snapshot import RunSnapshot


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
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            min=0,
            max=100,
            metavar="K",
            show_default="5 for a small table whose training was short, else 0",
            help="Judge a table's run by K nets, each trained on the rows that it isn't judged on; 0 is the held-out "
            "rows alone.",
        ),
    ] = None,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
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
    if y and y_file is not None:
        raise RequestError("expected one of --y and --y-file, got both; leave one out")
    found = RunSnapshot.of(find_run(run))
    inference.run_table.at_tables([found], table or [])
    trained, points, warnings = None, None, []
    if y or y_file is not None:
        trained, points = _given(found, y, y_file, device, config_dir)
        warnings = trained.unfamiliar(points)
    nets = evaluation.folds.folds_for(found, folds)
    request = evaluation.request.EvaluationRequest(seed, samples, points, resimulate, refine, device, folds=nets)
    question = evaluation.cache.Question(found, request)
    answer = None if fresh else evaluation.cache.cached(question)
    if answer is None:
        with console.progress() as on_progress:
            answer = evaluation.evaluate.answer(
                question,
                trained=trained,
                config_dir=config_dir,
                fresh=True,
                train_folds=experiments.folds.train_folds,
                on_progress=on_progress,
            )
    if answer.cached:
        console.note(f"found on {answer.made}; --fresh measures anew")
    elif answer.not_kept:
        console.note(f"not kept, since {answer.not_kept}")
    result = answer.evaluation
    warnings += inference.run_task.changed_simulator(found, resimulate)
    if json:
        console.as_json({**asdict(result), "warnings": warnings})
    else:
        _print(found, result)
    for warning in warnings:
        console.prose(f"warning: {warning}", sys.stderr)


def _given(
    run: RunDir, y: list[str] | None, y_file: str | None, device: str | None, config_dir: str | None
) -> tuple[inference.trained_model.TrainedModel, Any]:
    """The opened run, and the ys that it was asked for, (n_obs, Dy)."""
    trained = inference.opening.open_run(run, device, config_dir)
    if y_file is not None and trained.y is not None:
        return trained, data.observations.read_points(y_file, trained.y, run.id)
    return trained, data.observations.parse_ys(y or [""], trained.y, run.id)


def _print(run: RunDir, found: evaluation.cache.Evaluation) -> None:
    info = run.info()
    console.prose(
        f"run {run.id}: {info['model']} on {info['task']}, {found.settings['held_out']:,} held-out rows "
        f"({found.settings['held_out_from']})"
    )
    console.line("")
    for name, question in metrics.verdicts.QUESTIONS.items():
        if name in found.verdicts:
            verdict = found.verdicts[name]
            console.verdict(question, verdict.ok, verdict.answer, verdict.line, verdict.rule)
    console.line("")
    console.table(
        ["metric", "value", "+-", ""],
        [
            [name, None if value is None else float(value), found.se.get(name), registry.find(name).meaning]
            for name, value in found.metrics.items()
        ],
    )
    told = [entry for entry in found.observations if "familiarity" in entry]
    if told:
        console.line("")
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
