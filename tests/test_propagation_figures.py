"""The figures on one layer, drawn from toy data: what is shown where."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from initlib.lab.figures import scheme_style
from initlib.lab.propagation_figures import (
    LOSSES,
    OPAQUE,
    RULES,
    plot_broken,
    plot_fans,
    plot_spread,
)

mpl.use("agg")

SHAPES = [(4000, 10), (2000, 20), (200, 200), (20, 2000), (10, 4000)]


pytestmark = pytest.mark.usefixtures("house_style")


def toy(names, column, off=1.0, **constant):
    rows = [(name, *shape, shape[1] / shape[0]) for name in names for shape in SHAPES]
    table = pd.DataFrame(rows, columns=[column, "n_in", "n_out", "predicted"]).assign(**constant)
    gain = off * table.predicted
    return table.assign(gain=gain, low=0.9 * gain, high=1.1 * gain)


def both_directions(off=1.0):
    parts = [toy(RULES, "rule", off, direction=name) for name in ("forward", "backward")]
    return pd.concat(parts, ignore_index=True)


def toy_draws(size):
    rows = [("lecun", 1, 1.0), ("lecun", 0, 0.5), ("he", 0, 1.0)]
    return pd.concat(
        pd.DataFrame(
            {"rule": rule, "a": a, "predicted": mean, "n_out": n, "gain": np.full(size, mean)}
        )
        for rule, a, mean in rows
        for n in (8, 32)
    )


def texts(ax):
    return [text.get_text() for text in ax.texts]


def points(ax):
    """What is drawn with a marker, as (color, y values)."""
    return [
        (line.get_color(), np.asarray(line.get_ydata()))
        for line in ax.lines
        if line.get_linestyle() == "None"
    ]


def test_fans_show_all_rules_in_both_directions_and_name_each_once():
    fig = plot_fans(both_directions(), both_directions())
    fig.draw_without_rendering()
    forward, backward, *residuals = fig.axes
    assert len(fig.axes) == 4
    assert len(points(forward)) == len(points(backward)) == len(RULES)
    named = texts(forward) + texts(backward)
    assert all(sum(text.startswith(name) for text in named) == 1 for name in RULES.values())
    assert all(len(points(ax)) == len(RULES) for ax in residuals)


def test_residuals_are_percent_off_theory():
    fig = plot_fans(both_directions(off=1.02), both_directions())
    for ax in fig.axes[2:]:
        assert all(values == pytest.approx(2.0) for _, values in points(ax))


def test_shapes_are_named_on_the_axis_whatever_they_are():
    fig = plot_fans(both_directions(), both_directions())
    labels = [label.get_text() for label in fig.axes[2].get_xticklabels()]
    assert labels[0] == "1/400\n4000→10"
    assert labels[2] == "1\n200→200"
    assert labels[-1] == "400\n10→4000"


def test_a_rule_keeps_its_colour():
    fig = plot_fans(both_directions(), both_directions())
    drawn = {color for color, _ in points(fig.axes[0])}
    assert {scheme_style(name)["color"] for name in ("lecun", "glorot", "he")} <= drawn


@pytest.mark.parametrize(("size", "alpha"), [(20, 1), (4 * OPAQUE, 0.5)])
def test_spread_has_a_panel_for_each_case_with_all_draws(size, alpha):
    fig = plot_spread(toy_draws(size))
    fig.draw_without_rendering()
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert [title.split(", ")[-1] for title in titles] == ["linear", "ReLU", "ReLU"]
    for ax, variance, mean in zip(fig.axes, "255", ("1", "1/2", "1"), strict=True):
        assert f"mean {mean}\nrelative variance ${variance}/" in "".join(texts(ax))
        dots = next(line for line in ax.lines if line.get_marker() == ".")
        assert len(dots.get_ydata()) == 2 * size
        assert dots.get_alpha() == pytest.approx(alpha)


def test_broken_shows_and_names_each_loss():
    measured = toy(LOSSES, "loss")
    fig = plot_broken(measured, measured)
    fig.draw_without_rendering()
    assert len(points(fig.axes[0])) == len(LOSSES)
    assert sorted(texts(fig.axes[0])) == sorted(LOSSES.values())
