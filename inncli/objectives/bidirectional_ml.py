"""The two-sided INN by likelihood."""

from __future__ import annotations

import torch

from inncli.errors import ConfigError
from inncli.models.abilities import TwoSided
from inncli.models.base import Model, Scalar
from inncli.objectives.base import Batch, Objective, Terms
from inncli.tasks.base import Task
from inncli.types import PositiveFloat


class BidirectionalML(Objective):
    r"""The exact likelihood of (x, u) given y, where u ~ N(0, s^2) pads x; a bound on that of x.

    .. math:: -\log p(x | y) \le E_u\left[\log N(u; 0, s^2) - \log N(f_y; y, \sigma^2) - \log N(f_z; 0, I)
        - \log N(f_v; 0, I) - \log|\det J| \right]

    in nats of x in the user's units, so that it compares with `nll`; an equality without padding.

    Args:
        sigma: sd of the noise on y, in units of y's own sd (of 1 for a label).
        learn_sigma: True learns it from there, one for each y.
        padding_noise: s, in units of x's sd.

    Raises: ConfigError if the model is not two-sided.
    Reference: Ardizzone et al. 2019, arXiv:1808.04730; Huang et al. 2020, Augmented normalizing flows,
        arXiv:2002.07101.
    """

    graph_capturable_from = 0

    def __init__(
        self, sigma: PositiveFloat = 0.05, learn_sigma: bool = True, padding_noise: PositiveFloat = 1.0
    ) -> None:
        super().__init__()
        self.sigma, self.learn_sigma, self.padding_noise = sigma, learn_sigma, padding_noise

    def attach(self, model: Model, task: Task) -> None:
        """Tells the model its noises: v is part of the latent here, N(0, I)."""
        if not isinstance(model, TwoSided):
            raise ConfigError(
                f"objective=bidirectional_ml trains model=inn, got {type(model).__name__}; leave the objective out"
            )
        model.set_noise(self.sigma, learn=self.learn_sigma)
        model.set_padding(self.padding_noise, 1.0)

    def forward(self, model: Model, batch: Batch | None, step: int, generator: torch.Generator) -> tuple[Scalar, Terms]:
        """The bound; and sigma, the root mean square over the ys."""
        assert isinstance(model, TwoSided) and batch is not None  # `attach`, `needs_data`
        x, y = batch
        scaled, ladj = model.scale(model.scale.dequantise(x, generator))
        u = model.noise(len(x), generator)
        joint = model.log_joint(scaled.to(u.dtype), u, model.target(y, len(x)))
        log_u = torch.distributions.Normal(0.0, self.padding_noise, validate_args=False).log_prob(u).sum(1)
        terms = {} if y is None else {"sigma": model.sigma.detach().square().mean().sqrt()}
        return (log_u - joint - ladj).mean(), terms
