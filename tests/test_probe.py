import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import initlib as init


def normal(*shape, seed=0, dtype=torch.float32):
    return init.normal_(torch.empty(*shape, dtype=dtype), generator=seed)


def mlp(*sizes, phi=nn.Tanh, scheme="lecun_normal"):
    layers = [nn.Linear(m, n) for m, n in pairwise(sizes)]
    model = nn.Sequential(*[part for layer in layers for part in (layer, phi())][:-1])
    init.initialize(model, scheme)
    return model


class Scaled(nn.Module):
    """A layer that is called twice, a function between, and two outputs."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        return self.inner(torch.relu(self.inner(x))), None


def test_the_numbers_are_those_of_their_definitions():
    model, x = mlp(7, 5, 3).double(), normal(4, 7, dtype=torch.float64)
    rows = init.probe(model, x, loss=lambda y: y.square().sum()).rows
    z = model[0](x).detach().requires_grad_()
    h = torch.tanh(z)
    y = model[2](h)
    to_z, to_h, to_w = torch.autograd.grad(y.square().sum(), (z, h, model[2].weight))
    first, middle, last = rows
    assert [row.layer for row in rows] == ["0", "1", "2"]
    assert [row.type for row in rows] == ["Linear", "Tanh", "Linear"]
    assert middle.mean == pytest.approx(h.mean().item())
    assert middle.second_moment == pytest.approx(h.square().mean().item())
    pairs = [(h[a] * h[b]).mean().item() for a in range(4) for b in range(4) if a != b]
    assert middle.correlation == pytest.approx(np.mean(pairs) / h.square().mean().item())
    assert middle.gradient_mean == pytest.approx(to_h.mean().item())
    assert middle.gradient_second_moment == pytest.approx(to_h.square().mean().item())
    assert first.gradient_second_moment == pytest.approx(to_z.square().mean().item())
    assert last.weight_gradient == pytest.approx(to_w.square().mean().item())
    assert middle.weight_gradient is None


def test_dead_units_and_saturated_inputs_are_counted():
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2), nn.Tanh())
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[0].bias.copy_(torch.tensor([-9.0, 0, 0, -9]))
        model[2].weight.fill_(0)
        model[2].bias.copy_(torch.tensor([0.0, 5]))
    rows = init.probe(model, torch.tensor([[1.0, 0], [-1, 0]])).rows
    assert (rows[1].dead, rows[1].saturated) == (0.5, 0.75)
    assert (rows[3].dead, rows[3].saturated) == (1, 0.5)
    assert rows[0].dead is None


@pytest.mark.parametrize("phi", ["relu", "tanh", "gelu", "sigmoid"])
def test_predictions_are_right_on_average_over_weights(phi):
    module = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "sigmoid": nn.Sigmoid}[phi]
    x, ratios = normal(16, 64), []
    for seed in range(60):
        model = nn.Sequential(
            nn.Linear(64, 64), module(), nn.Linear(64, 64), module(), nn.Linear(64, 64)
        )
        init.initialize(model, {"*.weight": "he_normal", "*.bias": init.normal_}, seed=seed)
        rows = init.probe(model, x, seed=seed).rows
        ratios.append(
            [row.second_moment / row.predicted_second_moment for row in rows]
            + [1 + row.correlation - row.predicted_correlation for row in rows]
            + [row.gradient_second_moment / row.predicted_gradient for row in rows[:-1]]
        )
    ratios = np.array(ratios)
    se = ratios.std(axis=0, ddof=1) / math.sqrt(len(ratios))
    # Pre-activations of one draw share a second moment only up to its fluctuation: 0.02.
    assert np.all(np.abs(ratios.mean(axis=0) - 1) < 4 * se + 0.02)
    assert np.all(se < 0.03)


def test_convolutions_are_predicted_by_their_fans():
    model = nn.Sequential(
        nn.Conv2d(8, 16, 3, 2, groups=2), nn.ReLU(inplace=True), nn.Conv2d(16, 8, 1)
    )
    init.initialize(model, "he_normal")
    rows = init.probe(model, normal(64, 8, 17, 17)).rows
    for row in rows:
        assert row.second_moment == pytest.approx(row.predicted_second_moment, rel=0.15)
    assert rows[1].gradient_second_moment == pytest.approx(rows[1].predicted_gradient, rel=0.15)


GRAPHS = {
    "called twice": (Scaled, (3, 6), ["inner", "inner (2)"]),
    "a layer alone": (lambda: nn.Linear(3, 2), (4, 3), ["model"]),
    "recurrent": (lambda: nn.LSTM(3, 5, 2, batch_first=True), (4, 6, 3), ["model"]),
    "attention": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        (4, 6, 8),
        ["self_attn", "dropout1", "norm1", "linear1", "dropout", "linear2", "dropout2", "norm2"],
    ),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten()
        ),
        (4, 3, 6, 6),
        ["0", "1", "2", "3"],
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_any_graph_is_measured_and_left_as_it_was(name):
    make, shape, layers = GRAPHS[name]
    model, x = make(), normal(*shape)
    before = copy.deepcopy(model.state_dict())
    modes = [part.training for part in model.modules()]
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    rows = init.probe(model, x).rows
    assert [row.layer for row in rows] == layers
    assert all(row.second_moment > 0 and row.gradient_second_moment > 0 for row in rows)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(state, torch.random.get_rng_state())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_training_step_can_be_watched_as_it_goes_by():
    model, x = mlp(7, 5, 3), normal(4, 7)
    with init.Probe(model) as watch:
        model(x).square().sum().backward()
    seen, wanted = watch.signals().rows, init.probe(model, x, lambda y: y.square().sum()).rows
    for a, b in zip(seen, wanted, strict=True):
        assert a.second_moment == pytest.approx(b.second_moment)
        assert a.gradient_second_moment == pytest.approx(b.gradient_second_moment)
        assert a.weight_gradient == pytest.approx(b.weight_gradient)
        assert a.correlation is None


def test_what_has_no_gradient_has_none():
    model = mlp(7, 5, 3).requires_grad_(False)
    assert all(row.gradient_mean is None for row in init.probe(model, normal(4, 7)).rows)
    model[2].requires_grad_(True)
    rows = init.probe(model, normal(4, 7)).rows
    assert [row.weight_gradient is None for row in rows] == [True, True, False]


def test_sums_are_as_exact_as_float64():
    x = 3 + normal(1000, 300)
    (row,) = init.probe(nn.Identity(), x).rows
    assert row.second_moment == pytest.approx(x.double().square().mean().item(), rel=1e-7)
    assert row.mean == pytest.approx(x.double().mean().item(), rel=1e-7)


def test_hooks_go_when_the_model_fails():
    model = mlp(7, 5, 3)
    with pytest.raises(RuntimeError):
        init.probe(model, normal(4, 8))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


BAD = {
    "no module": (lambda: init.probe(torch.tanh, normal(2, 2)), TypeError, "torch.nn.Module"),
    "no layer": (
        lambda: init.probe(Uncalled(), normal(2, 2)),
        ValueError,
        "no layer was called",
    ),
    "no number": (
        lambda: init.probe(mlp(2, 2), normal(2, 2), lambda y: y),
        ValueError,
        "one element",
    ),
    "no floats": (
        lambda: init.probe(nn.Sequential(Argmax()), normal(2, 2)),
        TypeError,
        "without a tensor of floats: pass loss=",
    ),
    "nothing called": (lambda: init.Probe(mlp(2, 2)).signals(), ValueError, "no layer was called"),
    "spectrum of no module": (lambda: init.jacobian_spectrum(1, normal(2, 2)), TypeError, "Module"),
    "spectrum at integers": (
        lambda: init.jacobian_spectrum(mlp(2, 2), torch.ones(2, 2, dtype=torch.int64)),
        TypeError,
        "torch.int64",
    ),
    "spectrum of a sum": (
        lambda: init.jacobian_spectrum(nn.Flatten(0), normal(2, 2)),
        ValueError,
        "a row for each of 2 samples",
    ),
}


class Uncalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return x @ self.layer.weight


class Argmax(nn.Module):
    def forward(self, x):
        return x.argmax(-1)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_clearly(name):
    attempt, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        attempt()


def test_the_jacobian_spectrum_of_a_linear_network_is_that_of_its_product():
    model = mlp(6, 9, 4, phi=nn.Identity).double()
    found = init.jacobian_spectrum(model, normal(3, 6, dtype=torch.float64))
    product = (model[2].weight @ model[0].weight).detach().numpy()
    assert found == pytest.approx(np.tile(np.linalg.svd(product, compute_uv=False), (3, 1)))


def test_the_jacobian_spectrum_is_that_of_each_sample():
    model, x = mlp(6, 9, 4).double(), normal(3, 6, dtype=torch.float64)
    found = init.jacobian_spectrum(model, x)
    for one, values in zip(x, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(model, one).numpy()
        assert values == pytest.approx(np.linalg.svd(jacobian, compute_uv=False))
