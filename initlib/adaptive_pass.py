"""One forward pass of a model, in which each weight is scaled where data first come to it."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from initlib.adaptive_report import LsuvReport, LsuvRow
from initlib.fans import WEIGHT_LAYERS
from initlib.parameters import ModelParameter, model_parameters
from initlib.products import Product, input_products, output_product
from initlib.spread import Spread, spread


class ScalingPass:
    """Hooks on the layers of a model that scale its weights, and the report of what they did.

    A layer that is linear in its weight need not be run again to know what it returns once the
    weight is scaled. Its hook returns just that, so that what follows sees final values.

    Parameters
    ----------
    model : Module
    std, centred, tol, max_passes
        As in `lsuv_`.
    """

    def __init__(
        self, model: nn.Module, std: float, centred: bool, tol: float, max_passes: int
    ) -> None:
        self._model, self._target, self._centred = model, std, centred
        self._tol, self._max_passes = tol, max_passes
        tensors = dict(model.named_parameters(remove_duplicate=False))
        self._parameters = {id(tensors[p.name]): p for p in model_parameters(model)}
        for parameter in self._parameters.values():
            if parameter.tensor.is_meta:
                raise ValueError(f"{parameter.name} is {parameter.obstacle}")
        self._called: set[nn.Module] = set()
        self._rows: dict[str, LsuvRow] = {}
        self._runs_again = False

    def hooks(self) -> ExitStack:
        """Hook the layers, until the context that is returned is left."""
        stack = ExitStack()
        for layer in self._model.modules():
            if isinstance(layer, WEIGHT_LAYERS):
                before = layer.register_forward_pre_hook(self._on_inputs, with_kwargs=True)
                after = layer.register_forward_hook(self._on_output, prepend=True, with_kwargs=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
        return stack

    def report(self) -> LsuvReport:
        """Return what was done.

        Raises
        ------
        ValueError
            If no weight was scaled.
        """
        if not self._rows:
            kinds = ", ".join(kind.__name__.strip("_") for kind in WEIGHT_LAYERS)
            raise ValueError(f"the model called no layer that has a weight to scale ({kinds})")
        scaled = {name.partition("[")[0] for name in self._rows}
        layers = set(map(_layer_name, scaled))
        untouched = tuple(
            (parameter.name, self._reason(parameter))
            for parameter in self._parameters.values()
            if parameter.role in ("weight", "other") and parameter.name not in scaled
            if not (parameter.obstacle and _layer_name(parameter.name) in layers)
        )
        return LsuvReport(tuple(self._rows.values()), untouched)

    def _reason(self, parameter: ModelParameter) -> str:
        layer = self._model.get_submodule(_layer_name(parameter.name))
        if not isinstance(layer, WEIGHT_LAYERS):
            return f"{type(layer).__name__} is not a layer that is scaled"
        if layer not in self._called:
            return "its layer was not called"
        return parameter.obstacle or "it acts on the state of the layer"

    def _on_inputs(self, layer: nn.Module, args: tuple, kwargs: dict) -> None:
        self._called.add(layer)
        if not self._runs_again:
            for product, output in input_products(layer, args, kwargs):
                self._scale(layer, product, output)

    def _on_output(self, layer: nn.Module, args: tuple, kwargs: dict, output: Any) -> Any:
        product = output_product(layer)
        if self._runs_again or product is None:
            return output
        again = None if product.is_exact else partial(self._again, layer, args, kwargs)
        if isinstance(output, tuple):  # of attention: its output and its weights
            return self._scale(layer, product, output[0], again), *output[1:]
        return self._scale(layer, product, output, again)

    def _again(self, layer: nn.Module, args: tuple, kwargs: dict) -> Tensor:
        self._runs_again = True
        try:
            output = layer(*args, **kwargs)
        finally:
            self._runs_again = False
        return output[0] if isinstance(output, tuple) else output

    def _scale(
        self,
        layer: nn.Module,
        product: Product,
        output: Tensor,
        again: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """Scale a weight at its first use; return the output that the layer has with it."""
        parameter = self._parameters[id(product.parameter)]
        name = f"{parameter.name}[{product.block}]" if product.block else parameter.name
        where = f"{name}: the output of its {type(layer).__name__}"
        now, std = self._measure(where, product, output)
        if name in self._rows:
            self._rows[name] = self._used_again(self._rows[name], std)
            return output
        centres = self._centred and product.shift is not None
        before, scale, passes = std, 1.0, 0
        while True:
            _refuse_dead(where, product, now, std, output.dtype)
            factor = self._target / std
            product.scale_(factor, now.means if centres else None)
            scale, passes = scale * factor, passes + 1
            if again is None:
                output = output.sub_(now.means.to(output.dtype)) if centres else output
                output, std, across = output.mul_(factor), self._target, now.across * factor
                break
            output = again()
            now, std = self._measure(where, product, output)
            across = now.across
            off = abs(std / self._target - 1)
            if centres:
                off = max(off, now.means.abs().max().item() / self._target)
            if off <= max(self._tol, torch.finfo(output.dtype).eps):
                break
            if passes == self._max_passes:
                raise ValueError(
                    f"{where} is off its target std {self._target:.4g} by {off:.2g} of it after "
                    f"{passes} passes: it does not follow the weight and bias, as under "
                    "spectral_norm. Scale the model before its weights are parametrized"
                )
        self._rows[name] = LsuvRow(
            parameter=name,
            layer=type(layer).__name__,
            before=before,
            after=std,
            across=across,
            scale=scale,
            passes=passes,
            calls=1,
            later=None,
            note=_note(parameter, self._centred and not centres),
        )
        return output

    def _measure(self, where: str, product: Product, output: Tensor) -> tuple[Spread, float]:
        now = spread(output, product.units, centred=self._centred)
        std = now.across if self._centred else now.pooled
        if not math.isfinite(std):
            raise ValueError(
                f"{where} has std {std}: look for values that are not finite in the batch and in "
                "the weights, or give more than one sample"
            )
        return now, std

    def _used_again(self, row: LsuvRow, std: float) -> LsuvRow:
        earlier = std if row.later is None else row.later
        farthest = max(earlier, std, key=lambda later: abs(later - self._target))
        return replace(row, calls=row.calls + 1, later=farthest)


def _refuse_dead(where: str, product: Product, now: Spread, std: float, dtype: torch.dtype) -> None:
    """Raise an error if no variance, or none but that of the biases, is there to be scaled."""
    means = now.means.flatten()
    rounding = torch.finfo(dtype).eps * means.square().mean().sqrt().item()
    is_bias = product.bias is not None and now.across <= rounding
    if std <= rounding or (is_bias and (means - product.bias).abs().max() <= rounding):
        raise ValueError(
            f"{where} does not vary with the sample (std {now.across:.3g}): look for a batch of "
            "equal samples, zero weights, or dead units before it"
        )


def _note(parameter: ModelParameter, lacks_bias: bool) -> str:
    notes = [f"tied to {other}" for other in sorted(parameter.owners)[1:]]
    if parameter.frozen:
        notes.append("frozen")
    if lacks_bias:
        notes.append("no bias to centre by")
    return "; ".join(notes)


def _layer_name(parameter: str) -> str:
    """Return the name of the layer that has a parameter, or that a parametrization computes for."""
    layer, computed, _ = f".{parameter}".partition(".parametrizations.")
    return (layer if computed else layer.rpartition(".")[0]).removeprefix(".")
