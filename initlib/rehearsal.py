"""Running a model on data so that afterwards all is as before, but for what is meant to change."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def rehearsal(model: nn.Module) -> Iterator[None]:
    """Keep gradients and dropout off; afterwards put modes and buffers back.

    Layers are in evaluation mode. Those with running statistics, such as batch norm, keep the mode
    they are in: in training mode the signals are those of a training step. Attention takes its
    ordinary path, on which hooks are called, and autocast does not remember weights, which may
    change.
    """
    modes = [(layer, layer.training) for layer in model.modules()]
    buffers = [
        (layer, name, buffer, buffer.clone())
        for layer in model.modules()
        for name, buffer in layer.named_buffers(recurse=False)
    ]
    had_fast_path = torch.backends.mha.get_fastpath_enabled()
    had_cache = torch.is_autocast_cache_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        torch.set_autocast_cache_enabled(False)
        torch.clear_autocast_cache()
        for layer, was_training in modes:
            layer.training = was_training and isinstance(layer, _NormBase)
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(had_fast_path)
        torch.set_autocast_cache_enabled(had_cache)
        for layer, was_training in modes:
            layer.training = was_training
        for layer, name, buffer, values in buffers:
            layer._buffers[name] = buffer
            buffer.detach().copy_(values)


def call(model: nn.Module, batch: Any) -> Any:
    """Call the model with a batch, and leave the states of random generators as they were.

    A tuple holds the model's arguments, a mapping its keywords; all else is one argument.
    """
    gpus = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(sorted(gpus)):
        if isinstance(batch, Mapping):
            return model(**batch)
        return model(*batch) if isinstance(batch, tuple) else model(batch)


@contextmanager
def all_or_nothing(model: nn.Module) -> Iterator[None]:
    """Put the parameters back to the last bit if what is done inside fails."""
    with torch.no_grad():
        copies = [(parameter, parameter.clone()) for parameter in model.parameters()]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for parameter, values in copies:
                parameter.copy_(values)
        raise
