"""The figures on trainable depth: accuracy over depth and weight scale, and its edge."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initlib.lab.figures import (
    COLUMN,
    INLINE,
    PAGE,
    direct_label,
    heading,
    points_with_interval,
)
from initlib.lab.looks import THEORY

__all__ = ["plot_edges", "plot_maps"]

FACTOR = 6  # trainable depth over xi_c, by Schoenholz et al. 2017
_HALO = [patheffects.Stroke(linewidth=2.6, foreground="white"), patheffects.Normal()]
_PHASES = {"ordered": ("#0072B2", "o"), "critical": ("#000000", "D"), "chaotic": ("#D55E00", "s")}


def plot_maps(
    maps: Mapping[int, pd.DataFrame], edges: pd.DataFrame, line: pd.DataFrame, critical: float
) -> Figure:
    """Draw accuracy over depth and scale for each budget, with theory and the measured edge.

    Parameters
    ----------
    maps
        By steps: from `initlib.lab.trainable_depth.accuracy_map`.
    edges
        Columns steps, sigma_w, value, low and high: the edge.
    line
        Columns sigma_w and xi: depth scale in theory.
    critical
        The critical scale.

    Returns
    -------
    Figure
        Two columns wide, a panel for each budget.
    """
    fig, axes = plt.subplots(
        1, len(maps), figsize=(PAGE, 2.9), dpi=INLINE, sharey=True, layout="constrained"
    )
    for letter, ax, (steps, table) in zip("abc", axes, maps.items(), strict=False):
        image = _draw_map(ax, table)
        for factor, style in ((1, "--"), (FACTOR, "-")):
            ax.plot(
                line.sigma_w, factor * line.xi, style, color="black", linewidth=1.2,
                path_effects=_HALO,
            )  # fmt: skip
        own = edges[edges.steps == steps]
        points_with_interval(
            ax, own.sigma_w, own.value, own.low, own.high, color="black", marker="o",
            markerfacecolor="white", markersize=5, elinewidth=1.2,
        )  # fmt: skip
        ax.axvline(critical, color="white", linewidth=0.8, linestyle=":")
        heading(ax, letter, f"{steps} steps")
        ax.set_xlabel(r"weight scale $\sigma_w$")
    depths = np.sort(maps[max(maps)].depth.unique())
    axes[0].set(yscale="log", ylim=_borders(np.log(depths), np.exp)[[0, -1]], yticks=depths)
    axes[0].set_yticklabels([str(depth) for depth in depths])
    axes[0].minorticks_off()
    axes[0].set_ylabel("depth (weight layers)")
    for factor, name in ((1, r"$\xi_c$"), (FACTOR, rf"{FACTOR} $\xi_c$")):
        inside = line[factor * line.xi < 0.85 * depths[-1]]
        inside = inside[(inside.sigma_w < critical) & (factor * inside.xi > depths[0])]
        if len(inside):
            at = inside.iloc[-1]
            label = {"ha": "right", "va": "bottom", "path_effects": _HALO}
            direct_label(axes[0], name, (at.sigma_w, factor * at.xi), offset=(-4, -6), **label)
    bar = fig.colorbar(image, ax=axes, aspect=30, ticks=[0.1, 0.25, 0.5, 0.75, 1])
    bar.set_label("test accuracy")
    bar.outline.set_visible(False)
    return fig


def _draw_map(ax: Axes, table: pd.DataFrame):
    grid = table.pivot_table(index="depth", columns="sigma_w", values="accuracy")
    x = _borders(grid.columns.to_numpy())
    y = _borders(np.log(grid.index.to_numpy()), np.exp)
    ax.set(xlim=(x[0], x[-1]), facecolor="#00224e")  # what wasn't tried is at chance
    ax.spines[:].set_visible(False)
    shown = grid.to_numpy()
    return ax.pcolormesh(x, y, shown, cmap="cividis", vmin=0.1, vmax=1, rasterized=True)


def _borders(centres: np.ndarray, back=lambda x: x) -> np.ndarray:
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return back(np.concatenate([[first], middle, [last]]))


def plot_edges(edges: pd.DataFrame) -> Figure:
    """Draw the depth that networks train to against the depth scale of theory.

    Parameters
    ----------
    edges
        Columns run ("short", "long" or "slow": at the long budget, with a smaller learning rate),
        phase, xi (infinite at the critical scale), value, low and high.

    Returns
    -------
    Figure
        One column wide.
    """
    fig, ax = plt.subplots(figsize=(COLUMN, 2.9), dpi=INLINE, layout="constrained")
    finite = edges.xi[np.isfinite(edges.xi)]
    x = np.array([0.75 * finite.min(), 1.5 * finite.max()])
    ax.plot(x, FACTOR * x, color=THEORY, linewidth=1)
    ax.plot(x, x, "--", color=THEORY, linewidth=1)
    direct_label(ax, rf"{FACTOR} $\xi_c$", (x[1], FACTOR * x[1]), color=THEORY)
    direct_label(ax, r"$\xi_c$", (x[1], x[1]), color=THEORY)
    far = 2.6 * finite.max()
    for (run, phase), own in edges.groupby(["run", "phase"]):
        color, marker = _PHASES[phase]
        look = {"markerfacecolor": color if run == "long" else "white", "color": color}
        shift = {"short": 1, "long": 1, "slow": 1.06}[run]
        points_with_interval(
            ax, np.where(np.isfinite(own.xi), own.xi, far) * shift, own.value, own.low, own.high,
            marker="v" if run == "slow" else marker, markersize=4, **look,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlim=(x[0], 1.35 * far))
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50) if x[0] <= tick <= x[1]]
    ax.set_xticks([*ticks, far], [*map(str, ticks), "∞"])
    low, high = ax.get_ylim()
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200) if low <= tick <= high]
    ax.set_yticks(ticks, map(str, ticks))
    ax.minorticks_off()
    ax.set(xlabel=r"depth scale $\xi_c$ (layers, theory)", ylabel="depth at 50 % accuracy")
    places = {"ordered": (0.03, 0.95), "chaotic": (0.03, 0.88), "critical": (0.03, 0.81)}
    for phase, at in places.items():
        color, marker = _PHASES[phase]
        ax.plot(at[0], at[1], marker, color=color, transform=ax.transAxes, markersize=4)
        ax.text(at[0] + 0.04, at[1], phase, transform=ax.transAxes, va="center", fontsize=7,
                color=color)  # fmt: skip
    return fig
