"""`inn plot convergence`: how each block of an i-ResNet is inverted."""

from __future__ import annotations

from inncli import inference, reporting
from inncli.cli.options import ConfigDirOption, DeviceOption, OutOption, RunOption, SeedOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep
from inncli.runs.registry import find_run


def convergence(
    run: RunOption = None,
    out: OutOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
) -> None:
    """Draw how each block of an i-ResNet is inverted.

    \b
    Examples:
      inn plot convergence
      inn plot convergence --run 2026-11-23_10-04 --out blocks.pdf
    """
    path = checked_out(out, SUFFIXES)
    found = find_run(run)
    trained = inference.opening.open_run(found, device, config_dir)
    keep(reporting.figures.convergence(trained, found, seed), path or found.plots / "convergence.png")
