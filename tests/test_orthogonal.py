"""Orthogonal weights as weights: orthonormal in every shape, dtype and layout, kept signals, the
singular values of convolutions. The law of the matrices is tested in test_haar.py.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import Z
from torch import nn

import initlib as init
from initlib.sampling import stream_key

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def defect(w, gain=1.0):
    """Return the largest entry of W W^T / gain^2 - I, or of W^T W / gain^2 - I if W is tall."""
    matrix = torch.as_tensor(w).detach().double().flatten(1)
    matrix = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    return float((matrix @ matrix.T / gain**2 - torch.eye(len(matrix))).abs().max())


@pytest.mark.parametrize(("dtype", "margin"), [(torch.float32, 1.0), (torch.float64, 2.0)], ids=str)
@pytest.mark.parametrize(
    "shape",
    [(64, 64), (65, 65), (192, 192), (193, 300), (500, 257), (2000, 130), (60, 4000), (1024, 1024)],
    ids=str,
)
def test_no_less_orthogonal_than_torch(shape, dtype, margin):
    """The margin is for the rounding of the measurement, which is in float64 itself."""
    ours = init.orthogonal_(torch.empty(shape, dtype=dtype), generator=1)
    torchs = torch.nn.init.orthogonal_(
        torch.empty(shape, dtype=dtype), generator=torch.Generator().manual_seed(1)
    )
    assert defect(ours) <= margin * defect(torchs)


@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    gain=st.floats(0.01, 100) | st.floats(-100, -0.01),
    seed=st.integers(0, 2**64),
)
def test_orthonormal_rows_or_columns_of_any_shape_times_gain(shape, gain, seed):
    w = torch.empty(shape)
    assert init.orthogonal_(w, gain, seed) is w
    assert defect(w, gain) < 3e-6


def test_gain_zero_gives_zeros():
    assert not init.orthogonal_(torch.full((3, 4), torch.nan), 0).any()


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (70, 10), (6, 2, 3, 3)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_low_precision_is_single_precision_rounded_once(shape, dtype):
    single = init.orthogonal_(torch.empty(shape), 1.7, 2)
    assert torch.equal(init.orthogonal_(torch.empty(shape, dtype=dtype), 1.7, 2), single.to(dtype))


@pytest.mark.parametrize(
    "w",
    [
        torch.full((4, 3, 2, 2), torch.nan).to(memory_format=torch.channels_last),
        torch.full((2, 2, 3, 4), torch.nan).permute(3, 2, 1, 0),
        torch.full((8, 3, 4, 2), torch.nan)[::2, :, ::2],
        nn.Parameter(torch.full((4, 3, 2, 2), torch.nan)),
        nn.Parameter(torch.full((8, 3, 2, 2), torch.nan))[4:],
        np.full((4, 3, 2, 2), np.nan, np.float32),
        np.full((2, 2, 3, 4), np.nan, np.float32).T,
        np.full((4, 3, 2, 2), np.nan, np.float32)[::-1, :, ::-1],
        np.full((4, 3, 2, 2), np.nan, ">f4"),
    ],
    ids=[
        "channels last",
        "transposed",
        "strided",
        "parameter",
        "view of a parameter",
        "array",
        "transposed array",
        "reversed array",
        "foreign bytes",
    ],
)
def test_the_layout_changes_no_value(w):
    plain = init.orthogonal_(torch.empty(4, 3, 2, 2), generator=3)
    assert init.orthogonal_(w, generator=3) is w
    assert w.tolist() == plain.tolist()


def test_default_device_and_meta_tensors():
    plain = init.orthogonal_(torch.empty(4, 4), generator=4)
    with torch.device("meta"):
        on_cpu = init.orthogonal_(torch.empty(4, 4, device="cpu"), generator=4)
        abstract = torch.empty(4, 4, 3)
        assert init.orthogonal_(abstract) is abstract
        assert init.delta_orthogonal_(abstract) is abstract
    assert torch.equal(plain, on_cpu)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 1)], ids=str)
def test_empty_tensors_are_left_alone_as_in_torch(shape):
    w = torch.empty(shape)
    assert init.orthogonal_(w) is w


@pytest.mark.parametrize("fill_", [init.orthogonal_, init.delta_orthogonal_])
def test_generators(fill_):
    def fill(generator=None):
        return fill_(torch.empty(4, 4, 3), generator=generator)

    assert torch.equal(fill(5), fill(5))
    assert torch.equal(fill(5), fill(stream_key(5)))
    assert not torch.equal(fill(5), fill(6))
    generator = torch.Generator().manual_seed(7)
    assert not torch.equal(fill(generator), fill(generator))
    torch.manual_seed(8)
    first = fill()
    torch.manual_seed(8)
    assert torch.equal(first, fill())


# Keeping the second moment of a unit: the measured signal of the real layer.

LAYERS = {
    "square": (lambda: nn.Linear(64, 64, bias=False), (64,)),
    "widening": (lambda: nn.Linear(64, 256, bias=False), (64,)),
    "narrowing": (lambda: nn.Linear(256, 64, bias=False), (256,)),
    "convolution": (lambda: circular(32, 64), (32, 6, 6)),
    "narrow convolution": (lambda: circular(8, 128), (8, 6, 6)),
    "depthwise": (lambda: circular(64, 64, groups=64), (64, 6, 6)),
    "grouped": (lambda: circular(64, 32, groups=4), (64, 6, 6)),
    "pointwise transposed": (lambda: nn.ConvTranspose1d(24, 96, 1, bias=False), (24, 9)),
}


def circular(channels_in, channels_out, groups=1):
    return nn.Conv2d(
        channels_in,
        channels_out,
        3,
        padding=1,
        padding_mode="circular",
        groups=groups,
        bias=False,
    )


@pytest.mark.parametrize("keep", ["forward", "backward"])
@pytest.mark.parametrize("name", LAYERS)
def test_keep_is_measured_in_the_layer(name, keep):
    """The mean square of a signal through the layer, over 1500 samples, is gain^2.

    Given W its mean over white inputs is exact, and it is the same for each W, as the norm of W
    alone decides. Power: a factor wrong by 5 % is seen with probability 0.99."""
    make, shape = LAYERS[name]
    layer, gain = make(), 1.5
    init.orthogonal_(layer.weight, gain, 9, keep=keep, layer=layer)
    generator = torch.Generator().manual_seed(10)
    x = torch.randn(1500, *shape, generator=generator, requires_grad=True)
    y = layer(x)
    if keep == "backward":
        (y,) = torch.autograd.grad(y, x, torch.randn(y.shape, generator=generator))
    power = y.detach().double().square().flatten(1).mean(dim=1)
    error = float(power.std() / len(power) ** 0.5)
    assert error < 0.05 * gain**2 / (Z + 2.33)
    assert abs(float(power.mean()) - gain**2) < Z * error


@pytest.mark.parametrize(
    ("shape", "forward", "backward"),
    [((64, 64), 1, 1), ((256, 64), 2, 1), ((64, 256), 1, 2), ((8, 2, 2), 2**0.5, 0.5**0.5)],
)
def test_keep_scales_the_same_matrix(shape, forward, backward):
    plain = init.orthogonal_(torch.empty(shape), generator=11)
    for keep, factor in (("forward", forward), ("backward", backward)):
        kept = init.orthogonal_(torch.empty(shape), generator=11, keep=keep)
        torch.testing.assert_close(kept, factor * plain)


# Delta-orthogonal convolutions.

KERNELS = [(8, 8, 3), (8, 4, 3, 3), (4, 8, 2, 3), (3, 5, 2, 2, 3), (6, 6, 1, 1)]


def operator_singular_values(w, size=6):
    """Return those of the circular convolution on a grid, frequency by frequency."""
    axes = tuple(range(2, w.ndim))
    spectrum = np.fft.fftn(w.numpy(), s=(size,) * len(axes), axes=axes)
    return np.linalg.svd(np.moveaxis(spectrum, (0, 1), (-2, -1)), compute_uv=False)


@pytest.mark.parametrize("shape", KERNELS, ids=str)
def test_delta_orthogonal_operator_has_one_singular_value(shape):
    w = torch.full(shape, torch.nan, dtype=torch.float64)
    assert init.delta_orthogonal_(w, 1.5, 12) is w
    assert np.allclose(operator_singular_values(w), 1.5, rtol=1e-13, atol=0)


def test_orthogonal_flattened_is_no_orthogonal_operator():
    values = operator_singular_values(init.orthogonal_(torch.empty(32, 32, 3, 3), generator=13))
    assert values.min() < 0.1
    assert values.max() > 1.5


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kernel", [(1,), (2,), (4,), (3, 2), (4, 5), (2, 3, 4)], ids=str)
def test_delta_orthogonal_acts_on_each_pixel_alone(kernel, groups):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(kernel) - 1]
    layer = conv(6, 4, kernel, padding="same", groups=groups, bias=False)
    init.delta_orthogonal_(layer.weight, generator=14, groups=groups)
    with torch.no_grad():
        matrix = layer.weight.flatten(2).sum(dim=2)
        x = torch.randn(3, 6, *(7, 6, 5)[: len(kernel)])
        pairs = zip(matrix.chunk(groups), x.chunk(groups, dim=1), strict=True)
        expected = torch.cat([torch.einsum("oi,ni...->no...", w, part) for w, part in pairs], dim=1)
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
    assert all(defect(w) < 1e-6 for w in matrix.chunk(groups))


def test_groups_get_matrices_of_their_own():
    first, second = init.delta_orthogonal_(torch.empty(8, 4, 3), generator=15, groups=2).chunk(2)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_delta_orthogonal_in_any_dtype_and_layout(dtype, layout):
    weight = torch.full((6, 4, 3, 3), torch.nan, dtype=dtype).to(memory_format=layout)
    parameter = nn.Parameter(weight)
    init.delta_orthogonal_(parameter, generator=16)
    array = init.delta_orthogonal_(np.full((6, 4, 3, 3), np.nan), generator=16)
    torch.testing.assert_close(parameter.detach().double(), torch.tensor(array), rtol=0, atol=8e-3)
    assert parameter.is_leaf
    assert defect(parameter[:, :, 1, 1]) < 4 * torch.finfo(dtype).eps
    assert int((parameter != 0).sum()) == 24


def test_delta_orthogonal_keeps_a_unit():
    widening = init.delta_orthogonal_(torch.empty(64, 16, 3), generator=17, keep="forward")
    narrowing = init.delta_orthogonal_(torch.empty(16, 64, 3), generator=17, keep="backward")
    assert float(widening.square().sum((1, 2)).mean()) == pytest.approx(1, rel=1e-5)
    assert float(narrowing.square().sum((0, 2)).mean()) == pytest.approx(1, rel=1e-5)


MATRIX, KERNEL = torch.ones(4, 4), torch.ones(4, 4, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.orthogonal_(torch.ones(4)), ValueError, "2 or more dimensions"),
        (lambda: init.orthogonal_(torch.tensor(1.0)), ValueError, "2 or more dimensions"),
        (lambda: init.orthogonal_([[1.0]]), TypeError, "must be a torch.Tensor or numpy.ndarray"),
        (lambda: init.orthogonal_(MATRIX.long()), TypeError, "floating-point dtype"),
        (lambda: init.orthogonal_(MATRIX.cfloat()), TypeError, "floating-point dtype"),
        (lambda: init.orthogonal_(MATRIX, float("nan")), ValueError, "gain must be a finite"),
        (lambda: init.orthogonal_(MATRIX, "relu"), TypeError, "gain must be a number"),
        (lambda: init.orthogonal_(MATRIX, keep="foward"), ValueError, "did you mean 'forward'"),
        (lambda: init.orthogonal_(MATRIX, generator=0.5), TypeError, "generator must be"),
        (
            lambda: init.orthogonal_(MATRIX, keep="forward", layer=nn.Linear(5, 5)),
            ValueError,
            "shape",
        ),
        (lambda: init.delta_orthogonal_(MATRIX), ValueError, "3, 4, or 5 dimensions"),
        (lambda: init.delta_orthogonal_(KERNEL, groups=3), ValueError, "divisible by groups"),
        (lambda: init.delta_orthogonal_(KERNEL, groups=0), ValueError, "divisible by groups"),
        (lambda: init.delta_orthogonal_(KERNEL, groups=1.5), TypeError, "integer"),
        (lambda: init.delta_orthogonal_(KERNEL, float("inf")), ValueError, "gain must be a finite"),
        (lambda: init.delta_orthogonal_(KERNEL, keep="both"), ValueError, "keep must be one of"),
        (lambda: init.delta_orthogonal_(KERNEL, generator="0"), TypeError, "generator must be"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_touched(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert bool((MATRIX == 1).all())
    assert bool((KERNEL == 1).all())
