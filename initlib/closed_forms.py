"""Exact moments of the few activations that have them, for a pre-activation x ~ N(0, q).

Each function takes an array of variances `q` and returns `E phi`, `E phi^2`, `E phi'^2` and
the slope `d log E phi^2 / d log q`.

Those that end in `_pair` are of two pre-activations x and y ~ N(0, q) of correlation cos(theta),
0 <= theta <= pi. They return `E (phi(x) - phi(y))^2 / E (x - y)^2` and `E phi'(x) phi'(y)`.
"""

import numpy as np


def leaky_relu(q: np.ndarray, negative_slope: float) -> tuple[np.ndarray, ...]:
    """phi(x) = x above 0 and `negative_slope` x below: each half line has half of E x^2."""
    a = negative_slope
    power = np.full_like(q, (1 + a * a) / 2)
    return (1 - a) * np.sqrt(q / (2 * np.pi)), q * power, power, np.ones_like(q)


def erf(q: np.ndarray) -> tuple[np.ndarray, ...]:
    """phi(x) = erf(x): Williams 1998, *Computation with infinite neural networks*."""
    root = np.sqrt(1 + 4 * q)
    second = 2 / np.pi * np.arctan(2 * q / root)  # asin(2q / (1 + 2q)), accurate at large q
    growth = 4 / np.pi * q / ((1 + 2 * q) * root)  # q d second / dq
    return np.zeros_like(q), second, 4 / (np.pi * root), growth / second


def sin(q: np.ndarray) -> tuple[np.ndarray, ...]:
    """phi(x) = sin(x): from E cos(2x) = exp(-2q)."""
    decay = np.exp(-2 * q)
    second = -np.expm1(-2 * q) / 2
    return np.zeros_like(q), second, (1 + decay) / 2, q * decay / second


def gelu(q: np.ndarray) -> tuple[np.ndarray, ...]:
    r"""phi(x) = x F(x), F the normal distribution function.

    E F(x)^2 = 1/4 + asin(q / (1 + q)) / (2 pi), and two integrations by parts,
    E x^2 g(x) = q E g + q^2 E g'', do the rest.
    """
    root = np.sqrt(1 + 2 * q)
    cdf_squared = 1 / 4 + np.arctan(q / root) / (2 * np.pi)
    second = q * cdf_squared + q**2 / (np.pi * (1 + q) * root)
    derivative = cdf_squared + (2 * q / ((1 + q) * root) + q / root**3) / (2 * np.pi)
    growth = second + q**2 / (np.pi * (1 + q) * root) * (1 / 2 + 1 / (1 + q) - q / root**2)
    return q / np.sqrt(2 * np.pi * (1 + q)), second, derivative, growth / second


def leaky_relu_pair(
    q: np.ndarray, theta: np.ndarray, negative_slope: float, positive_slope: float = 1.0
) -> tuple[np.ndarray, ...]:
    """phi(x) = x above 0 and `negative_slope` x below: Cho & Saul 2009, the arc-cosine kernels."""
    kink, linear = (positive_slope - negative_slope) ** 2, positive_slope * negative_slope
    small = theta < 1e-5  # the numerator below is theta^3 / 3 and lost in rounding
    half = np.sin(np.where(small, 1, theta) / 2)
    straddling = (np.sin(theta) - theta * np.cos(theta)) / (4 * np.pi * half**2)
    straddling = np.where(small, theta / (3 * np.pi), straddling)
    chord = kink * (1 / 2 - straddling) + linear
    slope = kink * (np.pi - theta) / (2 * np.pi) + linear
    return chord + 0 * q, slope + 0 * q


def erf_pair(q: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, ...]:
    """phi(x) = erf(x): Williams 1998, whose kernel is 2/pi asin(2 q cos(theta) / (1 + 2q))."""
    width = 1 + 2 * q
    top, c = 2 * q / width, np.cos(theta)
    # asin(top) - asin(top c), first without the cancellation at c = 1.
    cosines = np.sqrt(1 + 4 * q) / width, np.sqrt(1 + 4 * q + (2 * q * np.sin(theta)) ** 2) / width
    sine = (top * np.sin(theta)) ** 2 / (top * (cosines[1] + np.abs(c) * cosines[0]))
    near = np.arctan2(sine, cosines[0] * cosines[1] + top * top * c)
    gap = np.where(c > 0, near, np.arcsin(top) - np.arcsin(top * c))
    distance = 2 * np.sin(theta / 2) ** 2
    slope = 4 / (np.pi * width * cosines[1])
    chord = np.divide(2 / np.pi * gap, q * distance, out=slope + 0 * gap, where=distance > 0)
    return chord, slope
