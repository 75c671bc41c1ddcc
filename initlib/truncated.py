"""The normal law cut to an interval, exact wherever the interval lies.

Around the mean, float32 values come from the inverse of the distribution function; elsewhere, and
in float64, values come from rejection.
"""

import math

import numpy as np

from initlib.streams import Key, log, normal_groups, uniform_groups, words

# erfinv(x) / x as a polynomial in -ln(1 - x^2) - 2.5, where that is below 2.5: |x| < 0.9966, 2.93
# standard deviations (Giles 2012, "Approximating the erfinv function", single precision).
_ERFINV = (
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087,
    -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08,
)  # fmt: skip
CENTRAL = 2.9


def central_scale(a: float, b: float) -> tuple[float, float]:
    """Return half the width, and the middle, of the interval that erf(z / sqrt 2) has on [a, b]."""
    erf_a, erf_b = math.erf(a / math.sqrt(2)), math.erf(b / math.sqrt(2))
    return (erf_b - erf_a) / 2, (erf_b + erf_a) / 2


def central_groups(key: Key, groups: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return N(0, 1) on [a, b] around zero in float32, by inverting the distribution function."""
    half, middle = map(np.float32, central_scale(a, b))
    x = words(key, groups).view(np.int32).astype(np.float32) * np.float32(2.0**-31) * half + middle
    spread = -log((1 - x) * (1 + x)) - np.float32(2.5)
    inverse = np.full_like(x, _ERFINV[-1])
    for coefficient in reversed(_ERFINV[:-1]):
        inverse = inverse * spread + np.float32(coefficient)
    return x * inverse * np.float32(math.sqrt(2))


def rejected_groups(
    key: Key, groups: np.ndarray, mean: float, std: float, low: float, high: float
) -> np.ndarray:
    """Return N(mean, std^2) on [low, high] in float64, by rejection: attempt k of an element has
    its own words.

    At least 43 of 100 proposals are accepted: uniform ones on an interval around the mean no wider
    than sqrt(2 pi) standard deviations, normal ones on a wider one, and in a tail those of Robert
    (1995), an exponential law that starts at the bound next to the mean."""
    a, b = (low - mean) / std, (high - mean) / std
    result = np.empty((16, len(groups), 16))
    pending = np.ones(result.shape, bool)
    nonce = 0
    while pending.any():
        open_ = np.flatnonzero(pending.any(axis=(0, 2)))
        where = groups[open_]
        if a >= 0 or b <= 0:
            near = max(a, -b)
            rate = (near + math.sqrt(near * near + 4)) / 2
            mode, width = rate - near, b - a
            unit = uniform_groups(key, where, np.float64, nonce)
            step = -log(1 + unit * math.expm1(-rate * width)) / rate
            proposal = low + std * step if a >= 0 else high - std * step
            log_accept = (max(0.0, mode - width) ** 2 - (step - mode) ** 2) / 2
        elif b - a <= math.sqrt(2 * math.pi):
            z = a + (b - a) * uniform_groups(key, where, np.float64, nonce)
            proposal, log_accept = mean + std * z, -z * z / 2
        else:
            z = normal_groups(key, where, np.float64, nonce)
            proposal, log_accept = mean + std * z, np.where((a <= z) & (z <= b), 0.0, -math.inf)
        luck = words(key, where, nonce + 2).astype(np.float64) * 2.0**-32 + 2.0**-33
        shape = (16, len(open_), 16)
        accepted = pending[:, open_] & (log(luck) <= log_accept).reshape(shape)
        result[:, open_] = np.where(accepted, proposal.reshape(shape), result[:, open_])
        pending[:, open_] &= ~accepted
        nonce += 3
    return result
