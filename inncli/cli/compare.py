"""`inn compare`: runs beside each other in one table, seeds taken together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inncli.cli import completion, console
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, SeedOption, checked_out
from inncli.errors import InnError, RequestError, did_you_mean

if TYPE_CHECKING:
    from inncli.evaluation.compare import Entry, Group, Problem

PICTURES = (".png", ".svg", ".pdf")
TITLES = {
    "mmd2": "Err_post",
    "mmd2_median": "Err_post median",
    "mmd2_worst": "Err_post worst",
    "err_resim": "Err_resim",
    "err_resim_median": "Err_resim median",
}  # as the published table of kruse runs heads its columns


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
    json: JsonOption = False,
) -> None:
    """Compare runs in one table: metrics by column, seeds taken together as mean +- sd, the best marked.

    Runs of different tasks come in tables of their own. Each run is evaluated once, on the same held-out pairs with
    the same settings, and what was found is kept. Only settings that differ are shown.

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
    from inncli.evaluation import compare as comparison
    from inncli.inference.run_task import changed_simulator

    if (x is not None or out is not None) and not plot:
        raise RequestError(f"{'--x' if x is not None else '--out'} goes with --plot; add that, or leave it out")
    if json and csv == "-":
        raise RequestError("--json and --csv - both want stdout; name a file, --csv FILE")
    picture = checked_out(out, PICTURES)
    table = checked_out(None if csv == "-" else csv, (".csv",))
    entries, left_out, folder = _named(runs) if runs else _finished()
    evaluate = bool(runs) if evaluate is None else evaluate
    settings = {"seed": seed, "samples": samples, "resimulate": resimulate, "device": device}
    _add_evaluations(entries, evaluate, settings, config_dir)
    found = comparison.problems(entries)
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
        kept = _picture(found, metric, x, picture or (folder or Path()) / "compare.png")
        if not json and csv != "-":
            console.line(f"picture: {kept}")
    if csv is not None:
        _csv(found, metric, table)
    if json:
        console.as_json(comparison.as_dict(found, left_out))
    elif csv != "-":
        for problem in found:
            _print(problem, metric)
    for entry in entries:
        if entry.problem is None:
            for warning in changed_simulator(entry.run, resimulate):
                console.note(f"warning: {warning}")
    for entry in left_out:
        console.note(f"left out {entry['run']} ({entry['status']}): {entry['error']}")


# ---- which runs, and what is known of them -----------------------------------------------------------
def _named(words: list[str]) -> tuple[list[Entry], list[dict], Path | None]:
    """The runs of these words, each once; jobs that left no run; the folder of the sweep, if only one was named."""
    from inncli.evaluation import compare as comparison

    runs, lost = {}, []
    for word in words:
        found, without = comparison.find(word)
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
    return [comparison.read(run) for run in runs.values()], lost, folder


def _finished() -> tuple[list[Entry], list[dict], None]:
    from inncli.evaluation import compare as comparison
    from inncli.runs.registry import outputs_root, read_runs

    done = [run for run, info in read_runs() if info["status"] == "done"]
    if not done:
        raise RequestError(
            f"expected finished runs under {outputs_root()}, got none; train some with `inn train -m "
            "model=rnvp,spline`, or name them"
        )
    return [comparison.read(run) for run in done], [], None


def _add_evaluations(entries: list[Entry], evaluate: bool, settings: dict, config_dir: str | None) -> None:
    """Reads what is kept, then measures the rest, one line on stderr each."""
    from inncli.evaluation import compare as comparison
    from inncli.evaluation.cache import kept

    missing = []
    for entry in entries:
        if entry.problem is None:
            before = kept(entry.run, **comparison.asked_of(entry, **settings))
            if before is None:
                missing.append(entry)
            else:
                comparison.add_evaluation(entry, before[0])
    if missing and not evaluate:
        console.note(f"{len(missing)} of {len(entries)} runs were not evaluated in this way; --evaluate does it")
        return
    if missing:
        from inncli.evaluation.evaluate import evaluate_kept
    for number, entry in enumerate(missing, 1):
        console.note(f"evaluating {number} of {len(missing)}: {entry.run.id}")
        try:
            comparison.add_evaluation(
                entry, evaluate_kept(entry.run, config_dir=config_dir, **comparison.asked_of(entry, **settings))
            )
        except InnError as error:  # one run that can't be judged leaves the others
            console.note(f"{entry.run.id} was not evaluated: {console.said(error)}")


def _check_names(found: list[Problem], names: list[str]) -> None:
    known = list(dict.fromkeys(name for problem in found for name in problem.metrics))
    for name in names:
        if name not in known:
            raise RequestError(
                f"no run has a metric {name!r}{did_you_mean(name, known) or '; there are ' + ', '.join(known)}"
            )


# ---- the table ---------------------------------------------------------------------------------------
def _print(problem: Problem, metric: list[str] | None) -> None:
    columns = metric or problem.columns
    runs = sum(len(group.entries) for group in problem.groups)
    title = f"{problem.task}{_words(problem.config, ' ')}: {runs} run{'s' if runs > 1 else ''}"
    kruse = not metric and "mmd2_median" in columns
    headers = ["config", "seeds", *(TITLES.get(name, name) if kruse else name for name in columns)]
    best = {name: problem.best(name) for name in columns}
    rows = [
        [
            _words(group.config) or group.entries[0].config.get("model") or "?",
            len(group.entries),
            *(_cell(group, name, any(best[name]), group in best[name]) for name in columns),
        ]
        for group in problem.groups
    ]
    marked = {
        (i, j) for i, group in enumerate(problem.groups) for j, name in enumerate(columns, 2) if group in best[name]
    }
    console.table(headers, rows, title, marked)
    if marked:
        console.line("* best of its column")
    console.line("")


def _cell(group: Group, name: str, starred: bool, best: bool) -> console.Number | None:
    found, (yes, asked) = group.mean_sd(name), group.yes(name)
    if found is None:
        return console.Number(("yes" if yes else "NO") if asked == 1 else f"{yes} of {asked}") if asked else None
    return console.Number(mean_text(*found) + (" *" if best else "  " if starred else ""))


def mean_text(mean: float, sd: float | None) -> str:
    """`-2.310 +- 0.021`: two digits of the sd, and no more of the mean; 4 digits of a mean without one."""
    import math

    if not math.isfinite(mean):
        return "-"
    if not sd or not math.isfinite(sd):  # one seed, or a number that no seed changes
        return f"{int(mean):,}" if mean == int(mean) and abs(mean) < 1e12 else f"{mean:.4g}"
    if not 1e-3 <= max(abs(mean), sd) < 1e6:
        return f"{mean:.3g} +- {sd:.1e}"
    digits = max(1 - math.floor(math.log10(sd)), 0)
    return f"{mean:,.{digits}f} +- {sd:,.{digits}f}" if digits < 7 else f"{mean:.6g} +- {sd:.1e}"


def _words(config: dict, before: str = "") -> str:
    """`model=spline  task.n_train=1000`, long values by their ends."""
    from inncli.cli.show import typed

    return (before if config else "") + "  ".join(f"{key}={_short(typed(value))}" for key, value in config.items())


def _short(value: object) -> str:
    text = "null" if value is None else str(value)
    text = text.rpartition("/")[2] if "/" in text else text
    return text if len(text) <= 30 else f"{text[:14]}...{text[-13:]}"


# ---- files -------------------------------------------------------------------------------------------
def _csv(found: list[Problem], metric: list[str] | None, path: Path | None) -> None:
    """One row a run; what differs and what was measured by column."""
    import csv
    import io

    from inncli.io.atomic import atomic_write

    keys = list(
        dict.fromkeys(key for problem in found for group in problem.groups for key in (*problem.config, *group.config))
    )
    names = metric or list(dict.fromkeys(name for problem in found for name in problem.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "task", *(key for key in keys if key != "task"), "seed", *names])
    for problem in found:
        for group in problem.groups:
            for entry in group.entries:
                settings = [{**problem.config, **group.config}.get(key) for key in keys if key != "task"]
                values = [entry.metrics.get(name, entry.verdicts.get(name)) for name in names]
                writer.writerow([entry.run.id, problem.task, *settings, entry.info.get("seed"), *values])
    if path is None:
        console.line(text.getvalue().rstrip("\n"))
    else:
        atomic_write(path, text.getvalue())
        console.note(f"table: {path}")


def _picture(found: list[Problem], metric: list[str] | None, x: str | None, path: Path) -> Path:
    if len(found) > 1:
        tasks = ", ".join(f"{problem.task}{_words(problem.config, ' ')}" for problem in found)
        raise RequestError(f"--plot draws runs of one task, got {tasks}; name fewer runs")
    (problem,) = found
    from inncli.evaluation import compare as comparison
    from inncli.plots.compare import compare_plot
    from inncli.plots.style import save

    key, lines = comparison.lines(problem, x)
    names = metric or [name for name in ("nll", "c2st", "mmd2", "err_resim", "val_loss") if name in problem.columns][:3]
    names = [name for name in names if any(group.values(name) for group in problem.groups)]
    if not names:
        raise RequestError(
            "--plot: no number to draw is known of these runs; leave out --no-evaluate, or choose with --metric"
        )
    series = {
        _words(dict(label)) or problem.task: [
            (at, {name: group.values(name) for name in names}) for at, group in points
        ]
        for label, points in lines
    }
    return save(compare_plot(series, names, key, f"{problem.task}{_words(problem.config, ' ')}"), path)
