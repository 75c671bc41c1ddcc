"""Sampled Jacobians against autograd, distances from laws, products of convolutions, figures."""

import numpy as np
import pandas as pd
import pytest
import torch

import initlib as init
from initlib.lab import jacobian_runs as runs
from initlib.lab.critical_starts import Start, critical_start, law_of, theory_of
from initlib.lab.jacobian_figures import plot_breakdown, plot_jacobians, plot_race
from initlib.lab.singular_values import fourth_moments

pytestmark = pytest.mark.usefixtures("house_style")


def test_one_layer_by_hand():
    # n = 1, no bias: h_1 = tanh(w x) and dh_1/dx = w (1 - h_1^2), |x| and |w| known if orthogonal.
    start = Start("tanh", "orthogonal", q=0.36, sigma_w=1.2, sigma_b=0.0)
    (jacobian,) = runs.sample_jacobians(start, 1, [1], 5, key=1).values()
    expected = 1.2 * (1 - np.tanh(0.6) ** 2)
    np.testing.assert_allclose(jacobian.abs().flatten(), np.full(5, expected))


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_spread_has_its_mean_in_theory(weights):
    # s^4 of 400 ReLU networks of 8 units, z = 4.5, against the exact recursion.
    start = critical_start("relu", weights, 2.0)
    jacobians = runs.sample_jacobians(start, 8, [1, 3], 400, key=2)
    for depth, jacobian in jacobians.items():
        values = (jacobian.mT @ jacobian).square().sum(dim=(1, 2)).numpy() / 8
        expected = fourth_moments(depth, 8, weights == "gaussian", True)[-1]
        assert abs(values.mean() - expected) < 4.5 * values.std(ddof=1) / 20


def test_spread_table():
    start = critical_start("tanh", "orthogonal", 0.2)
    table = runs.spread_table({"a": start}, {16: 3, 32: 2}, [1 / 8, 1 / 2], key=1)
    assert table.groupby(["n", "depth"]).size().to_dict() == {
        (16, 2): 3,
        (16, 8): 3,
        (32, 4): 2,
        (32, 16): 2,
    }
    assert (table.theory == [theory_of(start, depth) for depth in table.depth]).all()
    assert (table.spread > 0).all()


def test_law_gap():
    start = critical_start("relu", "orthogonal", 2.0)
    law = law_of(start, 4)
    ranks = (np.arange(2000) + 0.5) / 2000
    values = np.interp(ranks, law.probability, law.s)
    values[ranks < law.probability[0]] = 1e-17
    assert runs.law_gap(values, law) < 0.002
    assert runs.law_gap(1.3 * values, law) > 0.05


def test_tables_of_densities():
    start = critical_start("tanh", "gaussian", 0.2)
    law = law_of(start, 2)
    values = np.interp((np.arange(5000) + 0.5) / 5000, law.probability, law.s)
    measured = runs.density_of(values, start, "name", 2)
    curve = runs.curve_of(law, start, "name", 2)
    assert list(measured) == ["s", "density", "start", "weights", "depth"]
    theory = np.interp(measured.s, curve.s, curve.density)
    assert np.abs(measured.density - theory)[measured.s < 2].max() < 0.03


def test_products_of_convolutions():
    options = {"channels": 3, "taps": 3, "depth": 2, "size": 4, "draws": 2, "key": 1}
    values = runs.conv_products(init.delta_orthogonal_, **options)
    assert values.shape == (2, 48)
    np.testing.assert_allclose(values, 1, rtol=1e-12)
    spread = runs.conv_products(init.lecun_normal_, **options)
    assert spread.std() > 0.3


def test_figures_name_what_they_show():
    starts = {
        f"{w}, {a}": critical_start(a, w, 0.5)
        for w in ("gaussian", "orthogonal")
        for a in ("relu", "tanh")
    }
    parts, curves = [], []
    for name, start in starts.items():
        for depth, jacobian in runs.sample_jacobians(start, 20, [2, 4], 2).items():
            values = torch.linalg.svdvals(jacobian).numpy()
            parts.append(runs.density_of(values, start, name, depth))
            curves.append(runs.curve_of(law_of(start, depth), start, name, depth))
    fig = plot_jacobians(pd.concat(parts), pd.concat(curves))
    fig.draw_without_rendering()
    assert [ax.get_title(loc="left").split("   ")[1] for ax in fig.axes] == list(starts)
    spreads = runs.spread_table(starts, {16: 3, 8: 3}, [1 / 4, 1])
    fig = plot_breakdown(spreads)
    fig.draw_without_rendering()
    assert [text.get_text() for text in fig.axes[0].get_legend().texts] == list(starts)


def test_figure_of_the_race():
    rows = [
        (activation, weights, q, variance, np.log(30 + 5 * variance + seed))
        for activation, weights, q, variance in (
            ("tanh", "orthogonal", 1 / 8, 0.5),
            ("tanh", "gaussian", 1 / 8, 9.0),
            ("tanh", "gaussian", 2.0, 19.0),
            ("relu", "gaussian", 2.0, 30.0),
        )
        for seed in range(3)
    ]
    columns = ["activation", "weights", "q", "variance", "log_steps"]
    fig = plot_race(pd.DataFrame(rows, columns=columns), level=1.0)
    fig.draw_without_rendering()
    words = [text.get_text() for text in fig.axes[0].texts]
    assert {"$q$ = 1/8", "$q$ = 2", "ReLU"} <= set(words)
