"""What is found out about functions that nobody described."""

import numpy as np
import pytest
import torch
from torch import nn

from initlib.activations import ACTIVATIONS, activation
from initlib.callables import as_activation
from initlib.landmarks import slopes_at_zero


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n not in ("hardshrink",)])
def test_slopes_at_zero_need_no_derivative(name):
    phi = activation(name)
    known, found = slopes_at_zero(phi), slopes_at_zero(as_activation(phi.value))
    np.testing.assert_allclose(found, known, atol=1e-8)


def test_slopes_of_torch_functions():
    assert slopes_at_zero(as_activation(nn.LeakyReLU(0.3))) == pytest.approx((0.3, 1.0))
    assert slopes_at_zero(as_activation(torch.sin)) == pytest.approx((1.0, 1.0))
