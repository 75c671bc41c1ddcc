"""The figure of the results: every race with its target and its limit, and what has a bound."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from initlib.lab.figures import PAGE, heading, style

COLORS = {
    "torch": "#0072B2",
    "keras": "#D55E00",
    "jax": "#009E73",
    "scipy": "#E69F00",
    "scipy's quad": "#E69F00",
    "scipy's quad on [-9, 9]": "#666666",
    "lsuv": "#CC79A7",
    "a plain loop": "#000000",
    "papermill": "#56B4E9",
}
MARKERS = dict(zip(COLORS, "osDv^<Pd*", strict=False))


def draw(results: Path, image: Path) -> None:
    """Draw results.json: ratios in panel a, what should stay below a bound in panel b."""
    rows = json.loads(results.read_text())["rows"]
    races = [row for row in rows if row["unit"] == "times" and row["peer"] in COLORS]
    bounds = [row for row in rows if row["unit"] != "times" and row["target"]]
    panels = [(paint, found) for paint, found in ((_races, races), (_bounds, bounds)) if found]
    lines = [len(_lines(found)) for _, found in panels]
    with plt.rc_context():
        style()
        size = PAGE, 0.125 * sum(lines) + 0.55 * len(lines)
        fig, axes = plt.subplots(len(panels), 1, figsize=size, height_ratios=lines, squeeze=False)
        for ax, (paint, found), letter in zip(axes.flat, panels, "ab", strict=False):
            paint(ax, found)
            title = ax.get_title()
            ax.set_title("")
            heading(ax, letter, title)
        fig.savefig(image, dpi=200, metadata={"Software": None})
        plt.close(fig)


def _lines(rows: list[dict]) -> list[tuple[str, int]]:
    """The lines of a panel, what and threads, in order."""
    return list(dict.fromkeys((row["what"], row["threads"]) for row in rows))


def _races(ax: Axes, rows: list[dict]) -> None:
    lines = _lines(rows)
    for row in rows:
        y = lines.index((row["what"], row["threads"]))
        color, marker = COLORS[row["peer"]], MARKERS[row["peer"]]
        ax.plot([row["low"], row["high"]], [y, y], color=color, linewidth=1.2, alpha=0.6)
        ax.plot(row["value"], y, marker, color=color, markersize=4, zorder=3)
        if row["target"]:
            ax.plot(row["target"], y, "|", color=color, markersize=8, markeredgewidth=1.4)
        if row["limit"] and row["target"]:
            ax.plot(row["limit"], y, ">", color=color, markersize=3.5, fillstyle="none")
    ax.axvline(1, color="#444444", linewidth=0.6, linestyle=":")
    _legend(ax, {row["peer"] for row in rows})
    ax.set_xlabel("times faster than the peer")
    ax.set_title("races, two cores unless noted")
    _finish(ax, lines)


def _legend(ax: Axes, peers: set[str]) -> None:
    for peer, color in COLORS.items():
        if peer in peers:
            ax.plot([], [], MARKERS[peer], color=color, markersize=4, label=f"against {peer}")
    grey = {"color": "#444444", "linestyle": "none"}
    ax.plot([], [], marker="|", markersize=8, markeredgewidth=1.4, label="target", **grey)
    ax.plot([], [], marker=">", markersize=3.5, fillstyle="none", label="limit", **grey)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _bounds(ax: Axes, rows: list[dict]) -> None:
    lines = _lines(rows)
    for row in rows:
        y = lines.index((row["what"], row["threads"]))
        low, value, high = (max(row[key] / row["target"], 1e-3) for key in ("low", "value", "high"))
        ax.plot([low, high], [y, y], color="#444444", linewidth=1.2, alpha=0.6)
        ax.plot(value, y, "o", color="#444444", markersize=4, zorder=3)
        text = f"{row['value']:.2g} of {row['target']:g} {row['unit']}"
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=6)
    ax.axvline(1, color="#444444", linewidth=0.8)
    ax.set_xlabel("measured over allowed")
    ax.set_title("what should stay below a bound")
    _finish(ax, lines)


def _finish(ax: Axes, lines: list[tuple[str, int]]) -> None:
    names = [what if threads > 1 else f"{what}, one core" for what, threads in lines]
    ax.set_yticks(range(len(lines)), names, fontsize=6)
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#eeeeee", linewidth=0.5)
