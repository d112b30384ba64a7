"""`inn report`: one HTML file with the verdicts, the numbers and the pictures of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from inncli import data, evaluation, experiments, inference, reporting
from inncli.cli import completion, console
from inncli.cli.options import ConfigDirOption, DeviceOption, OutOption, SeedOption, TableOption, checked_out, in_run
from inncli.errors import RequestError
from inncli.io.atomic import atomic_write
from inncli.runs.registry import find_run
from inncli.runs.snapshot import RunSnapshot


def report(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            autocompletion=completion.runs,
            show_default="the latest finished run",
            help="Run directory, run id or a unique prefix of it.",
        ),
    ] = None,
    named: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", autocompletion=completion.runs, show_default=False, help="The same, as elsewhere."
        ),
    ] = None,
    out: OutOption = None,
    y: Annotated[
        list[str] | None,
        typer.Option(
            "--y",
            metavar="VALUES",
            show_default="2 held-out ys",
            help="Where to draw the posterior: 0.3 or name=3,other=4; may be repeated.",
        ),
    ] = None,
    seed: SeedOption = 0,
    resimulate: Annotated[
        bool,
        typer.Option(
            "--resimulate", help="Run your own simulator file again, for new pairs and what it makes of the draws."
        ),
    ] = False,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
) -> None:
    """Write one HTML file that says what a run is and what it is worth, and print where it is.

    Verdicts first, then the numbers with error bars, pictures and settings. The file needs nothing else: it opens
    offline, can be mailed, and asks no server. It takes what `inn evaluate` has found, or evaluates now.

    \b
    Examples:
      inn report
      inn report 2026-11-23_10-04 --out ring.html
      inn report --y 0.3 --y 1.5
    """
    if run is not None and named is not None:
        raise RequestError(f"expected one run, got {run} and --run {named}; leave one out")
    path = checked_out(out, (".html",))
    found = RunSnapshot.of(find_run(run or named))
    inference.run_table.at_tables([found], table or [])
    path = path or in_run(found.path / "report.html")
    trained = inference.opening.open_run(found, device, config_dir)
    rows = data.observations.parse_ys(y, trained.y, found.id) if y else None
    warnings = [
        *([] if rows is None else trained.unfamiliar(rows)),
        *inference.run_task.changed_simulator(found, resimulate),
    ]
    # What is wrong with the request shows before anything is measured.
    inference.run_task.task_to_ask(found, resimulate, trained.trust)
    nets = evaluation.folds.folds_for(found, None)
    request = evaluation.request.EvaluationRequest(seed, resimulate=resimulate, device=device, folds=nets)
    question = evaluation.cache.Question(found, request)
    answer = evaluation.evaluate.answer(
        question, trained=trained, config_dir=config_dir, train_folds=experiments.folds.train_folds
    )
    result = answer.evaluation
    text = reporting.report.report(found, trained, result, seed=seed, y=rows, resimulate=resimulate, warnings=warnings)
    atomic_write(path, text)
    for warning in warnings:
        console.note(f"warning: {warning}")
    console.line(str(path))
