"""The fans are held against what the real layers do to signals, not against formulas."""

import math
import zlib

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from initlib.fans import Fans, blocks, fans

# Each gain is the mean of REPEATS independent draws of weights, inputs and output gradients. Its z
# follows Student's t with 63 degrees of freedom: |z| > 6 has probability 1e-7 a comparison.
REPEATS = 64
Z_BOUND = 6.0

# layer, does torch's shape convention give the right fan_in, the right fan_out
CASES = {
    "linear": (lambda: nn.Linear(48, 24), True, True),
    "bilinear": (lambda: nn.Bilinear(16, 4, 24), True, False),
    "conv1d": (lambda: nn.Conv1d(12, 20, 5), True, True),
    "conv2d": (lambda: nn.Conv2d(8, 16, (3, 2)), True, True),
    "conv3d": (lambda: nn.Conv3d(4, 6, (3, 1, 2)), True, True),
    "conv2d-dilated": (lambda: nn.Conv2d(8, 16, 3, dilation=2), True, True),
    "conv2d-stride": (lambda: nn.Conv2d(8, 16, 4, stride=2), True, False),
    "conv2d-stride-uneven": (lambda: nn.Conv2d(8, 16, 3, stride=2), True, False),
    "conv2d-stride-holes": (lambda: nn.Conv2d(8, 16, 1, stride=2), True, False),
    "conv3d-stride": (lambda: nn.Conv3d(4, 6, 2, stride=(1, 2, 1)), True, False),
    "conv2d-groups": (lambda: nn.Conv2d(16, 32, 3, groups=4), True, False),
    "conv2d-depthwise": (lambda: nn.Conv2d(64, 64, 3, groups=64), True, False),
    "conv2d-multiplier": (lambda: nn.Conv2d(16, 32, 3, groups=16), True, False),
    "transposed2d": (lambda: nn.ConvTranspose2d(32, 8, 3), False, False),
    "transposed1d-stride": (lambda: nn.ConvTranspose1d(12, 20, 6, stride=3), False, False),
    "transposed2d-stride": (lambda: nn.ConvTranspose2d(32, 8, 4, stride=2), True, False),
    "transposed2d-uneven": (lambda: nn.ConvTranspose2d(8, 16, 3, stride=2), False, False),
    "transposed2d-groups": (lambda: nn.ConvTranspose2d(16, 32, 4, 2, groups=4), False, False),
    "transposed3d": (lambda: nn.ConvTranspose3d(12, 4, (2, 1, 3), (2, 1, 1)), False, False),
}
INPUTS = {1: (8, 48), 2: (4, 20, 20), 3: (4, 10, 10, 10)}


def seeded(words: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(words.encode()))


def positive(*shape: int, generator: torch.Generator) -> Tensor:
    """Unit second moment and mean 0.87: the fans must not lean on centred signals."""
    return math.sqrt(3) * torch.rand(shape, generator=generator, dtype=torch.float64)


def interior(signal: Tensor, layer: nn.Module) -> Tensor:
    """Whole periods of the stride, out of reach of the borders."""
    for axis in range(2, signal.ndim):
        step = layer.stride[axis - 2]
        margin = step * layer.dilation[axis - 2] * layer.kernel_size[axis - 2]
        periods = (signal.shape[axis] - 2 * margin) // step
        assert periods > 0, "the signal is too small for this kernel"
        signal = signal.narrow(axis, margin, step * periods)
    return signal


def inputs_of(layer: nn.Module, generator: torch.Generator) -> list[Tensor]:
    if isinstance(layer, nn.Linear):
        shapes = [(16, layer.in_features)]
    elif isinstance(layer, nn.Bilinear):
        shapes = [(16, layer.in1_features), (16, layer.in2_features)]
    else:
        batch, *sizes = INPUTS[layer.weight.ndim - 2]
        shapes = [(batch, layer.in_channels, *sizes)]
    return [positive(*shape, generator=generator) for shape in shapes]


def gains(layer: nn.Module, generator: torch.Generator) -> tuple[float, float]:
    """E y^2 / E x^2 and E dx^2 / E dy^2 for weights of unit variance."""
    layer.weight.data.normal_(generator=generator)
    inputs = [x.requires_grad_() for x in inputs_of(layer, generator)]
    output = layer(*inputs)
    feedback = positive(*output.shape, generator=generator)
    gradients = torch.autograd.grad(output, inputs, feedback)
    if getattr(layer, "transposed", False):
        output = interior(output, layer)
    else:
        gradients = [interior(gradient, layer) for gradient in gradients]
    return power(output), power(*gradients)


def power(*signals: Tensor) -> float:
    return torch.cat([signal.flatten() for signal in signals]).square().mean().item()


def z_score(samples: list[float], expected: float) -> float:
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


@pytest.mark.parametrize("case", CASES)
def test_fans_are_the_measured_gains_of_the_layer(case):
    make, torch_fan_in_right, torch_fan_out_right = CASES[case]
    layer = make().double()
    layer.bias.data.zero_()
    generator = seeded(f"measured gains of {case}")
    forward, backward = zip(*(gains(layer, generator) for _ in range(REPEATS)), strict=True)
    right, by_shape = fans(layer), fans(layer.weight)

    assert abs(z_score(forward, right.fan_in)) < Z_BOUND
    assert abs(z_score(backward, right.fan_out)) < Z_BOUND
    assert (abs(z_score(forward, by_shape.fan_in)) < Z_BOUND) == torch_fan_in_right
    assert (abs(z_score(backward, by_shape.fan_out)) < Z_BOUND) == torch_fan_out_right


def test_embedding_reads_one_row():
    layer = nn.Embedding(500, 300)
    layer.weight.data.normal_(generator=seeded("embedding"))
    variance = layer(torch.arange(500)).var().item()  # n = 150000: one standard error is 0.0037
    assert variance == pytest.approx(fans(layer).fan_in, abs=6 * 0.0037)
    one_hot = functional.one_hot(torch.tensor(3), 500).float().requires_grad_()
    (one_hot @ layer.weight).backward(torch.ones(300))
    assert one_hot.grad.var().item() == pytest.approx(
        fans(layer).fan_out, rel=6 * math.sqrt(2 / 500)
    )


# From a zero state and with weights in one block alone, the new state is tanh(z) / divisor.
RECURRENT = {
    "rnn": (lambda: nn.RNN(32, 16), 0, 1, ()),
    "lstm": (lambda: nn.LSTM(32, 16), 2, 2, ("i", "f", "g", "o")),
    "gru": (lambda: nn.GRU(32, 16), 2, 2, ("r", "z", "n")),
    "lstm-projected": (lambda: nn.LSTM(32, 16, proj_size=8), 2, 2, ("i", "f", "g", "o")),
}


@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_fan_in_is_the_measured_gain_of_a_gate(case):
    make, block, divisor, _ = RECURRENT[case]
    layer, generator = make().double(), seeded(f"forward {case}")
    torch.nn.utils.vector_to_parameters(
        torch.zeros(sum(p.numel() for p in layer.parameters()), dtype=torch.float64),
        layer.parameters(),
    )
    std = 1 / math.sqrt(fans(layer.weight_ih_l0, layer).fan_in)
    measured = []
    for _ in range(REPEATS):
        layer.weight_ih_l0.data[16 * block : 16 * (block + 1)].normal_(std=std, generator=generator)
        _, state = layer(positive(1, 8, 32, generator=generator))
        state = state[1] if isinstance(state, tuple) else state
        measured.append(power(torch.atanh(divisor * state)))
    assert abs(z_score(measured, 1)) < Z_BOUND
    assert np.std(measured, ddof=1) / math.sqrt(REPEATS) < 0.06


@pytest.mark.parametrize("case", RECURRENT)
def test_recurrent_fan_out_adds_up_over_the_gates(case):
    make, _, _, gates = RECURRENT[case]
    layer, generator = make().double(), seeded(f"backward {case}")
    ratios = []
    for _ in range(4 * REPEATS):
        for parameter in layer.parameters():
            parameter.data.normal_(std=0.2, generator=generator)
        x = positive(1, 1, 32, generator=generator).requires_grad_()
        output, _ = layer(x)
        output.backward(torch.randn(output.shape, generator=generator, dtype=torch.float64))
        at_gates = layer.bias_ih_l0.grad.reshape(max(1, len(gates)), -1).square().mean(1).sum()
        expected = 0.2**2 * fans(layer.weight_ih_l0, layer).fan_out * at_gates
        ratios.append((x.grad.square().mean() / expected).item())
        layer.zero_grad()
    assert abs(z_score(ratios, 1)) < Z_BOUND
    assert np.std(ratios, ddof=1) / math.sqrt(len(ratios)) < 0.05


@pytest.mark.parametrize("case", RECURRENT)
def test_every_gate_of_a_recurrent_layer_is_a_matrix(case):
    make, _, _, gates = RECURRENT[case]
    layer = make()
    assert blocks(layer, "weight_ih_l0") == blocks(layer, "bias_hh_l0") == gates
    assert blocks(layer, "weight_hr_l0") == ()
    assert fans(layer.weight_ih_l0, layer) == (32, 16)
    assert fans(layer.weight_hh_l0, layer) == (layer.proj_size or 16, 16)
    assert fans((16, 32), layer) == (32, 16)


def test_attention_packs_three_matrices():
    """One key: the weights of attention are 1, and the output is the value itself."""
    attention, generator = nn.MultiheadAttention(64, 4).double(), seeded("attention")
    attention.out_proj.weight.data.copy_(torch.eye(64))
    fan_in, fan_out = fans(attention.in_proj_weight, attention)
    assert (fan_in, fan_out) == fans((64, 64), attention) == (64, 64)
    forward, backward = [], []
    for _ in range(REPEATS):
        attention.in_proj_weight.data.normal_(generator=generator)
        token = positive(1, 8, 64, generator=generator).requires_grad_()
        output, _ = attention(token, token, token)
        feedback = positive(*output.shape, generator=generator)
        backward.append(power(*torch.autograd.grad(output, token, feedback)))
        forward.append(power(output))
    assert abs(z_score(forward, fan_in)) < Z_BOUND
    assert abs(z_score(backward, fan_out)) < Z_BOUND
    assert abs(z_score(backward, fans(attention.in_proj_weight).fan_out)) > Z_BOUND


def test_attention_scores_have_the_variance_of_the_fans():
    """Two keys, one head: the log ratio of their weights is q . (k1 - k2) / sqrt(E)."""
    attention, generator = nn.MultiheadAttention(64, 1).double(), seeded("scores")
    std = 1 / math.sqrt(fans(attention.in_proj_weight, attention).fan_in)
    measured = []
    for _ in range(REPEATS):
        attention.in_proj_weight.data.normal_(std=std, generator=generator)
        query, keys = (torch.randn(n, 64, 64, generator=generator).double() for n in (1, 2))
        _, weights = attention(query, keys, keys)
        measured.append(power(weights.log().diff(dim=-1)))
    assert abs(z_score(measured, 2)) < Z_BOUND
    assert np.std(measured, ddof=1) / math.sqrt(REPEATS) < 0.1


def test_separate_attention_weights_are_read_one_by_one():
    attention = nn.MultiheadAttention(64, 4, kdim=16, vdim=32)
    assert fans(attention.q_proj_weight, attention) == (64, 64)
    assert fans(attention.k_proj_weight, attention) == (16, 64)
    assert fans(attention.v_proj_weight, attention) == (32, 64)
    assert fans(attention.out_proj) == (64, 64)


@pytest.mark.parametrize(
    "shape", [(5, 3), (7, 4, 3), (8, 4, 3, 2), (2, 3, 4, 5, 6), (0, 5), (4, 0)]
)
def test_a_bare_shape_follows_torch(shape):
    expected = nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    for given in (
        shape,
        list(shape),
        torch.empty(shape),
        np.empty(shape),
        torch.empty(shape).shape,
    ):
        assert fans(given) == expected
    assert isinstance(fans(shape), Fans)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_vector_has_no_fans(shape):
    with pytest.raises(ValueError, match="fewer than 2 dimensions") as torch_error:
        nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    for given in (shape, torch.empty(shape)):
        with pytest.raises(ValueError, match="^" + str(torch_error.value) + "$"):
            fans(given)


def test_a_weight_may_be_a_copy_an_array_or_a_shape():
    layer = nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2)
    expected = fans(layer)
    for given in (
        layer.weight,
        layer.weight.detach().clone(),
        np.empty((6, 2, 3, 3)),
        (6, 2, 3, 3),
    ):
        assert fans(given, layer) == expected
    assert expected == (27 / 4, 18)


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_parametrized_weight_keeps_its_fans(wrap):
    layer = wrap(nn.Conv2d(8, 8, 3, groups=8))
    assert fans(layer) == fans(layer.weight, layer) == (9, 9)


def test_asking_for_fans_does_not_change_a_layer_that_counts_its_uses():
    layer = parametrizations.spectral_norm(nn.Linear(3, 5))
    before = [buffer.clone() for buffer in layer.buffers()]
    fans(layer)
    fans((5, 3), layer)
    assert before
    assert all(map(torch.equal, layer.buffers(), before))


@pytest.mark.parametrize("layer", [nn.RNNCell(3, 5), nn.LSTMCell(3, 5), nn.GRUCell(3, 5)])
def test_cells_are_read_like_their_layers(layer):
    assert fans(layer.weight_ih, layer) == (3, 5)
    assert fans(layer.weight_hh, layer) == (5, 5)


BAD = {
    "no single weight": (lambda: fans(nn.LSTM(3, 5)), ValueError, "weight_ih_l0"),
    "a container": (lambda: fans(nn.Sequential(nn.Linear(3, 5))), ValueError, "no parameters"),
    "another layer's weight": (
        lambda: fans((5, 4), nn.Linear(3, 5)),
        ValueError,
        r"weight \(5, 3\)",
    ),
    "a bias": (lambda: fans((5,), nn.Linear(3, 5)), ValueError, "fewer than 2 dimensions"),
    "a norm": (lambda: fans(nn.LayerNorm((4, 4))), ValueError, "no fan"),
    "a bag": (lambda: fans(nn.EmbeddingBag(4, 4)), ValueError, "bag size"),
    "a lazy layer": (lambda: fans(nn.LazyLinear(4)), ValueError, "first batch"),
    "a lazy owner": (lambda: fans((4, 4), nn.LazyLinear(4)), ValueError, "first batch"),
    "a negative size": (lambda: fans((3, -1)), ValueError, "negative"),
    "two layers": (lambda: fans(nn.Linear(3, 5), nn.Linear(3, 5)), TypeError, "weight first"),
    "a name for a layer": (lambda: fans((5, 3), "linear"), TypeError, "torch.nn.Module, not str"),
    "an int": (lambda: fans(3), TypeError, "expected a tensor"),
    "a text": (lambda: fans("weight"), TypeError, "expected a tensor"),
    "a float shape": (lambda: fans((3.0, 2.0)), TypeError, "expected a tensor"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_what_was_expected(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
