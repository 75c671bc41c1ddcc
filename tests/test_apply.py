import math
import zlib
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from initlib.apply import initialize
from initlib.fans import fans
from initlib.fills import normal_
from initlib.gains import gain
from initlib.orthogonal import orthogonal_
from initlib.sampling import stream_key
from initlib.schemes import he_normal_
from initlib.variance import Law

# A z-score of a large matrix is beyond this with probability 1e-10.
Z_BOUND = 6.5


def seed_of(words: str) -> int:
    return zlib.crc32(words.encode())


class Transformer(nn.Module):
    def __init__(self, width: int = 32, depth: int = 2):
        super().__init__()
        self.embed = nn.Embedding(50, width)
        self.position = nn.Parameter(torch.full((1, 8, width), 0.25))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, batch_first=True) for _ in range(depth)
        )
        self.head = nn.Linear(width, 50, bias=False)


def convolutions() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(3, 16, 3),
            norm=nn.BatchNorm2d(16),
            depthwise=nn.Conv2d(16, 16, 3, groups=16),
            down=nn.Conv2d(16, 32, 4, stride=2),
            up=nn.ConvTranspose2d(32, 8, 4, stride=2),
            gru=nn.GRU(8, 6),
        )
    )


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["he_normal", "xavier_uniform", "orthogonal", "unit_rows"])
def test_values_do_not_depend_on_the_rest_of_the_model(scheme):
    def layers():
        return {"a": nn.Linear(9, 9), "b": nn.LSTM(9, 4), "c": nn.Conv1d(9, 5, 3)}

    whole = nn.ModuleDict(layers())
    turned = nn.ModuleDict(OrderedDict(reversed(layers().items())))
    fewer = nn.ModuleDict({"c": layers()["c"]})
    more = nn.ModuleDict({"new": nn.Linear(3, 3), **layers(), "norm": nn.LayerNorm(3)})
    for model in (whole, turned, fewer, more):
        torch.manual_seed(len(model))
        initialize(model, scheme, seed=7)
    expected = state(whole)
    for model in (turned, fewer, more):
        shared = {name: tensor for name, tensor in state(model).items() if name in expected}
        assert len(shared) >= 2
        assert_same(shared, {name: expected[name] for name in shared})


def test_a_parameter_can_be_drawn_alone():
    model = convolutions()
    initialize(model, "he_normal", seed=3)
    alone = he_normal_(torch.empty(16, 1, 3, 3), generator=stream_key(3, "depthwise.weight"))
    assert torch.equal(model.depthwise.weight, alone)
    gate = orthogonal_(torch.empty(6, 8), generator=stream_key(3, "gru.weight_ih_l0", "z"))
    initialize(model, "orthogonal", seed=3)
    assert torch.equal(model.gru.weight_ih_l0[6:12], gate)


def test_seeds_names_and_blocks_give_independent_values():
    """Correlations of 40,000 pairs, each below 6 standard errors of 1 / 200."""
    model = nn.ModuleDict({name: nn.MultiheadAttention(200, 1) for name in ("a", "b")})
    draws = []
    for seed in (0, 1):
        initialize(model, "lecun_normal", seed=seed)
        draws += [
            part.detach().clone() for m in model.values() for part in m.in_proj_weight.chunk(3)
        ]
    correlation = torch.corrcoef(torch.stack([draw.flatten() for draw in draws])).fill_diagonal_(0)
    assert correlation.abs().max() < 6 / 200


def test_the_same_seed_gives_the_same_model():
    one, two, other = Transformer(), Transformer(), Transformer()
    initialize(one, "he_normal", seed=5)
    initialize(two, "he_normal", seed=5)
    initialize(other, "he_normal", seed=6)
    assert_same(state(one), state(two))
    assert not torch.equal(one.head.weight, other.head.weight)


def test_without_a_seed_torch_rules():
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        layer = nn.Linear(3, 3)
        initialize(layer, "he_normal", seed=None)
        draws.append(layer.weight.detach().clone())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_any_float_dtype(dtype):
    model = convolutions().to(dtype)
    audit = initialize(model, "he_uniform", seed=seed_of("dtypes"))
    assert model.down.weight.dtype == dtype
    assert all(abs(row.z) < Z_BOUND for row in audit.rows if row.z is not None)


def test_gradients_are_as_before():
    model = Transformer()
    model.embed.weight.requires_grad_(False)
    initialize(model, "orthogonal")
    for parameter in model.parameters():
        assert parameter.is_leaf
        assert parameter.grad_fn is None
    assert not model.embed.weight.requires_grad
    assert model.head.weight.requires_grad


def test_biases_are_zero_norms_the_identity_and_buffers_kept():
    model = convolutions()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(3)
    initialize(model, "orthogonal")
    assert (model.norm.weight == 1).all()
    for bias in (model.norm.bias, model.stem.bias, model.up.bias, model.gru.bias_hh_l0):
        assert (bias == 0).all()
    assert (model.norm.running_mean == 3).all()
    assert model.norm.num_batches_tracked == 3


def test_packed_matrices_get_the_law_of_separate_ones():
    packed, separate = (
        nn.MultiheadAttention(256, 4),
        nn.MultiheadAttention(256, 4, kdim=255, vdim=255),
    )
    std = math.sqrt(2 / (256 + 256))  # n = 65536 each: one standard error is 0.0028 std
    for layer in (packed, separate):
        initialize(layer, "xavier_uniform", seed=seed_of("packed"))
    for part in (*packed.in_proj_weight.chunk(3), separate.q_proj_weight):
        assert part.std().item() == pytest.approx(std, rel=Z_BOUND * 0.0028)
    nn.init.xavier_uniform_(packed.in_proj_weight)
    assert packed.in_proj_weight.std().item() < 0.75 * std


def test_each_gate_is_a_matrix_of_its_own():
    layer = nn.LSTM(12, 12)
    initialize(layer, "orthogonal")
    gates = layer.weight_hh_l0.detach().chunk(4)
    for gate in gates:
        torch.testing.assert_close(gate @ gate.T, torch.eye(12), atol=1e-5, rtol=0)
    assert not torch.equal(gates[0], gates[1])


# --- signals ------------------------------------------------------------------------------------


def mean_and_error(samples: list[float]) -> tuple[float, float]:
    return np.mean(samples), np.std(samples, ddof=1) / math.sqrt(len(samples))


def test_a_convolutional_network_keeps_its_signal():
    """64 seeds of a network with strides, groups and transposed layers; |t| < 5: alpha = 5e-6."""

    def network():
        wide = {"padding_mode": "circular", "padding": 1}
        return nn.Sequential(
            nn.Conv2d(32, 32, 3, **wide),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, groups=4, **wide),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, groups=64, **wide),
            nn.ReLU(),
            nn.Conv2d(64, 32, 3, stride=2, **wide),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2),
        )

    def second_moment(seed, start):
        start(model, seed)
        generator = torch.Generator().manual_seed(seed)
        x = math.sqrt(2) * torch.randn(1, 32, 12, 12, generator=generator).relu()
        return model(x)[..., 4:-4, 4:-4].square().mean().item()

    model, ours, torchs = network(), [], []
    for seed in range(seed_of("convolutions"), seed_of("convolutions") + 64):
        ours.append(second_moment(seed, lambda m, s: initialize(m, "he_normal", seed=s)))
        torchs.append(
            second_moment(
                seed,
                lambda m, s: [nn.init.kaiming_normal_(p) for p in m.parameters() if p.ndim > 1],
            )
        )
    mean, error = mean_and_error(ours)
    assert abs(mean - 2) < 5 * error
    assert error < 0.15
    mean, error = mean_and_error(torchs)
    assert abs(mean - 2) > 5 * error


def test_an_lstm_starts_with_the_predicted_cell_state():
    """c = sigmoid(i) tanh(g) with i and g independent N(0, 1): E c^2 = E sigmoid^2 E tanh^2."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    expected = (weights @ (1 / (1 + np.exp(-nodes))) ** 2) * (weights @ np.tanh(nodes) ** 2)
    layer, measured = nn.LSTM(64, 32), []
    for seed in range(seed_of("lstm"), seed_of("lstm") + 64):
        initialize(layer, "lecun_uniform", seed=seed)
        x = torch.randn(1, 32, 64, generator=torch.Generator().manual_seed(seed))
        _, (_, cell) = layer(x)
        measured.append(cell.square().mean().item())
    mean, error = mean_and_error(measured)
    assert abs(mean - expected) < 5 * error
    assert error < 0.02 * expected


# --- the audit ----------------------------------------------------------------------------------

STD_OF_CONVOLUTIONS = {
    "stem.weight": (27, 144, math.sqrt(2 / 27)),
    "depthwise.weight": (9, 9, math.sqrt(2 / 9)),
    "down.weight": (256, 128, math.sqrt(2 / 256)),
    "up.weight": (128, 128, math.sqrt(2 / 128)),
    "gru.weight_ih_l0[r]": (8, 6, math.sqrt(2 / 8)),
    "gru.weight_ih_l0[z]": (8, 6, math.sqrt(2 / 8)),
    "gru.weight_ih_l0[n]": (8, 6, math.sqrt(2 / 8)),
    "gru.weight_hh_l0[r]": (6, 6, math.sqrt(2 / 6)),
    "gru.weight_hh_l0[z]": (6, 6, math.sqrt(2 / 6)),
    "gru.weight_hh_l0[n]": (6, 6, math.sqrt(2 / 6)),
}


def test_the_audit_tells_the_fans_and_the_std_of_every_matrix():
    model = convolutions()
    audit = initialize(model, "he_normal", seed=seed_of("audit"))
    matrices = {row.parameter: row for row in audit.rows if row.z is not None}
    assert matrices.keys() == STD_OF_CONVOLUTIONS.keys()
    for name, (fan_in, fan_out, std) in STD_OF_CONVOLUTIONS.items():
        row = matrices[name]
        assert (row.fan_in, row.fan_out) == (fan_in, fan_out)
        assert row.target_std == pytest.approx(std)
        assert abs(row.z) < Z_BOUND
    down = matrices["down.weight"]
    assert (down.layer, down.shape, down.scheme) == ("Conv2d", (32, 16, 4, 4), "he_normal")
    assert down.measured_std == pytest.approx(model.down.weight.std().item())


def test_the_audit_accounts_for_every_parameter():
    for model in (convolutions(), Transformer()):
        audit = initialize(model, "xavier_normal")
        filled = {row.parameter.partition("[")[0] for row in audit.rows}
        left = {name for name, _ in audit.untouched}
        assert filled | left == {name for name, _ in model.named_parameters()}
        assert not filled & left


def test_constants_have_a_target_and_no_z():
    audit = initialize(nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), "he_normal")
    assert [(row.scheme, row.target_std, row.measured_std, row.z) for row in audit.rows[2:]] == [
        ("ones", 0, 0, None),
        ("zeros", 0, 0, None),
    ]


def test_structured_schemes_have_neither():
    (row,) = initialize(nn.Linear(8, 8, bias=False), "orthogonal").rows
    assert (row.target_std, row.z) == (None, None)
    assert row.measured_std == pytest.approx(math.sqrt(1 / 8), rel=0.1)


# --- what is left alone -------------------------------------------------------------------------


def test_what_is_left_alone_keeps_its_values_and_is_listed():
    model = Transformer()
    model.head = nn.utils.parametrizations.weight_norm(model.head)
    model.scale = nn.PReLU(init=0.125)
    before = state(model)
    audit = initialize(model, "he_normal")
    reasons = dict(audit.untouched)
    assert reasons.keys() == {
        "position",
        "head.parametrizations.weight.original0",
        "head.parametrizations.weight.original1",
        "scale.weight",
    }
    assert reasons["position"] == "its role in Transformer is not known: add a rule for it"
    assert reasons["scale.weight"] == "its role in PReLU is not known: add a rule for it"
    assert reasons["head.parametrizations.weight.original0"].startswith("parametrized")
    after = state(model)
    assert_same({name: before[name] for name in reasons}, {name: after[name] for name in reasons})


def test_meta_parameters_are_left_alone():
    model = nn.Sequential(nn.Linear(3, 3, device="meta"), nn.Linear(3, 3))
    audit = initialize(model, "orthogonal")
    assert [name for name, _ in audit.untouched] == ["0.weight", "0.bias"]
    assert model[0].weight.is_meta
    assert [row.parameter for row in audit.rows] == ["1.weight", "1.bias"]


# --- rules --------------------------------------------------------------------------------------


def schemes_of(audit) -> dict[str, str]:
    return {row.parameter: row.scheme for row in audit.rows}


def test_the_first_rule_wins_and_the_others_are_noted():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Conv1d(4, 4, 1))
    audit = initialize(
        model, {"0.*": "orthogonal", nn.Linear: "he_normal", "*": partial(normal_, std=0.02)}
    )
    assert schemes_of(audit) == {
        "0.weight": "orthogonal",
        "0.bias": "zeros",
        "1.weight": "he_normal",
        "1.bias": "zeros",
        "2.weight": "normal_(std=0.02)",
        "2.bias": "zeros",
    }
    notes = {row.parameter: row.note for row in audit.rows}
    assert notes["0.weight"] == (
        "also covered by Linear: he_normal; also covered by *: normal_(std=0.02)"
    )
    assert notes["2.weight"] == notes["0.bias"] == ""


def test_a_rule_that_fills_nothing_is_warned_of():
    model = nn.Sequential(nn.Linear(4, 4))
    with pytest.warns(UserWarning, match=r"fill nothing: fc\.\*: he_normal; Linear: orthogonal"):
        audit = initialize(model, {"fc.*": "he_normal", "*": "zeros", nn.Linear: "orthogonal"})
    assert audit.unused == ("fc.*: he_normal", "Linear: orthogonal")
    assert schemes_of(audit)["0.weight"] == "zeros"


def test_what_no_rule_covers_is_listed():
    audit = initialize(convolutions(), {nn.Conv2d: "he_normal"})
    assert ("up.weight", "no rule covers it") in audit.untouched
    assert schemes_of(audit)["up.bias"] == "zeros"


def test_a_rule_may_leave_alone():
    layer = nn.Sequential(nn.Linear(4, 4))
    before = state(layer)
    audit = initialize(layer, {"0.weight": None})
    assert audit.untouched == (("0.weight", "by the rule 0.weight: left alone"),)
    assert torch.equal(layer[0].weight, before["0.weight"])


def test_rules_for_weights_spare_biases_and_norms():
    audit = initialize(convolutions(), {"*": partial(normal_, std=0.02)})
    schemes = schemes_of(audit)
    assert schemes["stem.weight"] == schemes["gru.weight_ih_l0[r]"] == "normal_(std=0.02)"
    assert schemes["norm.weight"] == "ones"
    assert schemes["stem.bias"] == schemes["norm.bias"] == "zeros"


def test_rules_for_biases_and_norms_alone_reach_them():
    def forget_bias(bias):
        bias.zero_().chunk(4)[1].fill_(1)

    model = nn.ModuleDict({"norm": nn.LayerNorm(4), "lstm": nn.LSTM(4, 3)})
    initialize(
        model,
        {"*.bias_ih*": forget_bias, nn.LayerNorm: "zeros", nn.LSTM: "orthogonal"},
    )
    assert model["lstm"].bias_ih_l0.tolist() == [0] * 3 + [1] * 3 + [0] * 6
    assert (model["lstm"].bias_hh_l0 == 0).all()
    assert (model["norm"].weight == 0).all()


def test_a_rule_reaches_the_parameters_of_any_module():
    model = Transformer()
    audit = initialize(model, {"position": "lecun_normal", "*": "he_normal"})
    (row,) = [row for row in audit.rows if row.parameter == "position"]
    assert (row.fan_in, row.layer) == (8 * 32, "Transformer")
    assert row.note == "fans by its shape; also covered by *: he_normal"
    assert audit.untouched == ()


def test_a_law_with_another_fan():
    layer = nn.Conv2d(8, 8, 3, groups=8)
    (weight, _) = initialize(layer, Law(2.0, "fan_out", "truncated_normal")).rows
    assert weight.scheme == "variance_scaling(2, fan_out, truncated_normal)"
    assert weight.target_std == pytest.approx(math.sqrt(2 / fans(layer).fan_out))


def test_the_activation_sets_the_std():
    layer = nn.Linear(300, 300)
    (weight, _) = initialize(layer, "he_normal", activation="gelu", seed=seed_of("gelu")).rows
    assert weight.target_std == pytest.approx(gain("gelu") / math.sqrt(300))
    assert abs(weight.z) < Z_BOUND


# --- tied parameters ----------------------------------------------------------------------------


def tied(order: tuple[str, ...]) -> nn.ModuleDict:
    layers = {"embed": nn.Embedding(50, 8), "head": nn.Linear(8, 50, bias=False)}
    layers["head"].weight = layers["embed"].weight
    return nn.ModuleDict({name: layers[name] for name in order})


def test_a_tied_parameter_is_filled_once_whatever_the_order():
    one, two = tied(("embed", "head")), tied(("head", "embed"))
    audits = [initialize(model, "lecun_normal") for model in (one, two)]
    assert torch.equal(one["head"].weight, two["head"].weight)
    for audit in audits:
        (row,) = audit.rows
        assert (row.parameter, row.layer, row.note) == (
            "embed.weight",
            "Embedding",
            "tied to head.weight",
        )


def test_a_rule_can_choose_which_layer_of_a_tied_parameter_counts():
    (row,) = initialize(tied(("embed", "head")), {nn.Linear: "lecun_normal"}).rows
    assert (row.layer, row.fan_in, row.parameter) == ("Linear", 8, "embed.weight")


def test_frozen_parameters_are_filled_and_noted():
    layer = nn.Linear(3, 3, bias=False).requires_grad_(False)
    before = state(layer)
    (row,) = initialize(layer, "he_normal").rows
    assert row.note == "frozen"
    assert not torch.equal(layer.weight, before["weight"])


# --- failures -----------------------------------------------------------------------------------


def fails_at_last(tensor: Tensor, layer: nn.Module) -> None:
    tensor.fill_(7)
    if isinstance(layer, nn.GRU):
        raise ZeroDivisionError("by the scheme")


def expanded() -> nn.Module:
    model = convolutions()
    model.last = nn.Linear(4, 4)
    model.last.weight = nn.Parameter(torch.zeros(4, 1).expand(4, 4))
    return model


FAILURES = {
    "unknown name": (convolutions, "he_norml", ValueError, "did you mean 'he_normal'"),
    "a late unknown name": (convolutions, {"*": "he_normal", "up.*": "no"}, ValueError, "unknown"),
    "a scheme for other shapes": (convolutions, "dirac", ValueError, "3, 4, or 5 dimensions"),
    "a callable that fails": (convolutions, fails_at_last, ZeroDivisionError, "by the scheme"),
    "a vector": (convolutions, {"stem.weight": "zeros", "up.bias": "he_normal"}, ValueError, "fan"),
    "a norm": (convolutions, {"stem.*": "zeros", "norm.*": "he_normal"}, ValueError, "no fan"),
    "an unknown mode": (convolutions, Law(1.0, "fan_inn", "normal"), ValueError, "fan_in"),
    "memory that overlaps": (expanded, "orthogonal", ValueError, "clone"),
    "a lazy layer": (
        lambda: nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(2)),
        "zeros",
        ValueError,
        "run one batch",
    ),
    "no fan": (
        lambda: nn.Sequential(nn.Linear(2, 2), nn.EmbeddingBag(2, 2)),
        {"*": "he_normal"},
        ValueError,
        "bag size",
    ),
    "a warning made an error": (
        convolutions,
        {"*": "zeros", "fc": "ones"},
        UserWarning,
        "fc: ones",
    ),
    "a bad seed": (convolutions, "zeros", TypeError, "generator"),
    "an activation without effect": (convolutions, "zeros", ValueError, "would change nothing"),
}
ARGUMENTS = {
    "a bad seed": {"seed": "zero"},
    "an activation without effect": {"activation": "relu"},
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_leaves_the_model_as_it_was(case):
    make, scheme, error, message = FAILURES[case]
    model = make()
    known = {n: p for n, p in model.named_parameters() if not nn.parameter.is_lazy(p)}
    before = {name: parameter.detach().clone() for name, parameter in known.items()}
    with pytest.raises(error, match=message):
        initialize(model, scheme, **ARGUMENTS.get(case, {}))
    assert_same(before, {name: parameter.detach() for name, parameter in known.items()})


def test_a_failure_names_the_parameter():
    with pytest.raises(ValueError, match="3, 4, or 5 dimensions") as failure:
        initialize(nn.Sequential(nn.Linear(2, 2)), "dirac")
    assert failure.value.__notes__ == ["while filling 0.weight of Linear by dirac"]


def test_only_a_module_is_initialized():
    with pytest.raises(TypeError, match=r"torch.nn.Module, not Parameter"):
        initialize(nn.Linear(2, 2).weight, "he_normal")


def test_a_grouped_convolution_is_delta_orthogonal_group_by_group():
    conv = nn.Conv2d(8, 8, 3, groups=2, bias=False)
    initialize(conv, "delta_orthogonal")
    centres = conv.weight[:, :, 1, 1].detach().view(2, 4, 4)
    identity = torch.eye(4).expand(2, 4, 4)
    torch.testing.assert_close(centres @ centres.mT, identity, atol=1e-6, rtol=0)
