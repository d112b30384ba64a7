"""`inn plot calibration`: ranks and coverage."""

from __future__ import annotations

from inncli import evaluation, inference, metrics, reporting
from inncli.cli.options import ConfigDirOption, DeviceOption, OutOption, RunOption, SeedOption, TableOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep, warn
from inncli.cli.plot.options import ResimulateOption
from inncli.runs.registry import find_run


def calibration(
    run: RunOption = None,
    resimulate: ResimulateOption = False,
    out: OutOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
) -> None:
    """Draw ranks and coverage of held-out pairs, as `inn evaluate` measures them.

    \b
    Examples:
      inn plot calibration
      inn plot calibration --run 2026-11-23_10-04 --out ranks.pdf
    """
    path = checked_out(out, SUFFIXES)
    found = find_run(run)
    inference.run_table.at_tables([found], table or [])
    request = evaluation.request.EvaluationRequest(
        seed, resimulate=resimulate, device=device, steps=metrics.registry.steps_of(["calibrated"])
    )
    question = evaluation.cache.Question(found, request)
    known = evaluation.cache.cached_calibration(question)
    answer = known or evaluation.evaluate.answer(question, config_dir=config_dir)
    keep(reporting.figures.calibration(found, answer.evaluation), path or found.plots / "calibration.png")
    warn(found, resimulate)
