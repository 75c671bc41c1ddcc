"""Identities: the matrix that copies its input, and the convolution that does."""

import operator

import numpy as np
import torch

from initlib.checks import check_number
from initlib.fills import zeros_
from initlib.sampling import Array, check_target


def eye_(tensor: Array, gain: float = 1.0) -> Array:
    """Fill a matrix with gain times the identity; of a rectangular one, the main diagonal.

    As the recurrent matrix of a ReLU network with zero biases it keeps the state for ever (IRNN);
    a gain below one forgets with time constant -1 / ln(gain). In a linear layer of shape (out, in)
    it copies the first min(in, out) inputs.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Matrix of shape (out, in), filled in place; integer dtypes are welcome here.
    gain : float
        The value on the diagonal.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If `tensor` is not a matrix.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> init.eye_(torch.empty(2, 3), gain=0.5)
    tensor([[0.5000, 0.0000, 0.0000],
            [0.0000, 0.5000, 0.0000]])

    References
    ----------
    Le, Jaitly and Hinton 2015, "A simple way to initialize recurrent networks of rectified linear
    units".
    """
    check_target(tensor, floating=False)
    if tensor.ndim != 2:
        raise ValueError(
            f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}"
        )
    gain = check_number("gain", gain)
    zeros_(tensor)
    diagonal = np.arange(min(tensor.shape))
    with torch.no_grad():
        tensor[diagonal, diagonal] = gain
    return tensor


identity_ = eye_


def dirac_(tensor: Array, groups: int = 1) -> Array:
    """Fill the weight of a convolution so that it copies its input, as far as the channels go.

    Output channel d of each group gets a one at the centre of its kernel for input channel d, and
    zero elsewhere. The centre of a kernel of size k is (k - 1) // 2, which makes the layer the
    identity with ``padding="same"``, for even k too.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Shape (out, in / groups, *kernel) with one to three kernel dimensions, filled in place.
    groups : int
        The layer's groups; each copies its own input channels.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        For another number of dimensions, or `groups` that do not divide ``out``.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> conv = torch.nn.Conv1d(3, 3, kernel_size=4, padding=1, bias=False)
    >>> x = torch.arange(15.0).view(1, 3, 5)
    >>> _ = init.dirac_(conv.weight)
    >>> bool((conv(x) == x[..., :-1]).all())
    True
    """
    check_target(tensor, floating=False)
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(
            "Only tensors with 3, 4, or 5 dimensions are supported, (out, in / groups, *kernel); "
            f"got shape {tuple(tensor.shape)}"
        )
    groups = operator.index(groups)
    if groups < 1 or tensor.shape[0] % groups:
        raise ValueError(
            f"dim 0 must be divisible by groups, got {tensor.shape[0]} channels and groups={groups}"
        )
    if 0 in tensor.shape:
        return tensor
    channels_out, channels_in, *kernel = tensor.shape
    per_group = channels_out // groups
    copied = np.tile(np.arange(min(per_group, channels_in)), (groups, 1))
    output = copied + per_group * np.arange(groups)[:, None]
    centre = [(size - 1) // 2 for size in kernel]
    zeros_(tensor)
    with torch.no_grad():
        tensor[(output, copied, *centre)] = 1.0
    return tensor
