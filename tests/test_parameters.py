import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from initlib.parameters import local_name, model_parameters


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3))
        self.bias = nn.Parameter(torch.zeros(3))


ROLES = {
    "linear": (nn.Linear(3, 2), {"weight": "weight", "bias": "bias"}),
    "embedding": (nn.Embedding(3, 2), {"weight": "weight"}),
    "layer norm": (nn.LayerNorm((2, 2)), {"weight": "norm", "bias": "bias"}),
    "batch norm": (nn.BatchNorm2d(2), {"weight": "norm", "bias": "bias"}),
    "rms norm": (nn.RMSNorm(2), {"weight": "norm"}),
    "custom": (Custom(), {"weight": "other", "bias": "other"}),
    "prelu": (nn.PReLU(), {"weight": "other"}),
    "gru": (
        nn.GRU(3, 2),
        {
            "weight_ih_l0": "weight",
            "weight_hh_l0": "weight",
            "bias_ih_l0": "bias",
            "bias_hh_l0": "bias",
        },
    ),
    "attention": (
        nn.MultiheadAttention(4, 2, add_bias_kv=True),
        {
            "in_proj_weight": "weight",
            "in_proj_bias": "bias",
            "bias_k": "bias",
            "bias_v": "bias",
            "out_proj.weight": "weight",
            "out_proj.bias": "bias",
        },
    ),
}


@pytest.mark.parametrize("case", ROLES)
def test_a_parameter_has_a_role_in_its_layer(case):
    layer, expected = ROLES[case]
    assert {parameter.name: parameter.role for parameter in model_parameters(layer)} == expected


def test_a_tied_parameter_is_listed_once_with_all_its_owners():
    model = nn.ModuleDict({"z": nn.Embedding(5, 3), "a": nn.Linear(3, 5, bias=False)})
    model["a"].weight = model["z"].weight
    (tied,) = model_parameters(model)
    assert tied.name == "a.weight"
    assert tied.owners == {"z.weight": model["z"], "a.weight": model["a"]}


def test_a_shared_layer_is_one_layer():
    layer = nn.Linear(3, 3)
    assert [p.owners.keys() for p in model_parameters(nn.Sequential(layer, nn.ReLU(), layer))] == [
        {"0.weight", "2.weight"},
        {"0.bias", "2.bias"},
    ]


def test_the_tensor_shares_memory_and_is_outside_of_the_graph():
    layer = nn.Linear(3, 3)
    layer.bias.requires_grad_(False)
    weight, bias = model_parameters(layer)
    assert weight.tensor.data_ptr() == layer.weight.data_ptr()
    assert not weight.tensor.requires_grad
    assert (weight.frozen, bias.frozen) == (False, True)


def old_weight_norm() -> nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.utils.weight_norm(nn.Linear(3, 2, bias=False))


def integers() -> nn.Module:
    layer = nn.Linear(3, 2, bias=False)
    layer.weight = nn.Parameter(torch.zeros(2, 3, dtype=torch.int8), requires_grad=False)
    return layer


def empty() -> nn.Module:
    layer = nn.Linear(3, 2, bias=False)
    layer.weight = nn.Parameter(torch.empty(0, 3))
    return layer


OBSTACLES = {
    "none": (lambda: nn.Linear(3, 2, bias=False), ""),
    "meta": (lambda: nn.Linear(3, 2, bias=False, device="meta"), "on the meta device"),
    "integers": (integers, "torch.int8"),
    "empty": (empty, "empty"),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2, False)),
        "parametrized",
    ),
    "old weight norm": (old_weight_norm, "parametrized"),
    "old spectral norm": (lambda: nn.utils.spectral_norm(nn.Linear(3, 2, False)), "parametrized"),
    "pruned": (
        lambda: prune.l1_unstructured(nn.Linear(3, 2, False), "weight", amount=1),
        "parametrized",
    ),
}


@pytest.mark.parametrize("case", OBSTACLES)
def test_an_obstacle_is_named(case):
    make, reason = OBSTACLES[case]
    for parameter in model_parameters(make()):
        assert parameter.obstacle.startswith(reason)
        assert bool(parameter.obstacle) == bool(reason)


def test_a_lazy_layer_is_refused_by_name():
    with pytest.raises(ValueError, match=r"1\.weight has no shape yet: run one batch"):
        model_parameters(nn.Sequential(nn.ReLU(), nn.LazyLinear(3)))


@pytest.mark.parametrize(("name", "local"), [("a.b.weight", "weight"), ("weight", "weight")])
def test_local_name(name, local):
    assert local_name(name) == local
