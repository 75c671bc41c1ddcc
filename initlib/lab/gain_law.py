"""How far one draw of a layer's weights may lie from the mean over draws, and a rule that tests it.

The layer and its forward gain are those of `initlib.lab.propagation`, with Gaussian weights.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtr, gammaln, polygamma, psi

from initlib.lab.rules import Cells, Rule

__all__ = ["follows_law", "gain_cdf", "gain_quantile", "law_distance", "log_gain"]


def gain_cdf(gain: float | np.ndarray, n_out: int, a: float = 1.0) -> np.ndarray:
    """Return P(forward gain of one draw / its mean <= gain), for Gaussian weights and one input.

    Given the input, the pre-activations are independent N(0, s^2), so that the gain over its mean
    is chi2(n_out) / n_out in a linear layer. With ReLU only the K ~ Binomial(n_out, 1/2) units
    above zero count, and it is 2 chi2(K) / n_out.

    Parameters
    ----------
    gain
        Gain of a draw divided by the mean gain, at least 0.
    n_out
        Units of the layer.
    a
        Slope below zero: 1 (linear) or 0 (ReLU).

    Examples
    --------
    >>> print(f"{gain_cdf(1.0, 16):.3f} {gain_cdf(1.0, 16, a=0.0):.3f}")
    0.547 0.566
    """
    gain = np.asarray(gain, dtype=float)
    if a == 1:
        return chdtr(n_out, gain * n_out)
    if a != 0:
        raise ValueError(f"the law is known here for a=1 (linear) and a=0 (ReLU), got a={a}")
    reach = 10 * np.sqrt(n_out) / 2 + 1  # ten standard deviations of K leave out less than 1e-20
    active = np.arange(max(0, int(n_out / 2 - reach)), min(n_out, int(n_out / 2 + reach)) + 1)
    log_pmf = gammaln(n_out + 1) - gammaln(active + 1) - gammaln(n_out - active + 1)
    below = np.where(active == 0, 1.0, chdtr(active, gain[..., None] * n_out / 2))
    return below @ np.exp(log_pmf - n_out * np.log(2))


def gain_quantile(probability: float, n_out: int, a: float = 1.0) -> float:
    """Return the gain that one draw stays below with the given probability; see `gain_cdf`.

    Examples
    --------
    >>> print(f"{gain_quantile(0.975, 16):.3f} {gain_quantile(0.975, 16, a=0.0):.3f}")
    1.803 2.330
    """
    if gain_cdf(0.0, n_out, a) >= probability:  # all units of a narrow ReLU layer may be off
        return 0.0
    return brentq(lambda gain: gain_cdf(gain, n_out, a) - probability, 0, 100)


def log_gain(n_out: int) -> tuple[float, float]:
    """Return mean and variance of the logarithm of a ReLU layer's gain under He.

    The gain is 2 chi2(K) / n_out, see `gain_cdf`; log chi2(k) has the mean psi(k/2) + log 2 and the
    variance psi'(k/2). A layer all of whose units are off, of probability 2^-n_out, is left out.

    Parameters
    ----------
    n_out
        Units of the layer.

    Examples
    --------
    >>> mean, variance = log_gain(1000)
    >>> print(f"{1000 * mean:.3f} {1000 * variance:.3f}")  # -5/2 and 5 in the limit
    -2.504 5.019
    """
    active = np.arange(1, n_out + 1)
    log_pmf = gammaln(n_out + 1) - gammaln(active + 1) - gammaln(n_out - active + 1)
    weight = np.exp(log_pmf - n_out * np.log(2)) / (1 - 2.0**-n_out)
    log_mean = psi(active / 2) + np.log(4 / n_out)
    mean = weight @ log_mean
    return float(mean), float(weight @ (polygamma(1, active / 2) + log_mean**2) - mean**2)


def law_distance(probabilities: np.ndarray) -> float:
    """Return the largest distance between the distribution function of a sample and its law.

    Parameters
    ----------
    probabilities
        The law's distribution function at each value of the sample, such as `gain_cdf`: uniform on
        [0, 1] if the sample follows the law, so that samples of several laws may be pooled.

    Examples
    --------
    >>> print(f"{law_distance(np.array([0.1, 0.6, 0.9])):.3f}")
    0.267
    """
    ordered = np.sort(np.ravel(probabilities))
    steps = np.arange(ordered.size + 1) / ordered.size
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def follows_law(alpha: float) -> Rule:
    """Demand that a sample follow its law, whatever its size.

    Measured is the Kolmogorov-Smirnov distance D of n independent values. By the inequality of
    Dvoretzky, Kiefer and Wolfowitz with the constant of Massart, P(D > d) <= 2 exp(-2 n d^2).

    Parameters
    ----------
    alpha
        Rate at which a sample of the law itself is rejected.

    Examples
    --------
    >>> follows_law(1e-4).passes([0.05, 0.08], n=1000)
    array([ True, False])

    References
    ----------
    Massart 1990.
    """

    def decide(cells: Cells) -> np.ndarray:
        return cells.measured <= np.sqrt(np.log(2 * cells.measured.size / alpha) / (2 * cells.n))

    words = f"distribution functions no farther apart than sqrt(ln(2 / {alpha:g}) / 2n)"
    return Rule(f"{words}; a true claim is rejected at a rate of at most {alpha:g}", decide)
