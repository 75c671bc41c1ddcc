"""Any elementwise function as an activation, and refusals of what is not one."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from initlib import callables
from initlib.activations import activation
from initlib.callables import as_activation

X = np.linspace(-4, 4, 33)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("tanh", np.tanh(X)),
        (activation("leaky_relu", 0.5), np.where(X > 0, X, X / 2)),
        (np.tanh, np.tanh(X)),
        (torch.tanh, np.tanh(X)),
        (F.relu, np.maximum(X, 0)),
        (lambda x: x.clamp(0), np.maximum(X, 0)),
        (lambda x: x * abs(x), X * np.abs(X)),
        (np.sign, np.sign(X)),
        (lambda x: (x > 1) * 1, X > 1),
        (np.vectorize(math.tanh), np.tanh(X)),
        (nn.Hardtanh(), np.clip(X, -1, 1)),
        (nn.PReLU(), np.where(X > 0, X, X / 4)),
        (nn.Sequential(nn.ReLU(), nn.Tanh()), np.tanh(np.maximum(X, 0))),
        (nn.RReLU(0.2, 0.4).eval(), np.where(X > 0, X, 0.3 * X)),
    ],
)
def test_accepts_names_functions_and_modules(function, expected):
    y = as_activation(function)(X)
    assert isinstance(y, np.ndarray)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, expected, atol=1e-15)


def test_a_module_is_left_as_it_was():
    module = nn.PReLU()
    as_activation(module)(X)
    assert module.weight.dtype == torch.float32
    assert module.weight.grad is None
    assert module.training


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        ("geluu", ValueError, "did you mean 'gelu'"),
        (3, TypeError, "expected the name of an activation or a function, got 3"),
        (None, TypeError, "got None"),
        (nn.GELU, TypeError, "GELU is a class; pass an instance"),
        (math.tanh, TypeError, "np.vectorize"),
        (lambda x: x if x > 0 else 0 * x, TypeError, "ambiguous"),
        (lambda x: 3.0, TypeError, r"shape \(7,\) became \(\)"),
        (lambda x: x - x.mean(), TypeError, "depends on the other points"),
        (nn.Softmax(dim=-1), TypeError, "depends on the other points"),
        (nn.Dropout(), TypeError, "eval mode"),
        (nn.GLU(), TypeError, "Halving dimension"),
        (nn.Linear(7, 7), TypeError, "element by element"),
    ],
)
def test_refusals(function, kind, message):
    with pytest.raises(kind, match=message):
        as_activation(function)


LAYERS = [
    *(kind() for kind in callables._LAYERS),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.LeakyReLU(0.3),
    nn.Hardtanh(-0.5, 2.0),
    nn.Softplus(2.0),
    nn.ELU(0.7),
    nn.CELU(0.7),
    nn.Softshrink(0.2),
    nn.Hardshrink(0.9),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers_of_torch_are_known_with_their_parameters(layer):
    known = as_activation(layer)
    assert known.derivative is not None
    assert known.name == repr(layer)
    x = torch.linspace(-5, 5, 103, dtype=torch.float64)
    assert known(x.numpy()) == pytest.approx(layer(x).numpy(), abs=1e-12)


def test_a_subclass_of_a_layer_is_taken_by_what_it_computes():
    class Shifted(nn.ReLU):
        def forward(self, x):
            return super().forward(x - 1)

    assert as_activation(Shifted())(2.0) == 1
