"""`inn sample`: draws without an observation."""

from __future__ import annotations

from inncli.cli import console
from inncli.cli.options import (
    ConfigDirOption,
    DeviceOption,
    JsonOption,
    OutOption,
    RunOption,
    SamplesOption,
    SeedOption,
    checked_out,
    in_run,
)


def sample(
    samples: SamplesOption = 1000,
    seed: SeedOption = 0,
    run: RunOption = None,
    out: OutOption = None,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
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
    from inncli.inference.sample_set import SUFFIXES, SampleSet
    from inncli.runs.registry import find_run

    path = checked_out(out, SUFFIXES)
    found = find_run(run)
    path = path or in_run(found.path / "draws" / found.next_posterior_path().name)

    from inncli.inference import opening, run_task, sampling

    trained = opening.open_run(found, device, config_dir)
    if trained.in_blocks(1, samples):
        from inncli.inference import streaming

        with console.progress() as on_progress:
            rows = streaming.write_sample(
                trained, run_task.training_ys(found, trained.trust), samples, seed, path, on_progress
            )
    else:
        x, y = sampling.sample(trained, found, samples, seed)
        names, labels = ((), ()) if trained.y is None else (trained.y.names, trained.y.labels)
        draws = SampleSet(x, y, trained.x.names, names, labels)
        draws.save(path)
        rows = summary(draws)
    if json:
        console.as_json({"run": found.id, "out": str(path), "samples": samples, "columns": rows})
        return
    console.line(f"{samples:,} draws from run {found.id}")
    console.table(
        ["column", "mean", "sd", "5%", "50%", "95%"],
        [[name, *console.numbers(stats.values(), stats["sd"])] for name, stats in rows.items()],
    )
    console.line(f"\nkept in {path}")


def summary(draws) -> dict[str, dict[str, float]]:
    """Mean, sd and quantiles of each column of numbers; a column of labels has none."""
    import numpy as np

    return {
        name: {
            "mean": float(column.mean()),
            "sd": float(column.std()),
            **{f"q{int(q * 100):02d}": float(np.quantile(column, q)) for q in (0.05, 0.5, 0.95)},
        }
        for name, column in draws.numbers().items()
    }
