"""`inn compare`: runs beside each other in one table, seeds taken together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from inncli import evaluation, inference, metrics
from inncli.cli import compare_picture, compare_table, completion, console
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, SeedOption, TableOption, checked_out
from inncli.errors import InnError, RequestError, did_you_mean
from inncli.runs.registry import outputs_root, read_runs
from inncli.runs.run_dir import RunDir

PICTURES = (".png", ".svg", ".pdf")


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|SWEEP]...",
            autocompletion=completion.runs,
            show_default="all finished runs",
            help="Directories, ids or unique prefixes of runs and of sweeps.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "-m", metavar="NAME", help="A column to show instead of the usual ones; may be repeated."
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort", metavar="NAME", show_default="the first column", help="The column to sort by, best first."
        ),
    ] = None,
    evaluate: Annotated[
        bool | None,
        typer.Option(
            "--evaluate/--no-evaluate",
            show_default="where runs are named",
            help="Evaluate runs that were not yet; else show what is known.",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            "-n",
            min=100,
            metavar="N",
            show_default="as in inn evaluate",
            help="Draws a side of the two-sample test.",
        ),
    ] = None,
    seed: SeedOption = 0,
    resimulate: Annotated[
        bool, typer.Option("--resimulate", help="Run your own simulator files again, as in `inn evaluate`.")
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw accuracy against the number that differs, a line a model.")
    ] = False,
    x: Annotated[
        str | None,
        typer.Option(
            "--x", metavar="KEY", help="The setting to draw against, e.g. task.n_train, where several differ."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            show_default="compare.png in the sweep, else here",
            help="Where to write the picture (.png .svg .pdf).",
        ),
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write a table of one row a run; - is stdout.")
    ] = None,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    tables: TableOption = None,
    json: JsonOption = False,
) -> None:
    """Compare runs in one table: metrics by column, seeds taken together as mean +- sd, the best marked.

    Runs of different tasks come in tables of their own. Each run is evaluated once, on the same held-out pairs with
    the same settings, and what was found is kept; with --metric only what these metrics need is measured. Only settings
    that differ are shown.

    \b
    Examples:
      inn train -m model=rnvp,spline 'seed=range(3)'
      inn compare 2026-11-23_10-04_ring          the sweep, by a prefix of its id
      inn compare RUN RUN --metric nll --metric c2st
      inn compare SWEEP --plot --out accuracy.pdf
      inn compare SWEEP --csv table.csv
      inn compare --no-evaluate                  every finished run, by what is known of it

    \b
    Next: inn evaluate --run RUN
    """
    if (x is not None or out is not None) and not plot:
        raise RequestError(f"{'--x' if x is not None else '--out'} goes with --plot; add that, or leave it out")
    if json and csv == "-":
        raise RequestError("--json and --csv - both want stdout; name a file, --csv FILE")
    picture = checked_out(out, PICTURES)
    table = checked_out(None if csv == "-" else csv, (".csv",))
    entries, left_out, folder = _named(runs) if runs else _finished()
    inference.run_table.at_tables([entry.run for entry in entries if entry.problem is None], tables or [])
    evaluate = bool(runs) if evaluate is None else evaluate
    steps = metrics.registry.steps_of([*metric, *([sort] if sort else [])]) if metric else None
    request = evaluation.request.EvaluationRequest(seed, samples, resimulate=resimulate, device=device, steps=steps)
    _add_evaluations(entries, evaluate, request, config_dir)
    found = evaluation.groups.problems(entries)
    left_out += [
        {"run": entry.run.id, "status": entry.info["status"], "error": entry.problem}
        for entry in entries
        if entry.problem
    ]
    if not found:
        why = f" ({left_out[0]['error']})" if left_out else ""
        raise RequestError(f"expected finished runs to compare, got none{why}; try `inn runs`")
    for problem in found:
        _check_names(found, [*(metric or []), *([sort] if sort else [])])
        columns = metric or problem.columns
        if sort or columns:
            problem.sort(sort or columns[0])
    if plot:
        kept = compare_picture.draw(found, metric, x, picture or (folder or Path()) / "compare.png")
        if not json and csv != "-":
            console.line(f"picture: {kept}")
    if csv is not None:
        compare_table.write_csv(found, metric, table)
    if json:
        console.as_json(evaluation.compare.as_dict(found, left_out))
    elif csv != "-":
        for problem in found:
            compare_table.show(problem, metric)
    for entry in entries:
        if entry.problem is None:
            for warning in inference.run_task.changed_simulator(entry.run, resimulate):
                console.prose(f"warning: {warning}", sys.stderr)
    for lost in left_out:
        console.prose(f"left out {lost['run']} ({lost['status']}): {lost['error']}", sys.stderr)


# ---- which runs, and what is known of them -----------------------------------------------------------
def _named(words: list[str]) -> tuple[list[evaluation.entries.Entry], list[dict[str, Any]], Path | None]:
    """The runs of these words, each once; jobs that left no run; the folder of the sweep, if only one was named."""
    runs: dict[Path, RunDir] = {}
    lost = []
    for word in words:
        found, without = evaluation.entries.find(word)
        runs |= {run.path.resolve(): run for run in found}
        lost += [
            {
                "run": f"job {job['job']} of {word}",
                "status": job.get("status"),
                "error": f"{' '.join(job.get('overrides') or [])}: {job.get('error') or 'left no run'}",
            }
            for job in without
        ]
    parents = {path.parent for path in runs}
    only = parents.pop() if len(parents) == 1 else None
    folder = only if only is not None and (only / "sweep.json").is_file() else None
    return [evaluation.entries.read(run) for run in runs.values()], lost, folder


def _finished() -> tuple[list[evaluation.entries.Entry], list[dict[str, Any]], None]:
    done = [run for run, info in read_runs() if info["status"] == "done"]
    if not done:
        raise RequestError(
            f"expected finished runs under {outputs_root()}, got none; train some with `inn train -m "
            "model=rnvp,spline`, or name them"
        )
    return [evaluation.entries.read(run) for run in done], [], None


def _add_evaluations(
    entries: list[evaluation.entries.Entry],
    evaluate: bool,
    request: evaluation.request.EvaluationRequest,
    config_dir: str | None,
) -> None:
    """Reads what is kept, then measures the rest, one line on stderr each."""
    missing = []
    # Training gives what takes no step.
    asked = [entry for entry in entries if entry.problem is None and request.steps != ()]
    for entry, question in zip(asked, evaluation.compare.questions(asked, request), strict=True):
        before = evaluation.cache.cached(question)
        if before is None:
            missing.append((entry, question))
        else:
            evaluation.entries.add_evaluation(entry, before.evaluation)
    if missing and not evaluate:
        console.note(f"{len(missing)} of {len(entries)} runs were not evaluated in this way; --evaluate does it")
        return
    failed = []
    with console.progress() as show:
        for number, (entry, question) in enumerate(missing):
            doing = f"evaluating {number + 1} of {len(missing)}: {entry.run.id}"
            if not console.shows_progress():
                console.note(doing)

            def on_progress(text: str, share: float, number: int = number, doing: str = doing) -> None:
                show(f"{doing}, {text}", (number + share) / len(missing))

            try:
                answer = evaluation.evaluate.answer(question, config_dir=config_dir, on_progress=on_progress)
                evaluation.entries.add_evaluation(entry, answer.evaluation)
            except InnError as error:  # one run that can't be judged leaves the others
                failed.append(f"{entry.run.id} was not evaluated: {console.said(error)}")
    for text in failed:
        console.prose(text, sys.stderr)


def _check_names(found: list[evaluation.groups.Problem], names: list[str]) -> None:
    known = list(dict.fromkeys(name for problem in found for name in problem.metrics))
    for name in names:
        if name not in known:
            raise RequestError(
                f"no run has a metric {name!r}{did_you_mean(name, known) or '; there are ' + ', '.join(known)}"
            )
