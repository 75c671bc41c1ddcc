"""Closed forms against the quadrature of the same activation."""

from dataclasses import replace

import numpy as np
import pytest

from initlib.activations import ACTIVATIONS, activation
from initlib.moments import moments

WITH_CLOSED_FORM = ["linear", "relu", "leaky_relu", "erf", "sin", "gelu"]


def test_the_list_is_complete():
    assert [name for name in ACTIVATIONS if activation(name).closed_form] == WITH_CLOSED_FORM


@pytest.mark.parametrize("name", [*WITH_CLOSED_FORM, "prelu"])
def test_closed_form_is_the_integral(name):
    q = np.geomspace(1e-9, 1e4, 40)
    phi = activation(name)
    exact = moments(phi, q)
    integrated = moments(replace(phi, closed_form=None), q)
    for field in ("second_moment", "variance", "squared_derivative"):
        np.testing.assert_allclose(getattr(exact, field), getattr(integrated, field), rtol=2e-10)
    np.testing.assert_allclose(exact.mean / np.sqrt(q), integrated.mean / np.sqrt(q), atol=1e-10)
    np.testing.assert_allclose(exact.slope, integrated.slope, atol=1e-10)


@pytest.mark.parametrize("name", WITH_CLOSED_FORM)
def test_closed_form_does_not_overflow(name):
    assert np.isfinite(moments(name, [1e-100, 1e100])).all()
