"""What mean-field theory makes of each layer of a model, given what reached it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from torch import nn

from initlib.fans import fans
from initlib.meanfield import MeanField
from initlib.probe_pass import Call
from initlib.probe_report import ProbeRow

_SUMS = (nn.Linear, nn.modules.conv._ConvNd)  # of independent terms, if the weights are
_SAME = (nn.Flatten, nn.Unflatten, nn.Identity)


class _Layer(NamedTuple):
    """What a layer does to second moments, there and back; None where there is no theory."""

    second_moment: float | None = None
    correlation: float | None = None
    backward: float | None = None


def predict(rows: Sequence[ProbeRow], calls: Sequence[Call]) -> tuple[ProbeRow, ...]:
    """Add the predictions to the rows of calls.

    A layer of weights with bias b multiplies by ``fan_in E w^2`` and adds ``E b^2``, as if its
    weights and biases were independent of mean zero; an activation takes Gaussian inputs of mean
    zero, whose correlation is that of the average pair of samples. On the way back they multiply by
    ``fan_out E w^2`` and by E phi'^2.
    """
    theory = {id(call): _of_layer(call) for call in calls} | _of_activations(calls)
    return tuple(
        replace(
            row,
            predicted_second_moment=theory[id(call)].second_moment,
            predicted_correlation=theory[id(call)].correlation,
            predicted_gradient=_gradient(call, theory),
        )
        for row, call in zip(rows, calls, strict=True)
    )


def _gradient(call: Call, theory: dict[int, _Layer]) -> float | None:
    parts = [(theory[id(reader)].backward, reader.backward) for reader in call.readers]
    if not parts or any(factor is None or back is None for factor, back in parts):
        return None
    return sum(factor * back.second_moment for factor, back in parts)


def _of_layer(call: Call) -> _Layer:
    layer = call.layer
    q = None if call.input is None else call.input.second_moment
    c = None if call.input is None else call.input.correlation
    if isinstance(layer, _SAME):
        return _Layer(q, c, 1.0)
    if not isinstance(layer, _SUMS):
        return _Layer()
    square = layer.weight.detach().double().square().mean().item()
    shift = 0.0 if layer.bias is None else layer.bias.detach().double().square().mean().item()
    fan_in, fan_out = fans(layer)
    second = None if q is None else fan_in * square * q + shift
    correlation = (fan_in * square * q * c + shift) / second if second and c is not None else None
    return _Layer(second, correlation, fan_out * square)


def _of_activations(calls: Sequence[Call]) -> dict[int, _Layer]:
    groups = defaultdict(list)  # one integral for all calls of an activation
    for call in calls:
        if call.activation is not None and call.input is not None and call.input.second_moment > 0:
            groups[call.activation].append(call)
    found = {}
    for activation, same in groups.items():
        layer = MeanField(activation, sigma_w=1.0)
        q = np.array([call.input.second_moment for call in same])
        c = np.array([call.input.correlation for call in same], dtype=float)  # None becomes NaN
        at = layer.q_map(q), layer.c_map(np.clip(np.nan_to_num(c), -1, 1), q), layer.chi(q)
        for call, given, *values in zip(same, c, *at, strict=True):
            second, correlation, back = map(float, values)
            found[id(call)] = _Layer(second, None if np.isnan(given) else correlation, back)
    return found
