"""Signals measured in a model: what its layers make of data, and of gradients on the way back."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from initlib.fills import normal_
from initlib.probe_pass import Probe, floats
from initlib.probe_report import Signals
from initlib.probe_theory import predict
from initlib.rehearsal import call, rehearsal
from initlib.sampling import Generator, stream_key


def probe(
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    seed: Generator = 0,
) -> Signals:
    """Measure the signals and gradients of a model, layer by layer, beside mean-field theory.

    One forward and one backward pass, in evaluation mode. The model is left as it was: weights,
    gradients, buffers, modes, random states.

    Parameters
    ----------
    model : Module
        Any. What it computes by functions instead of layers, as by ``torch.relu``, is seen in the
        output of the next layer.
    batch : Tensor, tuple, mapping or what else the model takes
        The model is called as ``model(batch)``; a tuple is ``model(*batch)``, a mapping
        ``model(**batch)``. Samples lie along the first dimension.
    loss : callable, optional
        Makes a number (a tensor of one element) of what the model returns; it is what is
        differentiated. Default: for each sample a random linear functional of the outputs, of norm
        one on average, so that no loss has a say in the gradients.
    seed : int, torch.Generator, numpy.random.Generator or None
        Of that functional.

    Returns
    -------
    Signals
        A row for each call of a layer, in the order of execution.

    Raises
    ------
    ValueError
        If no layer was called, or the loss is not one number.
    TypeError
        If the model is not a module, or returns no tensor of floats to differentiate.

    Notes
    -----
    Batch norm layers keep the mode they are in, all others are in evaluation mode. The predictions
    are for one layer, from what was measured before it; the theory of whole networks is in
    `MeanField`. They leave out what is not a layer: the sum of a residual connection, for example,
    adds to a gradient that no layer reads.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> layers = torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64)
    >>> model = torch.nn.Sequential(*layers)
    >>> audit = init.initialize(model, "he_normal")
    >>> x = init.normal_(torch.empty(100, 64), generator=1)
    >>> for row in init.probe(model, x).rows:
    ...     print(row.type, round(row.second_moment), round(row.predicted_second_moment))
    Linear 2 2
    ReLU 1 1
    Linear 2 2
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    with rehearsal(model), torch.enable_grad(), Probe(model, detail=True) as watch:
        output = call(model, batch)
        value = _functional(output, seed) if loss is None else loss(output)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError(f"loss must make a tensor of one element, got {value!r:.80}")
        weights = [p for p in model.parameters() if p.requires_grad]
        gradients = {}
        if weights and value.requires_grad:
            found = torch.autograd.grad(value.sum(), weights, allow_unused=True)
            gradients = {w: g for w, g in zip(weights, found, strict=True) if g is not None}
    rows = watch.signals(gradients).rows
    return Signals(predict(rows, watch.calls))


def _functional(output: Any, seed: Generator) -> Tensor:
    signal = next(floats(output), None)
    if signal is None:
        raise TypeError(
            f"the model returns {type(output).__name__}, without a tensor of floats: pass loss="
        )
    samples = signal.shape[0] if signal.ndim > 1 else 1
    direction = torch.empty(signal.shape, dtype=torch.promote_types(signal.dtype, torch.float32))
    normal_(direction, std=(samples / signal.numel()) ** 0.5, generator=stream_key(seed))
    return (signal * direction.to(signal)).sum()
