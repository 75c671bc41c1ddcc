"""Scaling a model on data: layer-sequential unit variance, in one forward pass.

A layer that is linear in its weight need not be run again to know what it returns once the weight
is scaled: the same, scaled. So each layer is measured, scaled and answered for when the forward
pass comes to it, and what follows sees final values. The order is that of execution, whatever the
model looks like.
"""

import operator
from typing import Any

from torch import nn

from initlib.adaptive_pass import ScalingPass
from initlib.adaptive_report import LsuvReport
from initlib.apply import initialize
from initlib.checks import check_number
from initlib.rehearsal import all_or_nothing, call, rehearsal
from initlib.rules import Rules, Scheme
from initlib.sampling import Generator, stream_key


def lsuv_(
    model: nn.Module,
    batch: Any,
    *,
    start: Scheme | Rules | None = "orthogonal",
    seed: Generator = 0,
    std: float = 1.0,
    centred: bool = False,
    tol: float = 1e-5,
    max_passes: int = 10,
) -> LsuvReport:
    """Scale the weights of a model so that on a batch every layer's output has unit variance.

    From the first layer to the last, in the order of execution,

        W <- W std / s,   b <- b std / s,   s^2 = Var y over samples and units,

    with y the output of the layer, given what the layers before it return once they are scaled.
    One forward pass does it, and exactly: the output of a scaled layer is the output, scaled.

    Scaled are linear, bilinear, convolution (transposed too) and embedding layers by their output,
    attention by its queries, keys, values and its output, recurrent layers by the products of each
    gate's weight with the layer's input. What a weight is first used for counts: later uses, of a
    layer called again or of a tied weight, are measured and reported.

    Parameters
    ----------
    model : Module
        Changed in place, and left to the last bit as it was if anything fails.
    batch : Tensor, tuple, mapping or what else the model takes
        The model is called as ``model(batch)``; a tuple is ``model(*batch)``, a mapping, such as a
        dict, ``model(**batch)``.
    start : str, Law, callable, rules or None
        What `initialize` fills the model with at first: orthonormal weights and zero biases, as
        published, or any other scheme. With None the model is scaled as it is.
    seed : int, torch.Generator, numpy.random.Generator or None
        Of the start, as in `initialize`.
    std : float
        The target.
    centred : bool
        Take the variance over samples only, averaged over the units, and subtract the mean of each
        unit through the bias: ``b <- b - E y`` before the scaling. Otherwise the means of the units
        count as variance, and in deep networks of sigmoids they become all of it.
    tol : float
        Where a layer is not known to be linear in its weight, as subclasses and computed weights
        such as those of weight_norm: it is run again, and scaled again, until its std is this close
        to the target, relative to it, or as close as its dtype allows.
    max_passes : int
        How often such a layer is scaled at most.

    Returns
    -------
    LsuvReport
        A table with a row for each weight: std before and after, scale, uses.

    Raises
    ------
    ValueError
        If an output has no variance (dead units, a batch of one value) or is not finite, if a layer
        does not come to the target, as under spectral_norm, or if there is nothing to scale.
    TypeError
        If an argument is of the wrong type.

    Notes
    -----
    The model runs in evaluation mode, without dropout. Batch norm layers keep the mode they are in:
    a model in training mode, as after construction, is scaled for its first step of training. Their
    running statistics are as before afterwards, as are all other buffers and random states.

    The variance is that of ``Tensor.std``, unbiased. Scaling biases along with weights is exact in
    one step where the published loop, which divides the weights alone, is not; with zero biases
    there is no difference. Memory goes to a copy of the parameters, for the case of failure, and
    to a forward pass without gradients.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> x = torch.randn(64, 30, generator=torch.Generator().manual_seed(0))
    >>> model = torch.nn.Sequential(torch.nn.Linear(30, 9), torch.nn.ReLU(), torch.nn.Linear(9, 9))
    >>> report = init.lsuv_(model, x)
    >>> [(row.parameter, round(row.after, 4)) for row in report.rows]
    [('0.weight', 1.0), ('2.weight', 1.0)]
    >>> round(model(x).std().item(), 4)
    1.0

    References
    ----------
    Mishkin and Matas 2016, "All you need is a good init"; for the centred form, Salimans and Kingma
    2016, "Weight normalization", section 3, and Krähenbühl et al. 2016, "Data-dependent
    initializations of convolutional neural networks".
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if check_number("std", std, low=0) == 0:
        raise ValueError("std must be positive, got 0")
    if operator.index(max_passes) < 1:
        raise ValueError(f"max_passes must be at least 1, got {max_passes}")
    tol = check_number("tol", tol, low=0)
    scaling = ScalingPass(model, std, centred, tol, max_passes)
    key = stream_key(seed)
    with all_or_nothing(model), rehearsal(model):
        if start is not None:
            initialize(model, start, key)
        with scaling.hooks():
            call(model, batch)
        return scaling.report()
