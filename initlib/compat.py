"""In place of torch.nn.init: how initlib differs from it, and the names that torch deprecates.

``import initlib as init`` stands in for ``import torch.nn.init as init``: every function of torch
2.13 is there under its name, with its positional arguments, its defaults and its errors. The laws
are torch's; the values are not, as they come from other streams. What differs on purpose:

===================  ==================================  =========================================
function             torch                               initlib
===================  ==================================  =========================================
all                  takes tensors                       takes NumPy arrays too
all                  fills an intermediate result of an  raises ValueError; a view of a parameter
                     autograd graph                      is filled, as in torch
all                  a few dispatch on                   plain functions; the operations inside
                     ``__torch_function__``              dispatch
random ones          generator: a `torch.Generator`      or a seed, a NumPy generator, a key
random ones          accept NaN; RuntimeError for        ValueError for either
                     std < 0, and for a > b
calculate_gain       a dozen names                       the exact gain of any other activation
uniform_             in bf16, a bias of 2^-9 half        no bias, rounds once
                     widths
trunc_normal_        warns if the mean is far from       exact for any a < b, no warning;
                     [a, b], slow in the tails           ``bounds=`` in std, or std corrected
xavier_*             ZeroDivisionError, or silence, on   the warning of ``kaiming_*``
                     empty tensors
xavier_*, kaiming_*  fans by the shape alone             ``layer=`` gives the fans of the layer
kaiming_*            two modes                           ``fan_avg`` and ``fan_geo`` as well
kaiming_*            an empty tensor hides a wrong       it is refused all the same
                     argument
eye_                 the identity                        ``gain=`` times it
dirac_               centre k // 2                       (k - 1) // 2: the identity for even k too
sparse_              the choice of zeros ignores         it does not
                     `generator`
sparse_              a fraction of each column is zero   that; or ``nonzeros=``, so many in each
                                                         row, as in Martens (2010)
sparse_              std 0.01                            0.01, but 1 with ``nonzeros=``
sparse_              accepts a sparsity outside [0, 1]   raises ValueError
orthogonal_          float32 and float64, contiguous     bf16, fp16 and any layout; ``keep=``
                                                         keeps the second moment of a unit
===================  ==================================  =========================================
"""

import functools
import warnings
from collections.abc import Callable

from initlib.fills import constant_, normal_, uniform_
from initlib.orthogonal import orthogonal_
from initlib.sampling import Array
from initlib.schemes import kaiming_normal_, kaiming_uniform_, xavier_normal_, xavier_uniform_
from initlib.structured import dirac_, eye_
from initlib.units import sparse_


def _deprecated(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function that warns and calls `function`, whose name without underscore it takes."""
    old = function.__name__.removesuffix("_")

    @functools.wraps(function)
    def alias(*args, **kwargs):
        message = f"`{old}` is deprecated in favor of `{function.__name__}`"
        warnings.warn(message, FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    alias.__name__ = alias.__qualname__ = old
    alias.__doc__ = f"Deprecated name of `{function.__name__}`."
    return alias


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
