"""The figures of `inn plot` by name, and what is said where a word belongs to none of them or to another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from inncli.cli.lazy import LazyGroup, new_app
from inncli.errors import RequestError, did_you_mean

EVERYWHERE = ("--seed", "--device", "--config-dir", "--table")  # taken by figures too that have no use for them


class Figures(LazyGroup):
    """The figures of `inn plot`. Options may stand before the figure's name; one of another figure is told apart."""

    package = "inncli.cli.plot"
    lines = {
        "training": "Draw the losses of a run by epoch.",
        "posterior": "Draw a posterior set: each unknown, and each pair of them.",
        "density": "Draw p(x), or p(x | y), over two unknowns.",
        "calibration": "Draw ranks and coverage of held-out pairs, as `inn evaluate` measures them.",
        "latent": "Draw z of held-out pairs against the normal that it should follow.",
        "view": "Draw arms, trajectories or images, where the task has such.",
        "convergence": "Draw how each block of an i-ResNet is inverted.",
        "cobweb": "Draw fixed points, stability and orbit of a map of the line.",
    }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the name of the figure first: `inn plot --run RUN posterior` is `inn plot posterior --run RUN`."""
        if not ctx.resilient_parsing:  # that is completion, which sees half a line
            args = self._figure_first(ctx, args)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The figure that these words ask for, and the words that are left for it."""
        if args[0] not in self.lines and not ctx.resilient_parsing:
            raise RequestError(
                f"expected a picture out of {', '.join(self.lines)}, got {args[0]!r}"
                f"{did_you_mean(args[0], self.lines) or '; pick one of those'}"
            )
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> Any:
        """The figure's command, which also knows the options of the others, hidden, to refuse them by name."""
        command = super().load(name)
        own = {spelling for param in command.params for spelling in param.opts}
        others: dict[str, list[str]] = {}  # the figures that have an option
        params: dict[str, Any] = {}
        for figure in self.lines:
            for param in super().load(figure).params if figure != name else ():
                if own.isdisjoint(param.opts):
                    params[param.opts[0]] = param
                    others.setdefault(param.opts[0], []).append(figure)
        for option, param in params.items():
            param.hidden, param.expose_value = True, False
            param.callback = None if option in EVERYWHERE else _refusal(name, others[option])
            command.params.append(param)
        return command

    def _figure_first(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] in (*self.lines, *ctx.help_option_names):
            return args
        takes_value: dict[str, bool] = {}
        for figure in self.lines:
            for param in super().load(figure).params:
                takes_value |= dict.fromkeys(param.opts, not param.is_flag)
        names: list[int] = []
        at = 0
        while at < len(args) and args[at] not in ctx.help_option_names:
            if args[at] == "--":
                names += range(at + 1, len(args))
                break
            if not args[at].startswith("-"):
                names.append(at)
            at += 2 if takes_value.get(args[at]) else 1
        if not names and at < len(args):
            return args[at:]  # --help
        if not names:
            ctx.fail("Missing argument 'KIND'.")
        # An unknown option may have had a value.
        name = next((at for at in names if args[at] in self.lines), names[0])
        return [args[name], *args[:name], *args[name + 1 :]]


def _refusal(figure: str, others: list[str]) -> Callable[[typer.Context, Any, object], None]:
    """The callback of an option that `figure` does not have and `others` have."""
    *most, last = others
    named = f"{', '.join(most)} or {last}" if most else last

    def refuse(ctx: typer.Context, param: Any, value: object) -> None:
        if value is not None and value is not False and value != param.default:
            raise RequestError(f"{param.opts[0]} goes with `inn plot {named}`, got `inn plot {figure}`; leave it out")

    return refuse


plot = new_app(Figures, add_completion=False, subcommand_metavar="KIND [OPTIONS]", options_metavar="")


@plot.callback()
def _plot() -> None:
    """Draw a picture of a run as PNG, SVG or PDF and print where it is.

    \b
    Examples:
      inn plot training                        losses by epoch
      inn plot posterior                       the newest set of `inn invert`
      inn plot posterior --y 0.3 --reference   fresh draws beside the exact posterior
      inn plot posterior --y 0.3 --cloud       and what the simulator makes of them
      inn plot posterior --set set.npz --x water,age --out mix.pdf
      inn plot calibration                     ranks and coverage, see `inn evaluate`
      inn plot latent                          z of held-out pairs against the normal
      inn plot view --y 1.5,0                  arms, trajectories or images, where the task has such
      inn plot density --y 0.3 -n 1000         p(x|y) over two unknowns, and draws
      inn plot convergence                     how each block of an i-ResNet is inverted
      inn plot cobweb --map logistic --r 3.2   fixed points and orbit of a map, in ./cobweb.png
      inn plot cobweb --run RUN --block 0      how an i-ResNet of one unknown is inverted

    Each has options of its own: `inn plot posterior --help`.
    """
