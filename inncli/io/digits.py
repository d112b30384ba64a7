"""How many digits of a number are shown."""

from __future__ import annotations

import math

MOST = 16  # digits that tell a 64-bit float from nearly all others


def shown(value: float, sd: float | None = None, least: int = 5) -> str:
    """Writes a finite number to `least` digits, or to as many as show three digits of `sd`, the sd of its neighbours.

    2460015.35 beside an sd of 9 is not written as 2.46e+06: nothing would tell it from its neighbours.
    """
    digits = least
    if value and sd and 0 < sd < math.inf:
        whole = math.floor(math.log10(abs(value))) + 1
        needed = whole + 2 - math.floor(math.log10(sd))
        if needed > least:
            # At least `whole`: with fewer, a number far above its sd gets an exponent.
            digits = min(max(needed, whole), MOST)
    text = f"{value + 0.0:.{digits}g}"  # no -0
    # The last of 16 digits may be rounding: 8.1 is not 8.100000000000001.
    return text if digits < MOST else min(text, repr(float(value)), key=len)
