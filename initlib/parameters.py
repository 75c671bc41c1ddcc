"""The parameters of a model: their owners, their roles, and what stands in the way of a fill."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from initlib.fans import NORM_LAYERS, WEIGHT_LAYERS

Role = Literal["weight", "bias", "norm", "other"]

_PARTS = ("_g", "_v", "_orig")  # what the older weight_norm, spectral_norm and prune leave behind


@dataclass(frozen=True, eq=False)
class ModelParameter:
    """A parameter with all the names that it has in a model.

    Parameters
    ----------
    tensor : Tensor
        Its values, without the graph.
    owners : dict of str to Module
        Each of its names with the layer of that name; more than one if it is tied.
    frozen : bool
        Whether it takes no gradient.
    """

    tensor: Tensor
    owners: dict[str, nn.Module]
    frozen: bool

    @property
    def name(self) -> str:
        """The first of its names in alphabetical order: the same however the model is ordered."""
        return min(self.owners)

    @property
    def role(self) -> Role:
        """What the parameter is to its layer; "other" in layers that we know nothing of."""
        layer = self.owners[self.name]
        if not isinstance(layer, WEIGHT_LAYERS + NORM_LAYERS):
            return "other"
        if "bias" in local_name(self.name):
            return "bias"
        return "norm" if isinstance(layer, NORM_LAYERS) else "weight"

    @property
    def obstacle(self) -> str:
        """Why the parameter cannot be filled; empty if it can."""
        if any(_is_part(layer, local_name(name)) for name, layer in self.owners.items()):
            return "parametrized: initialize the model before it is parametrized"
        if self.tensor.is_meta:
            return "on the meta device: give it memory first, as by model.to_empty(device='cpu')"
        if not self.tensor.is_floating_point():
            return f"{self.tensor.dtype} is not a float dtype"
        return "" if self.tensor.numel() else "empty"


def model_parameters(model: nn.Module) -> list[ModelParameter]:
    """List the parameters in the model's order, each once.

    Raises
    ------
    ValueError
        If a layer is lazy and has not seen data.
    """
    found: dict[int, ModelParameter] = {}
    for name, tensor in model.named_parameters(remove_duplicate=False):
        if isinstance(tensor, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"{name} has no shape yet: run one batch through the lazy layers first"
            )
        new = ModelParameter(tensor.detach(), {}, not tensor.requires_grad)
        owner = model.get_submodule(name.rpartition(".")[0])
        found.setdefault(id(tensor), new).owners[name] = owner
    return list(found.values())


def local_name(name: str) -> str:
    """Return the name within the layer, ``"weight"`` of ``"encoder.0.weight"``."""
    return name.rpartition(".")[2]


def _is_part(layer: nn.Module, local: str) -> bool:
    """Whether the layer computes its weight from this parameter, as weight_norm does."""
    whole = getattr(layer, local.rpartition("_")[0], None)
    computed = isinstance(whole, Tensor) and not isinstance(whole, nn.Parameter)
    return isinstance(layer, ParametrizationList) or (computed and local.endswith(_PARTS))
