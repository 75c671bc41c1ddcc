"""What a probe saw in a model, call by call."""

from dataclasses import dataclass
from typing import ClassVar

from initlib.tables import Table


@dataclass(frozen=True)
class ProbeRow:
    """The signal that left a layer, and the gradient that came back to it.

    Moments are over all values: samples, units and positions. What was not measured, or has no
    theory here, is None.

    Parameters
    ----------
    layer : str
        Its name in the model; of a layer that is called again, with the number of the call:
        ``"block.relu (2)"``.
    type : str
        Its class.
    mean, second_moment : float
        E y and E y^2 of the output y.
    correlation : float or None
        E y(a) y(b) / E y^2 over pairs of different samples a and b: the cosine of two inputs, as
        far as the layer tells them apart. None for a single sample or an output of zeros.
    dead : float or None
        Of an activation: the share of units (and positions) whose output is the same for all
        samples.
    saturated : float or None
        Of an activation: the share of inputs at which its slope is below 0.05.
    gradient_mean, gradient_second_moment : float or None
        E g and E g^2 of the gradient g with respect to y.
    weight_gradient : float or None
        E (df/dW)^2 over the weights of the layer, biases left out.
    predicted_second_moment, predicted_correlation, predicted_gradient : float or None
        What mean-field theory makes of one layer: of `second_moment` and `correlation` given those
        of the layer's input as they were measured, of `gradient_second_moment` given that of the
        layers that take y.
    """

    layer: str
    type: str
    mean: float
    second_moment: float
    correlation: float | None
    dead: float | None
    saturated: float | None
    gradient_mean: float | None
    gradient_second_moment: float | None
    weight_gradient: float | None
    predicted_second_moment: float | None
    predicted_correlation: float | None
    predicted_gradient: float | None


@dataclass(frozen=True, repr=False)
class Signals(Table):
    """The table that `probe` returns; print it, or take ``to_frame()``.

    Parameters
    ----------
    rows : tuple of ProbeRow
        One for each call of a layer, in the order of execution.
    """

    row_type: ClassVar = ProbeRow

    rows: tuple[ProbeRow, ...]
