"""`inn sample`: draws without an observation."""

from __future__ import annotations

from inncli import inference
from inncli.cli import console
from inncli.cli.options import (
    ConfigDirOption,
    DeviceOption,
    JsonOption,
    OutOption,
    RunOption,
    SamplesOption,
    SeedOption,
    TableOption,
    checked_out,
    in_run,
)
from inncli.runs.registry import find_run


def sample(
    samples: SamplesOption = 1000,
    seed: SeedOption = 0,
    run: RunOption = None,
    out: OutOption = None,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    table: TableOption = None,
    json: JsonOption = False,
) -> None:
    """Draw x, or pairs (x, y), without an observation.

    x from p(x); where the model is conditional, y from the training ys and then x given y.
    The suffix of --out is the format: .npz, .csv, .parquet.

    \b
    Examples:
      inn sample
      inn sample --samples 10000 --out draws.csv
      inn sample --run 2026-11-23_10-04 --seed 1
    \b
    Next: inn density --grid 200, inn plot density
    """
    path = checked_out(out, inference.sample_set.SUFFIXES)
    found = find_run(run)
    inference.run_table.at_tables([found], table or [])
    path = path or in_run(found.path / "draws" / found.next_posterior_path().name)
    trained = inference.opening.open_run(found, device, config_dir)
    ys = None if trained.y is None else inference.run_task.training_ys(found, trained.trust)
    with console.progress() as on_progress:
        rows = inference.streaming.write_sample(trained, ys, samples, seed, path, on_progress)
    if json:
        console.as_json({"run": found.id, "out": str(path), "samples": samples, "columns": rows})
        return
    console.line(f"{samples:,} draws from run {found.id}")
    console.table(
        ["column", "mean", "sd", "5%", "50%", "95%"],
        [[name, *console.numbers(stats.values(), stats["sd"])] for name, stats in rows.items()],
    )
    console.line(f"\nkept in {path}")
