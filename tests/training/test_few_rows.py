"""Trainings on few rows: when an epoch beats the start, when they stop, and what they say of what they kept."""

import math

import pytest
import torch

from inncli.models.flow import ConditionalFlow
from inncli.objectives.nll import NLL
from inncli.training.checkpoint import load_checkpoint
from inncli.training.few_rows import is_better, kept_words
from inncli.training.state import Data
from inncli.training.trainer import Trainer
from inncli.variables import Variables

X, Y = Variables(("x1",)), Variables(("y1",))


def table(rows, slope=0.0, seed=0):
    noise = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return slope * noise[:, 1:] + noise[:, :1], noise[:, 1:]


def trained(folder, rows=60, held_out=10, slope=0.0, trainer=None, **model):
    torch.manual_seed(0)
    flow = ConditionalFlow(X, Y, n_blocks=1, dim_embedding=0, **model)
    training = table(rows, slope)
    flow.initialise(*training, torch.Generator().manual_seed(0))
    lines = []
    progress = (trainer or Trainer()).fit(
        flow,
        NLL(),
        Data(rows, lambda epoch: training, table(held_out, slope, seed=1) if held_out else None),
        seed=0,
        last=folder / "last.safetensors",
        best=folder / "best.safetensors",
        meta={},
        on_epoch=lines.append,
    )
    return flow, progress, [line["val_loss"] for line in lines if "val_loss" in line]


@pytest.mark.parametrize(
    "gains, better",
    [
        ([0.5] * 10, True),
        ([3.0] + [-0.1] * 9, False),  # the mean is .21, from one group alone
        ([0.7, -0.3] * 5, False),  # .2 +- .17
        ([-0.5] * 10, False),
        ([0.5] * 4, False),  # four rows can't tell
    ],
)
def test_a_gain_counts_beyond_its_error(gains, better):
    assert is_better([2.0] * len(gains), [2.0 - gain for gain in gains]) is better


def test_a_loss_that_is_infinite_is_no_gain():
    assert not is_better([2.0] * 10, None)


def test_a_training_on_few_rows_stops_a_third_of_its_steps_after_the_best(tmp_path):
    _, progress, losses = trained(tmp_path)
    assert progress.planned_steps == Trainer().steps_for(60)
    assert len(losses) == progress.best_epoch + progress.planned_steps // 3 < progress.planned_steps  # a step an epoch


@pytest.mark.parametrize(
    "trainer, rows",
    [
        (Trainer(max_steps=30), 60),  # a budget that is asked for is spent
        (Trainer(max_epochs=30), 60),
        (Trainer(max_seconds=30), 60),
        (Trainer(patience=None), 60),
        (Trainer(), 3_000),
    ],
)
def test_no_other_training_stops_early(trainer, rows):
    assert trainer.patience_in_steps(rows, 30, 1) is None


def test_fewer_than_five_held_out_rows_leave_the_fitted_start(tmp_path):
    _, progress, losses = trained(tmp_path, held_out=4)
    assert min(losses) < progress.start_loss  # by accident
    assert progress.best_epoch == 0 and progress.best_loss == progress.start_loss


def test_a_start_that_fits_nothing_gives_way_to_any_better_epoch(tmp_path):
    _, progress, losses = trained(tmp_path, held_out=4, slope=2.0, linear_start=False)
    assert progress.best_epoch > 0 and progress.best_loss == min(losses)


def test_many_held_out_rows_are_judged_by_their_mean(tmp_path):
    _, progress, _ = trained(tmp_path, held_out=300, trainer=Trainer(max_steps=2))
    assert progress.start_parts is None


def test_a_resumed_training_knows_what_the_start_was_worth(tmp_path):
    _, progress, _ = trained(tmp_path, trainer=Trainer(max_steps=2))
    saved = load_checkpoint(tmp_path / "last.safetensors")[1]["training"]
    assert saved["start_parts"] == progress.start_parts and len(saved["start_parts"]) == 10


def model(slope):
    flow = ConditionalFlow(X, Y, n_blocks=1)
    flow.initialise(*table(40, slope), torch.Generator().manual_seed(0))
    return flow


@pytest.mark.parametrize(
    "slope, epoch, losses, start, words",
    [
        (2.0, 2, [1.5, 1.0, 1.01], 2.0, None),
        (2.0, 2, [1.1, 1.0, 51.0], 1.3, "kept epoch 2: from there on it over-fits, val_loss ends at 51.0000"),
        (2.0, 0, [1.4, 4.0], 1.3, "kept the start, a linear fit: no epoch did better on the rows held out; more rows"),
        (2.0, 0, [1.2, 4.0], 1.3, "kept the start, a linear fit: no epoch did better on the rows held out, beyond th"),
        (0.0, 0, [1.4, 4.0], 1.3, "nothing was learned: this is the marginal, the same whatever y; no epoch did bet"),
        (0.0, 0, [math.inf], 1.3, "nothing was learned"),
        (2.0, 3, [], None, None),
    ],
)
def test_what_was_kept_is_said_where_it_is_not_the_end(slope, epoch, losses, start, words):
    said = kept_words(model(slope), epoch, losses, start)
    assert said is None if words is None else said.startswith(words)


def test_a_start_without_a_fit_is_called_untrained():
    flow = ConditionalFlow(X, Y, n_blocks=1, linear_start=False)
    assert kept_words(flow, 0, [2.0], 1.0).startswith("kept the start, the untrained net:")
