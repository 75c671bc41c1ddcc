import math
from functools import partial

import pytest
import torch
from torch import nn

from initlib import fills, gains, schemes
from initlib.orthogonal import orthogonal_
from initlib.rules import Rule, read_rules
from initlib.variance import Law


def scale_of(scheme, activation):
    (rule,) = read_rules(scheme, activation)
    return rule.scheme.scale


# The scale of the law without an activation, and with GELU in units of gain(gelu)^2.
@pytest.mark.parametrize(
    ("scheme", "plain", "with_gelu"),
    [
        ("he_normal", 2, 1),
        ("kaiming_uniform", 2, 1),
        ("xavier_uniform", 1, 1),
        ("lecun_normal", 1, 1),
        ("standard_uniform", 1 / 3, 1 / 3),
        (Law(0.5, "fan_geo", "normal"), 0.5, 0.5),
    ],
)
def test_an_activation_sets_the_gain_of_a_law(scheme, plain, with_gelu):
    assert scale_of(scheme, None) == pytest.approx(plain)
    assert scale_of(scheme, "gelu") == pytest.approx(with_gelu * gains.gain("gelu") ** 2)


@pytest.mark.parametrize("name", ["orthogonal", "delta_orthogonal", "unit_rows"])
def test_an_activation_multiplies_structured_weights(name):
    plain, gained = torch.empty(2, 8, 8, 3).unbind()
    read_rules(name)[0].fill_(plain, bytes(32), nn.Conv1d(8, 8, 3))
    read_rules(name, nn.Tanh())[0].fill_(gained, bytes(32), nn.Conv1d(8, 8, 3))
    torch.testing.assert_close(gained, plain * gains.gain("tanh"))


def test_he_with_relu_is_he():
    assert scale_of("he_normal", "relu") == pytest.approx(2)


@pytest.mark.parametrize("scheme", ["zeros", "eye", {"*": None}, lambda tensor: tensor.zero_()])
def test_an_activation_without_effect_is_refused(scheme):
    with pytest.raises(ValueError, match="would change nothing"):
        read_rules(scheme, "gelu")


@pytest.mark.parametrize(
    ("scheme", "name", "needs_matrix"),
    [
        ("he_normal", "he_normal", True),
        (schemes.xavier_normal_, "xavier_normal", True),
        (orthogonal_, "orthogonal", True),
        (fills.zeros_, "zeros", False),
        (Law(2.0, "fan_out", "normal"), "variance_scaling(2, fan_out, normal)", True),
        (partial(fills.normal_, std=0.02), "normal_(std=0.02)", False),
        (partial(schemes.xavier_normal_, gain=2), "xavier_normal_(gain=2)", False),
        (partial(fills.uniform_, a=-1, b=1), "uniform_(a=-1, b=1)", False),
        (nn.Tanh(), "Tanh", False),
    ],
)
def test_a_scheme_has_a_name_to_read(scheme, name, needs_matrix):
    (rule,) = read_rules(scheme)
    assert (rule.name, rule.needs_matrix) == (name, needs_matrix)


def test_a_function_is_the_scheme_of_its_name():
    assert read_rules(schemes.xavier_normal_) == read_rules("xavier_normal")


def test_a_function_of_another_is_not_taken_for_ours():
    def he_normal(tensor):
        tensor.fill_(5)

    (rule,) = read_rules(he_normal)
    assert (rule.name, rule.scheme) == ("he_normal", he_normal)


@pytest.mark.parametrize("wrap", [dict, list, lambda pairs: iter(list(pairs))])
def test_rules_are_a_dict_or_pairs_in_order(wrap):
    rules = read_rules(
        wrap({"head.*": "zeros", (nn.Conv1d, nn.Conv2d): "he_normal", "*": None}.items())
    )
    assert [str(rule) for rule in rules] == [
        "head.*: zeros",
        "Conv1d or Conv2d: he_normal",
        "*: left alone",
    ]


MATCHES = [
    ("encoder.*", "encoder.0.weight", nn.Linear, True),
    ("encoder.*", "decoder.encoder.0.weight", nn.Linear, False),
    ("*.weight", "fc.weight", nn.Linear, True),
    ("*.Weight", "fc.weight", nn.Linear, False),
    ("blocks.[01].*", "blocks.2.weight", nn.Linear, False),
    (nn.Linear, "fc.weight", nn.Linear, True),
    (nn.Linear, "fc.bias", nn.Linear, False),
    (nn.Linear, "bias.weight", nn.Linear, True),
    (nn.Linear, "fc.weight", nn.modules.linear.NonDynamicallyQuantizableLinear, True),
    ((nn.Conv1d, nn.Linear), "fc.weight", nn.Linear, True),
    (nn.Conv1d, "fc.weight", nn.Linear, False),
]


@pytest.mark.parametrize(("pattern", "name", "layer", "expected"), MATCHES)
def test_a_pattern_is_a_glob_or_a_type(pattern, name, layer, expected):
    assert Rule(pattern, "zeros", fills.zeros_, False).matches(name, layer(2, 2)) is expected


@pytest.mark.parametrize(
    ("scheme", "given"),
    [
        (lambda w: w.fill_(1), ()),
        (lambda w, generator: w.fill_(1), ("generator",)),
        (lambda w, *, layer=None: w.fill_(1), ("layer",)),
        (lambda w, **others: w.fill_(len(others) / 2), ("generator", "layer")),
        (lambda w, std=1.0: w.fill_(std), ()),
        (nn.init.ones_, ()),
    ],
)
def test_a_callable_gets_what_it_has_arguments_for(scheme, given):
    seen = {}

    def spy(*args, **kwargs):
        seen.update(kwargs)
        return scheme(*args, **kwargs)

    spy.__wrapped__ = scheme  # what inspect.signature reads
    layer, weight = nn.Linear(3, 2), torch.zeros(2, 3)
    Rule("*", "spy", spy, False).fill_(weight, bytes(32), layer)
    offered = {"generator": bytes(32), "layer": layer}
    assert seen == {name: offered[name] for name in given}
    assert (weight == 1).all()


def test_dirac_copies_within_each_group():
    layer = nn.Conv1d(4, 4, 3, groups=2, padding="same", bias=False)
    read_rules("dirac")[0].fill_(layer.weight, bytes(32), layer)
    x = torch.rand(1, 4, 9)
    assert torch.equal(layer(x), x)


def test_a_scheme_that_is_not_in_place_is_refused():
    with pytest.raises(TypeError, match="rand_like returned another tensor"):
        read_rules(torch.rand_like)[0].fill_(torch.zeros(2), bytes(32), nn.Linear(2, 1))


def test_a_compiled_function_gets_the_tensor_alone():
    weight = torch.zeros(2)
    read_rules(torch.Tensor.exp_)[0].fill_(weight, bytes(32), nn.Linear(2, 1))
    assert weight.tolist() == [1, 1]


def test_a_view_of_the_tensor_counts_as_in_place():
    weight = torch.zeros(4)
    read_rules(lambda w: w[:2].fill_(1))[0].fill_(weight, bytes(32), nn.Linear(2, 2))
    assert weight.tolist() == [1, 1, 0, 0]


BAD = [
    ("he_norml", ValueError, r"unknown scheme 'he_norml'; did you mean 'he_normal'"),
    ("he_normal_", ValueError, "did you mean 'he_normal'"),
    ("normal", ValueError, r"functools.partial\(normal_, std=0.02\)"),
    ({"*": "orthogonl"}, ValueError, "did you mean 'orthogonal'"),
    (None, TypeError, "a dict or a list of pairs"),
    (3, TypeError, "a dict or a list of pairs"),
    (["he_normal"], TypeError, "a dict or a list of pairs"),
    ({nn.Linear(2, 2): "he_normal"}, TypeError, "a type of layer such as nn.Linear"),
    ({int: "he_normal"}, TypeError, "a type of layer such as nn.Linear"),
    ({(nn.Linear, "fc"): "he_normal"}, TypeError, "a type of layer such as nn.Linear"),
    ({"*": 3}, ValueError, "unknown scheme 3"),
]


@pytest.mark.parametrize(("scheme", "error", "message"), BAD)
def test_bad_schemes_are_refused(scheme, error, message):
    with pytest.raises(error, match=message):
        read_rules(scheme)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="gelu"):
        read_rules("he_normal", "gellu")


def test_the_gain_multiplies_the_std():
    law = read_rules("xavier_normal", "tanh")[0].scheme
    assert law.std((50, 50)) == pytest.approx(gains.gain("tanh") / math.sqrt(50))
