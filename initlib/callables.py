"""Any elementwise function, of NumPy arrays or of torch tensors, as an activation."""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from initlib.activations import Activation, Function, activation

# Layers of torch that compute a named activation, and the attributes that are its parameters.
_LAYERS: dict[type[nn.Module], tuple[str, tuple[str, ...]]] = {
    nn.Identity: ("linear", ()),
    nn.ReLU: ("relu", ()),
    nn.LeakyReLU: ("leaky_relu", ("negative_slope",)),
    nn.ReLU6: ("relu6", ()),
    nn.Tanh: ("tanh", ()),
    nn.Hardtanh: ("hardtanh", ("min_val", "max_val")),
    nn.Sigmoid: ("sigmoid", ()),
    nn.Hardsigmoid: ("hardsigmoid", ()),
    nn.LogSigmoid: ("logsigmoid", ()),
    nn.Softplus: ("softplus", ("beta",)),
    nn.Softsign: ("softsign", ()),
    nn.ELU: ("elu", ("alpha",)),
    nn.CELU: ("celu", ("alpha",)),
    nn.SELU: ("selu", ()),
    nn.SiLU: ("silu", ()),
    nn.Hardswish: ("hardswish", ()),
    nn.Mish: ("mish", ()),
    nn.Softshrink: ("softshrink", ("lambd",)),
    nn.Hardshrink: ("hardshrink", ("lambd",)),
    nn.Tanhshrink: ("tanhshrink", ()),
}

# Both signs, no symmetry, no round number: a test that a kink cannot spoil.
_PROBE = np.linspace(-2.9, 3.1, 7)


def as_activation(function: str | Activation | Function) -> Activation:
    """Make an activation of a name or of an elementwise function.

    Layers of torch are known by their type. Any other function is tried on float64 NumPy arrays,
    then on float64 torch tensors (a module as a copy in double precision); its derivative and its
    kinks are left to the quadrature.

    Parameters
    ----------
    function : str, Activation or callable

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is no activation of that name.
    TypeError
        If the function takes neither kind of array, or is not elementwise, or is random.

    Examples
    --------
    >>> as_activation(lambda x: x * torch.sigmoid(1.702 * x))(0.5).round(4)
    np.float64(0.3504)
    """
    if isinstance(function, Activation):
        return function
    if isinstance(function, str):
        return activation(function)
    if isinstance(function, type):
        raise TypeError(f"{function.__name__} is a class; pass an instance of it")
    if not callable(function):
        raise TypeError(f"expected the name of an activation or a function, got {function!r}")
    name = getattr(function, "__name__", None) or repr(function)
    known = _of_layer(function)
    if known is not None:
        return replace(known, name=name)
    refusals = []
    for kind, value in ("NumPy", _on_arrays(function)), ("torch", _on_tensors(function)):
        refusal = _why_not_elementwise(value)
        if refusal is None:
            return Activation(value, name=name)
        refusals.append(f"{kind}: {refusal}")
    raise TypeError(
        f"{name} must map a float64 array or tensor to another, element by element (np.vectorize "
        f"makes that of a function of numbers); as is, {'; '.join(refusals)}"
    )


def _of_layer(function):
    if type(function) is nn.GELU:
        return activation("gelu_tanh" if function.approximate == "tanh" else "gelu")
    if type(function) not in _LAYERS:
        return None
    name, attributes = _LAYERS[type(function)]
    return activation(name, *(getattr(function, attribute) for attribute in attributes))


def _on_arrays(function):
    return lambda x: np.asarray(function(x), dtype=np.float64)


def _on_tensors(function):
    if isinstance(function, nn.Module):
        function = copy.deepcopy(function).double()

    def value(x):
        with torch.no_grad():
            return function(torch.from_numpy(np.array(x))).double().numpy()

    return value


def _why_not_elementwise(value):
    """Say what is wrong with the function's answers, None if nothing is."""
    try:
        with np.errstate(all="ignore"):
            whole, again, some = value(_PROBE), value(_PROBE), value(_PROBE[2::-1])
    except Exception as error:  # whatever a user's function raises on the wrong kind of input
        return f"{type(error).__name__}: {error}"
    if whole.shape != _PROBE.shape:
        return f"shape {_PROBE.shape} became {whole.shape}"
    if not np.array_equal(whole, again, equal_nan=True):
        return "two calls differ; put a random module in eval mode"
    if not np.allclose(some, whole[2::-1], rtol=1e-6, atol=0, equal_nan=True):
        return "the value at a point depends on the other points"
    return None
