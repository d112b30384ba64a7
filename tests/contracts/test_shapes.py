"""Shapes in annotations are checked while tests run, and cost nothing elsewhere."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from inncli.metrics.sbc import ranks
from inncli.models.inn import INN
from inncli.objectives.nll import NLL
from inncli.transforms.actnorm import ActNorm
from inncli.transforms.base import Transform
from inncli.variables import Variables


class Wrong(Transform):
    """A transform whose log-det is not one number a row."""

    def _forward(self, x, context):
        return x, x.new_zeros(())

    def _inverse(self, z, context):
        return z, z.new_zeros(len(z) + 1, 1)


def test_a_wrong_shape_is_caught_in_what_is_returned():
    transform, x = Wrong(2), torch.zeros(3, 2)
    with pytest.raises(TypeCheckError, match=r"return value of inncli.transforms.base.Transform.forward"):
        transform(x)
    with pytest.raises(TypeCheckError, match=r"return value of inncli.transforms.base.Transform.inverse"):
        transform.inverse(x)


def test_a_wrong_shape_is_caught_in_what_is_passed():
    with pytest.raises(TypeCheckError, match=r"parameters of inncli.transforms.actnorm.ActNorm._forward"):
        ActNorm(2)._forward(torch.zeros(2), None)


def test_a_decorated_function_is_checked_too():
    with pytest.raises(TypeCheckError, match=r"parameters of inncli.transforms.actnorm.ActNorm.initialise"):
        ActNorm(2).initialise(torch.zeros(3, 2, 1))
    with pytest.raises(TypeCheckError, match=r"parameters of inncli.models.inn.INN.forward"):
        INN(Variables(("x",)), None, n_blocks=1)(torch.zeros(3, 1), torch.zeros(4, 3))


def test_every_room_is_checked():
    with pytest.raises(TypeCheckError, match=r"parameters of inncli.metrics.sbc.ranks"):
        ranks(np.zeros((3, 5, 2)), np.zeros((4, 2)), np.random.default_rng(0))
    model = INN(Variables(("x",)), Variables(("y",)), n_blocks=1, dim_z=0, padding=0)
    with pytest.raises(TypeCheckError, match=r"parameters of inncli.models.inn.INN.log_prob"):
        model.log_prob(torch.zeros(3, 1), torch.zeros(4, 1))
    with pytest.raises(TypeCheckError, match=r"parameters of inncli.objectives.nll.NLL.forward"):
        NLL()(model, (torch.zeros(3, 1), torch.zeros(4, 1)), 0, torch.Generator())


def test_outside_of_tests_nothing_is_checked_or_imported():
    code = (
        "import sys, inncli.models.presets, inncli.objectives.nll; print({'jaxtyping', 'beartype'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
