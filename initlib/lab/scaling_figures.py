"""The figures on variance scaling: the map of all schemes, and what a mode costs in depth."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from initlib.lab.figures import (
    PAGE,
    direct_label,
    draw_seeds,
    heading,
    points_with_interval,
    reference_line,
    scheme_style,
    training_axis,
)

FIRST_STEP = 5  # before it, losses aren't yet averaged over enough steps to be smooth
THEORY = "#444444"
RING = {"markerfacecolor": "none", "markersize": 7}
LOOKS = {
    "he": scheme_style("he"),
    "he_out": scheme_style("he") | {"markerfacecolor": "white", "linestyle": "--"},
    "lecun": scheme_style("lecun"),
    "unit_rows": scheme_style("lecun") | RING | {"marker": "o"},
    "out": scheme_style("variance_scaling"),
    "glorot": scheme_style("glorot"),
    "geometric": {"color": "#000000", "marker": "*", "markersize": 5, "linestyle": "-"},
    "orthogonal": scheme_style("orthogonal") | RING,
    "standard": {"color": "#CC79A7", "marker": "v", "linestyle": "-"},
}
MODES = {
    "fan_in": ("lecun", "$1/n_\\mathrm{in}$"),
    "fan_out": ("out", "$1/n_\\mathrm{out}$"),
    "fan_geo": ("geometric", "geometric"),
    "fan_avg": ("glorot", "Glorot"),
}
# Where a curve of the map is named: point, offset in points, alignment, words.
NAMES = {
    "he": ((2, 42), (4, -3), "He  $2/n_\\mathrm{in}$"),
    "he_out": ((1 / 45, 2), (0, 6), "He by fan-out  $2/n_\\mathrm{out}$"),
    "lecun": ((1, 21), (-5, 0), "LeCun\nnormalized\n(rings: exactly)\n$1/n_\\mathrm{in}$"),
    "out": ((1 / 45, 1), (0, -7), "$1/n_\\mathrm{out}$"),
    "glorot": ((1.97, 1 / 7), (5, 0), "Glorot\n$2/(n_\\mathrm{in}+n_\\mathrm{out})$"),
    "geometric": ((4.4, 1 / 4.4), (3, 5), "$1/\\sqrt{n_\\mathrm{in} n_\\mathrm{out}}$"),
    "orthogonal": ((1, 1 / 16), (6, 0), "orthogonal\n$1/\\max(n_\\mathrm{in}, n_\\mathrm{out})$"),
    "standard": ((1 / 3, 8), (-5, 4), "default of torch\n$1/3n_\\mathrm{in}$"),
}


def plot_map(measured: pd.DataFrame, theory: pd.DataFrame) -> Figure:
    """Draw every scheme by its forward and its backward gain, beside the distance from theory.

    Parameters
    ----------
    measured
        Columns scheme (a key of `LOOKS`), n_in, n_out, direction ("forward", "backward"), gain,
        se and predicted.
    theory
        Columns scheme, n_in, n_out, forward and backward, on a fine grid of shapes.

    Returns
    -------
    Figure
        Two columns wide: the map at the left, residuals at the right.
    """
    fig = plt.figure(figsize=(PAGE, 4.1))
    grid = fig.add_gridspec(2, 2, width_ratios=[2.3, 1])
    ax = fig.add_subplot(grid[:, 0])
    _draw_shapes(ax, measured)
    for scheme, look in LOOKS.items():
        _draw_scheme(ax, look, measured[measured.scheme == scheme], theory[theory.scheme == scheme])
    for scheme, (point, offset, words) in NAMES.items():
        direct_label(ax, words, point, offset=offset, color=LOOKS[scheme]["color"])
    _draw_targets(ax)
    ticks, labels = [1 / 16, 1 / 4, 1, 4, 16], ["1/16", "1/4", "1", "4", "16"]
    ax.set(xscale="log", yscale="log", xlim=(1 / 50, 50), ylim=(1 / 50, 50), aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, labels)
        axis.set_minor_locator(NullLocator())
    ax.set_xlabel(r"forward gain $g_f$ (mean square, output over input)")
    ax.set_ylabel(r"backward gain $g_b$ (mean square, input over output)")
    heading(ax, "a", "Every scheme, in linear layers of nine shapes")
    for letter, row, direction in zip("bc", (0, 1), ("forward", "backward"), strict=True):
        strip = fig.add_subplot(grid[row, 1])
        _draw_residuals(strip, measured[measured.direction == direction])
        heading(strip, letter, f"{direction.capitalize()} gain")
    strip.set_xlabel("off theory (standard errors)")
    return fig


def _draw_shapes(ax: Axes, measured: pd.DataFrame) -> None:
    """One diagonal for each shape of a layer: g_b / g_f = n_out / n_in, whatever the scheme."""
    ends = np.array([1e-3, 1e3])
    shapes = measured[["n_in", "n_out"]].drop_duplicates()
    for ratio in shapes.n_out / shapes.n_in:
        square = ratio == 1
        ax.plot(ends, ratio * ends, color="0.55" if square else "0.85", linewidth=0.6, zorder=0)
        if np.log2(ratio) % 2 == 0:
            x = (1 / 14 if square else 1 / 28) / min(ratio, 1)
            words = (r"$n_\mathrm{out}/n_\mathrm{in}$ = " if square else "") + _fraction(ratio)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            look = {"fontsize": 6.5, "color": "0.4", "rotation": 45, "bbox": box, "zorder": 0.5}
            ax.text(x, ratio * x, words, ha="center", va="center", **look)


def _fraction(ratio: float) -> str:
    return f"{ratio:g}" if ratio >= 1 else f"1/{1 / ratio:g}"


def _draw_scheme(ax: Axes, look: dict, measured: pd.DataFrame, line: pd.DataFrame) -> None:
    if look.get("markerfacecolor") != "none":
        ax.plot(
            line.forward,
            line.backward,
            color=look["color"],
            linestyle=look["linestyle"],
            linewidth=1.2,
            zorder=1,
        )
    at = measured.pivot(index=["n_in", "n_out"], columns="direction", values="gain")
    options = {name: look[name] for name in look if name != "linestyle"}
    ax.plot(at.forward, at.backward, **options, linestyle="none", zorder=3)


def _draw_targets(ax: Axes) -> None:
    """What an activation asks for: a scale, so a place on the diagonal of square layers."""
    for scale, words, offset in ((1, "linear,\nSELU", (-7, -13)), (2, "ReLU", (9, -6))):
        ax.plot(scale, scale, "o", color="0.3", markersize=13, fillstyle="none", zorder=4)
        direct_label(ax, words, (scale, scale), offset=offset, color="0.3")


def _draw_residuals(ax: Axes, measured: pd.DataFrame) -> None:
    """Deviations from theory in standard errors, on the law that they have if theory is right."""
    random = measured[measured.scheme != "orthogonal"]  # some of whose gains don't fluctuate
    errors = (random.gain - random.predicted) / random.se
    edges, z = np.arange(-4, 4.1, 0.5), np.linspace(-4, 4, 100)
    ax.hist(errors, edges, color="0.8")
    law = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    ax.plot(z, 0.5 * len(errors) * law, color=THEORY, linewidth=1)
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.set_ylabel("means")


def plot_modes(signals: pd.DataFrame, curves: pd.DataFrame, level: float, chance: float) -> Figure:
    """Draw what four modes do to a network of alternating widths, at the start and in training.

    Parameters
    ----------
    signals
        Columns mode (a key of `MODES`), quantity ("second", "weight"), layer, value, low, high and
        theory.
    curves
        Columns mode, seed, step and loss, of the modes that were trained.
    level, chance
        Losses (nats) at which training counts as begun, and of a network that knows nothing.

    Returns
    -------
    Figure
        Two columns wide: signals, gradients, training.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.35))
    headings = "Signal at the start", "Gradient at the start", "Training on MNIST"
    for letter, ax, words in zip("abc", axes, headings, strict=True):
        heading(ax, letter, words)
    for ax, quantity in zip(axes, ("second", "weight"), strict=False):
        for mode, part in signals[signals.quantity == quantity].groupby("mode"):
            look = {k: v for k, v in LOOKS[MODES[mode][0]].items() if k != "markersize"}
            ax.plot(part.layer, part.theory, color=look["color"], linewidth=1)
            points_with_interval(
                ax, part.layer, part.value, part.low, part.high, markersize=3, **look
            )
        ax.set_yscale("log")
        ax.set_xlabel("layer $l$")
        ax.set_xticks(np.arange(4, signals.layer.max() + 1, 4))
    last = signals[(signals.quantity == "weight") & (signals.layer == signals.layer.max())]
    for row in last.itertuples():
        look, words = MODES[row.mode]
        direct_label(axes[1], words, (row.layer, row.theory), color=LOOKS[look]["color"])
    axes[1].set_xlim(right=1.5 * signals.layer.max())  # room for the names
    axes[0].set_ylabel(r"$\mathrm{E}\,h_l^2$")
    axes[1].set_ylabel(r"$\mathrm{Var}\,w_l\ \Vert\partial f/\partial W_l\Vert^2$")
    _draw_losses(axes[2], curves, level, chance)
    return fig


def _draw_losses(ax: Axes, curves: pd.DataFrame, level: float, chance: float) -> None:
    training_axis(ax, chance)
    reference_line(ax, level, f"loss {level:g}")
    for mode, part in curves[curves.step >= FIRST_STEP].groupby("mode"):
        draw_seeds(ax, part, color=LOOKS[MODES[mode][0]]["color"])
    ax.set_ylabel("training loss (nats)")
