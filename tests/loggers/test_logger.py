"""Loggers: what other tools read of a run is what its directory says, and they never stop a training."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from inncli import config
from inncli.cli.app import main
from inncli.config import registry
from inncli.loggers.base import Logger, tracked
from inncli.runs.registry import find_run
from inncli.runs.run_dir import RunDir

SMALL = ["train", "task=ring", "task.n_train=300", "model.n_blocks=1", "trainer.max_epochs=3", "trainer.batch_size=50"]


@pytest.fixture(autouse=True)
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("INN_OUTPUTS", str(tmp_path / "out"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "out"


def scalars(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]
    }, events


def stopped(monkeypatch, logger, epochs=1):
    """A run that ends as by Ctrl-C after some epochs."""
    from inncli.training import progress_bar

    for kind in (progress_bar._Plain, progress_bar._Bar):
        monkeypatch.setattr(kind, "epoch", lambda self, line: _stop() if line["epoch"] == epochs else None)
    assert main([*SMALL, f"logger={logger}"]) == 130
    monkeypatch.undo()


def _stop():
    import os
    import signal

    os.kill(os.getpid(), signal.SIGINT)


def test_tensorboard_reads_what_metrics_jsonl_says(capsys):
    pytest.importorskip("tensorboard")
    assert main([*SMALL, "logger=tensorboard"]) == 0
    run = find_run()
    found, events = scalars(run)
    lines = run.metrics()
    for name in ("loss", "val_loss", "lr", "epoch"):
        assert [step for step, _ in found[name]] == [line["step"] for line in lines]
        assert [value for _, value in found[name]] == pytest.approx([line[name] for line in lines])
    from tensorboard.plugins.hparams import plugin_data_pb2

    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert hparams["trainer.batch_size"].number_value == 50 and "ring" in hparams["names.task"].string_value
    assert "Ring" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()


def test_tensorboard_goes_on_where_a_resumed_run_does(outputs, monkeypatch):
    pytest.importorskip("tensorboard")
    stopped(monkeypatch, "tensorboard")
    monkeypatch.setenv("INN_OUTPUTS", str(outputs))
    (run,) = [RunDir(path) for path in outputs.iterdir()]
    assert main(["train", "--resume", run.id]) == 0
    assert [step for step, _ in scalars(run)[0]["loss"]] == [line["step"] for line in run.metrics()]


def mlflow_runs(outputs):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(outputs / "mlruns").as_uri())
    return client, client.search_runs([client.get_experiment_by_name("inn").experiment_id])


def test_mlflow_has_params_metrics_and_artifacts(outputs):
    pytest.importorskip("mlflow")
    assert main([*SMALL, "logger=mlflow"]) == 0
    run = find_run()
    client, (found,) = mlflow_runs(outputs)
    assert found.info.run_name == run.id and found.info.status == "FINISHED"
    assert found.data.params["trainer.batch_size"] == "50" and found.data.params["names.model"] == "rnvp"
    history = client.get_metric_history(found.info.run_id, "val_loss")
    assert [(m.step, m.value) for m in history] == [(line["step"], line["val_loss"]) for line in run.metrics()]
    assert found.data.metrics["final_val_loss"] == run.info()["metrics"]["val_loss"]
    names = {
        entry.path
        for folder in ("", "checkpoints")
        for entry in client.list_artifacts(found.info.run_id, folder or None)
    }
    assert {"config.yaml", "run.json", "checkpoints/best.safetensors"} <= names
    kept = client.download_artifacts(found.info.run_id, "run.json")
    with open(kept, encoding="utf-8") as file:
        assert json.load(file)["status"] == "done"


def test_mlflow_goes_on_with_the_same_run(outputs, monkeypatch):
    pytest.importorskip("mlflow")
    stopped(monkeypatch, "mlflow")
    monkeypatch.setenv("INN_OUTPUTS", str(outputs))
    (run,) = [RunDir(path) for path in outputs.iterdir() if (path / "run.json").exists()]
    assert mlflow_runs(outputs)[1][0].info.status == "KILLED"
    assert main(["train", "--resume", run.id]) == 0
    client, (found,) = mlflow_runs(outputs)
    assert found.info.status == "FINISHED"
    steps = [m.step for m in client.get_metric_history(found.info.run_id, "loss")]
    assert steps == [line["step"] for line in run.metrics()]


@pytest.mark.parametrize("name, package", [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")])
def test_a_missing_extra_is_one_line_and_nothing_is_written(outputs, monkeypatch, capsys, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert main([*SMALL, f"logger={name}"]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and f"pip install 'inncli[{name}]'" in said
    assert not outputs.exists()


@pytest.mark.parametrize("call", ["start", "epoch", "end"])
def test_a_logger_that_fails_is_a_warning(monkeypatch, capsys, call):
    def fail(*args):
        raise RuntimeError("the server\nis gone")

    monkeypatch.setattr(Logger, call, fail)
    assert main(SMALL) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    # a logger that failed is left out from then on, but the stand-in here fails as well
    assert said and all(
        "logger Logger failed (RuntimeError: the server is gone); training goes on" in line for line in said
    )
    assert len(find_run().metrics()) == 3


def test_a_failed_logger_is_asked_no_more(tmp_path, capsys):
    calls = []

    class Broken(Logger):
        def start(self, *args):
            calls.append("start")
            raise OSError("gone")

        def epoch(self, *args):
            calls.append("epoch")

    run = RunDir.create(tmp_path / "run", {"a": 1}, [])
    with tracked(Broken(), run) as tracker:
        tracker.start(run, False)
        tracker.epoch({"step": 1, "loss": 0.0})
    assert calls == ["start"] and capsys.readouterr().err.count("warning") == 1


def test_none_is_the_default_and_a_config_of_before_has_it():
    (job,) = config.plan([])
    assert job.config["names"]["logger"] == "none"
    older = {key: value for key, value in job.config.items() if key != "logger"}
    assert registry.check(older)["logger"] == job.config["logger"]
    assert type(registry.instantiate(registry.check(older)["logger"])) is Logger


def test_without_a_logger_none_is_imported():
    code = (
        "import sys; from inncli.cli.app import main; "
        f"assert main({[*SMALL, 'trainer.max_steps=2']!r}) == 0; "
        "assert not {'tensorboard', 'mlflow', 'torch.utils.tensorboard'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
