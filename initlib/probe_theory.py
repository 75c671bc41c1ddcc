"""What mean-field theory makes of one layer of a model, given what reached it."""

from dataclasses import replace

from torch import nn

from initlib.fans import fans
from initlib.moments import moments
from initlib.probe_pass import Call
from initlib.probe_report import ProbeRow

_SUMS = (nn.Linear, nn.modules.conv._ConvNd)  # sums of independent terms, if the weights are
_SAME = (nn.Flatten, nn.Unflatten, nn.Identity)


def predict(row: ProbeRow, call: Call) -> ProbeRow:
    """Add the predictions to a row.

    A layer of weights with bias b multiplies by ``fan_in E w^2`` and adds ``E b^2``, as if its
    weights and biases were independent of mean zero; an activation takes Gaussian inputs of mean
    zero. On the way back they multiply by ``fan_out E w^2`` and by E phi'^2.
    """
    second = correlation = gradient = None
    if call.input is not None and call.input.second_moment > 0:
        second, correlation = _forward(call)
    factors = [(_backward(reader), reader.backward) for reader in call.readers]
    if factors and all(factor is not None and back is not None for factor, back in factors):
        gradient = sum(factor * back.second_moment for factor, back in factors)
    return replace(
        row,
        predicted_second_moment=second,
        predicted_correlation=correlation,
        predicted_gradient=gradient,
    )


def _forward(call: Call) -> tuple[float | None, float | None]:
    layer, q, c = call.layer, call.input.second_moment, call.input.correlation
    if isinstance(layer, _SAME):
        return q, c
    if isinstance(layer, _SUMS):
        gain = fans(layer)[0] * layer.weight.detach().double().square().mean().item()
        shift = 0.0 if layer.bias is None else layer.bias.detach().double().square().mean().item()
        second = gain * q + shift
        return second, None if c is None or not second else (gain * q * c + shift) / second
    if call.activation is not None:
        return moments(call.activation, q).second_moment, None
    return None, None


def _backward(call: Call) -> float | None:
    layer = call.layer
    if isinstance(layer, _SAME):
        return 1.0
    if isinstance(layer, _SUMS):
        return fans(layer)[1] * layer.weight.detach().double().square().mean().item()
    if call.activation is not None and call.input is not None and call.input.second_moment > 0:
        return moments(call.activation, call.input.second_moment).squared_derivative
    return None
