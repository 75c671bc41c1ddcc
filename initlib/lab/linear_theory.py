"""Deep linear networks in theory: modes of two layers, and infinitely many orthogonal ones."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.lab.linear_nets import descend, draw_factors, squared_error, step
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key, stream_key

__all__ = ["course_table", "limit_curve", "mode_strength", "mode_table"]


def mode_strength(t: np.ndarray, s: float, u0: float) -> np.ndarray:
    """Return the strength u(t) of a mode of a network of two layers, ``du/dt = 2 u (s - u)``.

    Examples
    --------
    >>> float(mode_strength(np.array(0.0), s=2.0, u0=0.5))
    0.5

    References
    ----------
    Saxe, McClelland and Ganguli 2013, section 1.
    """
    decay = np.exp(-2 * s * np.asarray(t, dtype=np.float64))
    return s / (1 + (s / u0 - 1) * decay)


def mode_table(
    strengths: Sequence[float],
    u0: float,
    rates: Sequence[float],
    time: float,
    *,
    key: Key | int = 0,
) -> pd.DataFrame:
    """Train two layers whose modes all start at the strength u0, and return their strengths.

    The target is ``U diag(s) V^T``, and the network ``W_2 W_1`` starts as ``U sqrt(u0) R^T`` times
    ``R sqrt(u0) V^T``, with orthogonal U, V and R.

    Parameters
    ----------
    strengths
        s of each mode.
    u0
        Where they start.
    rates
        Learning rates.
    time
        Steps times learning rate at the end.

    Returns
    -------
    DataFrame
        A row for each learning rate, mode and step, with columns lr, s, t, u and theory.
    """
    n = len(strengths)
    u, v, r = (
        orthogonal_(torch.empty(n, n, dtype=torch.float64), generator=stream_key(key, name))
        for name in ("left", "right", "middle")
    )
    target = u @ torch.tensor(strengths, dtype=torch.float64).diag() @ v.T
    tables = []
    for lr in rates:
        factors = [(u0**0.5 * r @ v.T)[None], (u0**0.5 * u @ r.T)[None]]
        rate = torch.full((1, 1, 1), lr, dtype=torch.float64)
        t = lr * np.arange(round(time / lr) + 1)
        products = torch.cat([step(factors, target, rate) for _ in t])
        measured = (u.T @ products @ v).diagonal(dim1=1, dim2=2).T
        for s, own in zip(strengths, measured, strict=True):
            columns = {"lr": lr, "s": s, "t": t, "u": own, "theory": mode_strength(t, s, u0)}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def limit_curve(factors: list[Tensor], target: Tensor, times: Sequence[float]) -> np.ndarray:
    """Return the losses of infinitely deep networks with the products that these start from.

    In the time ``tau = L lr t`` and for L to infinity, orthogonal W_1 .. W_(L-1) of product P have

        dP/dtau = -int_0^1 (P P^T)^x M (P^T P)^(1-x) dx,  M = W_L^T (W_L P - T),

    while W_L stays as it is. In the singular vectors of P the integral is that of
    ``p_i^(2x) p_j^(2-2x)``, the logarithmic mean of p_i^2 and p_j^2.

    Parameters
    ----------
    factors
        W_1 .. W_L, stacked, float64; W_1 .. W_(L-1) orthogonal.
    target
        T.
    times
        Evenly spaced tau from 0, no more than 0.1 apart; steps of a Runge-Kutta method.

    Returns
    -------
    ndarray, shape (times, R)
        Losses relative to the first.

    References
    ----------
    Arora, Cohen and Hazan 2018, theorem 1, for finite L.
    """
    *hidden, last = factors
    product = hidden[0]
    for factor in hidden[1:]:
        product = factor @ product
    losses, h = [], times[1] - times[0]
    for _ in times:
        losses.append(squared_error(last @ product, target))
        k1 = _limit_velocity(product, last, target)
        k2 = _limit_velocity(product + h / 2 * k1, last, target)
        k3 = _limit_velocity(product + h / 2 * k2, last, target)
        k4 = _limit_velocity(product + h * k3, last, target)
        product = product + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    losses = torch.stack(losses)
    return (losses / losses[0]).numpy()


def _limit_velocity(product: Tensor, last: Tensor, target: Tensor) -> Tensor:
    left, p, right = torch.linalg.svd(product)
    square = p.square()
    gap = 2 * (p[..., :, None].log() - p[..., None, :].log())
    close = gap.abs() < 1e-6
    mean = (square[..., :, None] - square[..., None, :]) / gap.masked_fill(close, 1)
    mean = torch.where(close, square[..., :, None].expand_as(gap), mean)
    pull = last.mT @ (last @ product - target)
    return -left @ (mean * (left.mT @ pull @ right.mT)) @ right


def course_table(
    fills: Mapping[str, Callable[..., Tensor]],
    depths: Mapping[str, Sequence[int]],
    target: Tensor,
    seeds: Sequence[int],
    *,
    h: float,
    time: float,
) -> pd.DataFrame:
    """Return how the loss falls in the time ``tau = L lr t``, at the learning rate h / L.

    Parameters
    ----------
    fills, depths, target, seeds
        As in `race_table`, but that only every second depth is trained; float64.
    h
        What a step adds to tau, at most 0.1.
    time
        The last tau.

    Returns
    -------
    DataFrame
        A row for each scheme, depth, step and seed, with columns scheme, depth, seed, tau, loss
        (relative to the first) and limit (that of `limit_curve` from the same start, for orthogonal
        factors; else NaN).
    """
    tables = []
    times = h * np.arange(round(time / h) + 1)
    for scheme, own in depths.items():
        for depth in own[1::2]:
            factors = draw_factors(fills[scheme], target.shape[1], depth, len(target), seeds)
            losses = descend(factors, target, h / depth, len(times) - 1)
            balanced = _balanced(factors)
            limit = limit_curve(factors, target, times) if balanced else np.nan * losses
            columns = {
                "scheme": scheme,
                "depth": depth,
                "seed": np.tile(seeds, len(times)),
                "tau": np.repeat(times, len(seeds)),
                "loss": (losses / losses[0]).ravel(),
                "limit": limit.ravel(),
            }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _balanced(factors: list[Tensor]) -> bool:
    eye = torch.eye(factors[0].shape[-1], dtype=factors[0].dtype)
    return all(torch.allclose(factor @ factor.mT, eye) for factor in factors[:-1])
