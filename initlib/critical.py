"""The line between order and chaos."""

import numpy as np
from numpy.typing import ArrayLike

from initlib.activations import Activation, Function
from initlib.callables import as_activation
from initlib.checks import check_not_negative, check_number
from initlib.lengths import Lengths
from initlib.roots import bracketed_roots
from initlib.settling import LARGEST, SMALLEST

_LADDER = np.geomspace(1e-3, 1e3, 400)


def critical_line(
    activation: str | Activation | Function, sigma_b: ArrayLike = 0.0, *, q0: float = 1.0
) -> float | np.ndarray:
    r"""Find the weight scale at which order ends, for each bias scale.

    Below it, any two signals become alike and gradients vanish (phase "ordered"). It is the
    smallest :math:`\sigma_w` at which that is over:

    - bounded activations such as tanh turn chaotic: :math:`\chi_1 = 1`, the edge of chaos;
    - homogeneous ones such as ReLU diverge, at :math:`\chi_1 = 1` too if there are no biases, and
      at the same :math:`\sigma_w` if there are;
    - GELU, SiLU and their like diverge from `q0` as soon as that is beyond an unstable fixed point:
      without biases, this is their `gain` for ``q=q0``.

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function of NumPy arrays or torch tensors.
    sigma_b : float or array
        Standard deviation of the biases.
    q0 : float
        The variance to start from.

    Returns
    -------
    float or ndarray
        Accurate to 1e-9, or to 1e-7 where :math:`\chi_1` leaves one quadratically (tanh without
        biases). 0 or inf if there is no order, or nothing else, between 0.001 and 1000.

    Raises
    ------
    ValueError, TypeError
        As in `MeanField`.

    Examples
    --------
    >>> critical_line("tanh", [0.0, 0.05**0.5]).round(6)
    array([1.     , 1.32701])
    >>> round(critical_line("relu", 0.3) ** 2, 9)
    2.0

    References
    ----------
    Poole et al. 2016, figure 1; Hayou et al. 2019 (the edge of chaos of other activations).
    """
    phi, biases = as_activation(activation), check_not_negative("sigma_b", sigma_b)
    q0 = check_number("q0", q0, low=SMALLEST, high=LARGEST)
    b = biases.ravel()
    lengths = Lengths(phi, _LADDER, b, q0)

    def excess(log_w, b):
        q_star, _, chi_1 = lengths.settle(np.exp(log_w), b)
        return np.where(np.isinf(q_star), 1, np.minimum(chi_1, 2) - 1)

    steps = np.log(_LADDER)
    tried = excess(*(grid.ravel() for grid in np.meshgrid(steps, b))).reshape(len(b), len(steps))
    over = tried >= 0
    first = over.argmax(axis=1)
    line = np.where(over.any(axis=1), 0.0, np.inf)
    some = np.flatnonzero(first > 0)
    if some.size:
        ends = [(steps[at], tried[some, at]) for at in (first[some] - 1, first[some])]
        line[some] = np.exp(bracketed_roots(excess, ends[0], ends[1], b[some]))
    line = line.reshape(biases.shape)
    return line.item() if line.ndim == 0 else line
