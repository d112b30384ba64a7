"""The squared MMD of draws to exact draws."""

from __future__ import annotations

import numpy as np
import torch

from inncli.numerics.mmd import InverseMultiquadric, mmd2
from inncli.types import Float


def mmd2_to_reference(x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"]) -> float:
    r"""Unbiased squared MMD between draws and reference draws, on x as it is.

    .. math:: k(x, x') = \sum_h \frac{h^2}{h^2 + |x - x'|^2}, \quad h \in \{.05, .2, .9\}

    The kernels are the published ones and know nothing of units: figures compare methods on one task, not tasks.
    Scatters around 0 where the two agree, and may be negative.

    Shape: x (n, Dx), reference (m, Dx). Units: none; 3 at most.
    Reference: Kruse et al. 2021, Benchmarking invertible architectures on inverse problems, arXiv:2101.10763.
    """
    return float(mmd2(torch.as_tensor(x), torch.as_tensor(reference), InverseMultiquadric((0.05, 0.2, 0.9))))
