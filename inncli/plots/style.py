"""How every picture looks, and how it is saved.

Colours are Okabe and Ito's set, which colour-blind readers can tell apart too; no fact is shown by colour alone.
Pictures are `Figure` objects: no pyplot, no global state, no display. The same data gives the same bytes.
"""

from __future__ import annotations

import base64
import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from inncli.io.atomic import atomic_write
from inncli.io.digits import shown
from inncli.io.harmless import harmless
from inncli.io.tables import check_suffix

SUFFIXES = (".png", ".svg", ".pdf")
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"
INK = "#222222"

# From white over the colour to near black: lightness falls all the way, so that grey print shows it too.
BLUES = LinearSegmentedColormap.from_list("inn_blue", ["#FFFFFF", "#8CC3E3", BLUE, "#002B45"])
ORANGES = LinearSegmentedColormap.from_list("inn_orange", ["#FFFFFF", "#F6CF7F", "#C47A00", "#4A2A00"])

_RC: dict[Any, Any] = {  # matplotlib names the type of its keys only since 3.11, which Python 3.10 does not get
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a column named cost_$ is not a formula
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.hashsalt": "inn",
}
# A date or a version in a file would make equal pictures differ.
_METADATA = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Sets the style for the length of a `with`, whatever the user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def new_figure(
    width: float,
    height: float,
    *,
    w_pad: float | None = None,
    h_pad: float | None = None,
    wspace: float | None = None,
    hspace: float | None = None,
) -> Figure:
    """An empty figure whose parts make room for each other.

    Args:
        width: in inches.
        height: in inches.
        w_pad: room left and right of each part, in inches; None is matplotlib's default, here and below.
        h_pad: room above and below it.
        wspace: room between columns, as a share of one.
        hspace: room between rows.
    """
    layout = ConstrainedLayoutEngine(w_pad=w_pad, h_pad=h_pad, wspace=wspace, hspace=hspace)
    return Figure(figsize=(width, height), layout=layout)


def save(fig: Figure, path: str | Path) -> Path:
    """Writes the picture, whole or not at all, as PNG, SVG or PDF by suffix.

    Raises:
        RequestError: another suffix.
    """
    path = Path(path)
    suffix = check_suffix(path, SUFFIXES)
    picture = io.BytesIO()  # on a full disk matplotlib's own writer of PDF raises another error than the disk's
    with styled():
        _harmless(fig).savefig(picture, format=suffix[1:], metadata=_METADATA[suffix])
    atomic_write(path, picture.getvalue())
    return path


def data_uri(fig: Figure, dpi: int = 150) -> str:
    """The picture as a PNG inside a `data:` link, so that a page needs no other file."""
    buffer = io.BytesIO()
    with styled():
        _harmless(fig).savefig(buffer, format="png", dpi=dpi, metadata=_METADATA[".png"])
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _harmless(fig: Figure) -> Figure:
    """The figure with its texts as `harmless` gives them: names of columns and runs may be a stranger's.

    An SVG holds each text as a comment too, and XML has no place for a control character.
    """
    for text in fig.findobj(Text):
        if (plain := harmless(text.get_text()).replace("\t", " ")) != text.get_text():  # fonts have no tab
            text.set_text(plain)
    return fig


def shorten(text: str, width: int) -> str:
    """Cuts `text` to `width` characters where it is longer, and leaves out its middle."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def wrap(text: str, width: int, lines: int = 2) -> str:
    """Breaks `text` into at most `lines` lines, after a space, underscore, hyphen or dot where there is one."""
    out: list[str] = []
    while len(text) > width and len(out) < lines - 1:
        cut = max((text.rfind(mark, 0, width) + 1 for mark in " _-."), default=0) or width
        out.append(text[:cut].rstrip())
        text = text[cut:]
    return "\n".join([*out, shorten(text, width)])


def interval_text(middle: float, low: float, high: float) -> str:
    """`middle  [low, high]` to about a hundredth of the interval's width: further digits are chance."""
    width = max(abs(high - low), 1e-9 * max(abs(low), abs(high)))
    digits = 2 - math.floor(math.log10(width)) if width else 3
    if -4 < digits < 5:
        form = f".{max(digits, 0)}f"
        texts = [format(round(v, digits) + 0.0, form) for v in (middle, low, high)]  # + 0.0: no -0
    else:
        texts = [shown(v, width if digits > 0 else None, least=3) for v in (middle, low, high)]
    return "{}  [{}, {}]".format(*texts).replace("-", "\N{MINUS SIGN}")


def values_text(values: dict[str, float | str]) -> str:
    """`a = 1, b = low`: an observation for a title. Numbers keep all digits before the point, and one behind it."""
    return ", ".join(
        f"{name} = {value if isinstance(value, str) else shown(value, sd=10, least=6)}"
        for name, value in values.items()
    )


def finite(values: Sequence[float | None]) -> list[float]:
    """A column of metrics, with NaN for null, so that its line has a gap there."""
    return [float("nan") if value is None else float(value) for value in values]
