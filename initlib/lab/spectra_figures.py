"""The figure on singular values: how they spread in products, in Jacobians and in convolutions."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initlib.lab.estimates import estimate
from initlib.lab.figures import (
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
)
from initlib.lab.looks import THEORY
from initlib.lab.orthogonal_figures import GAUSSIAN, LOOKS, ORTHOGONAL
from initlib.lab.singular_values import CASES, conv_law, fourth_moments
from initlib.spectra import product_law

__all__ = ["plot_spectra"]


def plot_spectra(densities: pd.DataFrame, moments: pd.DataFrame, taps: int) -> Figure:
    """Draw how singular values spread: in products, in networks, in convolutions.

    Parameters
    ----------
    densities
        Columns panel ("a", "c"), of, s and density, from `density_table`.
    moments
        Columns case (of `CASES`), n, depth and moment, the mean s^4 of one Jacobian.
    taps
        Taps of the convolutions' kernels.

    Returns
    -------
    Figure
        Two columns wide: three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4), dpi=INLINE)
    _draw_products(axes[0], densities[densities.panel == "a"])
    _draw_moments(axes[1], moments)
    _draw_operators(axes[2], densities[densities.panel == "c"], taps)
    titles = "Gaussian products", "Jacobians", f"Convolutions, {taps} taps"
    for letter, ax, words in zip("abc", axes, titles, strict=True):
        heading(ax, letter, words)
    return fig


def _draw_products(ax: Axes, densities: pd.DataFrame) -> None:
    products = list(densities.groupby("of"))
    for place, (depth, part) in enumerate(products):
        alpha = 0.3 + 0.7 * (place + 1) / len(products)
        ax.plot(part.s, part.density, ".", color=GAUSSIAN["color"], alpha=alpha, zorder=2)
        s, density, _ = product_law(int(depth))
        ax.plot(s, s * density, color=THEORY, linewidth=0.8)
        top = (s * density).argmax()
        name = f"$L$ = {depth}" if place == 0 else f"{depth}"
        spot = s[top], s[top] * density[top]
        direct_label(ax, name, spot, offset=(-4, 6), color=GAUSSIAN["color"])
    ax.axvline(1, color=ORTHOGONAL["color"])
    direct_label(
        ax, "orthogonal:\n1 at any $L$", (1, 0.52), offset=(-12, 0), color=ORTHOGONAL["color"]
    )
    ax.set(xscale="log", xlim=(1e-3, 10), ylim=(0, 0.72))
    ax.set(xlabel="singular value $s$", ylabel=r"density of $\ln s$")


def _draw_moments(ax: Axes, moments: pd.DataFrame) -> None:
    n, deepest = int(moments.n.iloc[0]), int(moments.depth.max())
    shifts = {"orthogonal, ReLU": 7, "Gaussian, linear": -7}
    for case, part in moments.groupby("case"):
        gaussian, relu = CASES[case]
        look = GAUSSIAN if gaussian else ORTHOGONAL
        groups = [(depth, estimate(own - 1)) for depth, own in part.groupby("depth").moment]
        depths, estimates = zip(*groups, strict=True)
        ends = ([getattr(e, name) for e in estimates] for name in ("value", "low", "high"))
        face = {} if relu else {"markerfacecolor": "white"}
        places = np.array(depths) + 0.02 * shifts.get(case, 0)  # beside each other
        points_with_interval(ax, places, *ends, **look, **face)
        theory = fourth_moments(deepest, n, gaussian, relu) - 1
        ax.plot(theory, color=look["color"], linewidth=1, zorder=0)
        words = case.replace(", ", ",\n")
        offset = 7, shifts.get(case, 0)
        direct_label(ax, words, (deepest, theory[-1]), offset=offset, color=look["color"])
    ax.set_xticks(sorted(moments.depth.unique()))
    ax.set(xlabel="layers $L$", ylabel=r"spread $\mathrm{E}\,s^4 - 1$")


def _draw_operators(ax: Axes, densities: pd.DataFrame, taps: int) -> None:
    quarter, density, _ = product_law(1)
    laws = {"gaussian": (quarter, density), "orthogonal": conv_law(taps)}
    for scheme, part in densities.groupby("of"):
        look = LOOKS[scheme]
        ax.plot(part.s, part.density, look["marker"], color=look["color"], markersize=2.5)
        ax.plot(*laws[scheme], color=look["color"], linewidth=1)
    ax.axvline(1, color=ORTHOGONAL["color"])
    spot = {"offset": (0, 0)}
    direct_label(
        ax, "delta-\northogonal:\nall at 1", (1.05, 0.82), color=ORTHOGONAL["color"], **spot
    )
    direct_label(ax, "orthogonal_", (0.5, 0.48), ha="center", color=ORTHOGONAL["color"], **spot)
    direct_label(ax, "Gaussian", (0.05, 0.7), color=GAUSSIAN["color"], **spot)
    ax.set(xlabel="singular value $s$", ylabel="density of $s$", ylim=(0, 0.95))
