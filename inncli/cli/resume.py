"""`inn resume`: continues a stopped run, or the jobs of a sweep that are not done."""

from __future__ import annotations

from typing import Annotated

import typer

from inncli.cli import completion
from inncli.cli.options import ConfigDirOption
from inncli.errors import RequestError


def resume(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SWEEP",
            autocompletion=completion.runs_and_sweeps,
            show_default=False,
            help="Directory, id or unique prefix of a run or of a sweep.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[hydra/launcher=NAME]...",
            show_default=False,
            help="For a sweep: another launcher, or other settings of its own (hydra.launcher.n_jobs=2).",
        ),
    ] = None,
    resimulate: Annotated[
        bool,
        typer.Option(
            "--resimulate", help="Run the simulator file that it was trained on: a run directory may be a stranger's."
        ),
    ] = False,
    config_dir: ConfigDirOption = None,
) -> None:
    """Continue what was stopped, killed or failed, bit for bit as if it never had been.

    \b
    Examples:
      inn resume 2026-11-23_10-04_ring_rnvp_3fa9       a run, from its last checkpoint
      inn resume 2026-11-23_10-05_ring_rnvp_77c1       a sweep: only the jobs that are not done
      inn resume 2026-11-23_10-05 hydra/launcher=joblib
    \b
    A sweep keeps its launcher unless another one is named; a job without a checkpoint starts anew.
    Next: inn runs --sweep SWEEP, inn compare SWEEP
    """
    from inncli.config import registry
    from inncli.runs.sweep_dir import SweepDir, find

    found = find(name)
    registry.trust(config_dir)
    if isinstance(found, SweepDir):
        from inncli.cli import sweeping

        sweeping.resume(found, list(overrides or []), resimulate)
        return
    if overrides:
        raise RequestError(f"a run is resumed with its own config and nothing else; leave out {overrides[0]!r}")
    from inncli.cli.train import resume_run

    resume_run(found, resimulate)
