"""`logger=tensorboard`: scalars, params and the config as TensorBoard's event files, in the run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inncli.loggers.base import Logger, extra
from inncli.runs.run_dir import RunDir


class TensorBoard(Logger):
    """Writes `<run>/tensorboard`: the metrics by step, the config as hparams, and the config's text.

    It copies no artifacts: they lie in the run directory already.

    Raises: ConfigError if tensorboard is not installed.
    """

    def __init__(self) -> None:
        with extra("tensorboard"):
            import torch.utils.tensorboard as tensorboard  # seconds: nobody else pays for it
        self._tensorboard = tensorboard

    def start(self, run: RunDir, params: dict[str, object], step: int, known: dict[str, Any]) -> dict[str, Any]:
        # Lines after the checkpoint were cut from metrics.jsonl; here they are marked as superseded.
        self._writer = self._tensorboard.SummaryWriter(
            str(run.path / "tensorboard"), purge_step=step + 1 if step else None
        )
        plain = {
            key: value if isinstance(value, (bool, int, float, str)) else str(value) for key, value in params.items()
        }
        experiment, begin, self._finished = self._tensorboard.summary.hparams(plain, {"loss": 0.0, "val_loss": 0.0})
        for summary in (experiment, begin):
            self._add(summary)
        if not step:
            lines = run.config_file.read_text(encoding="utf-8").splitlines()
            self._writer.add_text("config", "\n".join(f"    {line}" for line in lines))  # indented: Markdown keeps it
        self._writer.flush()
        return {}

    def epoch(self, step: int, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, status: str, metrics: dict[str, float], files: list[Path]) -> None:
        if status == "FINISHED":
            self._add(self._finished)
        self._writer.close()

    def _add(self, summary: Any) -> None:
        assert self._writer.file_writer is not None  # only `close` takes it away
        self._writer.file_writer.add_summary(summary)
