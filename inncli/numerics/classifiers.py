r"""Many small classifiers that learn at once: scikit-learn's `MLPClassifier` with two hidden layers, in batched form.

The nets have one shape. As `MLPClassifier`s of one `random_state` they begin with the same weights and take their own
rows in the same order, so every matrix product of a step is one call for all nets. Gradients are written out:

.. math:: h_1 = \mathrm{relu}(W_1 x), \quad h_2 = \mathrm{relu}(W_2 h_1 + b_2), \quad z = W_3 h_2 + b_3

with x extended by a row of ones, and from the logistic loss, the mean of log(1 + exp(z)) - side z,

.. math:: \delta_z = \frac{\sigma(z) - \mathrm{side}}{n}, \quad \delta_2 = [h_2 > 0] W_3^T \delta_z, \quad
    \delta_1 = [h_1 > 0] W_2^T \delta_2

Arrays hold the rows of the data last, (nets, features, rows): torch multiplies thin matrices faster that way round.

Reference: Kingma and Ba 2015, Adam, arXiv:1412.6980; scikit-learn's `neural_network._multilayer_perceptron`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

BATCH = 200  # rows
RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # of Adam
DECAY = 1e-4  # factor of the squared weights in the loss
MOST_EPOCHS, TOLERANCE, PATIENCE = 1_000, 1e-4, 10
LARGEST_LOSS = -math.log(np.finfo(np.float64).eps)  # of a row, where the stopping rule cuts it off


def fitted_log_odds(
    train: Tensor,
    train_sides: Tensor,
    test: Tensor,
    width: int,
    seed: int,
    on_progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Fits a classifier of two sides to each set of rows; what it says of the rows that it is tested on.

    A net ends once its loss has not fallen by `TOLERANCE` below the best for more than `PATIENCE` epochs; the others
    go on without it.

    Args:
        train: rows to learn from, (nets, dim, n); computed in their precision.
        train_sides: 0 or 1 for each, (nets, n), in the same precision.
        test: rows to judge by, (nets, dim, m).
        width: of both hidden layers.
        seed: of the weights at the start and of the order of the rows.
        on_progress: called after each epoch with the share of the work that is done, a guess.

    Returns: the log odds of side 1, (nets, m).
    """
    random = np.random.RandomState(seed)  # scikit-learn's own generator, and its order of draws
    nets, _, n = train.shape
    fit = _Nets(nets, _layers(train.shape[1], width, random), train.dtype)
    # The sides go with the rows, so that one call reorders both.
    rows = torch.cat([_with_ones(train), train_sides[:, None]], 1)
    going = np.arange(nets)
    found, best, waited = test.new_empty(nets, test.shape[2]), np.full(nets, np.inf), np.zeros(nets, dtype=int)
    for epoch in range(1, MOST_EPOCHS + 1):
        rows = rows.gather(2, torch.from_numpy(random.permutation(n)).expand_as(rows))
        loss = fit.epoch(rows)
        waited[going] = np.where(loss > best[going] - TOLERANCE, waited[going] + 1, 0)
        best[going] = np.minimum(best[going], loss)
        ends = waited[going] > PATIENCE if epoch < MOST_EPOCHS else np.full(len(going), True)
        if ends.any():
            which = torch.from_numpy(np.flatnonzero(ends))
            found[going[ends]] = fit.logits(_with_ones(test[which]), which)
            left = torch.from_numpy(np.flatnonzero(~ends))
            going, rows, test = going[~ends], rows[left], test[left]
            fit.keep(left)
        on_progress(1 - len(going) / nets * 20 / (epoch + 20))  # half of a usual fit takes about 20 epochs
        if not len(going):
            break
    return found.double().numpy()


def _layers(dim: int, width: int, random: np.random.RandomState) -> list[np.ndarray]:
    """Weights and offsets by Glorot's uniform distribution, as `_Nets.blocks` holds them."""
    found = []
    for fan_in, fan_out in ((dim, width), (width, width), (width, 1)):
        bound = np.sqrt(6 / (fan_in + fan_out))
        weights = random.uniform(-bound, bound, (fan_in, fan_out)).T
        found += [weights, random.uniform(-bound, bound, fan_out)[:, None]]
    return [np.hstack(found[:2]), *found[2:]]


def _with_ones(rows: Tensor) -> Tensor:
    """Rows (nets, dim, n) with a feature that is 1, (nets, dim + 1, n)."""
    return torch.cat([rows, rows.new_ones(len(rows), 1, rows.shape[2])], 1)


class _Nets:
    """Nets of one shape with the state of their optimiser, each tensor flat: one block after the other, of all nets.

    The blocks are W1 with its offsets as the last column, W2, b2, W3, b3.
    """

    def __init__(self, nets: int, layers: Sequence[np.ndarray], dtype: torch.dtype) -> None:
        self.shapes = [layer.shape for layer in layers]
        start = [torch.as_tensor(layer, dtype=dtype).expand(nets, *layer.shape) for layer in layers]
        self.steps = 0
        self.state = [torch.cat([block.reshape(-1) for block in start])]
        self.state += [torch.zeros_like(self.state[0]) for _ in range(2)]
        self._allocate(nets)

    def _allocate(self, nets: int) -> None:
        """What follows from the number of nets."""
        self.nets = nets
        self.parameters, self.first, self.second = self.state
        self.gradient, self.squares = torch.empty_like(self.parameters), torch.empty_like(self.parameters)
        self.layers, self.gradients = self.blocks(self.parameters), self.blocks(self.gradient)
        self.decay = torch.zeros_like(self.parameters)
        first, second, _, third, _ = self.blocks(self.decay)
        for weights in (first[:, :, :-1], second, third):
            weights.fill_(DECAY)
        self._buffers: dict[int, tuple[Tensor, ...]] = {}

    def blocks(self, flat: Tensor) -> list[Tensor]:
        """Views of a flat tensor, (nets, rows, columns) each."""
        sizes = [self.nets * rows * columns for rows, columns in self.shapes]
        parts = zip(flat.split_with_sizes(sizes), self.shapes, strict=True)
        return [part.view(self.nets, *shape) for part, shape in parts]

    def keep(self, nets: Tensor) -> None:
        """Drops all nets but these."""
        self.state = [
            torch.cat([block[nets].reshape(-1) for block in self.blocks(flat)])
            for flat in (self.parameters, self.first, self.second)
        ]
        self._allocate(len(nets))

    def logits(self, rows: Tensor, nets: Tensor) -> Tensor:
        """Log odds of side 1, (nets, n), by some of the nets. Shape: rows (nets, dim + 1, n)."""
        w1, w2, b2, w3, b3 = (block[nets] for block in self.layers)
        hidden = torch.baddbmm(b2, w2, torch.bmm(w1, rows).relu_()).relu_()
        return torch.baddbmm(b3, w3, hidden)[:, 0]

    def epoch(self, rows: Tensor) -> np.ndarray:
        """A step for each batch of rows; the mean loss, (nets,).

        Args:
            rows: features, a feature that is 1, and the side, (nets, dim + 2, n).
        """
        n = rows.shape[2]
        logits = rows.new_empty(-(-n // BATCH), self.nets, 1, BATCH)
        self.squares.zero_()
        for k, start in enumerate(range(0, n, BATCH)):
            batch = rows[:, :, start : start + BATCH]
            logits[k, :, :, : batch.shape[2]] = self._step(batch[:, :-1], batch[:, -1:])
        z = logits.permute(1, 2, 0, 3).reshape(self.nets, -1)[:, :n]
        # log(1 + exp(z)) - side z, without the overflow
        losses = torch.nn.functional.softplus(torch.where(rows[:, -1] > 0, -z, z)).clamp_(max=LARGEST_LOSS)
        penalty = sum(block.flatten(1).sum(1) for block in self.blocks(self.squares))
        return ((losses.sum(1, dtype=torch.float64) + 0.5 * penalty) / n).numpy()

    def _step(self, rows: Tensor, sides: Tensor) -> Tensor:
        """One step of Adam; the log odds before it, (nets, 1, n)."""
        n = rows.shape[2]
        if n not in self._buffers:
            hidden = rows.new_empty(4, self.nets, self.shapes[1][0], n)
            self._buffers[n] = (*hidden, *rows.new_empty(2, self.nets, 1, n))
        h1, h2, d1, d2, z, dz = self._buffers[n]
        w1, w2, b2, w3, b3 = self.layers
        g1, g2, gb2, g3, gb3 = self.gradients
        torch.bmm(w1, rows, out=h1).relu_()
        torch.baddbmm(b2, w2, h1, out=h2).relu_()
        torch.baddbmm(b3, w3, h2, out=z)
        torch.sigmoid(z, out=dz).sub_(sides).div_(n)
        torch.bmm(dz, h2.mT, out=g3)
        torch.sum(dz, 2, keepdim=True, out=gb3)
        torch.mul(w3.mT, dz, out=d2)
        torch.ops.aten.threshold_backward.grad_input(d2, h2, 0, grad_input=d2)
        torch.bmm(d2, h1.mT, out=g2)
        torch.sum(d2, 2, keepdim=True, out=gb2)
        torch.bmm(w2.mT, d2, out=d1)
        torch.ops.aten.threshold_backward.grad_input(d1, h1, 0, grad_input=d1)
        torch.bmm(d1, rows.mT, out=g1)
        self._adam(n)
        return z

    def _adam(self, n: int) -> None:
        self.steps += 1
        shrink = self.decay * self.parameters
        self.squares.addcmul_(shrink, self.parameters)
        self.gradient.add_(shrink, alpha=1 / n)
        self.first.lerp_(self.gradient, 1 - BETA_1)
        self.second.mul_(BETA_2).addcmul_(self.gradient, self.gradient, value=1 - BETA_2)
        rate = RATE * math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        self.parameters.addcdiv_(self.first, self.second.sqrt().add_(EPSILON), value=-rate)
