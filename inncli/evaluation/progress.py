"""How far an evaluation is: its steps, what each costs, and what share of itself it has done.

steps, each telling its own share --run--> a line and the share of the whole
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inncli.metrics import registry

Tell = Callable[[str, float], None]  # what is being done, in words; the share that is done


@dataclass(frozen=True)
class Step:
    """A part of an evaluation.

    Attributes:
        name: as the registry of metrics calls it.
        words: what is being done, to begin with.
        cost: about its seconds on one core; only the ratios count, for the time that is left.
        run: does it, and may tell its progress.
    """

    name: registry.Step
    words: str
    cost: float
    run: Callable[[Tell], None]


def run(steps: Iterable[Step], on_progress: Tell) -> None:
    """Runs the steps in their order; `on_progress` is told the share of the whole."""
    steps = list(steps)
    total, before = sum(step.cost for step in steps), 0.0
    for step in steps:

        def tell(words: str, share: float, before: float = before, cost: float = step.cost) -> None:
            on_progress(words, (before + share * cost) / total)

        tell(step.words, 0.0)
        step.run(tell)
        before += step.cost
