"""Random weights of one standard deviation, two laws in training, and the default of torch."""

import numpy as np
import pandas as pd
import pytest
import torch

import initlib as init
from initlib.lab.data import load
from initlib.lab.random_figures import plot_default, plot_law, plot_scale
from initlib.lab.random_scale import (
    fixed_std,
    gain_table,
    loss_differences,
    relu_table,
    sum_kurtosis,
)
from initlib.lab.signals import network_signals
from initlib.lab.torch_default import (
    default_rules,
    default_table,
    default_theory,
    torch_networks,
)

pytestmark = pytest.mark.usefixtures("house_style")


def images(networks, k, n):
    return init.normal_(torch.empty(networks, k, n), 0.3, 1.0, generator=1)


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_one_standard_deviation_whatever_the_shape(law):
    for shape in ((100, 500), (500, 100)):
        weight = fixed_std(0.05, law)(torch.empty(shape), generator=1)
        # 50,000 weights: the standard deviation is known to 0.3 %; z = 5.
        assert weight.std() == pytest.approx(0.05, rel=0.016)
    assert (weight.abs().max() <= 0.05 * 3**0.5 * (1 + 1e-6)) == (law == "uniform")


def test_gains_are_half_the_width_times_the_variance():
    table = gain_table([0.1, 0.3], ["normal", "uniform"], [16, 64], key=0, draws=100)
    assert len(table) == 2 * 2 * 2 * 2
    np.testing.assert_allclose(table.predicted, table.n_in * table["std"] ** 2 / 2)
    assert (np.abs(table.gain - table.predicted) < 4.5 * table.se).all()


def test_signals_follow_their_power():
    inputs = init.unit_rows_(torch.empty(400, 32), 32**0.5, generator=2)
    table = relu_table({"He": 0.25, "half": 0.125}, [32] * 4, inputs, key=1)
    np.testing.assert_allclose(table[table.name == "He"].theory, 1)
    np.testing.assert_allclose(table[table.name == "half"].theory, [1 / 4, 1 / 16, 1 / 64])
    assert (np.abs(table.value / table.theory - 1) < 0.25).all()


def test_a_sum_forgets_its_law():
    uniform = sum_kurtosis("uniform", [1, 4, 16], key=3)
    assert (np.abs(uniform.value + 1.2 / np.array([1, 4, 16])) < 4.5 * uniform.se).all()
    normal = sum_kurtosis("normal", [4], key=3)
    assert abs(normal.value[0]) < 4.5 * normal.se[0]


def test_the_same_scheme_doesn_t_differ_and_another_does():
    options = {"hidden": [16], "steps": 40, "batch_size": 16, "seed": 1, "replicas": 4}
    table, same = loss_differences(load("mnist"), ("he_normal", "he_normal"), [0.02], **options)
    assert abs(same["lr 0.02"].value) < 1e-3
    assert list(table.columns) == ["lr", "seed", "difference", "accuracy"]
    _, worse = loss_differences(load("mnist"), ("he_normal", "zeros"), [0.02, 0.05], **options)
    assert list(worse) == ["lr 0.02", "lr 0.05"]
    assert all(mean.value > 0.3 for mean in worse.values())


def test_networks_of_torch_are_those_of_its_constructor():
    state = torch.get_rng_state()
    (network,) = torch_networks([6, 5, 4], 1, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 5), torch.nn.Linear(5, 4)]
    for (weight, bias), layer in zip(network, layers, strict=True):
        assert torch.equal(weight, layer.weight)
        assert torch.equal(bias, layer.bias)
    (bare,) = torch_networks([6, 5, 4], 1, seed=0, bias=False)
    assert all(bias is None for _, bias in bare)
    assert torch.equal(bare[0][0], network[0][0])


@pytest.mark.parametrize("bias", [True, False])
def test_theory_of_the_default(bias):
    # The second moment and the error are exact at any width: 400 networks, z = 4.5. The spread is
    # a limit of wide layers, good to some percent per layer at 128 units.
    sizes, x = [20, 128, 128, 128, 4], images(400, 3, 20)
    theory = default_theory(sizes, x, bias)
    found = network_signals(torch_networks(sizes, 400, seed=1, bias=bias), x)
    for name in ("pre", "error"):
        measured = getattr(found, name)
        se = measured.std(axis=0, ddof=1) / 20
        assert (np.abs(measured.mean(axis=0) - theory[name]) <= 4.5 * se + 1e-6).all()
    np.testing.assert_allclose(found.spread.mean(axis=0), theory.spread, rtol=0.15)
    table = default_table({"default": found}, {"default": theory})
    share = table[table.quantity == "share"]
    np.testing.assert_allclose(share.theory, theory.spread / theory.pre)
    np.testing.assert_allclose(share.value, (found.spread / found.pre).mean(axis=0))


def test_without_biases_six_is_all_there_is():
    theory = default_theory([9, 9, 9, 9], torch.ones(1, 1, 9), bias=False)
    np.testing.assert_allclose(theory.pre, [1 / 3, 1 / 18, 1 / 108])
    np.testing.assert_allclose(theory.error, [1 / 36, 1 / 6, 1])


def test_rules_start_a_network_as_torch_does():
    model = torch.nn.Sequential(torch.nn.Linear(400, 3000), torch.nn.Linear(3000, 500))
    init.initialize(model, default_rules(), seed=3)
    for layer in model:
        bound = layer.in_features**-0.5
        for values in (layer.weight, layer.bias):
            assert values.abs().max() <= bound
            assert values.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def toy_layers(**labels):
    theory = 0.5 ** np.arange(6.0)
    columns = {"layer": range(1, 7), "value": theory, "low": 0.9 * theory, "high": 1.1 * theory}
    return pd.DataFrame(columns | {"theory": theory} | labels)


def test_the_scale_has_censored_runs_at_their_budget():
    gains = gain_table([0.01, 0.1], ["normal", "uniform"], [8, 32], key=0, draws=16)
    runs = {"factor": [0.5, 1.0, 2.0], "steps": [90.0, 40.0, np.inf], "budget": 100}
    signals = pd.concat(toy_layers(name=name) for name in ("He", "2 He"))
    fig = plot_scale(
        signals, gains[gains.direction == "forward"], pd.DataFrame(runs), 1.0, {"VGG": (50, 90)}
    )
    depth, by_width, steps = fig.axes
    assert texts(depth) == ["He", "2 He"]
    assert texts(by_width) == [r"$\sigma$ = 0.01", r"$\sigma$ = 0.1", "VGG"]
    assert texts(steps) == ["not within\nthe budget"]
    late = next(line for line in steps.lines if line.get_marker() == "^")
    assert late.get_xydata().tolist() == [[2, 100]]
    # As far as the width that a standard deviation of 0.01 asks for.
    assert max(line.get_xdata()[-1] for line in by_width.lines) > 2 / 0.01**2


def test_the_law_shows_the_margin_and_each_rate():
    counts = {"n": [1, 2], "value": [-1.2, -0.6], "low": [-1.3, -0.7], "high": [-1.1, -0.5]}
    kurtosis = pd.DataFrame(counts | {"theory": [-1.2, -0.6], "law": "uniform"})
    rows = {"lr": [0.01] * 3 + [0.1] * 3, "difference": [0.1, -0.1, 0.0] * 2}
    differences = pd.DataFrame(rows | {"mean": 0.0, "low": -0.05, "high": 0.05})
    sums, training = plot_law(kurtosis, differences, np.log(1.25)).axes
    assert texts(sums) == ["uniform"]
    assert [label.get_text() for label in training.get_xticklabels()] == ["0.01", "0.1"]
    band = training.patches[0].get_extents().transformed(training.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((0.8, 1.25))


def test_the_default_is_named_where_it_differs():
    layers = pd.concat(
        toy_layers(start=start, quantity=quantity)
        for start in ("default", "no bias")
        for quantity in ("pre", "share")
    )
    steps = np.arange(1, 60)
    curves = pd.concat(
        pd.DataFrame({"start": start, "seed": 0, "step": steps, "loss": 2.3 - 0.035 * steps})
        for start in ("he", "default", "no bias")
    )
    before, share, training = plot_default(layers, curves, np.log(10)).axes
    assert len(texts(before)) == 2
    assert "He" in texts(training)
    assert before.get_yscale() == share.get_yscale() == "log"
