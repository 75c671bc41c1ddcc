"""Singular values of the map that a model makes of its input."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from initlib.probe_pass import floats
from initlib.rehearsal import call, rehearsal


def jacobian_spectrum(model: nn.Module, x: Tensor) -> np.ndarray:
    """Return the singular values of a model's Jacobian, output by input, for each sample.

    It takes a backward pass for each unit of the output, all samples at once, in evaluation mode.
    The model is left as it was.

    Parameters
    ----------
    model : Module
        Called as ``model(x)``; of a tuple that it returns, the first tensor of floats counts.
        Samples must not act on each other, as they do in batch norm in training mode.
    x : Tensor, shape (samples, ...)
        Inputs, of a float dtype.

    Returns
    -------
    ndarray, float64, shape (samples, min(inputs, outputs))
        Largest first.

    Raises
    ------
    TypeError
        If the model is no module, or x or the output no tensor of floats.
    ValueError
        If the output has not one entry for each sample, or does not depend on x.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 5))
    >>> audit = init.initialize(model, "orthogonal")
    >>> init.jacobian_spectrum(model, torch.ones(1, 8)).round(4)
    array([[1., 1., 1., 1., 1.]])
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(
            f"x must be a tensor of floats, got {getattr(x, 'dtype', type(x).__name__)}"
        )
    with rehearsal(model), torch.enable_grad():
        at = x.detach().clone().requires_grad_()
        output = _output(call(model, (at,)), len(x))
        if not output.requires_grad:
            raise ValueError("the output does not depend on x")
        units = output.flatten(1)
        rows = [
            torch.autograd.grad(unit.sum(), at, retain_graph=True)[0].flatten(1)
            for unit in units.unbind(1)
        ]
    return np.linalg.svd(torch.stack(rows, 1).double().cpu().numpy(), compute_uv=False)


def _output(output: Any, samples: int) -> Tensor:
    signal = next(floats(output), None)
    if signal is None:
        raise TypeError(f"the model returns {type(output).__name__}, without a tensor of floats")
    if signal.ndim < 2 or len(signal) != samples:
        raise ValueError(
            f"the output must have a row for each of {samples} samples, got shape "
            f"{tuple(signal.shape)}"
        )
    return signal
