"""A training of seconds: a small flow on 230 pairs, and a way to stop it at a step."""

from __future__ import annotations

import os
import signal

import torch

from catalogue import MODELS
from inncli.objectives.nll import NLL
from inncli.training.state import Data
from inncli.variables import Variables

X, Y = Variables.numbered("x", 2), Variables.numbered("y", 1)
ROWS, BATCH, SEED = 230, 32, 3


def data(rows=ROWS):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows + 40, 2, generator=generator, dtype=torch.float64)
    y = x.square().sum(1, keepdim=True)
    return Data(rows, lambda epoch: (x[:rows], y[:rows]), (x[rows:], y[rows:]))


def flow():
    torch.manual_seed(7)
    model = MODELS["rnvp"](x=X, y=Y)
    model.initialise(*data().epoch_pairs(0), torch.Generator().manual_seed(0))
    return model, NLL()


def stop_at(step, number=signal.SIGTERM):
    def on_step(progress, loss, lr):
        if progress.step == step:
            os.kill(os.getpid(), number)

    return on_step
