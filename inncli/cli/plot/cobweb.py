"""`inn plot cobweb`: fixed points, stability and orbit of a map of the line, or of a block of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from inncli import data, inference, numerics, plots
from inncli.cli import completion, console
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, SeedOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep
from inncli.errors import RequestError, did_you_mean
from inncli.runs.registry import find_run

# What each map takes beside --x0 and --steps, with what it takes if nothing is given.
MAPS = {"logistic": {"--r": 3.2}, "circle": {"--omega": 0.1, "--k": 0.9}, "kepler": {"--e": 0.8, "--y": 0.3}}
START = 0.1


def cobweb(
    map_name: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="NAME",
            show_default="logistic, without --run",
            autocompletion=lambda incomplete: [name for name in MAPS if name.startswith(incomplete)],
            help="logistic x <- r x (1 - x); circle x <- x + omega - k/(2 pi) sin(2 pi x); "
            "kepler x <- y + e sin x, which inverts the increasing function x - e sin x.",
        ),
    ] = None,
    r: Annotated[float | None, typer.Option("--r", metavar="R", show_default="3.2", help="Of logistic.")] = None,
    omega: Annotated[
        float | None, typer.Option("--omega", metavar="W", show_default="0.1", help="Of circle: turns a step.")
    ] = None,
    k: Annotated[
        float | None, typer.Option("--k", metavar="K", show_default="0.9", help="Of circle: coupling.")
    ] = None,
    e: Annotated[float | None, typer.Option("--e", metavar="E", show_default="0.8", help="Of kepler.")] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", metavar="VALUES", show_default="0.3, of kepler", help="Y of kepler; of a run, what is given."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            autocompletion=completion.runs,
            show_default="none, or the latest with --block or --z",
            help="A block of this run instead of a map: an i-ResNet of one unknown.",
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option("--block", min=0, metavar="N", show_default="0", help="Which residual block, from x to z."),
    ] = None,
    z: Annotated[
        float | None,
        typer.Option("--z", metavar="Z", show_default="that of a draw", help="The block's output that is inverted."),
    ] = None,
    x0: Annotated[
        float | None,
        typer.Option(
            "--x0",
            metavar="X",
            show_default="0.1; what is inverted, for kepler and a run",
            help="Start of the orbit.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, max=10_000, metavar="N", help="Steps of the orbit.")] = 60,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            show_default="cobweb.png here, else in the run directory",
            help="Where to write; the suffix is the format.",
        ),
    ] = None,
    json: JsonOption = False,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
) -> None:
    """Draw fixed points, stability and orbit of a map of the line.

    The map is one of three by name, or that by which a residual block of a run is inverted.

    \b
    Examples:
      inn plot cobweb --map logistic --r 3.2
      inn plot cobweb --map kepler --e 0.5 --y 1.0 --json
      inn plot cobweb --run RUN --block 0      how an i-ResNet of one unknown is inverted
    """
    path, certificate = checked_out(out, SUFFIXES), None
    given = {"--map": map_name, "--r": r, "--omega": omega, "--k": k, "--e": e, "--block": block, "--z": z, "--y": y}
    if run is not None or block is not None or z is not None:
        _refuse(given, {"--block", "--z", "--y"}, "a run")
        made, certificate, default = _block(run, block or 0, y, z, seed, device, config_dir)
    else:
        made, default = _map(given), Path("cobweb.png")
    start = x0 if x0 is not None else START if made.target is None else made.target
    maps = numerics.iterated_maps
    points, constant = maps.fixed_points(made), maps.lipschitz(made)
    orbit, found = maps.orbit(made, start, steps), maps.cycle(made, start)
    cycle = None if found is None else found.tolist()
    if json:
        console.as_json(
            {
                "map": made.name,
                "interval": [made.low, made.high],
                "lipschitz": constant,
                "certificate": certificate,
                "fixed_points": [{"x": p.x, "slope": p.slope, "stable": p.stable} for p in points],
                "orbit": orbit.tolist(),
                "cycle": cycle,
                "out": str(path or default),
            }
        )
    else:
        _print(made, points, constant, certificate, orbit.tolist(), cycle)
    figure = plots.cobweb.cobweb(made, points, orbit, constant)
    if json:
        plots.style.save(figure, path or default)
    else:
        keep(figure, path or default)


def _map(given: dict[str, Any]) -> numerics.iterated_maps.Map:
    """The named map at the parameters given, or its defaults."""
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
    make: Callable[..., numerics.iterated_maps.Map] = getattr(numerics.iterated_maps, name)
    return make(**values)


def _number(key: str, value: str | float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(f"{key}: expected a number, got {value!r}; e.g. {key} 1.0")
    return number


def _refuse(given: dict[str, Any], taken: set[str], whose: str) -> None:
    for key, value in given.items():
        if value is not None and key not in taken:
            raise RequestError(f"{key} does not go with {whose}, which takes {', '.join(sorted(taken))}; leave it out")


def _block(
    spec: str | None, k: int, y: str | None, z: float | None, seed: int, device: str | None, config_dir: str | None
) -> tuple[numerics.iterated_maps.Map, float, Path]:
    run = find_run(spec)
    trained = inference.opening.open_run(run, device, config_dir)
    if trained.y is not None and y is None:
        raise RequestError(f"run {run.id} models x given y ({', '.join(trained.y.names)}); pass --y, e.g. --y 0.3")
    row = None if y is None else data.observations.parse_y(y, trained.y, run.id)
    made, certificate = inference.residual_block.inversion_of_block(trained, k, row, z, seed)
    return made, certificate, run.plots / f"cobweb_block{k}.png"


def _print(
    made: numerics.iterated_maps.Map,
    points: list[numerics.iterated_maps.FixedPoint],
    constant: float,
    certificate: float | None,
    orbit: Sequence[float],
    cycle: Sequence[float] | None,
) -> None:
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


def _fate(orbit: Sequence[float], cycle: Sequence[float] | None) -> str:
    if abs(orbit[-1]) >= 1e6:
        return f"leaves for infinity, {orbit[-1]:.3g} after {len(orbit) - 1} steps"
    if cycle is None:
        return "settles on no cycle of up to 64 points"
    if len(cycle) == 1:
        return f"goes to {cycle[0]:.6g}"
    shown = ", ".join(f"{x:.5g}" for x in cycle[:8]) + (", ..." if len(cycle) > 8 else "")
    return f"settles on a cycle of {len(cycle)}: {shown}"
