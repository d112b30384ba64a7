"""What `inn invert` says of a posterior set: a table an observation, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inncli.cli import console

if TYPE_CHECKING:
    from inncli.inference.posterior_set import PosteriorSet
    from inncli.inference.summary import StreamedSummary

OBSERVATIONS = 5  # whose table is printed
SOLUTIONS = 12  # rows of the table of a search
TOLD = ("converged", "solution", "refined", "moved")  # by that table, and by the line on --refine


def entries(
    posterior: PosteriorSet | StreamedSummary,
    errors: list[dict] | None,
    refined: list[dict] | None,
    familiar: list[dict] | None = None,
) -> list[dict]:
    """One JSON-ready dict an observation."""
    made = [{"y": posterior.y_outside(obs), "x": {}} for obs in range(posterior.n_obs)]
    for row in posterior.summary():
        stats = {key: row[key] for key in ("mean", "sd", "q05", "q50", "q95")}
        made[row["obs"]]["x"][row["name"]] = stats
    for obs, entry in enumerate(made):
        if errors is not None:
            entry |= errors[obs]
        if posterior.extra:
            entry["extra"] = {name: {"q50": middle, "q95": high} for name, middle, high in extras(posterior, obs)}
        if "solution" in posterior.extra:
            entry["converged"] = float(posterior.extra["converged"][obs].mean())
            entry["solutions"] = solutions(posterior, obs)
        if refined is not None:
            entry["refined"] = refined[obs]
        if familiar is not None:
            entry["familiarity"] = familiar[obs]
    return made


def show(
    run: str,
    posterior: PosteriorSet | StreamedSummary,
    errors: list[dict] | None,
    refined: list[dict] | None,
    familiar: list[dict] | None = None,
    y_sd: dict[str, float] | None = None,
) -> None:
    """Prints the tables.

    Args:
        y_sd: about how far the training ys scatter, by column: y is shown as precisely.
    """
    rows = posterior.summary()
    for obs in range(min(posterior.n_obs, OBSERVATIONS)):
        given = ", ".join(
            f"{name} = {console.words(value, (y_sd or {}).get(name))}"
            for name, value in posterior.y_outside(obs).items()
        )
        console.line(f"{given}: {posterior.n_draws:,} draws from run {run}")
        if "solution" in posterior.extra:
            _show_solutions(posterior, obs)
        else:
            console.table(
                ["unknown", "mean", "sd", "5%", "50%", "95%"],
                [
                    [
                        row["name"],
                        *console.numbers([row[key] for key in ("mean", "sd", "q05", "q50", "q95")], row["sd"]),
                    ]
                    for row in rows
                    if row["obs"] == obs
                ],
            )
        for name, middle, high in extras(posterior, obs):
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
    if posterior.n_obs > OBSERVATIONS:
        console.line(f"and {posterior.n_obs - OBSERVATIONS:,} more observations in the file")


def solutions(posterior: PosteriorSet, obs: int) -> list[dict]:
    """The distinct solutions of a search, most draws first: their number, draws, centre, and median loss."""
    which, loss, x = posterior.extra["solution"][obs], posterior.extra["loss"][obs], posterior.x[obs]
    import numpy as np

    found = []
    for number in range(int(which.max()) + 1):
        mine = which == number
        found.append(
            {
                "solution": number,
                "draws": int(mine.sum()),
                "centre": dict(zip(posterior.x_names, x[mine].mean(0).tolist())),
                "loss": float(np.median(loss[mine])),
            }
        )
    return found


def extras(posterior: PosteriorSet | StreamedSummary, obs: int) -> list[tuple[str, float, float]]:
    """Name, median and 95 % quantile of each further number a draw."""
    return [(name, *pair) for name, pair in posterior.extra_summary(obs).items() if name not in TOLD]


def _show_solutions(posterior: PosteriorSet, obs: int) -> None:
    found, sd = solutions(posterior, obs), posterior.x[obs].std(0)
    if found:
        console.table(
            ["solution", "draws", *posterior.x_names, "loss"],
            [
                [
                    str(row["solution"]),
                    row["draws"],
                    *(console.Number(console.words(at, s)) for at, s in zip(row["centre"].values(), sd)),
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
    share = posterior.extra["converged"][obs].mean()
    console.line(
        f"{100 * share:.1f}% of the draws converged, to {len(found):,} distinct "
        f"solution{'' if len(found) == 1 else 's'}"
    )


def _familiar(found: dict) -> str:
    return (
        f"{'familiar' if found['familiar'] else 'UNFAMILIAR'} y: distance to training ys {console.words(found['distance'])}, "
        f"percentile {console.words(found['percentile'])} among them"
    )


def _refined(report: dict) -> str:
    before, after, moved = (report[name] for name in ("error_before", "error_after", "moved"))
    words = console.words
    return (
        f"refined: |s(x) - y| median {words(before['q50'])} -> {words(after['q50'])}, 99% {words(before['q99'])} -> "
        f"{words(after['q99'])}; moved by {words(moved['q50'])} sd (99% {words(moved['q99'])}); "
        f"{report['unconverged']:,} of {report['draws']:,} unconverged, left unmoved"
    )
