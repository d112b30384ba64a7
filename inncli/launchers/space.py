"""The space of a search, read from overrides: `model=nice,rnvp`, `range(2,6)`, `tag(log,interval(1e-3,1e-2))`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def search_space(overrides: Sequence[Override]) -> tuple[dict[str, BaseDistribution], dict[str, str]]:
    """What the trials choose from, and the values that all of them share, each by key.

    A key that also has a fixed value is no choice.

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
        return _numbers(value.start, value.end, log="log" in value.tags)
    if isinstance(value, RangeSweep) and not value.shuffle:
        return _numbers(value.start, value.stop, step=value.step)
    # `encode` leaves text, numbers, true and false as they are, and turns all else into text.
    encoded = cast(list[str | int | float | bool | None], list(override.sweep_iterator(transformer=Transformer.encode)))
    return CategoricalDistribution(encoded)


def _numbers(
    low: float | None, high: float | None, step: float | None = None, log: bool = False
) -> IntDistribution | FloatDistribution:
    """Whole numbers if all that is given is whole, else real ones."""
    assert low is not None and high is not None  # hydra's parser sets both
    if isinstance(low, int) and isinstance(high, int) and (step is None or isinstance(step, int)):
        return IntDistribution(low, high, log=log, step=1 if step is None else step)
    return FloatDistribution(low, high, log=log, step=step)
