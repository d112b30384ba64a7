"""The Optuna search: a sweeper that asks a study for trials and reads their results from the runs.

    <sweep>/study.db              the study (SQLite); only the sweep's own process opens it, so that jobs on other
                                  machines need no database
    <sweep>/<trial number>/       the trial's run: metrics.jsonl is its curve, run.json its end
    <sweep>/experiment/best.yaml  the best config: `inn train --config-dir <sweep> experiment=best`

A trial whose job was killed stays `running` in the study, and the next resume continues it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import optuna
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from inncli.config import registry
from inncli.errors import CheckpointError, RequestError
from inncli.io.atomic import atomic_write
from inncli.launchers.space import search_space
from inncli.launchers.study import open_study
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending, ending_of
from inncli.runs.sweep_dir import SweepDir

log = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.WARNING)


class Optuna(Sweeper):
    """Runs a study of `n_trials` by `n_jobs` at once, on whatever launcher is chosen.

    Args:
        n_trials: trials that the study holds in the end.
        n_jobs: trials that are launched together.
        sampler: makes an Optuna sampler of a seed.
        pruner: used by the jobs themselves, see `Pruning`.
        params: space and fixed values beside those of the command line.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        sampler: partial[optuna.samplers.BaseSampler],
        pruner: optuna.pruners.BasePruner | None,
        params: DictConfig | None,
    ) -> None:
        self.n_trials, self.n_jobs, self.sampler = n_trials, n_jobs, sampler
        self.params: dict[str, Any] = {}
        if params is not None:
            self.params = cast(dict[str, Any], OmegaConf.to_container(params))  # of a DictConfig, a dict

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Builds the launcher that the config chooses."""
        self.loader, self.seed = hydra_context.config_loader, config.seed
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the trials that the study still lacks, in the space that these overrides and `params` give.

        Raises: RequestError for a wrong setting, CheckpointError for a study that can't be read.
        """
        for name in ("n_trials", "n_jobs"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise RequestError(f"hydra.sweeper.{name}: expected a whole number of 1 or more, got {value!r}")
        parse = OverridesParser.create(config_loader=self.loader).parse_overrides
        space, fixed = search_space(parse([*(f"{k}={v}" for k, v in self.params.items()), *arguments]))
        self.folder.mkdir(parents=True, exist_ok=True)
        study = open_study(self.folder / "study.db")
        self._settle(study)
        left_over = [trial for trial in study.trials if trial.state == TrialState.RUNNING]
        # A sampler with the same seed as before would draw the first trials' values again.
        try:
            study.sampler = self.sampler(seed=self.seed + len(study.trials))
        except (TypeError, ValueError) as error:
            raise RequestError(f"hydra.sweeper.sampler: {error}; `inn train -c hydra` shows its settings") from None
        assert self.launcher is not None  # hydra calls `setup` first
        batch: Sequence[Trial | FrozenTrial]
        while left_over or len(study.trials) < self.n_trials:
            batch, left_over = _neighbours(left_over, self.n_jobs)
            if not batch:
                free = min(self.n_jobs, self.n_trials - len(study.trials))
                batch = [study.ask(space) for _ in range(free)]
            jobs = [[f"{name}={value}" for name, value in {**trial.params, **fixed}.items()] for trial in batch]
            try:
                self.launcher.launch(jobs, initial_job_idx=batch[0].number)
            except BrokenExecutor:
                log.warning("a worker was killed: its trial is left for `inn resume`, the search goes on")
            self._settle(study)
        self._write_best(study)

    def _settle(self, study: optuna.Study) -> None:
        """Tells the study of every job that has ended."""
        for frozen in study.get_trials(states=(TrialState.RUNNING,)):
            state, value, curve = read_trial(RunDir(self.folder / str(frozen.number)))
            if state == TrialState.RUNNING:
                continue
            trial = Trial(study, frozen._trial_id)
            for epoch, loss in curve.items():
                trial.report(loss, epoch)
            study.tell(trial, value, state)

    def _write_best(self, study: optuna.Study) -> None:
        if not study.get_trials(states=(TrialState.COMPLETE,)):
            return
        best = study.best_trial
        try:
            config = RunDir(self.folder / str(best.number)).config()
        except CheckpointError as error:
            log.warning("the best trial, %d, is no longer there to make a recipe of: %s", best.number, error)
            return
        names = {group: name for group, name in config["names"].items() if group in registry.GROUPS}
        plain = self.loader.load_configuration(
            "train", [f"{group}={name}" for group, name in names.items()], RunMode.RUN
        )
        changed = {group: _difference(config[group], OmegaConf.to_container(plain[group])) for group in names}
        text = (
            f"# @package _global_\n# The best of {len(study.trials)} trials: trial {best.number}, "
            f"val_loss {best.value:.4f} with seed {config['seed']}.\n"
        )
        text += yaml.safe_dump(
            {
                "defaults": [{f"override /{group}": name} for group, name in names.items()],
                **{group: node for group, node in changed.items() if node},
            },
            sort_keys=False,
        )
        atomic_write(SweepDir(self.folder).best_config, text)


class Pruning:
    """Stops a trial whose validation curve is worse than those of the sweep's other trials, by a rule of Optuna's.

    The curves are read from the runs' metrics.jsonl, so that this works with every launcher and shared file system.
    """

    def __init__(self, pruner: optuna.pruners.BasePruner, folder: Path) -> None:
        self.pruner, self.folder = pruner, folder

    def __call__(self, run: RunDir) -> Ending | None:
        """PRUNED if the run should stop, else None; the trainer asks after each epoch."""
        study = optuna.create_study(pruner=self.pruner)
        for path in self.folder.iterdir():
            if path.name.isdecimal() and path.name != run.path.name:
                try:
                    state, value, curve = read_trial(RunDir(path))
                except CheckpointError:
                    continue  # a damaged trial does not end this one
                if state in (TrialState.COMPLETE, TrialState.PRUNED):
                    study.add_trial(create_trial(state=state, value=value, intermediate_values=curve))
        study.add_trial(create_trial(state=TrialState.RUNNING, intermediate_values=_curve(run)))
        return Ending.PRUNED if self.pruner.prune(study, study.trials[-1]) else None


def read_trial(run: RunDir) -> tuple[TrialState, float | None, dict[int, float]]:
    """The trial of a run: its state, its value if it is complete, its validation loss by epoch."""
    if not run.info_file.exists():
        return TrialState.RUNNING, None, {}
    info = run.info()
    value = (info.get("metrics") or {}).get("val_loss")
    if info["status"] == "done" and value is not None and math.isfinite(value):
        return TrialState.COMPLETE, value, _curve(run)
    state = {"done": TrialState.FAIL, "failed": TrialState.FAIL}.get(info["status"], TrialState.RUNNING)
    return TrialState.PRUNED if ending_of(info) is Ending.PRUNED else state, None, _curve(run)


def _curve(run: RunDir) -> dict[int, float]:
    return {line["epoch"]: line["val_loss"] for line in run.metrics() if line.get("val_loss") is not None}


def _neighbours(trials: Sequence[FrozenTrial], most: int) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The first trials whose numbers are consecutive, as a launcher numbers its jobs, and the others."""
    count = 0
    while count < min(most, len(trials)) and trials[count].number == trials[0].number + count:
        count += 1
    return list(trials[:count]), list(trials[count:])


def _difference(node: Any, plain: Any) -> Any:
    """The entries of `node` that `plain` lacks, or has with another value."""
    if not (isinstance(node, dict) and isinstance(plain, dict)):
        return node
    return {
        key: _difference(value, plain.get(key))
        for key, value in node.items()
        if key not in plain or value != plain[key]
    }
