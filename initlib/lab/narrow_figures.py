"""The figures on finite width: how lengths fluctuate, and what that does to training."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, ScalarFormatter
from scipy.special import ndtri

from initlib.finite_width import log_length
from initlib.lab.estimates import estimate
from initlib.lab.figures import (
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
)
from initlib.lab.looks import THEORY

__all__ = ["plot_lengths", "plot_starts"]

RELU, LINEAR, MENDED = scheme_style("he")["color"], "#E69F00", scheme_style("lsuv")["color"]
BETA = r"$\beta = \Sigma\, 1 / n_l$"
DEPTHS = {  # from shallow to deep
    "color": ("#56B4E9", "#009E73", "#E69F00", "#D55E00", "#000000"),
    "marker": ("o", "s", "^", "D", "v"),
}


def plot_lengths(layers: np.ndarray, width: int, densities: pd.DataFrame, laws: pd.DataFrame):
    """Draw how the length of a signal fluctuates: along layers, between shapes, and in beta.

    Parameters
    ----------
    layers : ndarray, shape (draws, L)
        M_l / M_0 of ReLU networks of one width.
    width : int
        Theirs.
    densities : DataFrame
        Columns shape and beta, and those of `log_density`: two shapes for each of two beta.
    laws : DataFrame
        From `law_table`, of both activations.

    Returns
    -------
    Figure
        Two columns wide: three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.5), dpi=INLINE)
    _draw_layers(axes[0], layers, width)
    _draw_densities(axes[1], densities)
    _draw_laws(axes[2], laws)
    words = f"Layers of {width} units", "After all layers", "Moments of $\\ln M_L$"
    for letter, ax, text in zip("abc", axes, words, strict=True):
        heading(ax, letter, text)
    return fig


def _draw_layers(ax: Axes, layers: np.ndarray, width: int) -> None:
    count = np.arange(1, layers.shape[1] + 1)
    laws = [log_length([width] * int(layer)) for layer in count]
    mean, std = np.array([(law.mean, law.variance**0.5) for law in laws]).T
    low, high = (mean + z * std for z in ndtri([0.05, 0.95]))
    ax.fill_between(count, np.exp(low), np.exp(high), color=RELU, alpha=0.15, linewidth=0)
    ax.plot(count, np.exp(mean), color=RELU, linewidth=1)
    reference_line(ax, 1)
    shown = np.arange(1, len(count), 3)
    quantiles = np.quantile(layers[:, shown], [0.05, 0.5, 0.95], axis=0)
    for quantile, marker in zip(quantiles, "_o_", strict=True):
        ax.plot(count[shown], quantile, marker, color=RELU, markersize=3 if marker == "o" else 5)
    end, middle = len(count) - 1, len(count) // 2
    direct_label(ax, "mean", (count[end], 1), offset=(-2, -6), color=THEORY)
    direct_label(ax, "median", (count[middle], np.exp(mean[middle])), offset=(3, 9), color=RELU)
    spot = count[middle], np.exp(low[middle])
    direct_label(ax, "nine of ten\nnetworks", spot, offset=(-4, -6), color=RELU)
    ax.set(yscale="log", xlabel="layer $l$", ylabel="length $M_l / M_0$")


def _draw_densities(ax: Axes, densities: pd.DataFrame) -> None:
    for beta, group in densities.groupby("beta"):
        color = RELU if beta == densities.beta.max() else "#D55E00"
        for place, (_, part) in enumerate(group.groupby("shape", sort=False)):
            face = "white" if place else color
            ax.plot(
                part.log10,
                part.density,
                "os"[place],
                color=color,
                markerfacecolor=face,
                markersize=3,
            )
            line = {"linestyle": "--" if place else "-", "linewidth": 1}
            ax.plot(part.log10, part.theory, color=color, **line)
        names = ", ".join(name.replace("x", "×") for name in group["shape"].unique())
        height = group.density.max()
        place = group.loc[group.density == height, "log10"].iloc[0]
        direct_label(
            ax, f"$\\beta$ = {beta:g}\n{names}", (place, height), offset=(-14, 0), color=color
        )
    ax.set(xlabel="$\\log_{10}\\ M_L / M_0$", ylabel="density", ylim=(0, None))


def _draw_laws(ax: Axes, laws: pd.DataFrame) -> None:
    signs = {"variance": 1, "mean": -1}
    factors = {("relu", "variance"): 5, ("relu", "mean"): 2.5, ("linear", "variance"): 2}
    beta = np.array([laws.beta.min() / 1.3, laws.beta.max() * 1.3])
    for (activation, moment), factor in factors.items():
        part = laws[(laws.activation == activation) & (laws.moment == moment)]
        color = RELU if activation == "relu" else LINEAR
        ax.plot(beta, factor * beta, color=color, linewidth=0.8, zorder=0)
        ax.plot(part.beta, signs[moment] * part.theory, "_", color=THEORY, markersize=8)
        low, value, high = np.sort(signs[moment] * part[["low", "value", "high"]], axis=1).T
        face = color if moment == "variance" else "white"
        points_with_interval(ax, part.beta, value, low, high, color=color, markerfacecolor=face)
    for words, spot, color in (
        ("variance, ReLU: $5\\beta$", (0.03, 0.96), RELU),
        ("−mean,\nReLU:\n$2.5\\beta$", (0.74, 0.52), RELU),
        ("variance, linear: $2\\beta$", (0.28, 0.08), LINEAR),
    ):
        ax.annotate(words, spot, xycoords="axes fraction", va="center", color=color, fontsize=7)
    ax.set(xscale="log", yscale="log", xlabel=BETA)


def plot_starts(starts: pd.DataFrame, ranks: pd.DataFrame, mended: pd.DataFrame, level: float):
    """Draw when networks begin to train, against beta and depth, and what mends it.

    Parameters
    ----------
    starts : DataFrame
        From `start_table`, of He networks of several shapes.
    ranks : DataFrame
        Spearman's correlations, with columns rate, name ("beta", "depth"), value, low and high.
    mended : DataFrame
        From `start_table`: shapes of one depth at the common rate, under "he" and "right lengths".
    level : float
        Loss (nats) at which training counts as begun.

    Returns
    -------
    Figure
        Two columns wide: four panels.
    """
    fig, axes = plt.subplots(2, 2, figsize=(PAGE, 4.4), dpi=INLINE, sharey=True)
    rate = starts.lr[starts.rate == "common"].iloc[0]
    panels = (("common", "beta"), ("common", "depth"), ("own", "beta"))
    for ax, (way, name) in zip(axes.flat, panels, strict=False):
        _draw_starts(ax, starts[starts.rate == way], name)
        own = ranks[(ranks.rate == way) & (ranks.name == name)].iloc[0]
        words = f"rank correlation {own.value:.2f} ({own.low:.2f} to {own.high:.2f})"
        ax.annotate(words, (0.02, 0.95), xycoords="axes fraction", va="top", fontsize=7)
    _draw_mended(axes[1, 1], mended)
    for ax in axes[:, 0]:
        ax.set(yscale="log", ylabel=f"steps to loss {level:g}")
        ax.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
    heads = f"All at rate {rate:g}", "The same, by depth", "Each at its own best rate"
    for letter, ax, text in zip(
        "abcd", axes.flat, (*heads, "At one rate, with right lengths"), strict=True
    ):
        heading(ax, letter, text)
    return fig


def _draw_starts(ax: Axes, starts: pd.DataFrame, name: str) -> None:
    depths = sorted(starts.depth.unique())
    for place, depth in enumerate(depths):
        part = starts[starts.depth == depth]
        groups = [(known, estimate(own)) for known, own in part.groupby("beta").log_steps]
        beta, logs = zip(*groups, strict=True)
        x = np.array(beta) if name == "beta" else depth * 1.05 ** np.arange(-1, len(beta) - 1)
        ends = (np.exp([getattr(one, end) for one in logs]) for end in ("value", "low", "high"))
        look = {key: values[place % len(values)] for key, values in DEPTHS.items()}
        value, low, high = ends
        points_with_interval(ax, x, value, low, high, **look)
        if name == "beta":
            ax.plot(x, value, color=look["color"], linewidth=0.6, alpha=0.6)
            # At the last point or above the first, by turns, so that neighbours stay apart.
            words = f"{depth} layers" if place == 0 else f"{depth}"
            end, offset, ha = (-1, (7, 0), "left") if place % 2 else (0, (0, 9), "center")
            direct_label(ax, words, (x[end], value[end]), offset=offset, color=look["color"], ha=ha)
    ax.set_xscale("log")
    if name == "depth":
        ax.xaxis.set_major_locator(FixedLocator(depths))
        ax.xaxis.set_minor_locator(FixedLocator([]))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(BETA if name == "beta" else "hidden layers")
    ax.margins(x=0.15, y=0.12)


def _draw_mended(ax: Axes, mended: pd.DataFrame) -> None:
    depth = mended.depth.iloc[0]
    for scheme, (color, marker, name, shift) in {
        "he": (RELU, "o", "He", 0.97),
        "right lengths": (MENDED, "v", "right lengths", 1.03),
    }.items():
        groups = mended[mended.scheme == scheme].groupby("beta").log_steps
        beta, logs = zip(*((beta, estimate(own)) for beta, own in groups), strict=True)
        widths = depth / np.array(beta)
        value, low, high = (np.exp([one[i] for one in logs]) for i in (0, 3, 4))
        points_with_interval(ax, shift * widths, value, low, high, color=color, marker=marker)
        ax.plot(shift * widths, value, color=color, linewidth=0.6, alpha=0.6)
        spot, offset = (shift * widths[-1], value[-1]), (6, 6) if scheme == "he" else (0, -14)
        direct_label(ax, name, spot, offset=offset, color=color)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(depth / mended.beta.unique()))
    ax.xaxis.set_minor_locator(FixedLocator([]))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel(f"units in each of {depth} layers")
    ax.margins(x=0.15)
