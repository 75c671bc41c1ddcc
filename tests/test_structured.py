"""The identity and the delta kernel: exact, in every dtype and layout, and as layers."""

import numpy as np
import pytest
import torch

import initlib as init

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (1, 1), (0, 3)], ids=str)
def test_eye_is_the_rectangular_identity(shape, dtype):
    w = torch.full(shape, 7).to(dtype)
    assert init.eye_(w) is w
    assert torch.equal(w, torch.eye(*shape, dtype=dtype))


@pytest.mark.parametrize(
    "w",
    [
        np.full((3, 5), np.nan, np.float16),
        np.full((5, 3), np.nan).T,
        np.full((3, 5), np.nan)[::-1, ::-1],
        torch.full((5, 3), torch.nan).t(),
        torch.full((6, 10), torch.nan)[::2, ::2],
        torch.nn.Parameter(torch.full((3, 5), torch.nan)),
    ],
    ids=["float16", "transposed array", "reversed array", "transposed", "strided", "parameter"],
)
def test_eye_times_gain_in_any_layout(w):
    assert init.identity_(w, gain=0.5) is w
    assert np.array_equal(torch.as_tensor(np.array(w.tolist())), 0.5 * np.eye(3, 5))


def test_relu_network_with_an_identity_recurrence_keeps_its_state():
    rnn = torch.nn.RNN(2, 8, nonlinearity="relu")
    for name, parameter in rnn.named_parameters():
        init.zeros_(parameter)
        if name == "weight_hh_l0":
            init.eye_(parameter)
    state = torch.rand(1, 1, 8)
    _, last = rnn(torch.randn(300, 1, 2), state)
    assert torch.equal(last, state)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_dirac_makes_the_layer_the_identity(dims, size, groups):
    kernel = (size, 3, 2)[:dims]
    layer = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[dims - 1](
        6, 6, kernel, padding="same", groups=groups, bias=False
    )
    assert init.dirac_(layer.weight, groups) is layer.weight
    x = torch.rand(2, 6, *(7, 6, 5)[:dims])
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize(
    ("channels_out", "channels_in", "groups"), [(9, 4, 3), (4, 9, 1), (6, 6, 3), (2, 10, 2)]
)
def test_dirac_copies_as_many_channels_as_there_are(channels_out, channels_in, groups):
    w = init.dirac_(torch.full((channels_out, channels_in, 3, 2), torch.nan), groups)
    expected = torch.zeros_like(w)
    for group in range(groups):
        first = group * channels_out // groups
        for channel in range(min(channels_out // groups, channels_in)):
            expected[first + channel, channel, 1, 0] = 1
    assert torch.equal(w, expected)


@pytest.mark.parametrize(
    "w",
    [
        np.full((4, 2, 3), np.nan, np.float16),
        np.full((3, 2, 4), np.nan).T,
        torch.full((4, 2, 3), torch.nan, dtype=torch.bfloat16),
        torch.full((4, 4, 3), torch.nan)[:, ::2],
    ],
    ids=["float16", "transposed array", "bfloat16", "strided"],
)
def test_dirac_in_any_layout(w):
    assert init.dirac_(w, groups=2) is w
    expected = init.dirac_(torch.empty(4, 2, 3), groups=2)
    assert w.tolist() == expected.tolist()


def test_channels_last_stays_so():
    w = torch.empty(4, 4, 3, 3).to(memory_format=torch.channels_last)
    assert torch.equal(init.dirac_(w), init.dirac_(torch.empty(4, 4, 3, 3)))
    assert w.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3), (4, 2, 0)], ids=str)
def test_dirac_leaves_an_empty_tensor_alone(shape):
    w = torch.empty(shape)
    assert init.dirac_(w) is w


def test_meta_is_left_alone():
    for fill, shape in ((init.eye_, (3, 4)), (init.dirac_, (4, 4, 3))):
        w = torch.empty(shape, device="meta")
        assert fill(w) is w


@pytest.mark.parametrize(
    ("call", "shape", "error", "text"),
    [
        (init.eye_, (3,), ValueError, r"2 dimensions are supported, got shape \(3,\)"),
        (init.eye_, (3, 3, 3), ValueError, "2 dimensions are supported"),
        (lambda w: init.eye_(w, float("nan")), (3, 3), ValueError, "gain must be a finite number"),
        (lambda w: init.eye_(w, "1"), (3, 3), TypeError, "gain must be a number, got '1'"),
        (init.dirac_, (3, 3), ValueError, "3, 4, or 5 dimensions are supported"),
        (init.dirac_, (1,) * 6, ValueError, "3, 4, or 5 dimensions are supported"),
        (lambda w: init.dirac_(w, 2), (3, 3, 3), ValueError, "divisible by groups, got 3 channels"),
        (lambda w: init.dirac_(w, 0), (3, 3, 3), ValueError, "groups=0"),
        (lambda w: init.dirac_(w, -3), (3, 3, 3), ValueError, "groups=-3"),
        (lambda w: init.dirac_(w, 1.5), (3, 3, 3), TypeError, "float"),
    ],
)
def test_a_wrong_argument_is_refused_and_the_tensor_untouched(call, shape, error, text):
    w = torch.full(shape, 7.0)
    with pytest.raises(error, match=text):
        call(w)
    assert (w == 7).all()


@pytest.mark.parametrize("call", [init.eye_, init.dirac_])
@pytest.mark.parametrize("target", [None, [[1.0]], torch.zeros(1, 1).expand(3, 3)])
def test_a_wrong_target_is_refused(call, target):
    with pytest.raises((TypeError, ValueError), match="tensor"):
        call(target)
