"""What `inn invert` says of a posterior set: a table an observation, or JSON."""

from __future__ import annotations

from typing import Any

from inncli import inference
from inncli.cli import console

OBSERVATIONS = 5  # whose table is printed
SOLUTIONS = 12  # rows of the table of a search
TOLD = ("converged", "solution", "refined", "moved")  # by that table, and by the line on --refine


def entries(
    summary: inference.summary.PosteriorSummary,
    errors: list[dict[str, Any]] | None,
    refined: list[dict[str, Any]] | None,
    familiar: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """One JSON-ready dict[str, Any] an observation."""
    made = []
    for obs, it in enumerate(summary.observations):
        entry = {"y": it.y, "x": it.x}
        if errors is not None:
            entry |= errors[obs]
        if summary.extra:
            entry["extra"] = {name: {"q50": middle, "q95": high} for name, middle, high in _extras(it)}
        if it.solutions is not None:
            entry |= {"converged": it.converged, "solutions": it.solutions}
        if refined is not None:
            entry["refined"] = refined[obs]
        if familiar is not None:
            entry["familiarity"] = familiar[obs]
        made.append(entry)
    return made


def show(
    run: str,
    summary: inference.summary.PosteriorSummary,
    errors: list[dict[str, Any]] | None,
    refined: list[dict[str, Any]] | None,
    familiar: list[dict[str, Any]] | None = None,
    y_sd: dict[str, float] | None = None,
) -> None:
    """Prints the tables.

    Args:
        run: its id.
        summary: of the set.
        errors: the resimulation errors of each observation, where the task can simulate.
        refined: what `--refine` did, for each observation.
        familiar: whether the training ys had such, for each observation.
        y_sd: about how far the training ys scatter, by column: y is shown as precisely.
    """
    for obs, it in enumerate(summary.observations[:OBSERVATIONS]):
        given = ", ".join(f"{name} = {console.words(value, (y_sd or {}).get(name))}" for name, value in it.y.items())
        console.line(f"{given}: {summary.n_draws:,} draws from run {run}")
        if it.solutions is not None:
            _show_solutions(it)
        else:
            console.table(
                ["unknown", "mean", "sd", "5%", "50%", "95%"],
                [[name, *console.numbers(stats.values(), stats["sd"])] for name, stats in it.x.items()],
            )
        for name, middle, high in _extras(it):
            console.line(f"{name} {console.words(middle)} (95% below {console.words(high)})")
        if refined is not None:
            console.line(_refined(refined[obs]))
        if errors is not None:
            console.line(
                ", ".join(f"{name.replace('_', ' ')} {console.words(error)}" for name, error in errors[obs].items())
            )
        if familiar is not None:
            console.line(_familiar(familiar[obs]))
        console.line("")
    if len(summary.observations) > OBSERVATIONS:
        console.line(f"and {len(summary.observations) - OBSERVATIONS:,} more observations in the file")


def _extras(it: inference.summary.ObservationSummary) -> list[tuple[str, float, float]]:
    """Name, median and 95 % quantile of each further number a draw."""
    return [(name, *pair) for name, pair in it.extra.items() if name not in TOLD]


def _show_solutions(it: inference.summary.ObservationSummary) -> None:
    found, sd = it.solutions or [], [stats["sd"] for stats in it.x.values()]
    if found:
        console.table(
            ["solution", "draws", *it.x, "loss"],
            [
                [
                    str(row["solution"]),
                    row["draws"],
                    *(console.Number(console.words(at, s)) for at, s in zip(row["centre"].values(), sd, strict=True)),
                    row["loss"],
                ]
                for row in found[:SOLUTIONS]
            ],
        )
    if len(found) > SOLUTIONS:
        console.line(
            f"and {len(found) - SOLUTIONS:,} more solutions in the file, of {found[SOLUTIONS]['draws']:,} draws "
            "or fewer"
        )
    console.line(
        f"{100 * (it.converged or 0.0):.1f}% of the draws converged, to {len(found):,} distinct "
        f"solution{'' if len(found) == 1 else 's'}"
    )


def _familiar(found: dict[str, Any]) -> str:
    return (
        f"{'familiar' if found['familiar'] else 'UNFAMILIAR'} y: "
        f"distance to training ys {console.words(found['distance'])}, "
        f"percentile {console.words(found['percentile'])} among them"
    )


def _refined(report: dict[str, Any]) -> str:
    before, after, moved = (report[name] for name in ("error_before", "error_after", "moved"))
    words = console.words
    return (
        f"refined: |s(x) - y| median {words(before['q50'])} -> {words(after['q50'])}, 99% {words(before['q99'])} -> "
        f"{words(after['q99'])}; moved by {words(moved['q50'])} sd (99% {words(moved['q99'])}); "
        f"{report['unconverged']:,} of {report['draws']:,} unconverged, left unmoved"
    )
