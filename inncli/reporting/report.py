"""`report.html`: what a run is, what it is worth, and its figures, in one file that needs no other.

    run directory --evaluation--> verdicts, numbers --figures--> figures --page--> report.html

The same run gives the same bytes: the time of the report is not written. A section that the run or its task can't show
is left out. In place of a figure that can't be drawn stands the reason.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from inncli.data.pairs import Pairs
from inncli.errors import InnError
from inncli.evaluation.cache import Evaluation
from inncli.inference.run_task import held_out_pairs, task_to_ask
from inncli.inference.trained_model import TrainedModel
from inncli.io import untrusted_yaml
from inncli.metrics import registry
from inncli.metrics.verdicts import QUESTIONS, Verdict
from inncli.plots.posterior import posterior_pairs
from inncli.plots.style import data_uri, values_text
from inncli.reporting import figures
from inncli.reporting.page import Answer, Page, Picture, Table, number, signed
from inncli.runs.run_dir import RunDir
from inncli.tasks.base import Task

SHOWN_YS = 2  # held-out observations whose posterior is drawn, if none are named
SHOWN_X = 6  # unknowns of that figure: more can't be read on a page
DRAWS, PATHS, LATENT = 4_000, 400, 2_000
GRID = 200
CSS_INCH = 96  # pixels


@dataclass
class _Subject:
    """What the sections describe."""

    run: RunDir
    info: dict[str, Any]
    trained: TrainedModel
    task: Task | None
    found: Evaluation
    pairs: Pairs
    given: np.ndarray | None
    seed: int

    @property
    def observations(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """The ys whose posterior is drawn, (1, Dy) each, and the x (Dx,) from which each came, if it is known."""
        if self.pairs.y is None:
            return []
        if self.given is not None:
            return [(row[None], None) for row in self.given]
        first = np.sort(np.unique(self.pairs.y, axis=0, return_index=True)[1])[:SHOWN_YS]
        return [(self.pairs.y[[k]], self.pairs.x[k]) for k in first]


def report(
    run: RunDir,
    trained: TrainedModel,
    found: Evaluation,
    *,
    seed: int = 0,
    y: np.ndarray | None = None,
    resimulate: bool = False,
    warnings: Sequence[str] = (),
) -> str:
    """The HTML page of a run.

    Args:
        run: its directory.
        trained: the run, opened.
        found: its evaluation.
        seed: of the draws.
        y: observations whose posterior is drawn, (n_obs, Dy); None is the first 2 distinct held-out ones.
        resimulate: whether a simulator file of the user's may be run.
        warnings: what a reader should know of `y`, and of the simulator file.

    Raises: RunError if the run's table has changed; RequestError for `resimulate` without a simulator file.
    """
    task = task_to_ask(run, resimulate, trained.trust)
    pairs = held_out_pairs(run, task, seed)[0]
    it = _Subject(run, run.info(), trained, task, found, pairs, y, seed)
    sections = {
        "Calibration": _calibration,
        "What could have caused y": _posteriors,
        "As it looks": _views,
        "Density": _density,
        "Latent space": _latent,
        "Training": _training,
    }
    page = Page(
        names=f"{it.info.get('model')} on {it.info.get('task')}",
        run=run.id,
        ended=_ended(it.info),
        answers=_answers(it),
        warnings=warnings,
        numbers=[*_metrics(it), *_by_observation(it)],
        figures={title: list(pictures(it)) for title, pictures in sections.items()},
        facts=_facts(it),
        settings=untrusted_yaml.dump_yaml(run.config()),
        commands=_again(it, resimulate),
    )
    return page.html()


def _answers(it: _Subject) -> list[Answer]:
    found = it.found.verdicts
    order = [*(name for name in QUESTIONS if name in found), *(name for name in found if name not in QUESTIONS)]
    return [_answer(QUESTIONS.get(name, name), found[name]) for name in order]


def _answer(question: str, verdict: Verdict) -> Answer:
    kind = {True: "yes", False: "no", None: "open"}[verdict.ok]
    return Answer(question, verdict.answer, f"{verdict.text[:1].upper()}{verdict.text[1:]}.", verdict.rule, kind)


def _metrics(it: _Subject) -> Iterator[Table]:
    if not it.found.metrics:
        return
    held_out = it.found.settings
    rows = [
        [name, *_with_error(value, it.found.se.get(name)), registry.find(name).meaning]
        for name, value in it.found.metrics.items()
    ]
    caption = (
        f"{held_out.get('held_out', 0):,} held-out rows ({held_out.get('held_out_from')}); ± is one standard error."
    )
    yield Table(caption, ["metric", "value", "±", "meaning"], rows, numeric=(1, 2))


def _by_observation(it: _Subject) -> Iterator[Table]:
    """The results at each y; nothing for a y of many columns, which is too wide for a table."""
    rows = it.found.observations[:12]
    if len(rows) < 2 or it.trained.y is None or it.trained.y.dim > 4:
        return
    numbers = [key for key, value in rows[0].items() if isinstance(value, (int, float))]
    names = [values_text(figures.outside(np.array(row["y"]), it.trained.y)) for row in rows]
    yield Table(
        "By observation, where draws were compared with exact ones.",
        ["y", *numbers],
        [[name, *(number(_float(row.get(key))) for key in numbers)] for name, row in zip(names, rows, strict=True)],
        numeric=range(1, len(numbers) + 1),
    )


def _calibration(it: _Subject) -> Iterator[Picture]:
    if it.found.details.get("calibration"):
        yield _picture(
            lambda: figures.calibration(it.run, it.found),
            "Rank histograms of the truth among the draws, and coverage of central intervals against their nominal "
            "level.",
            "Left: where the true value falls among the draws; flat is right, a hump means draws too wide, two horns "
            "too narrow, a slope a bias. Right: how often intervals hold the truth; above the diagonal is too wide, "
            "below it too narrow. Grey: where an exact posterior's lie 95 times in 100.",
        )


def _posteriors(it: _Subject) -> Iterator[Picture]:
    for y, x in it.observations:
        yield _posterior(it, y, x)


def _posterior(it: _Subject, y: np.ndarray, x: np.ndarray | None) -> Picture:
    task, given = it.task, _given(it, y)
    exact = task is not None and task.has_reference
    again = task is not None and task.can_simulate and task.y is not None and not task.y.categorical

    def draw() -> Figure:
        draws = it.trained.posterior(y, DRAWS, it.seed)
        shown = draws.x_names[:SHOWN_X]
        return posterior_pairs(
            draws,
            0,
            figures.reference(it.run, task, draws, 0, it.seed) if exact else None,
            shown,
            x,
            figures.cloud(it.run, task, draws, 0) if again else None,
        )

    caption = f"{DRAWS:,} draws given {given}"
    caption += f", the first {SHOWN_X} of {it.trained.x.dim} unknowns" if it.trained.x.dim > SHOWN_X else ""
    caption += "; dashed and above the diagonal, exact draws" if exact else ""
    caption += "; to the right, what the simulator makes of the draws" if again else ""
    caption += "; the cross is the x that this y came from" if x is not None else ""
    return _picture(draw, f"Pair plot of the posterior given {given}.", f"{caption}.")


def _given(it: _Subject, y: np.ndarray) -> str:
    """An observation, (1, Dy), as text."""
    assert it.trained.y is not None  # `observations` has none without y
    return values_text(figures.outside(y[0], it.trained.y))


def _views(it: _Subject) -> Iterator[Picture]:
    if it.task is None or (not it.task.has_paths and it.task.image_shape is None):
        return
    if it.task.has_paths:
        for y, _ in it.observations:
            yield _picture(
                partial(figures.view, it.trained, it.run, it.task, y, it.pairs, PATHS, it.seed),
                "Draws as lines in the plane, and where they should end.",
                f"{PATHS} draws given {_given(it, y)}; the cross is what y says.",
            )
        return
    one = it.trained.y is not None and it.trained.y.labels[0] is None
    for shown in [y for y, _ in it.observations] if one else [None]:
        yield _picture(
            partial(figures.view, it.trained, it.run, it.task, shown, it.pairs, PATHS, it.seed),
            "Images drawn by the model beside real ones.",
            "Left: drawn. Right: real, held out.",
        )


def _density(it: _Subject) -> Iterator[Picture]:
    if it.trained.x.dim != 2 or not it.trained.has_density:
        return
    if it.trained.y is None:
        yield _picture(
            lambda: figures.density(it.trained, it.run, None, GRID, it.seed, rows=it.pairs.x[:LATENT]),
            "The density over both unknowns, with held-out rows.",
            "The model's density; dots are rows it never saw.",
        )
        return
    y = it.observations[0][0]
    yield _picture(
        lambda: figures.density(it.trained, it.run, y, GRID, it.seed),
        f"The density of both unknowns given {_given(it, y)}.",
        "The model's density and the regions that hold half and nine tenths of it.",
    )


def _latent(it: _Subject) -> Iterator[Picture]:
    few = Pairs(it.pairs.x[:LATENT], None if it.pairs.y is None else it.pairs.y[:LATENT])
    if it.trained.model.has_latent:
        yield _picture(
            lambda: figures.latent(it.trained, it.run, few, it.seed),
            "The latent of held-out rows: quantiles against the normal's, two columns coloured by y, histograms.",
            "Held-out rows sent to the latent, where a right model is standard normal whatever y is: quantiles on the "
            "diagonal, and colours mixed.",
        )


def _training(it: _Subject) -> Iterator[Picture]:
    if it.run.metrics():
        yield _picture(lambda: figures.training(it.run), "Losses by epoch.")


def _facts(it: _Subject) -> Table:
    info, meta = it.info, it.trained.meta
    data, final = info.get("data") or {}, info.get("metrics") or {}
    x, y = it.trained.names["x"], it.trained.names["y"]
    rows = [
        ("task", info.get("task")),
        ("unknowns x", _listed(x)),
        ("observed y", _listed(y) if y else "none: a density p(x)"),
        *(("unknowns", line) for line in (it.trained.x.notes if it.task is None else ())),
        *(("task says", line) for line in (it.task.describe() if it.task else ()) if not line.startswith(("x:", "y:"))),
        ("pairs", f"{data['pairs']:,}" if data.get("pairs") else None),
        ("failed simulations", data.get("failed") or None),
        ("rows dropped", data.get("dropped") or None),
        ("table", data.get("file")),
        ("its SHA-256", data.get("sha256")),
        ("model", info.get("model")),
        ("numbers learned", f"{sum(p.numel() for p in it.trained.model.parameters()):,}"),
        ("seed", info.get("seed")),
        ("started", _time(info.get("started"))),
        ("ended", _time(info.get("ended"))),
        (
            "training",
            f"{info.get('steps') or 0:,} steps, {info.get('epochs') or 0:,} epochs, {info.get('seconds') or 0:.1f} s",
        ),
        ("computed on", f"{info.get('device')}, {info.get('dtype')}, threads: {info.get('threads')}"),
        *((name.replace("_", " "), value) for name, value in final.items()),
        ("versions", ", ".join(f"{name} {n}" for name, n in (meta.get("versions") or {}).items() if n)),
        ("git commit", info.get("git")),
    ]
    shown = [(name, number(value)) for name, value in rows if value not in (None, "")]
    return Table("What was trained, on what, and how.", ["fact", "value"], shown)


def _again(it: _Subject, resimulate: bool) -> str:
    overrides = it.run.overrides()
    if not any(override.startswith("seed=") for override in overrides):
        overrides = [*overrides, f"seed={it.info.get('seed')}"]
    asked = f" --seed {it.seed}" + (" --resimulate" if resimulate else "")
    lines = [
        shlex.join(["inn", "train", *overrides]),
        f"inn evaluate --run {shlex.quote(it.run.id)}{asked}",
        f"inn report {shlex.quote(it.run.id)}{asked}",
    ]
    return "\n".join(lines)


def _picture(draw: Callable[[], Figure], alt: str, caption: str = "") -> Picture:
    try:
        drawn = draw()
        return Picture(alt, caption, data_uri(drawn), round(CSS_INCH * drawn.get_figwidth()))
    except InnError as error:  # the rest of the page is written without it
        return Picture(alt, caption, None, reason=str(error))


def _listed(names: tuple[str, ...]) -> str:
    few = ", ".join(names[:12])
    return f"{few}, and {len(names) - 12} more" if len(names) > 12 else few


def _with_error(value: float | None, error: float | None) -> tuple[str, str]:
    """A number to the second digit of its error, or to four digits without one; and the error."""
    if value is None or not error or not 1e-6 < error < 1e6:
        return number(value if value is None else float(f"{value:.4g}")), number(error)
    digits = max(0, 1 - math.floor(math.log10(error)))
    return signed(f"{value:.{digits}f}"), f"{error:.{digits}f}"


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _time(stamp: str | None) -> str | None:
    try:
        return f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M:%S} UTC" if stamp else None
    except ValueError:  # written by hand
        return stamp


def _ended(info: dict[str, Any]) -> str:
    return f"{info['status']} {_time(info.get('ended')) or ''}".strip()
