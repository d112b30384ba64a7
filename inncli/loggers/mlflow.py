"""`logger=mlflow`: params, metrics and artifacts as an MLflow run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from inncli.loggers.base import Logger, extra
from inncli.runs.registry import outputs_root
from inncli.runs.run_dir import RunDir

LONGEST = 6_000  # letters of a param


class MLflow(Logger):
    """An MLflow run named as the run, at `$MLFLOW_TRACKING_URI`, else in the local file store `$INN_OUTPUTS/mlruns`.

    The place is no setting: a config from someone else must not say where this machine sends or writes data.

    Args:
        experiment: what MLflow groups runs by.

    Raises: ConfigError if mlflow is not installed.
    """

    def __init__(self, experiment: str = "inn") -> None:
        # The file store needs no database and no server; MLflow uses it only where this is set.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self.experiment = experiment
        with extra("mlflow"):
            import mlflow.entities  # seconds: nobody else pays for it
        self._mlflow = mlflow

    def start(self, run: RunDir, params: dict[str, object], step: int, known: dict[str, Any]) -> dict[str, Any]:
        store = os.environ.get("MLFLOW_TRACKING_URI") or (outputs_root().absolute() / "mlruns").as_uri()
        self._client = self._mlflow.MlflowClient(tracking_uri=store)
        if known.get("mlflow_run"):
            self._run = str(known["mlflow_run"])
            self._client.update_run(self._run, status="RUNNING")
            return known
        found = self._client.get_experiment_by_name(self.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self.experiment)
        made = self._client.create_run(experiment, run_name=run.id, tags={"inn.run": str(run.path.absolute())})
        self._run = made.info.run_id
        texts = [self._mlflow.entities.Param(key, str(value)[:LONGEST]) for key, value in params.items()]
        for at in range(0, len(texts), 100):  # as many as one call takes
            self._client.log_batch(self._run, params=texts[at : at + 100])
        self._client.log_artifact(self._run, str(run.config_file))
        return {"mlflow_run": self._run}

    def epoch(self, step: int, metrics: dict[str, float]) -> None:
        now, metric = int(1000 * time.time()), self._mlflow.entities.Metric
        self._client.log_batch(self._run, metrics=[metric(name, value, now, step) for name, value in metrics.items()])

    def end(self, status: str, metrics: dict[str, float], files: list[Path]) -> None:
        for name, value in metrics.items():
            self._client.log_metric(self._run, f"final_{name}", value)
        for file in files:
            self._client.log_artifact(
                self._run, str(file), "checkpoints" if file.parent.name == "checkpoints" else None
            )
        self._client.set_terminated(self._run, status)
