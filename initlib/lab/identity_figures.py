"""The figures on the identity: what it keeps, which targets it can't reach, and how it adds."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from initlib.lab.adding import BASELINE, WINDOW
from initlib.lab.contest import Contest
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
from initlib.lab.plateaus import smooth

__all__ = ["plot_adding", "plot_kept", "plot_signs"]

IDENTITY, ORTHOGONAL, HE = (scheme_style(name) for name in ("identity", "orthogonal", "he"))
KINDS = {"plain": HE, "scaled": scheme_style("variance_scaling"), "zero": IDENTITY}
STARTS = {"identity": IDENTITY, "rotated": ORTHOGONAL, "noisy": {"color": "#D55E00"}}
ARMS = {
    "identity": ("identity", IDENTITY),
    "orthogonal": ("orthogonal", ORTHOGONAL),
    "he": ("He", HE),
    "lstm": ("LSTM", {"color": "#7F3C8D", "marker": "P", "linestyle": "-"}),
    "small": ("identity,\nsmall inputs", scheme_style("random")),
    "tanh": ("tanh", scheme_style("lecun")),
}


def plot_kept(growth: pd.DataFrame, products: Mapping[str, float], memory: pd.DataFrame) -> Figure:
    """Draw what residual blocks do to signals and gradients, and what becomes of a state.

    Parameters
    ----------
    growth
        From `residual_growth`, of the kinds "plain", "scaled" and "zero".
    products
        What all blocks multiply squared norms by in theory, from `residual_cells`.
    memory
        From `memory_table`, of "identity", "orthogonal" and "he".

    Returns
    -------
    Figure
        Two columns wide: three panels.
    """
    fig, axes = plt.subplots(1, 3, figsize=(PAGE, 2.3), dpi=INLINE)
    depth = growth.block.max()
    names = {"plain": "unit branch", "scaled": r"branch $/\sqrt{L}$", "zero": "zero last layer"}
    blocks = np.arange(depth + 1)
    for ax, column in zip(axes, ("signal", "gradient"), strict=False):
        for kind, own in growth.groupby("kind"):
            look, values = KINDS[kind], own.groupby("block")[column]
            powers = blocks if column == "signal" else depth - blocks
            line = products[f"{kind}, {column}"] ** (powers / depth)
            ax.plot(blocks, line, color=THEORY, linewidth=1)
            ends = [values.quantile(q) for q in (0.1, 0.9)]
            points_with_interval(ax, blocks, values.mean(), *ends, **look)
        ax.set(yscale="log", xlabel="block", xticks=blocks[:: max(depth // 4, 1)])
    top = products["plain, signal"]
    for kind, place in {"plain": (0.2, 0.72), "scaled": (0.5, 0.33), "zero": (0.3, 0.05)}.items():
        spot = {"xycoords": "axes fraction", "offset": (0, 0)}
        direct_label(axes[0], names[kind], place, color=KINDS[kind]["color"], **spot)
    for ax in axes[:2]:
        ax.set_ylim(0.2, 3 * top)
    axes[0].set_ylabel("squared norm (input: 1)")
    axes[1].set_ylabel("squared norm (output: 1)")
    _draw_memory(axes[2], memory)
    for letter, ax, words in zip("abc", axes, ("Signals", "Gradients", "Memory"), strict=True):
        heading(ax, letter, words)
    return fig


def _draw_memory(ax: Axes, memory: pd.DataFrame) -> None:
    times = np.unique(memory.t)
    ax.plot(times, 0.5**times, color=THEORY, linewidth=1)
    ax.plot(times, np.ones_like(times), color=THEORY, linewidth=1)
    for scheme, look in (("he", HE), ("orthogonal", ORTHOGONAL), ("identity", IDENTITY)):
        values = memory[memory.scheme == scheme].groupby("t").kept
        ends = [values.quantile(q).iloc[::3] for q in (0.1, 0.9)]
        shifted = times[::3] + (0.7 if scheme == "he" else 0)
        points_with_interval(ax, shifted, values.median().iloc[::3], *ends, **look)
    ax.set(yscale="log", xlabel="step of time $t$", ylabel="squared norm (start: 1)")
    end = times[-1]
    spot = {"xycoords": "axes fraction", "offset": (0, 0)}
    direct_label(ax, "identity", (0.04, 0.85), color=IDENTITY["color"], **spot)
    direct_label(ax, "He", (0.62, 0.95), color=HE["color"], **spot)
    middle = 0.55 * end
    ours = {"ha": "right", "color": ORTHOGONAL["color"]}
    direct_label(ax, "orthogonal", (middle, 0.5**middle), offset=(-12, -4), **ours)


def plot_signs(courses: pd.DataFrame, floors: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw how linear networks that start at the identity, or near it, approach their targets.

    Parameters
    ----------
    courses
        From `linear_courses`.
    floors
        For the title of each target, in theory: the final loss of each start.

    Returns
    -------
    Figure
        Two columns wide: a panel for each target.
    """
    fig, axes = plt.subplots(1, len(floors), figsize=(PAGE, 2.3), dpi=INLINE, sharey=True)
    for letter, ax, (target, ends) in zip("abc", axes, floors.items(), strict=True):
        own = courses[courses.target == target]
        for start in ("noisy", "rotated", "identity"):
            look = {"color": STARTS[start]["color"]}
            for _, part in own[own.start == start].groupby("seed"):
                wide = 1.6 if start == "identity" else 0.7
                ax.plot(part.step, part.loss, linewidth=wide, alpha=0.8, **look)
        levels = sorted(set(ends.values()) - {0.0})
        for level in levels:
            reference_line(ax, level, linestyle="-")
        if levels:
            missed = "smallest mode" if len(levels) > 1 else "negative ones"
            below = {"offset": (0, -11), "color": THEORY}
            direct_label(ax, f"all but the\n{missed}", (1.2, levels[0]), **below)
        ax.set(xscale="log", yscale="log", ylim=(1e-5, 4), xlabel="step")
        heading(ax, letter, target)
    axes[0].set_ylabel("loss (at $P = 0$: 1)")
    spot = {"xycoords": "axes fraction", "offset": (0, 0)}
    words = {"identity": "identity", "rotated": "small rotations", "noisy": "small noise"}
    for row, (start, text) in enumerate(words.items()):
        color = STARTS[start]["color"]
        direct_label(axes[0], text, (0.5, 0.75 - 0.12 * row), color=color, **spot)
    return fig


def plot_adding(held: Contest, level: float) -> Figure:
    """Draw how recurrent networks learn to add, and when they have learned it.

    Parameters
    ----------
    held
        From `adding_contest`, of any of the names in `ARMS`.
    level
        The squared error at which the problem counts as solved.

    Returns
    -------
    Figure
        Two columns wide: two panels.
    """
    options = {"dpi": INLINE, "width_ratios": (3, 2)}
    fig, (curves, strip) = plt.subplots(1, 2, figsize=(PAGE, 2.7), **options)
    names = [name for name in ARMS if name in held.losses]
    for name in names:
        _draw_course(curves, held.losses[name], ARMS[name][1], level)
    reference_line(curves, BASELINE)
    reference_line(curves, level, "solved", linestyle="-")
    most = held.results.budget.max()
    curves.set(xscale="log", yscale="log", xlabel="update", xlim=(WINDOW, most))
    curves.set(ylim=(0.6 * level, 3), ylabel="mean squared error")
    direct_label(curves, "always to say 1", (most, BASELINE), offset=(-2, 7), color=THEORY)
    rows = held.results.set_index("scheme")
    for place, name in enumerate(reversed(names)):
        _draw_steps(strip, rows.loc[[name]], place, ARMS[name][1])
    strip.set(xscale="log", xlabel="updates until solved", ylim=(-0.6, len(names) - 0.4))
    strip.set_yticks(range(len(names)), [ARMS[name][0] for name in reversed(names)])
    strip.tick_params(axis="y", length=0)
    for label, name in zip(strip.get_yticklabels(), reversed(names), strict=True):
        label.set_color(ARMS[name][1]["color"])
    ticks = [tick for tick in (200, 500, 1000, 2000) if tick <= most]
    strip.set_xticks(ticks, [str(tick) for tick in ticks])
    strip.xaxis.set_minor_locator(NullLocator())
    for letter, ax, text in zip("ab", (curves, strip), ("Learning", "Time to learn"), strict=True):
        heading(ax, letter, text)
    return fig


def _draw_course(ax: Axes, losses: np.ndarray, look: Mapping[str, str], level: float) -> None:
    """The median network; one that has solved the problem stays where it was."""
    smoothed = pd.DataFrame(smooth(losses, WINDOW))
    solved = smoothed.min() < level
    kept = smoothed.where(~solved, smoothed.ffill()).fillna(np.inf)
    middle = kept.median(axis=1).to_numpy()
    last = int((middle < level).argmax()) + 1 if middle.min() < level else len(middle)
    steps = np.unique(np.geomspace(WINDOW, last, 150).round().astype(int))
    style = {"color": look["color"], "linestyle": look["linestyle"]}
    ax.plot(steps, middle[steps - 1], **style)


def _draw_steps(ax: Axes, own: pd.DataFrame, place: int, look: Mapping[str, str]) -> None:
    spread = place + np.linspace(-0.22, 0.22, len(own))
    late = np.isinf(own.steps.to_numpy())
    style = {"color": look["color"], "linestyle": "none", "markersize": 3}
    ax.plot(own.steps[~late], spread[~late], look["marker"], alpha=0.7, **style)
    ax.plot(own.budget[late], spread[late], ">", markerfacecolor="white", **style)
    if late.mean() < 0.5:
        ax.plot([own.steps.median()] * 2, [place - 0.38, place + 0.38], color=look["color"])
