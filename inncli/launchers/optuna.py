"""The Optuna search: a sweeper that asks a study for trials and reads off the runs how they went.

    <sweep>/study.db              the study (SQLite); only the sweeping process opens it, so that jobs on other
                                  machines need no database
    <sweep>/<trial number>/       the trial's run: metrics.jsonl is its curve, run.json its end
    <sweep>/experiment/best.yaml  the best config: `inn train --config-dir <sweep> experiment=best`

hydra-optuna-sweeper reads the space; its own loop neither prunes nor goes on with a study whose jobs have
directories already. A trial whose job was killed stays `running` in the study, and the next resume continues it.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path

import optuna
import yaml
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import DatabaseError

from inncli.config import registry
from inncli.errors import CheckpointError, RequestError
from inncli.io.atomic import atomic_write
from inncli.runs.run_dir import RunDir
from inncli.runs.sweep_dir import SweepDir

log = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.WARNING)
# What 2.10, the version that hydra's plugin needs, calls experimental (fixed trials, our sampler) is still there in 4.
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class Optuna(Sweeper):
    """Runs a study of `n_trials` by `n_jobs` at once, on whatever launcher is chosen.

    Args:
        n_trials: trials that the study holds in the end.
        n_jobs: trials that are launched together.
        sampler: gives an Optuna sampler for a seed.
        pruner: the jobs' own affair, see `Pruning`.
        params: space and fixed values beside those of the command line.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        sampler: partial,
        pruner: optuna.pruners.BasePruner | None,
        params: DictConfig | None,
    ) -> None:
        self.n_trials, self.n_jobs, self.sampler = n_trials, n_jobs, sampler
        self.params = {} if params is None else OmegaConf.to_container(params)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.seed = hydra_context.config_loader, config.seed
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        for name in ("n_trials", "n_jobs"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise RequestError(f"hydra.sweeper.{name}: expected a whole number of 1 or more, got {value!r}")
        space, fixed = create_params_from_overrides([*(f"{k}={v}" for k, v in self.params.items()), *arguments])
        space = {name: of for name, of in space.items() if name not in fixed}
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "study.db"
        try:
            study = optuna.create_study(study_name="inn", storage=f"sqlite:///{file}", load_if_exists=True)
        except DatabaseError as error:
            raise _damaged(file, error) from None
        self._settle(study)
        left_over = [trial for trial in study.trials if trial.state == TrialState.RUNNING]
        # A sampler that is seeded alike again would draw the first trials' values once more.
        try:
            study.sampler = self.sampler(seed=self.seed + len(study.trials))
        except (TypeError, ValueError) as error:
            raise RequestError(f"hydra.sweeper.sampler: {error}; `inn train -c hydra` shows its settings") from None
        while left_over or len(study.trials) < self.n_trials:
            batch, left_over = _neighbours(left_over, self.n_jobs)
            if not batch:
                free = min(self.n_jobs, self.n_trials - len(study.trials))
                batch = [study.ask(space) for _ in range(free)]
            words = [[f"{name}={value}" for name, value in {**trial.params, **fixed}.items()] for trial in batch]
            try:
                self.launcher.launch(words, initial_job_idx=batch[0].number)
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


def left_over(file: Path) -> list[FrozenTrial]:
    """The trials of a study that are not done. Raises: CheckpointError if the file is damaged."""
    try:
        study = optuna.load_study(study_name="inn", storage=f"sqlite:///{file}")
        return [trial for trial in study.trials if not trial.state.is_finished()]
    except (DatabaseError, KeyError, ValueError, TypeError) as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> CheckpointError:
    text = getattr(error, "orig", None) or registry.one_line(error)
    return CheckpointError(f"{file} is damaged ({text}); restore it, or start a new search")


class Pruning:
    """Stops a trial by its validation curve, among those of the sweep's other trials.

    The curves are read from their metrics.jsonl, so that this works on every launcher and shared file system;
    the rule is Optuna's.
    """

    def __init__(self, pruner: optuna.pruners.BasePruner, folder: Path) -> None:
        self.pruner, self.folder = pruner, folder

    def __call__(self, run: RunDir) -> str | None:
        """ "pruned" if the run had better stop, else None; asked after each epoch."""
        study = optuna.create_study(pruner=self.pruner)
        for path in self.folder.iterdir():
            if path.name.isdecimal() and path.name != run.path.name:
                try:
                    state, value, curve = read_trial(RunDir(path))
                except CheckpointError:
                    continue  # a damaged neighbour is no reason to fail
                if state in (TrialState.COMPLETE, TrialState.PRUNED):
                    study.add_trial(create_trial(state=state, value=value, intermediate_values=curve))
        study.add_trial(create_trial(state=TrialState.RUNNING, intermediate_values=_curve(run)))
        return "pruned" if self.pruner.prune(study, study.trials[-1]) else None


def read_trial(run: RunDir) -> tuple[TrialState, float | None, dict[int, float]]:
    """How the trial of this run stands: its state, its value if it is complete, its validation loss by epoch."""
    if not run.info_file.exists():
        return TrialState.RUNNING, None, {}
    info = run.info()
    value = (info.get("metrics") or {}).get("val_loss")
    if info["status"] == "done" and value is not None and math.isfinite(value):
        return TrialState.COMPLETE, value, _curve(run)
    state = {"done": TrialState.FAIL, "failed": TrialState.FAIL}.get(info["status"], TrialState.RUNNING)
    return TrialState.PRUNED if info.get("pruned") else state, None, _curve(run)


def _curve(run: RunDir) -> dict[int, float]:
    return {line["epoch"]: line["val_loss"] for line in run.metrics() if line.get("val_loss") is not None}


def _neighbours(trials: Sequence[FrozenTrial], most: int) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The first trials of consecutive numbers, since a launcher counts its jobs on from one; and the rest."""
    count = 0
    while count < min(most, len(trials)) and trials[count].number == trials[0].number + count:
        count += 1
    return list(trials[:count]), list(trials[count:])


def _difference(node, plain):
    """What `node` has that `plain` has not, or has otherwise."""
    if not (isinstance(node, dict) and isinstance(plain, dict)):
        return node
    return {
        key: _difference(value, plain.get(key))
        for key, value in node.items()
        if key not in plain or value != plain[key]
    }
