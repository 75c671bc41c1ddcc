"""The figure on phases: where signals, angles and gradients end up, for each pair of scales."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from initlib.lab.figures import (
    INLINE,
    PAGE,
    direct_label,
)
from initlib.phase import PhaseDiagram

__all__ = ["plot_phases"]

_BLUE, _ORANGE = "#0072B2", "#D55E00"
_SHADES = LinearSegmentedColormap.from_list("growth", [_BLUE, "#ffffff", _ORANGE])
_GREY = "#777777"
_STEPS = 20
_MOST = 2.0  # the growth by a layer, or its inverse, at which colours end


def plot_phases(
    diagrams: Mapping[str, PhaseDiagram],
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    marks: Mapping[str, Mapping[str, float]],
) -> Figure:
    """Draw what gradients do over the two scales, with the line where order ends.

    Parameters
    ----------
    diagrams
        By activation; six of them.
    lines
        By activation: sigma_w and sigma_b along the critical line.
    marks
        By activation: scales sigma_w at sigma_b = 0 to point out, by what to call them.

    Returns
    -------
    Figure
        Two columns wide: six panels.
    """
    plt.rcParams["hatch.linewidth"] = 0.4
    fig, axes = plt.subplots(
        2, 3, figsize=(PAGE, 4.2), dpi=0.8 * INLINE, sharex=True, sharey=True, layout="constrained"
    )
    for (name, diagram), ax in zip(diagrams.items(), axes.flat, strict=True):
        image = _draw_phases(ax, diagram, lines[name])
        for text, sigma_w in marks.get(name, {}).items():
            _mark(ax, text, sigma_w)
        ax.set_title(name, loc="left", fontweight="bold")
    for ax in axes[-1]:
        ax.set_xlabel(r"weight scale $\sigma_w$")
    for ax in axes[:, 0]:
        ax.set_ylabel(r"bias scale $\sigma_b$")
    bar = fig.colorbar(image, ax=axes, shrink=0.6, aspect=30, ticks=np.log([0.5, 0.7, 1, 1.4, 2]))
    bar.ax.set_yticklabels(["0.5", "0.7", "1", "1.4", "2"])
    bar.set_label("gradient norm by a layer, times")
    bar.outline.set_visible(False)
    return fig


def _draw_phases(ax: Axes, diagram: PhaseDiagram, line: tuple[np.ndarray, np.ndarray]):
    w, b = diagram.sigma_w, diagram.sigma_b
    most = np.log(_MOST)
    rate = np.clip(np.log(np.maximum(diagram.chi_1, 1e-9)) / 2, -0.999 * most, 0.999 * most)
    image = ax.contourf(w, b, rate, levels=np.linspace(-most, most, _STEPS + 1), cmap=_SHADES)
    gone = np.isinf(diagram.q_star)
    if gone.any():
        area = ax.contourf(w, b, gone, levels=[0.5, 1.5], colors="none", hatches=["////"])
        area.set(edgecolor=_GREY, linewidth=0)
    ax.plot(*line, color="black", linewidth=1.4)
    ax.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]))
    for text, at in _places(diagram).items():
        ax.text(*at, text, ha="center", va="center", fontsize=7, bbox=_PLATE)
    return image


_PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
_WORDS = {"ordered": "ordered", "chaotic": "chaotic", "divergent": "signals diverge"}


def _places(diagram: PhaseDiagram) -> dict[str, tuple[float, float]]:
    """The middle of each phase that fills a good part of the diagram."""
    places = {}
    for phase, words in _WORDS.items():
        rows, columns = np.nonzero(diagram.phase == phase)
        if len(rows) > 0.08 * diagram.phase.size:
            row = int(np.median(rows))
            places[words] = (
                float(diagram.sigma_w[int(np.median(columns[rows == row]))]),
                float(diagram.sigma_b[row]),
            )
    return places


def _mark(ax: Axes, text: str, sigma_w: float) -> None:
    ax.plot(sigma_w, 0, "^", color="black", markersize=5, clip_on=False, zorder=5)
    direct_label(ax, text, (sigma_w, 0), offset=(4, 9), fontsize=7, bbox=_PLATE)
