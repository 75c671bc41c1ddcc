"""What the notebook on orthogonal weights measures, by hand and against autograd."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import initlib as init
from initlib.lab import orthogonal_runs as runs
from initlib.lab.singular_values import product_singular_values, spread_cells


def test_farthest():
    assert runs.farthest([[1.0, 0.5], [1.1, 1.2]]) == 0.5
    assert runs.farthest([0.1, -0.2], expected=0) == -0.2


def test_by_cell():
    cells = runs.by_cell({"a": [1.0, 3.0], "b": pd.Series([5.0, 5.5])})
    assert {cell: one.value for cell, one in cells.items()} == {"a": 2.0, "b": 5.25}


def test_ratios_by_hand():
    # Two units of weights 1 make (a + b, a + b) of (a, b), and of equal signals or errors doubles.
    def ones(weight, generator):
        return weight.fill_(1.0)

    ratios = runs.norm_ratios(ones, "linear", units=2, layers=3, draws=4, dtype=torch.float64)
    np.testing.assert_allclose(ratios["gradients"], np.full((4, 2), 4.0))
    np.testing.assert_allclose(ratios["signals"][:, 1:], np.full((4, 2), 4.0))
    assert (ratios["signals"][:, 0] != 4).all()


@pytest.mark.parametrize("orthogonal", [True, False])
def test_ratios_with_relu_have_the_moments_of_theory(orthogonal):
    # 900 networks of 20 units, z = 4.5 in four means of each case: alpha = 3e-5.
    gain = {"gain": 2**0.5} if orthogonal else {}
    fill = partial(init.orthogonal_ if orthogonal else init.he_normal_, **gain)
    ratios = runs.norm_ratios(fill, "relu", units=20, layers=2, draws=900, key=1)
    for own in (ratios["signals"][:, 0], ratios["gradients"][:, 0]):
        for power, expected in ((1, 1.0), (2, 25 / 22 if orthogonal else 25 / 20)):
            values = own**power
            error = values.std(ddof=1) / 30
            assert abs(values.mean() - expected) < 4.5 * error
            assert error < 0.1


def test_ratios_of_linear_orthogonal_layers():
    ratios = runs.norm_ratios(init.orthogonal_, "linear", units=16, layers=3, draws=3)
    for own in ratios.values():
        np.testing.assert_allclose(own, 1, rtol=1e-5)


def test_jacobians_fill_the_cells():
    table = runs.jacobian_table(6, [1, 2, 4], 3)
    assert len(table) == 4 * 3 * 3
    samples = runs.spread_samples(table, [2, 4])
    assert set(samples) == set(spread_cells(6, [2, 4]))
    assert all(len(own) == 3 for own in samples.values())
    np.testing.assert_allclose(table.moment[table.case == "orthogonal, linear"], 1, rtol=1e-5)


def test_products_near_their_law():
    products = runs.product_spectra(init.lecun_normal_, 60, [1, 3], draws=4)
    assert list(products) == [1, 3]
    expected = product_singular_values(init.lecun_normal_, 60, 3, 4)
    np.testing.assert_array_equal(products[3], expected)
    assert max(runs.off_law(own, depth) for depth, own in products.items()) < 0.05
    assert runs.off_law(products[3], 1) > 0.1


def test_densities_integrate_to_one():
    products = {2: product_singular_values(init.lecun_normal_, 30, 2, 4)}
    operators = {"orthogonal": runs.conv_spectra(init.orthogonal_, (3,), 8, 2)}
    table = runs.density_table(products, operators)
    log, plain = table[table.panel == "a"], table[table.panel == "c"]
    share = (products[2] > 1e-3).mean()
    assert (log.density * np.log(10 / 1e-3) / 48).sum() == pytest.approx(share)
    assert (plain.density * 0.1).sum() == pytest.approx(1)


def test_traces_and_signs():
    table = runs.trace_table(4, 50)
    assert table.groupby("kind").size().to_dict() == {"initlib": 50, "raw QR": 50, "torch": 50}
    pd.testing.assert_frame_equal(table, runs.trace_table(4, 50))
    assert runs.share_of_sign([2, 3], 20) == 1.0
