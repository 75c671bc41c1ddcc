"""How figures look: the style, one colour and marker for each scheme, and the ways to draw."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter

STYLE = Path(__file__).with_name("initlib.mplstyle")
COLUMN, PAGE = 3.4, 6.8  # widths in inches: one column of a paper, and two
THEORY = "#444444"
INLINE = 100  # dots per inch in a notebook; files have the style's


class SchemeStyle(NamedTuple):
    """The look of a scheme in every figure."""

    label: str
    color: str
    marker: str
    linestyle: str


# Colours of Okabe and Ito (2008), which colour-blind readers tell apart; markers and lines do the
# same in greyscale. Schemes that keep the signal have solid lines.
SCHEMES = {
    "he": SchemeStyle("He", "#0072B2", "o", "-"),
    "xavier": SchemeStyle("Xavier", "#D55E00", "s", "-"),
    "lecun": SchemeStyle("LeCun", "#E69F00", "^", "-"),
    "orthogonal": SchemeStyle("orthogonal", "#009E73", "D", "-"),
    "lsuv": SchemeStyle("LSUV", "#CC79A7", "v", "-"),
    "variance_scaling": SchemeStyle("variance scaling", "#56B4E9", "P", "-"),
    "identity": SchemeStyle("identity", "#000000", "X", "-"),
    "normalized": SchemeStyle("normalized", "#E69F00", "<", "--"),
    "sparse": SchemeStyle("sparse", "#009E73", ">", "--"),
    "random": SchemeStyle("random", "#000000", "*", "--"),
    "constant": SchemeStyle("constant", "#666666", "p", "-."),
    "zeros": SchemeStyle("zeros", "#666666", "h", ":"),
}
ALIASES = {
    "kaiming": "he",
    "glorot": "xavier",
    "eye": "identity",
    "dirac": "identity",
    "delta_orthogonal": "orthogonal",
    "standard": "random",
    "normal": "random",
    "uniform": "random",
    "unit_rows": "normalized",
    "zero": "zeros",
    "ones": "constant",
}


def style() -> None:
    """Use the style of the repository in every figure from now on."""
    plt.style.use(STYLE)


def scheme_style(scheme: str) -> dict[str, str]:
    """Return the colour, marker and line of a scheme, to pass on to ``Axes.plot``.

    Parameters
    ----------
    scheme : str
        Name of the scheme or of its function, with or without the law: "he", "kaiming_normal_".

    Returns
    -------
    dict
        With the keys color, marker and linestyle.

    Raises
    ------
    ValueError
        When no scheme has this name.

    Examples
    --------
    >>> scheme_style("he_normal_")
    {'color': '#0072B2', 'marker': 'o', 'linestyle': '-'}
    """
    name = scheme.lower().rstrip("_").replace("-", "_").replace(" ", "_")
    for candidate in (name, name.removesuffix("_normal").removesuffix("_uniform")):
        key = ALIASES.get(candidate, candidate)
        if key in SCHEMES:
            _, color, marker, linestyle = SCHEMES[key]
            return {"color": color, "marker": marker, "linestyle": linestyle}
    known = [*SCHEMES, *ALIASES]
    near = difflib.get_close_matches(name, known) or SCHEMES
    raise ValueError(f"no scheme {scheme!r} has a style; did you mean {', '.join(near)}?")


def points_with_interval(ax: Axes, x, centre, low, high, **kwargs) -> None:
    """Draw measured points, each with its interval.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    x, centre, low, high : array_like, shape (n,)
        Positions, estimates, and the ends of their intervals.
    **kwargs
        For ``Axes.errorbar``; a style from `scheme_style` loses its line, which theory uses.
    """
    centre, low, high = np.asarray(centre), np.asarray(low), np.asarray(high)
    below, above = np.maximum(centre - low, 0), np.maximum(high - centre, 0)
    options = {"marker": "o", "elinewidth": 0.8} | kwargs | {"linestyle": "none"}
    ax.errorbar(x, centre, yerr=(below, above), **options)


def direct_label(ax: Axes, text: str, xy: tuple[float, float], *, offset=(4, 0), **kwargs) -> None:
    """Write a label at a curve instead of in a legend.

    Parameters
    ----------
    ax : Axes
        Where to write.
    text : str
        The label.
    xy : tuple of float
        The point of the curve, in data units.
    offset : tuple of float
        From the point to the text, in points (1/72 in).
    **kwargs
        For ``Axes.annotate``, such as the color of the curve.
    """
    options = {"va": "center", "ha": "left" if offset[0] >= 0 else "right", "fontsize": 7} | kwargs
    ax.annotate(text, xy, xytext=offset, textcoords="offset points", **options)


def reference_line(ax: Axes, y: float, text: str = "", **kwargs) -> None:
    """Draw the level that theory predicts, with its name at the left end.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    y : float
        The level, in data units.
    text : str
        Written above the line.
    **kwargs
        For ``Axes.axhline``.
    """
    ax.axhline(y, **{"color": THEORY, "linewidth": 0.8, "linestyle": ":", "zorder": 0} | kwargs)
    if text:
        position = {"xy": (0, y), "xycoords": ax.get_yaxis_transform()}
        ax.annotate(
            text, xytext=(3, 2), textcoords="offset points", fontsize=7, color=THEORY, **position
        )


def heading(ax: Axes, letter: str, text: str) -> None:
    """Write the letter of a panel and what it shows above it."""
    ax.set_title(f"$\\bf{{{letter}}}$   {text}", loc="left")


def training_axis(ax: Axes, chance: float, *, log: bool = True, top: float = 1.2) -> None:
    """Prepare a panel for training losses by step, with the loss of chance dotted.

    Parameters
    ----------
    ax : Axes
        What to prepare.
    chance : float
        Loss (nats) of a network that knows nothing.
    log : bool
        Whether steps are on a logarithmic axis.
    top : float
        The upper end of the losses, over chance.
    """
    reference_line(ax, chance)
    ax.set(ylim=(0, top * chance), xlabel="step")
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())


def draw_seeds(ax: Axes, curves: pd.DataFrame, *, color: str, linestyle: str = "-") -> pd.Series:
    """Draw training losses: every seed thin, their median thick.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    curves : DataFrame
        Columns seed, step and loss.
    color, linestyle : str
        Of the lines; the style is the median's.

    Returns
    -------
    Series
        The median loss by step, to write a label at.
    """
    for _, one in curves.groupby("seed"):
        ax.plot(one.step, one.loss, color=color, linewidth=0.4, alpha=0.4)
    median = curves.groupby("step").loss.median()
    ax.plot(median.index, median, color=color, linewidth=1.8, linestyle=linestyle)
    return median
