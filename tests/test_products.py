import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from initlib.products import input_products, output_product


class OwnLinear(nn.Linear):
    pass


def int8() -> nn.Module:
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(torch.zeros(3, 2, dtype=torch.int8), requires_grad=False)
    return layer


OUTPUTS = {
    "linear": (nn.Linear(2, 3), "weight", -1, True),
    "bilinear": (nn.Bilinear(2, 2, 3), "weight", -1, True),
    "embedding": (nn.Embedding(2, 3), "weight", -1, True),
    "embedding of limited norm": (nn.Embedding(2, 3, max_norm=1), "weight", -1, False),
    "convolution": (nn.Conv3d(2, 3, 1), "weight", -4, True),
    "transposed convolution": (nn.ConvTranspose1d(2, 3, 1), "weight", -2, True),
    "attention": (nn.MultiheadAttention(4, 2), "out_proj.weight", -1, True),
    "a subclass": (OwnLinear(2, 3), "weight", -1, False),
    "weight norm": (
        parametrizations.weight_norm(nn.Linear(2, 3)),
        "parametrizations.weight.original0",
        -1,
        False,
    ),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_the_product_that_a_layer_returns(case):
    layer, name, units, is_exact = OUTPUTS[case]
    product = output_product(layer)
    assert product.parameter is product.weight is layer.get_parameter(name)
    owner = layer.out_proj if case == "attention" else layer
    assert product.bias is product.shift is getattr(owner, "bias", None)
    assert (product.block, product.units, product.is_exact) == ("", units, is_exact)


@pytest.mark.parametrize("layer", [nn.LayerNorm(3), nn.GRU(2, 3), nn.ReLU(), int8()])
def test_other_layers_return_none(layer):
    assert output_product(layer) is None
    if not isinstance(layer, nn.GRU):
        assert list(input_products(layer, (torch.ones(2),), {})) == []


def test_a_product_is_centred_then_scaled():
    layer, x = nn.Linear(4, 3), torch.arange(20.0).view(5, 4)
    before = layer(x).detach()
    with torch.no_grad():
        output_product(layer).scale_(0.5, before.mean(0))
    torch.testing.assert_close(layer(x).detach(), (before - before.mean(0)) / 2)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"kdim": 3, "vdim": 5}, {"bias": False}])
def test_attention_has_a_product_for_each_of_its_inputs(options):
    layer = nn.MultiheadAttention(4, 2, **options)
    inputs = {
        "query": torch.randn(6, 2, 4),
        "key": torch.randn(7, 2, options.get("kdim", 4)),
        "value": torch.randn(7, 2, options.get("vdim", 4)),
    }
    found = list(input_products(layer, (inputs["query"],), {**inputs, "need_weights": False}))
    assert len(found) == 3
    for place, ((product, output), x) in enumerate(zip(found, inputs.values(), strict=True)):
        label = "qkv"[place]
        packed = not options.get("kdim")
        name = "in_proj_weight" if packed else f"{label}_proj_weight"
        assert product.parameter is layer.get_parameter(name)
        assert product.block == (label if packed else "")
        weight = layer.in_proj_weight[4 * place :][:4] if packed else product.parameter
        bias = None if layer.in_proj_bias is None else layer.in_proj_bias[4 * place :][:4]
        torch.testing.assert_close(output, F.linear(x, weight, bias))


@torch.no_grad()
@pytest.mark.parametrize(
    ("layer", "blocks"),
    [
        (nn.LSTM(3, 2, bias=False), "ifgo"),
        (nn.GRU(3, 2), "rzn"),
        (nn.RNN(3, 2), ""),
        (nn.LSTMCell(3, 2), "ifgo"),
        (nn.GRUCell(3, 2, bias=False), "rzn"),
        (nn.RNNCell(3, 2), ""),
    ],
)
def test_a_recurrent_layer_has_a_product_for_each_gate(layer, blocks):
    x = torch.randn(4, 3)
    suffix = "" if isinstance(layer, nn.RNNCellBase) else "_l0"
    weight = layer.get_parameter(f"weight_ih{suffix}")
    bias = dict(layer.named_parameters()).get(f"bias_ih{suffix}")
    for args, kwargs in (((x,), {}), ((), {"input": x, "hx": None})):
        found = list(input_products(layer, args, kwargs))
        assert [product.block for product, _ in found] == list(blocks) or [""]
        torch.testing.assert_close(torch.cat([output for _, output in found], -1), x @ weight.T)
        assert all(product.bias is None for product, _ in found)
        if bias is not None:
            assert torch.equal(torch.cat([product.shift for product, _ in found]), bias)


def test_weights_that_are_computed_are_left_out():
    attention = parametrizations.weight_norm(nn.MultiheadAttention(4, 2), "in_proj_weight")
    x = torch.randn(3, 2, 4)
    assert list(input_products(attention, (x, x, x), {})) == []
    cell = parametrizations.weight_norm(nn.GRUCell(4, 2), "weight_ih")
    assert list(input_products(cell, (x[0],), {})) == []
