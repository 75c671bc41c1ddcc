"""initlib in place of torch.nn.init: names, signatures, errors, laws, and every difference.

What torch's own tests of its initializers check is checked here and in the tests of the modules:
gains, dimensions that are refused, empty tensors, generators, and every law.
"""

import inspect
import math
import re
import warnings

import numpy as np
import pytest
import torch
from laws import ALPHA, Z
from scipy import stats
from torch.nn import init as torch_init

import initlib as init
from initlib import compat
from initlib.lab.paths import ROOT

DEPRECATED = [name for name in torch_init.__all__ if f"{name}_" in torch_init.__all__]
CURRENT = [name for name in torch_init.__all__ if name not in DEPRECATED]

# Parameters that initlib adds after torch's, all with a default, and defaults that differ.
ADDED = {
    "trunc_normal_": ["bounds"],
    "eye_": ["gain"],
    "xavier_uniform_": ["layer"],
    "xavier_normal_": ["layer"],
    "kaiming_uniform_": ["layer"],
    "kaiming_normal_": ["layer"],
    "orthogonal_": ["keep", "layer"],
    "sparse_": ["nonzeros"],
}
OTHER_DEFAULTS = {("sparse_", "sparsity"), ("sparse_", "std")}


@pytest.mark.parametrize("name", torch_init.__all__)
def test_every_name_of_torch_is_there(name):
    assert callable(getattr(init, name))


@pytest.mark.parametrize("name", CURRENT)
def test_signature(name):
    theirs = inspect.signature(getattr(torch_init, name)).parameters
    ours = inspect.signature(getattr(init, name)).parameters
    assert list(ours) == [*theirs, *ADDED.get(name, [])]
    for parameter in theirs:
        assert ours[parameter].kind == theirs[parameter].kind
        if (name, parameter) not in OTHER_DEFAULTS:
            assert ours[parameter].default == theirs[parameter].default
    for parameter in ADDED.get(name, []):
        assert ours[parameter].default is not inspect.Parameter.empty


@pytest.mark.parametrize("name", DEPRECATED)
def test_deprecated_name_warns_and_works(name):
    arguments = {"constant": (0.5,), "sparse": (0.5,)}.get(name, ())
    shape = (4, 4, 3) if name == "dirac" else (4, 4)
    torch.manual_seed(0)
    expected = getattr(init, f"{name}_")(torch.empty(shape), *arguments)
    torch.manual_seed(0)
    with pytest.warns(FutureWarning, match=f"`{name}` is deprecated in favor of `{name}_`") as seen:
        found = getattr(init, name)(torch.empty(shape), *arguments)
    assert torch.equal(found, expected)
    assert seen[0].filename == __file__


EXACT = {
    "constant_": ((3, 4), (0.3,)),
    "ones_": ((3, 4), ()),
    "zeros_": ((3, 4), ()),
    "eye_": ((3, 5), ()),
    "dirac_": ((6, 4, 3, 5), (2,)),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", EXACT)
def test_what_is_not_random_is_equal_bit_for_bit(name, dtype):
    shape, arguments = EXACT[name]
    ours, theirs = (
        getattr(module, name)(torch.full(shape, 7.0, dtype=dtype), *arguments)
        for module in (init, torch_init)
    )
    assert torch.equal(ours, theirs)


GAINS = [
    *(("linear",), ("conv1d",), ("conv2d",), ("conv3d",), ("sigmoid",), ("tanh",), ("relu",)),
    *(("conv_transpose1d",), ("conv_transpose2d",), ("conv_transpose3d",), ("selu",)),
    *(("leaky_relu", slope) for slope in (None, 0, 0.01, 0.5, 10)),
]


@pytest.mark.parametrize("arguments", GAINS, ids=str)
def test_gains(arguments):
    assert init.calculate_gain(*arguments) == pytest.approx(
        torch_init.calculate_gain(*arguments), rel=1e-15
    )


LAWS = [
    ("uniform_", (-1.5, 0.5)),
    ("normal_", (0.5, 2.0)),
    ("trunc_normal_", (0.3, 0.8, -1.0, 1.2)),
    ("trunc_normal_", (0.0, 1.0, 2.0, 3.0)),
    ("xavier_uniform_", (1.7,)),
    ("xavier_normal_", ()),
    ("kaiming_uniform_", (math.sqrt(5),)),
    ("kaiming_uniform_", (0.3, "fan_out", "relu")),
    ("kaiming_normal_", ()),
    ("kaiming_normal_", (0.0, "FAN_OUT", "tanh")),
    ("orthogonal_", (0.5,)),
    ("sparse_", (0.3, 0.2)),
]


@pytest.mark.parametrize(("name", "arguments"), LAWS, ids=str)
def test_law_is_that_of_torch(name, arguments):
    # Two samples of 200 000: a Kolmogorov distance of 1.5 % is seen with probability 0.99. Those
    # of sparse_ and orthogonal_ are not independent, but no more variable than independent ones.
    ours = getattr(init, name)(torch.empty(500, 400), *arguments, generator=0)
    theirs = getattr(torch_init, name)(
        torch.empty(500, 400), *arguments, generator=torch.Generator().manual_seed(0)
    )
    assert stats.ks_2samp(ours.flatten(), theirs.flatten(), method="asymp").pvalue > ALPHA


def vector():
    return torch.ones(5)


def matrix():
    return torch.ones(4, 4)


REFUSED_BY_BOTH = [
    *(
        (name, make, arguments)
        for name in ("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_")
        for make, arguments in ((vector, ()), (lambda: torch.ones(()), ()))
    ),
    ("kaiming_uniform_", matrix, (0, "fan_average")),
    ("kaiming_normal_", matrix, (0, "Fan")),
    ("kaiming_uniform_", matrix, (0, "fan_in", "rleu")),
    ("kaiming_normal_", matrix, ("steep",)),
    ("eye_", vector, ()),
    ("eye_", lambda: torch.ones(2, 2, 2), ()),
    ("dirac_", matrix, ()),
    ("dirac_", lambda: torch.ones(1, 1, 1, 1, 1, 1), ()),
    ("dirac_", lambda: torch.ones(4, 4, 3), (3,)),
    ("sparse_", vector, (0.1,)),
    ("sparse_", lambda: torch.ones(2, 2, 2), (0.1,)),
    ("orthogonal_", vector, ()),
]


def refusal(call, *arguments):
    with pytest.raises(ValueError, match=r".") as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(("name", "make", "arguments"), REFUSED_BY_BOTH)
def test_error_says_what_torch_says(name, make, arguments):
    theirs = refusal(getattr(torch_init, name), make(), *arguments)
    ours = refusal(getattr(init, name), make(), *arguments)
    without_modes = re.sub(r", please use one of \[.*", "", theirs)
    assert without_modes in ours


@pytest.mark.parametrize("arguments", [("leaky_relu", True), ("leaky_relu", [1]), ("rleu",)])
def test_gain_error_says_what_torch_says(arguments):
    theirs = refusal(torch_init.calculate_gain, *arguments)
    assert theirs in refusal(init.calculate_gain, *arguments)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
def test_empty_tensor_warns_as_in_torch(name):
    for module in (torch_init, init):
        with pytest.warns(UserWarning, match="^Initializing zero-element tensors is a no-op$"):
            getattr(module, name)(torch.empty(0, 1))


RANDOM = {
    "uniform_": (),
    "normal_": (),
    "trunc_normal_": (),
    "xavier_uniform_": (),
    "xavier_normal_": (),
    "kaiming_uniform_": (),
    "kaiming_normal_": (),
    "orthogonal_": (),
    "sparse_": (0.5,),
}


@pytest.mark.parametrize("name", RANDOM)
def test_manual_seed_is_a_generator_of_that_seed(name):
    with_generator = getattr(init, name)(
        torch.empty(9, 9), *RANDOM[name], generator=torch.Generator().manual_seed(42)
    )
    torch.manual_seed(42)
    assert torch.equal(getattr(init, name)(torch.empty(9, 9), *RANDOM[name]), with_generator)


@pytest.mark.parametrize("name", RANDOM)
def test_slices_of_a_parameter_are_filled(name):
    weight = torch.nn.Parameter(torch.zeros(8, 4))
    getattr(init, name)(weight[:4], *RANDOM[name])
    assert (weight[:4] != 0).any()
    assert (weight[4:] == 0).all()
    assert weight.is_leaf
    weight.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_truncated_values_are_many_and_none_is_on_a_far_bound(dtype):
    w = init.trunc_normal_(torch.empty(10_000, dtype=dtype), generator=0)
    theirs = torch_init.trunc_normal_(torch.empty(10_000, dtype=dtype))
    assert len(w.unique()) > 0.9 * len(theirs.unique())
    assert init.trunc_normal_(torch.empty_like(w), std=0.1, generator=0).abs().max() < 1


# The rows of the table in compat, each held to its word.


def takes_arrays():
    array = np.zeros((4, 4), np.float32)
    assert init.kaiming_normal_(array, generator=0) is array
    assert np.array_equal(array, init.kaiming_normal_(torch.zeros(4, 4), generator=0))


def refuses_intermediate_results():
    intermediate = matrix().requires_grad_() * 1
    torch_init.normal_(intermediate)
    with pytest.raises(ValueError, match="part of an autograd graph"):
        init.normal_(intermediate)


def does_not_dispatch():
    seen = []

    class Recording(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            seen.append(function)
            return super().__torch_function__(function, types, args, kwargs or {})

    tensor = matrix().as_subclass(Recording)
    torch_init.constant_(tensor, 0.5)
    assert torch_init.constant_ in seen
    seen.clear()
    assert (init.constant_(tensor, 0.5) == 0.5).all()
    assert init.constant_ not in seen
    assert torch.Tensor.fill_ in seen


def takes_seeds():
    for generator in (7, np.random.default_rng(7), b"k" * 32):
        init.normal_(matrix(), generator=generator)
        with pytest.raises((TypeError, RuntimeError)):
            torch_init.normal_(matrix(), generator=generator)


def refuses_bad_numbers():
    assert torch_init.normal_(matrix(), math.nan).isnan().all()
    for call in (
        lambda: init.normal_(matrix(), math.nan),
        lambda: init.normal_(matrix(), 0, -1),
        lambda: init.uniform_(matrix(), 1, 0),
        lambda: init.xavier_uniform_(matrix(), -1),
    ):
        with pytest.raises(ValueError, match="got"):
            call()
    with pytest.raises(RuntimeError):
        torch_init.normal_(matrix(), 0, -1)
    with pytest.raises(RuntimeError):
        torch_init.uniform_(matrix(), 1, 0)


def uniform_in_bf16_has_no_bias():
    # That of torch is 2^-9 of the half-width, ten standard errors of the mean of 8e6 values.
    n = 8_000_000
    ours, theirs = (
        module.uniform_(torch.empty(n, dtype=torch.bfloat16), -1, 1).mean(dtype=torch.float64)
        for module in (init, torch_init)
    )
    error = 1 / math.sqrt(3 * n)
    assert abs(ours) < Z * error
    assert theirs < -3 * error


def truncates_exactly_without_a_warning():
    with pytest.warns(UserWarning, match="more than 2 std"):
        torch_init.trunc_normal_(matrix(), 10.0)
    w = init.trunc_normal_(torch.empty(1000), 10.0)
    assert w.min() > 0
    assert w.max() <= 2
    with pytest.raises(ValueError, match="low < high"):
        init.trunc_normal_(matrix(), 0, 1, 2, 2)


def xavier_warns_on_empty_tensors():
    with pytest.raises(ZeroDivisionError):
        torch_init.xavier_normal_(torch.empty(0, 0))
    for call in (init.xavier_normal_, init.xavier_uniform_):
        with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
            call(torch.empty(0, 0))


def reads_the_fans_of_the_layer():
    layer = torch.nn.Conv2d(64, 64, 3, groups=64)  # fan_out 9; 576 by the shape alone
    by_shape = init.kaiming_normal_(torch.empty(64, 1, 3, 3), mode="fan_out", generator=0)
    by_layer = init.kaiming_normal_(layer.weight, mode="fan_out", generator=0, layer=layer)
    torch.testing.assert_close(by_layer.detach(), 8 * by_shape)


def has_more_modes():
    for mode in ("fan_avg", "fan_geo"):
        init.kaiming_normal_(matrix(), mode=mode)
        with pytest.raises(ValueError, match="not supported"):
            torch_init.kaiming_normal_(matrix(), mode=mode)


def refuses_wrong_names_for_empty_tensors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_init.kaiming_normal_(torch.empty(0, 1), mode="fan")
    with pytest.raises(ValueError, match="not supported"):
        init.kaiming_normal_(torch.empty(0, 1), mode="fan")


def scales_the_identity():
    assert torch.equal(init.eye_(matrix(), 0.5), torch.eye(4) / 2)


def centres_even_kernels():
    ours, theirs = (module.dirac_(torch.empty(1, 1, 4)).flatten() for module in (init, torch_init))
    assert ours.tolist() == [0, 1, 0, 0]
    assert theirs.tolist() == [0, 0, 1, 0]


def sparse_zeros_follow_the_generator():
    def zeros(module):
        generator = torch.Generator().manual_seed(1)
        return module.sparse_(torch.empty(50, 50), 0.5, generator=generator) == 0

    assert torch.equal(zeros(init), zeros(init))
    assert not torch.equal(zeros(torch_init), zeros(torch_init))


def sparse_by_row():
    w = init.sparse_(torch.empty(50, 40), nonzeros=15, generator=0)
    assert (w != 0).sum(1).tolist() == [15] * 50


def sparse_by_row_has_std_one():
    w = init.sparse_(torch.empty(500, 40), nonzeros=15, generator=0)
    assert abs(w[w != 0].std() - 1) < Z / math.sqrt(2 * 15 * 500)


def sparsity_is_a_fraction():
    torch_init.sparse_(matrix(), 1.5)
    with pytest.raises(ValueError, match="sparsity must be"):
        init.sparse_(matrix(), 1.5)


def orthogonal_in_any_dtype_and_layout():
    for make in (
        lambda: torch.empty(4, 4, dtype=torch.bfloat16),
        lambda: torch.empty(4, 4, 3, 3).to(memory_format=torch.channels_last),
    ):
        init.orthogonal_(make())
        with pytest.raises((RuntimeError, NotImplementedError)):
            torch_init.orthogonal_(make())


def gain_of_any_activation():
    assert init.calculate_gain("gelu") == pytest.approx(1.5335, abs=1e-4)
    with pytest.raises(ValueError, match="Unsupported"):
        torch_init.calculate_gain("gelu")


DIFFERENCES = [
    ("all", "NumPy arrays", takes_arrays),
    ("all", "a view of a parameter", refuses_intermediate_results),
    ("all", "plain functions", does_not_dispatch),
    ("random ones", "a seed", takes_seeds),
    ("random ones", "ValueError for either", refuses_bad_numbers),
    ("calculate_gain", "any other activation", gain_of_any_activation),
    ("uniform_", "no bias", uniform_in_bf16_has_no_bias),
    ("trunc_normal_", "exact for any a < b", truncates_exactly_without_a_warning),
    ("xavier_*", "the warning of", xavier_warns_on_empty_tensors),
    ("xavier_*, kaiming_*", "``layer=``", reads_the_fans_of_the_layer),
    ("kaiming_*", "``fan_geo``", has_more_modes),
    ("kaiming_*", "refused all the same", refuses_wrong_names_for_empty_tensors),
    ("eye_", "``gain=``", scales_the_identity),
    ("dirac_", "(k - 1) // 2", centres_even_kernels),
    ("sparse_", "it does not", sparse_zeros_follow_the_generator),
    ("sparse_", "``nonzeros=``", sparse_by_row),
    ("sparse_", "but 1 with", sparse_by_row_has_std_one),
    ("sparse_", "raises ValueError", sparsity_is_a_fraction),
    ("orthogonal_", "any layout", orthogonal_in_any_dtype_and_layout),
]


@pytest.mark.parametrize("check", [check for _, _, check in DIFFERENCES], ids=lambda f: f.__name__)
def test_difference(check):
    check()


def rows_of_the_table():
    """The table of differences: the function of each row, and what initlib does."""
    lines = compat.__doc__.split("\n")
    rules = [i for i, line in enumerate(lines) if line.startswith("====")]
    ours = lines[rules[0]].rindex(" ")
    rows = []
    for line in lines[rules[1] + 1 : rules[2]]:
        if not line.startswith(" "):
            rows.append((line.split("  ")[0], ""))
        function, text = rows.pop()
        rows.append((function, f"{text} {line[ours:].strip()}".strip()))
    return rows


def test_every_difference_is_in_the_table_and_held_to_its_word():
    rows = rows_of_the_table()
    assert [function for function, _ in rows] == [function for function, _, _ in DIFFERENCES]
    for (_, text), (_, phrase, _) in zip(rows, DIFFERENCES, strict=True):
        assert phrase in text


def test_the_readme_lists_the_same_differences():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").replace("`", "").split("\n")
    for function, text in rows_of_the_table():
        start, end = f"| {function} |", f"| {text} |".replace("`", "")
        assert any(line.startswith(start) and line.endswith(end) for line in lines)
