r"""How tanh fades under Xavier's rule: the map of second moments, its tail, and the role of width.

In a square layer with weights of variance 1/n the second moment q_l = E h_l^2 follows
q_(l+1) = T(q_l), T(q) = E tanh(sqrt(q) z)^2 = q - 2 q^2 + O(q^3), z ~ N(0, 1).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from initlib.lab.estimates import Estimate, estimate
from initlib.lab.scaling import directions
from initlib.lab.signals import Signals, law_signals, layer_table
from initlib.moments import moments
from initlib.sampling import Key, stream_key
from initlib.variance import Law

__all__ = [
    "DeepRuns",
    "decay_ratios",
    "deep_runs",
    "deep_tables",
    "fading",
    "narrow_ratios",
    "narrow_theory",
    "weight_gradient_ratio",
    "width_term",
]

Run = tuple[Signals, Signals]
INPUTS = 32  # inputs of each network, at nearly right angles, so that they stay independent
SECONDS = (0.1, 1.0, 10.0)  # their mean squares


def fading(second: ArrayLike, depth: int) -> np.ndarray:
    """Return the second moment of tanh after each layer, by the exact map.

    Parameters
    ----------
    second
        E x^2, one or many.
    depth
        Layers.

    Returns
    -------
    ndarray, shape (depth, ...)
        q_1 .. q_depth.

    Examples
    --------
    >>> float((200 * fading(1.0, 100)[-1]).round(4))
    1.0138
    """
    path = []
    for _ in range(depth):
        second = moments("tanh", second).second_moment
        path.append(second)
    return np.array(path)


def width_term(second: float, depth: int) -> np.ndarray:
    r"""Return c_l in E h_l^2 = q_l (1 + c_l / n + O(1 / n^2)) for n units in each layer.

    Given a layer, the units of the next are independent, so that the mean of their squares s_l
    fluctuates by Var tanh^2 / n. To first order in 1/n, with v_l = n Var s_l,

        v_(l+1) = T'(q_l)^2 v_l + Var tanh(sqrt(q_l) z)^2,
        n (E s_(l+1) - q_(l+1)) = T'(q_l) n (E s_l - q_l) + T''(q_l) v_l / 2.

    Its tail is -l/3: T' = 1 - 2/l, T'' = -4 and Var tanh^2 = 2 q_l^2 give v_l / q_l^2 = 2 l / 3.

    Parameters
    ----------
    second
        E x^2 of the input, which doesn't fluctuate.
    depth
        Layers.

    Returns
    -------
    ndarray, shape (depth,)
        c_1 .. c_depth.

    Examples
    --------
    >>> (width_term(1.0, 32)[[0, 1, 31]]).round(3)
    array([ 0.   , -0.131, -8.999])
    """
    variance = shift = 0.0
    terms = []
    for _ in range(depth):
        q = second * np.array([0.999, 1.0, 1.001])
        tanh = moments("tanh", q)
        slope = tanh.slope * tanh.second_moment / q
        curvature = (slope[2] - slope[0]) / (q[2] - q[0])
        shift = slope[1] * shift + curvature * variance / 2
        fourth = moments(lambda x: np.tanh(x) ** 2, second).second_moment
        second = tanh.second_moment[1]
        variance = slope[1] ** 2 * variance + fourth - second**2
        terms.append(shift / second)
    return np.array(terms)


class DeepRuns(NamedTuple):
    """Tanh networks of square layers under Xavier's rule, each measured and predicted.

    Attributes
    ----------
    by_width
        From inputs of mean square 1.
    by_input
        Of the widest networks, by the mean square of the inputs.
    """

    by_width: dict[int, Run]
    by_input: dict[float, Run]

    @property
    def wide(self) -> int:
        """The widest networks."""
        return max(self.by_width)

    @property
    def narrow(self) -> int:
        """The narrowest."""
        return min(self.by_width)

    @property
    def depth(self) -> int:
        """Layers of each."""
        return self.by_input[1.0][1].second.size


def deep_runs(widths: Sequence[int], depth: int, *, networks: int, key: Key | int) -> DeepRuns:
    """Measure deep tanh networks of several widths.

    Parameters
    ----------
    widths
        Units of all layers.
    depth
        Layers.
    networks
        Networks of each kind; four times as many of the narrowest, which fluctuate most.
    key
        Seed.
    """

    def run(n: int, second: float) -> Run:
        at, count = stream_key(key, n, f"{second:g}"), networks * (4 if n == min(widths) else 1)
        x = directions(count * INPUTS, n, second, key=stream_key(at, "inputs"))
        law = Law(1.0, "fan_avg", "normal")
        return law_signals(law, [n] * (depth + 1), x.view(count, INPUTS, n), "tanh", key=at)

    by_width = {n: run(n, 1.0) for n in widths}
    wide = max(widths)
    by_input = {second: by_width[wide] if second == 1 else run(wide, second) for second in SECONDS}
    return DeepRuns(by_width, by_input)


def decay_ratios(runs: DeepRuns) -> list[Estimate]:
    """Estimate E h_l^2 of the widest networks over theory, the term in 1/n included.

    Returns
    -------
    list of Estimate
        At the last layer from each input of `SECONDS`, then at a quarter and at half of the layers
        from an input of mean square 1.
    """
    places = [(second, runs.depth) for second in SECONDS]
    places += [(1.0, runs.depth // 4), (1.0, runs.depth // 2)]
    ratios = []
    for second, layer in places:
        measured, predicted = runs.by_input[second]
        term = width_term(second, layer)[-1] / runs.wide
        theory = predicted.second[layer - 1] * (1 + term)
        ratios.append(estimate(measured.second[:, layer - 1] / theory))
    return ratios


def narrow_theory(n: int) -> dict[str, float]:
    """Return E h_l^2 of networks of width n over that of wide ones, at layers n/8 and n/4."""
    terms = width_term(1.0, n // 4) / n
    return {f"layer {layer}": 1 + float(terms[layer - 1]) for layer in (n // 8, n // 4)}


def narrow_ratios(runs: DeepRuns) -> dict[str, Estimate]:
    """Estimate what `narrow_theory` predicts, for the narrowest networks."""
    measured, predicted = runs.by_width[runs.narrow]
    layers = runs.narrow // 8, runs.narrow // 4
    ratios = measured.second / predicted.second
    return {f"layer {layer}": estimate(ratios[:, layer - 1]) for layer in layers}


def weight_gradient_ratio(runs: DeepRuns) -> Estimate:
    """Estimate |df/dW_l|^2 in the mean over layers from the second on, over its prediction."""
    measured, predicted = runs.by_width[runs.wide]
    return estimate(measured.weight[:, 1:].mean(axis=1) / predicted.weight[1:].mean())


def deep_tables(runs: DeepRuns) -> pd.DataFrame:
    """Return signals and gradients of each layer, beside theory.

    Returns
    -------
    DataFrame
        Columns panel, quantity, layer, value, low, high, theory, width, start (mean square of the
        input) and corrected. Panel "input" has E h_l^2, "width" 2 l E h_l^2 with the term in 1/n as
        corrected, "gradient" the squared norms of df/dz_l ("error") and of df/dW_l over n
        ("weight").
    """
    tables = [
        layer_table(*both, "second").assign(panel="input", width=runs.wide, start=second)
        for second, both in runs.by_input.items()
    ]
    twice, terms = 2 * np.arange(1, runs.depth + 1), width_term(1.0, runs.depth)
    for n, both in runs.by_width.items():
        table = layer_table(*both, "second", twice).assign(panel="width", width=n, start=1.0)
        tables.append(table.assign(corrected=table.theory * (1 + terms / n)))
    for quantity, factor in (("error", 1.0), ("weight", 1 / runs.wide)):
        table = layer_table(*runs.by_width[runs.wide], quantity, factor)
        tables.append(table.assign(panel="gradient", width=runs.wide, start=1.0))
    return pd.concat(tables, ignore_index=True)
