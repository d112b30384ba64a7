"""`inn plot cobweb`: fixed points, stability and orbit of a map of the line, or of a block of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inncli.cli import console
from inncli.errors import RequestError, did_you_mean

# What each map takes beside --x0 and --steps, with what it takes if nothing is given.
MAPS = {"logistic": {"--r": 3.2}, "circle": {"--omega": 0.1, "--k": 0.9}, "kepler": {"--e": 0.8, "--y": 0.3}}
START, STEPS = 0.1, 60

MapName = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="NAME",
        show_default="logistic, without --run",
        autocompletion=lambda incomplete: [name for name in MAPS if name.startswith(incomplete)],
        help="cobweb: logistic x <- r x (1 - x); circle x <- x + omega - k/(2 pi) sin(2 pi x); "
        "kepler x <- y + e sin x, which inverts the increasing function x - e sin x.",
    ),
]
R = Annotated[float | None, typer.Option("--r", metavar="R", show_default="3.2", help="cobweb of logistic.")]
Omega = Annotated[
    float | None, typer.Option("--omega", metavar="W", show_default="0.1", help="cobweb of circle: turns a step.")
]
K = Annotated[float | None, typer.Option("--k", metavar="K", show_default="0.9", help="cobweb of circle: coupling.")]
E = Annotated[
    float | None, typer.Option("--e", metavar="E", show_default="0.8", help="cobweb of kepler; its y is --y.")
]
Block = Annotated[
    int | None,
    typer.Option(
        "--block", min=0, metavar="N", show_default="0", help="cobweb of a run: which residual block, from x to z."
    ),
]
Z = Annotated[
    float | None,
    typer.Option(
        "--z", metavar="Z", show_default="that of a draw", help="cobweb of a run: the block's output that is inverted."
    ),
]
X0 = Annotated[
    float | None,
    typer.Option(
        "--x0",
        metavar="X",
        show_default="0.1; what is inverted, for kepler and a run",
        help="cobweb: start of the orbit.",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=1, max=10_000, metavar="N", show_default="60", help="cobweb: steps of the orbit."),
]


def options(map_name, r, omega, k, e, block, z, x0, steps) -> dict[str, object]:
    """The options of this picture alone, by name."""
    return {
        "--map": map_name,
        "--r": r,
        "--omega": omega,
        "--k": k,
        "--e": e,
        "--block": block,
        "--z": z,
        "--x0": x0,
        "--steps": steps,
    }


def figure(
    run, y, map_name, r, omega, k, e, block, z, x0, steps, json: bool, path: Path | None, seed: int, device, config_dir
):
    """The picture and where it goes by default; prints the facts."""
    given = options(map_name, r, omega, k, e, block, z, None, None) | {"--y": y}
    of_run = run is not None or block is not None or z is not None
    if of_run:
        _refuse(given, {"--block", "--z", "--y"}, "a run")
        made, certificate, default = _block(run, block or 0, y, z, seed, device, config_dir)
    else:
        made, certificate, default = _map(given), None, Path("cobweb.png")
    from inncli.numerics import iterated_maps
    from inncli.plots.cobweb import cobweb

    start = x0 if x0 is not None else START if made.target is None else made.target
    points, constant = iterated_maps.fixed_points(made), iterated_maps.lipschitz(made)
    orbit, cycle = iterated_maps.orbit(made, start, steps or STEPS), iterated_maps.cycle(made, start)
    if json:
        console.as_json(
            {
                "map": made.name,
                "interval": [made.low, made.high],
                "lipschitz": constant,
                "certificate": certificate,
                "fixed_points": [{"x": p.x, "slope": p.slope, "stable": p.stable} for p in points],
                "orbit": orbit.tolist(),
                "cycle": None if cycle is None else cycle.tolist(),
                "out": str(path or default),
            }
        )
    else:
        _print(made, points, constant, certificate, orbit, cycle)
    return cobweb(made, points, orbit, constant), default


def _map(given: dict):
    """The named map at the parameters given, or its defaults."""
    from inncli.numerics import iterated_maps

    name = given["--map"] or "logistic"
    if name not in MAPS:
        raise RequestError(
            f"--map: expected one of {', '.join(MAPS)}, got {name!r}{did_you_mean(name, MAPS) or '; pick one of those'}"
        )
    _refuse(given, {"--map", *MAPS[name]}, f"--map {name}")
    values = {
        key.strip("-"): _number(key, default if given[key] is None else given[key])
        for key, default in MAPS[name].items()
    }
    return getattr(iterated_maps, name)(**values)


def _number(key: str, value) -> float:
    import math

    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(f"{key}: expected a number, got {value!r}; e.g. {key} 1.0")
    return number


def _refuse(given: dict, taken: set[str], whose: str) -> None:
    for key, value in given.items():
        if value is not None and key not in taken:
            raise RequestError(f"{key} does not go with {whose}, which takes {', '.join(sorted(taken))}; leave it out")


def _block(spec, k: int, y, z, seed: int, device, config_dir):
    from inncli.runs.registry import find_run

    run = find_run(spec)

    from inncli.data.observations import parse_y
    from inncli.inference.opening import open_run
    from inncli.inference.residual_block import inversion_of_block

    trained = open_run(run, device, config_dir)
    if trained.y is not None and y is None:
        raise RequestError(f"run {run.id} models x given y ({', '.join(trained.y.names)}); pass --y, e.g. --y 0.3")
    row = None if y is None else parse_y(y, trained.y, run.id)
    made, certificate = inversion_of_block(trained, k, row, z, seed)
    return made, certificate, run.plots / f"cobweb_block{k}.png"


def _print(made, points, constant: float, certificate: float | None, orbit, cycle) -> None:
    console.line(f"{made.name}, on [{made.low:g}, {made.high:g}]")
    what = "below 1: a contraction" if constant < 1 else "not below 1: no contraction"
    console.line(
        f"Lipschitz constant {constant:.6g} there, {what}"
        + (f"; certified everywhere: {certificate:.6g}" if certificate is not None else "")
    )
    if points:
        console.table(["fixed point", "slope", ""], [[p.x, p.slope, p.kind] for p in points])
    else:
        console.line("no fixed point there")
    console.line(f"orbit from {orbit[0]:g}: {_fate(orbit, cycle)}")


def _fate(orbit, cycle) -> str:
    if abs(orbit[-1]) >= 1e6:
        return f"leaves for infinity, {orbit[-1]:.3g} after {len(orbit) - 1} steps"
    if cycle is None:
        return "settles on no cycle of up to 64 points"
    if len(cycle) == 1:
        return f"goes to {cycle[0]:.6g}"
    shown = ", ".join(f"{x:.5g}" for x in cycle[:8]) + (", ..." if len(cycle) > 8 else "")
    return f"settles on a cycle of {len(cycle)}: {shown}"
