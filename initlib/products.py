"""The inner products by which a layer's weights act on data, as data reach them.

Most layers return such a product. Attention and recurrent layers multiply their inputs inside of
one fused call: here each of their products is made before that call, so that its weight can still
be set.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.rnn import PackedSequence

from initlib.fans import blocks

_CORES = (  # what is the weight, or a factor of the weight that is computed from it
    "weight",
    "parametrizations.weight.original0",  # the norms in weight_norm
    "parametrizations.weight.original",
    "weight_g",  # weight_norm, then prune and spectral_norm, of older torch
    "weight_orig",
)


@dataclass(frozen=True)
class Product:
    """A weight, and what is added where it acts.

    Parameters
    ----------
    parameter : Tensor
        The parameter that holds the weight.
    block : str
        Which matrix of a packed parameter it is, as in `blocks`; empty if it is not packed.
    weight : Tensor
        A factor of the product: scaling it scales the product.
    bias : Tensor or None
        A term of the product, to be scaled with the weight.
    shift : Tensor or None
        Where the mean of the product can be subtracted: the bias, also one that is no term.
    units : int
        The dimension of the units in the product.
    is_exact : bool
        Whether the product is known to be linear in the weight.
    """

    parameter: Tensor
    block: str
    weight: Tensor
    bias: Tensor | None
    shift: Tensor | None
    units: int = -1
    is_exact: bool = True

    def scale_(self, factor: float, mean: Tensor | None = None) -> None:
        """Multiply the product by a factor, after taking the mean of each unit from it."""
        self.weight.mul_(factor)
        if self.bias is not None:
            self.bias.mul_(factor)
        if mean is not None:
            self.shift.sub_(factor * mean.flatten())


def output_product(layer: nn.Module) -> Product | None:
    """Return the product that is the output of a layer.

    These are linear, bilinear, convolution, embedding and attention layers, if their weights are of
    a float dtype. Of a computed weight, as by weight_norm, the product names the part that is its
    factor, or whose scale it has at least in most parametrizations, and is not exact. Neither is
    that of a subclass, which may do with its weight what it likes.
    """
    if isinstance(layer, nn.MultiheadAttention):
        layer = layer.out_proj
    if not isinstance(layer, nn.Linear | nn.Bilinear | nn.Embedding | _ConvNd):
        return None
    parameters = dict(layer.named_parameters())
    name = next((name for name in _CORES if name in parameters), None)
    if name is None or not parameters[name].is_floating_point():
        return None
    weight, bias = parameters[name], parameters.get("bias")
    units = -1 - len(layer.kernel_size) if isinstance(layer, _ConvNd) else -1
    of_torch = type(layer).__module__.startswith("torch.nn.modules.")
    is_exact = name == "weight" and of_torch and getattr(layer, "max_norm", None) is None
    return Product(weight, "", weight, bias, bias, units, is_exact)


def input_products(layer: nn.Module, args: tuple, kwargs: dict) -> Iterator[tuple[Product, Tensor]]:
    """Yield what the weights on the inputs of an attention or recurrent layer make of them.

    In a stack of recurrent layers the inputs of the second depend on the weights of the first: set
    a weight before the next is asked for. Computed weights, as by weight_norm, are left out.

    Parameters
    ----------
    layer : Module
        Other layers have no such weights.
    args, kwargs
        What the layer is called with.
    """
    if isinstance(layer, nn.MultiheadAttention):
        names = ("query", "key", "value")
        inputs = dict(zip(names, args, strict=False)) | kwargs
        yield from _of_attention(layer, [inputs[name] for name in names])
    elif isinstance(layer, nn.RNNCellBase):
        inputs = {"input": args[0]} if args else kwargs
        yield from _of_gates(layer, "", inputs["input"])
    elif isinstance(layer, nn.RNNBase):
        inputs = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        yield from _of_recurrent(layer, inputs["input"], inputs.get("hx"))


def _of_attention(
    layer: nn.MultiheadAttention, inputs: list[Tensor]
) -> Iterator[tuple[Product, Tensor]]:
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    weights = [(layer._parameters.get(name), "") for name in names]
    packed = layer._parameters.get("in_proj_weight")
    if packed is not None:
        weights = [(packed, block) for block in blocks(layer, "in_proj_weight")]
    biases = [None] * 3 if layer.in_proj_bias is None else layer.in_proj_bias.chunk(3)
    for place, (parameter, block) in enumerate(weights):
        if parameter is not None:
            weight = parameter.chunk(3)[place] if block else parameter
            product = Product(parameter, block, weight, biases[place], biases[place])
            yield product, F.linear(inputs[place], weight, biases[place])


def _of_recurrent(
    layer: nn.RNNBase, sequence: Tensor | PackedSequence, state: Tensor | tuple | None
) -> Iterator[tuple[Product, Tensor]]:
    def own(tensor: Tensor) -> Tensor:
        return tensor[depth * len(ways) : (depth + 1) * len(ways)]

    ways = ("", "_reverse")[: 1 + layer.bidirectional]
    for depth in range(layer.num_layers):
        for way in ways:
            yield from _of_gates(layer, f"_l{depth}{way}", sequence.data)
        if depth + 1 < layer.num_layers:
            start = None
            if state is not None:
                start = tuple(map(own, state)) if isinstance(state, tuple) else own(state)
            sequence, _ = _one_of_stack(layer, depth, sequence.data.shape[-1])(sequence, start)


def _of_gates(
    layer: nn.RNNBase | nn.RNNCellBase, suffix: str, data: Tensor
) -> Iterator[tuple[Product, Tensor]]:
    """Yield the weights of the gates without their biases, which may be there to open a gate."""
    parameter = layer._parameters.get(f"weight_ih{suffix}")
    if parameter is None:
        return
    names = blocks(layer, f"weight_ih{suffix}") or ("",)
    bias = layer._parameters.get(f"bias_ih{suffix}")
    shifts = (None,) * len(names) if bias is None else bias.chunk(len(names))
    for name, weight, shift in zip(names, parameter.chunk(len(names)), shifts, strict=True):
        yield Product(parameter, name, weight, None, shift), F.linear(data, weight)


def _one_of_stack(layer: nn.RNNBase, depth: int, width: int) -> nn.RNNBase:
    """Copy one layer of a stack, which torch runs as a whole only."""
    kind = next(kind for kind in (nn.RNN, nn.LSTM, nn.GRU) if isinstance(layer, kind))
    options = ["bias", "batch_first", "bidirectional"]
    options += {nn.RNN: ["nonlinearity"], nn.LSTM: ["proj_size"], nn.GRU: []}[kind]
    weight = layer.get_parameter("weight_hh_l0")
    one = kind(
        width,
        layer.hidden_size,
        device=weight.device,
        dtype=weight.dtype,
        **{option: getattr(layer, option) for option in options},
    )
    for name, parameter in one.named_parameters():
        parameter.copy_(getattr(layer, name.replace("_l0", f"_l{depth}")))
    return one
