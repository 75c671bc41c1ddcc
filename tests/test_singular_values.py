"""Laws of singular values: their moments and edges, small cases by hand, and measurement."""

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.singular_values import (
    CASES,
    conv_fourth_moment,
    conv_law,
    conv_singular_values,
    fourth_moments,
    jacobian_fourth_moments,
    product_singular_values,
    spread_cells,
)


@pytest.mark.parametrize("taps", [3, 9, 27])
def test_conv_law(taps):
    s, density = conv_law(taps)
    assert s[-1] == pytest.approx(2 * (1 - 1 / taps) ** 0.5)
    moments = [np.trapezoid(density * s**power, s) for power in (0, 2, 4)]
    np.testing.assert_allclose(moments, [1, 1, 2 - 1 / taps], rtol=1e-3)


def test_conv_fourth_moment():
    assert conv_fourth_moment(1, 5) == pytest.approx(1)
    assert conv_fourth_moment(9, 4000) == pytest.approx(2 - 1 / 9, rel=1e-5)


@pytest.mark.parametrize("taps", [(3,), (1, 3)])
def test_conv_fourth_moment_is_exact(taps):
    # 600 kernels, z = 4.5. For many channels it would be 2 - 1/3, more than six errors away.
    kernels = (
        init.orthogonal_(torch.empty(2, 2, *taps, dtype=torch.float64), generator=i)
        for i in range(600)
    )
    values = np.array([(conv_singular_values(kernel) ** 4).mean() for kernel in kernels])
    error = values.std(ddof=1) / 600**0.5
    assert abs(values.mean() - conv_fourth_moment(3, 2)) < 4.5 * error
    assert error < 0.03


def test_conv_singular_values_are_those_of_the_matrix():
    kernel = init.lecun_normal_(torch.empty(2, 3, 3, dtype=torch.float64), generator=1)
    images = torch.eye(3 * 5, dtype=torch.float64).reshape(15, 3, 5)
    padded = torch.nn.functional.pad(images, (1, 1), mode="circular")
    matrix = torch.nn.functional.conv1d(padded, kernel).flatten(1)
    expected = torch.linalg.svdvals(matrix).flip(0)
    np.testing.assert_allclose(conv_singular_values(kernel, 5), expected, rtol=1e-10)


def test_fourth_moments_by_hand():
    # One layer: s^2 is 2 or 0 with even chances by ReLU; W W^T has E tr (W W^T)^2 / n = 2 + 1/n.
    assert fourth_moments(1, 7, False, True)[1] == pytest.approx(2)
    assert fourth_moments(1, 7, True, False)[1] == pytest.approx(2 + 1 / 7)
    assert fourth_moments(9, 7, False, False).tolist() == [1.0] * 10
    assert fourth_moments(6, 10**9, False, True)[6] == pytest.approx(7)
    assert fourth_moments(6, 10**9, True, True)[6] == pytest.approx(13)


@pytest.mark.parametrize("case", CASES)
def test_fourth_moments_are_exact_at_any_width(case):
    # 1200 draws, 2 depths, z = 4.5: alpha = 1.4e-5 for each case. For wide layers the second value
    # of Gaussian weights with ReLU would be 5.
    gaussian, relu = CASES[case]
    fill, depths = (init.lecun_normal_ if gaussian else init.orthogonal_), [1, 2]
    measured = jacobian_fourth_moments(fill, 6, depths, 1200, relu=relu, key=2)
    error = measured.std(axis=0, ddof=1) / 1200**0.5
    expected = fourth_moments(2, 6, gaussian, relu)[1:]
    assert (np.abs(measured.mean(axis=0) - expected) <= 4.5 * error + 1e-6).all()
    assert (error < 0.07 * expected).all()


def test_products():
    values = product_singular_values(init.orthogonal_, 5, 3, 2)
    np.testing.assert_allclose(values, np.ones((2, 5)), atol=1e-6)
    assert product_singular_values(init.lecun_normal_, 5, 3, 2).std() > 0.2


def test_cells():
    cells = spread_cells(8, [2, 4])
    assert len(cells) == 6
    assert cells["Gaussian, ReLU, 4 layers"] == fourth_moments(4, 8, True, True)[4]
