"""The table of activations against torch's functions and their automatic derivatives."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from initlib.activations import ACTIVATIONS, activation

TORCH = {
    "linear": lambda x: 1 * x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "tanh": torch.tanh,
    "lecun_tanh": lambda x: 1.7159 * torch.tanh(2 * x / 3),
    "hardtanh": F.hardtanh,
    "erf": torch.erf,
    "sin": torch.sin,
    "sigmoid": torch.sigmoid,
    "hardsigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),  # F.hardsigmoid's slope is a float32
    "logsigmoid": F.logsigmoid,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros(1).double()),  # with no threshold
    "softsign": F.softsign,
    "elu": F.elu,
    "celu": F.celu,
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "hardswish": F.hardswish,
    "mish": F.mish,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "tanhshrink": F.tanhshrink,
}
PARAMETERS = [
    ("leaky_relu", (0.2,), lambda x: F.leaky_relu(x, 0.2)),
    ("leaky_relu", (-1.5,), lambda x: F.leaky_relu(x, -1.5)),
    ("prelu", (), lambda x: F.prelu(x, torch.tensor([0.25]).double())),
    ("hardtanh", (-2, 0.5), lambda x: F.hardtanh(x, -2, 0.5)),
    ("softplus", (3.0,), lambda x: TORCH["softplus"](3 * x) / 3),
    ("elu", (0.3,), lambda x: F.elu(x, 0.3)),
    ("celu", (0.25,), lambda x: F.celu(x, 0.25)),
    ("softshrink", (0.2,), lambda x: F.softshrink(x, 0.2)),
    ("hardshrink", (0.2,), lambda x: F.hardshrink(x, 0.2)),
    ("identity", (), lambda x: 1 * x),
    ("swish", (), F.silu),
]
CASES = [(name, (), TORCH[name]) for name in ACTIVATIONS] + PARAMETERS


@pytest.mark.parametrize(("name", "parameters", "reference"), CASES)
def test_value_and_derivative(name, parameters, reference):
    phi = activation(name, *parameters)
    x = np.concatenate([np.linspace(-9.97, 10.03, 401), [-745.0, -50.0, 50.0, 800.0]])
    t = torch.tensor(x, requires_grad=True)
    y = reference(t)
    y.sum().backward()
    np.testing.assert_allclose(phi(x), y.detach().numpy(), rtol=4e-15, atol=4e-15)
    np.testing.assert_allclose(phi.derivative(x), t.grad.numpy(), rtol=2e-14, atol=2e-14)


@pytest.mark.parametrize(("name", "parameters", "reference"), CASES)
def test_kinks_and_jumps(name, parameters, reference):
    phi = activation(name, *parameters)
    h = 1e-9
    for kink in phi.kinks:
        jump = np.ptp(phi(np.array([kink - h, kink + h])))
        assert (jump > 1e-3) == (kink in phi.jumps)
    assert set(phi.jumps) <= set(phi.kinks)


def test_scalars_and_names():
    assert activation("erf")(0.5).shape == ()
    assert activation("leaky_relu", 0.2).name == "leaky_relu(0.2)"
    assert activation("swish").name == "swish"
    assert all(activation(name).name == name for name in ACTIVATIONS)


@pytest.mark.parametrize(
    ("name", "parameters", "kind", "message"),
    [
        ("GELu", (), ValueError, "did you mean 'gelu'"),
        ("qqqq", (), ValueError, "known: linear, relu"),
        (None, (), ValueError, "unknown activation None"),
        ("tanh", (2.0,), ValueError, "tanh does not take 1 parameters"),
        ("elu", (np.nan,), ValueError, "a parameter of elu must be a finite number"),
        ("elu", ("one",), TypeError, "a parameter of elu must be a number"),
        ("celu", (0,), ValueError, "must be positive"),
        ("softplus", (-1,), ValueError, "must be positive"),
        ("hardshrink", (0,), ValueError, "must be positive"),
        ("hardtanh", (1, 1), ValueError, "lower bound must be below the upper"),
    ],
)
def test_refusals(name, parameters, kind, message):
    with pytest.raises(kind, match=message):
        activation(name, *parameters)
