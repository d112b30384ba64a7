"""The name of every file in a run directory.

<run>/  config.yaml overrides.yaml run.json metrics.jsonl .lock
        checkpoints/{last,best}.safetensors  data/{pairs,table}.npz  posteriors/  plots/  evaluations/
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

# Everything that is read or written in a run directory.
OWN = (
    "config.yaml",
    "overrides.yaml",
    "run.json",
    "metrics.jsonl",
    ".lock",
    "train.log",
    "checkpoints",
    "data",
    "posteriors",
    "draws",
    "densities",
    "plots",
    "evaluations",
    "report.html",
    "tensorboard",
)


class RunFiles:
    """Where the files of one run are, or would be. Making the object touches nothing.

    Attributes:
        path: the run directory.
        table: where the table that it was trained on lies now, if the command says so.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.table: Path | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def id(self) -> str:
        """The directory's name; `<sweep>/<job>` for a job of a sweep."""
        full = self.path.absolute()
        return f"{full.parent.name}/{full.name}" if full.parent.parent.name == "sweeps" else full.name

    @property
    def last(self) -> Path:
        """Checkpoint that resume continues from."""
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        """Checkpoint of the best validation loss."""
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def pairs(self) -> Path:
        """The pairs of a simulator run."""
        return self.path / "data" / "pairs.npz"

    def table_copies(self, sha256: str) -> tuple[Path, Path]:
        """Where the copy of its table with this checksum may be: in the run, or beside the jobs of its sweep."""
        return self.path / "data" / "table.npz", self.path.parent / "tables" / f"{sha256[:16]}.npz"

    @property
    def posteriors(self) -> Path:
        """Folder of posterior sets."""
        return self.path / "posteriors"

    @property
    def plots(self) -> Path:
        """Folder of figures."""
        return self.path / "plots"

    def evaluation(self, key: str) -> Path:
        """Where the evaluation of this key is kept."""
        return self.path / "evaluations" / f"{key}.json"

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def info_file(self) -> Path:
        return self.path / "run.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    def next_posterior_path(self, suffix: str = ".npz") -> Path:
        """A name under `posteriors/` that no other process picks; names sort by time."""
        stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(2)}"
        return self.posteriors / f"{stamp}{suffix}"

    def latest_posterior(self) -> Path | None:
        """The newest posterior set that `inn invert` wrote here, or None."""
        found = [path for path in self.posteriors.glob("*.npz") if not path.name.startswith(".")]
        return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)

    @property
    def _lock_file(self) -> Path:
        return self.path / ".lock"
