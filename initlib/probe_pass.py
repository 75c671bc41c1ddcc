"""Hooks that take the moments of signals and gradients as a model's own passes go by."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from initlib.activations import Activation
from initlib.callables import as_activation
from initlib.fans import NORM_LAYERS, WEIGHT_LAYERS
from initlib.probe_report import ProbeRow, Signals
from initlib.signal_sums import Sums, squared_norm

_FLAT = 0.05  # slope below which an activation counts as saturated


@dataclass
class Call:
    """One call of a layer: what it took, and sums over what it returned."""

    name: str
    layer: nn.Module
    forward: Sums
    backward: Sums | None = None
    source: "Call | None" = None  # the call whose output is the input of this one
    received: Sums | None = None  # the input, where it is not the output of another call
    readers: list["Call"] = field(default_factory=list)
    activation: Activation | None = None  # what the layer is, if it is elementwise
    dead: Tensor | None = None
    saturated: Tensor | None = None

    @property
    def input(self) -> Sums | None:
        """Sums over the input."""
        return self.received if self.source is None else self.source.forward


class Probe:
    """A context in which the passes of a model are measured as they go by.

    Every layer without children, and attention, gets a row for each of its calls. What is computed
    by functions instead of layers, as by ``torch.relu``, is seen in the output of the next layer.

    Parameters
    ----------
    model : Module
        Is not changed, and not run: call it inside the context, and differentiate.
    detail : bool
        Take correlations and the shares of dead units and saturated inputs too, which costs more
        than the moments do.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> model = torch.nn.Sequential(torch.nn.Linear(20, 9), torch.nn.Tanh(), torch.nn.Linear(9, 1))
    >>> with init.Probe(model) as watch:
    ...     model(torch.ones(5, 20)).square().mean().backward()
    >>> [row.layer for row in watch.signals().rows]
    ['0', '1', '2']
    """

    def __init__(self, model: nn.Module, *, detail: bool = False) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
        self._model, self._detail = model, detail
        self._counts: Counter[str] = Counter()
        self._last: dict[int, tuple[Tensor, Call]] = {}
        self._activations: dict[nn.Module, Activation] = {}
        self._hooks = ExitStack()
        self.calls: list[Call] = []

    def __enter__(self) -> "Probe":
        layers = {
            name or "model": layer
            for name, layer in self._model.named_modules()
            if isinstance(layer, nn.MultiheadAttention) or not any(layer.children())
        }
        if self._detail:  # before there are hooks, since layers are tried out as copies
            self._activations = _activations(layers.values())
        fast = torch.backends.mha.get_fastpath_enabled()
        self._hooks.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)  # it calls no hooks
        for name, layer in layers.items():
            if self._detail:
                self._hooks.callback(layer.register_forward_pre_hook(self._on_input).remove)
            after = layer.register_forward_hook(partial(self._on_output, name))
            self._hooks.callback(after.remove)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hooks.close()
        self._last.clear()

    def signals(self, gradients: Mapping[nn.Parameter, Tensor] | None = None) -> Signals:
        """Return what was seen, a row for each call.

        Parameters
        ----------
        gradients : mapping, optional
            Of parameters. Default: what their ``grad`` holds now.

        Raises
        ------
        ValueError
            If no layer was called.
        """
        if not self.calls:
            raise ValueError("no layer was called inside the context: call the model there")
        if gradients is None:
            gradients = {p: p.grad for p in self._model.parameters() if p.grad is not None}
        return Signals(tuple(_row(call, gradients) for call in self.calls))

    def _on_input(self, layer: nn.Module, args: tuple) -> None:
        given = args[0] if args and isinstance(args[0], Tensor) else None
        known = self._last.get(id(given))
        source = known[1] if known and known[0] is given else None
        received = activation = saturated = None
        if given is not None and given.is_floating_point() and given.numel():
            received = None if source else Sums.of(given.detach(), pairs=True)
            activation = self._activations.get(layer)
            saturated = _saturated(layer, given.detach()) if activation else None
        self._taken = source, received, activation, saturated

    def _on_output(self, name: str, layer: nn.Module, args: tuple, output: Any) -> None:
        signal = next(floats(output), None)
        if signal is None or not signal.numel():
            return
        self._counts[name] += 1
        again = self._counts[name]
        name = f"{name} ({again})" if again > 1 else name
        values = signal.detach()
        call = Call(name, layer, Sums.of(values, pairs=self._detail))
        if self._detail:
            call.source, call.received, call.activation, call.saturated = self._taken
            if call.source is not None:
                call.source.readers.append(call)
            if call.activation is not None and values.ndim > 1:
                call.dead = (values == values[:1]).all(0).double().mean()
            self._last[id(signal)] = signal, call
        if signal.requires_grad:
            signal.register_hook(partial(_on_gradient, call))
        self.calls.append(call)


def _row(call: Call, gradients: Mapping[nn.Parameter, Tensor]) -> ProbeRow:
    back, weights = call.backward, list(_weights(call.layer))
    found = [gradients[weight].detach() for weight in weights if weight in gradients]
    squares = sum(map(squared_norm, found))
    return ProbeRow(
        layer=call.name,
        type=type(call.layer).__name__,
        mean=call.forward.mean,
        second_moment=call.forward.second_moment,
        correlation=call.forward.correlation,
        dead=None if call.dead is None else call.dead.item(),
        saturated=None if call.saturated is None else call.saturated.item(),
        gradient_mean=None if back is None else back.mean,
        gradient_second_moment=None if back is None else back.second_moment,
        weight_gradient=squares / sum(g.numel() for g in found) if found else None,
        predicted_second_moment=None,
        predicted_correlation=None,
        predicted_gradient=None,
    )


def _activations(layers: Iterable[nn.Module]) -> dict[nn.Module, Activation]:
    """Find the elementwise layers and what they compute, which equal layers of torch share."""
    found: dict[nn.Module, Activation] = {}
    shared: dict[str, Activation] = {}
    for layer in layers:
        if isinstance(layer, WEIGHT_LAYERS + NORM_LAYERS + (nn.Flatten, nn.Unflatten, nn.Identity)):
            continue
        is_torch = type(layer).__module__.startswith("torch.nn") and not any(layer.parameters())
        if is_torch and repr(layer) in shared:
            found[layer] = shared[repr(layer)]
            continue
        with suppress(TypeError):  # it is not elementwise
            found[layer] = as_activation(layer)
            if is_torch:
                shared[repr(layer)] = found[layer]
    return found


def _on_gradient(call: Call, gradient: Tensor) -> None:
    call.backward = Sums.of(gradient.detach())


def _weights(layer: nn.Module) -> Iterator[nn.Parameter]:
    for name, parameter in layer.named_parameters():
        if "bias" not in name:
            yield parameter


def floats(output: Any) -> Iterator[Tensor]:
    """Yield the tensors of floats in an output."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from floats(part)


def _saturated(layer: nn.Module, inputs: Tensor) -> Tensor:
    """The share of inputs at which an elementwise layer is flat."""
    with torch.enable_grad():
        at = inputs.clone().requires_grad_()
        output = layer.forward(at.clone())  # past the hooks; a copy for layers that are in place
        (slope,) = torch.autograd.grad(output.sum(), at)
    return (slope.abs() < _FLAT).double().mean()
