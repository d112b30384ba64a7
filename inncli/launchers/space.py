"""The space of a search, read from overrides: `model=nice,rnvp`, `range(2,6)`, `tag(log,interval(1e-3,1e-2))`."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def search_space(overrides: Sequence[Override]) -> tuple[dict[str, BaseDistribution], dict[str, str]]:
    """What the trials choose from, and what all of them share, by key; a fixed value wins over a choice.

    Raises: ValueError for bounds that are no range, such as a logarithmic one from 0.
    """
    fixed = {o.get_key_element(): o.get_value_element_as_str() for o in overrides if not o.is_sweep_override()}
    free = {o.get_key_element(): distribution(o) for o in overrides if o.is_sweep_override()}
    return {key: of for key, of in free.items() if key not in fixed}, fixed


def distribution(override: Override) -> BaseDistribution:
    """Optuna's distribution of one override that lists or bounds values.

    Hydra reads the bounds of a plain interval as real numbers and those of `int(interval(1,8))` as whole ones. The tag
    `log` spreads the numbers over the orders of magnitude. A range holds its upper bound; a shuffled one is a choice.
    """
    value = override.value()
    if isinstance(value, IntervalSweep):
        kind = IntDistribution if _whole(value.start, value.end) else FloatDistribution
        return kind(value.start, value.end, log="log" in value.tags)
    if isinstance(value, RangeSweep) and not value.shuffle:
        kind = IntDistribution if _whole(value.start, value.stop, value.step) else FloatDistribution
        return kind(value.start, value.stop, step=value.step)
    return CategoricalDistribution(list(override.sweep_iterator(transformer=Transformer.encode)))


def _whole(*bounds: float) -> bool:
    return all(isinstance(bound, int) for bound in bounds)
