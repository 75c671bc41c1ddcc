"""When narrow networks begin: right lengths, the table, what is read off it, and its figures."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

import initlib as init
from initlib.lab import narrow_runs as runs
from initlib.lab.data import load
from initlib.lab.lengths import law_table, log_density, sample_lengths
from initlib.lab.narrow_figures import plot_lengths, plot_starts
from initlib.lab.stack import mlp

mpl.use("agg")

SHAPES = {"8x4": [8] * 4, "16x4": [16] * 4, "16x8": [16] * 8, "8x8": [8] * 8}


pytestmark = pytest.mark.usefixtures("house_style")


def toy_starts(beta=0.5, depth=0.2, seeds=8):
    """Steps that are exactly a product of powers."""
    rows = [
        (name, len(widths), init.width_beta(widths), rate, 0.01, seed, True)
        for name, widths in SHAPES.items()
        for rate in ("common", "own")
        for seed in range(seeds)
    ]
    table = pd.DataFrame(rows, columns=["shape", "depth", "beta", "rate", "lr", "seed", "begun"])
    logs = 3 + beta * np.log(table.beta) + depth * np.log(table.depth) + 0.01 * table.seed
    return table.assign(log_steps=logs, scheme="he")


def test_right_lengths_keep_the_mean_square_of_the_images():
    images = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))
    fill = runs.RightLengths(images, hidden=3)
    for seed in (0, 1):  # the same object fills one network after the other
        model = mlp([12, 6, 6, 6, 5])
        init.initialize(model, fill, seed=seed)
        h = images
        for layer in model[:-1]:
            h = layer(h).detach()
            if isinstance(layer, torch.nn.ReLU):
                assert h.square().mean().item() == pytest.approx(images.square().mean().item())
    plain = mlp([12, 6, 6, 6, 5])
    init.initialize(plain, "he_normal", seed=1)
    ratio = model[0].weight / plain[0].weight
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))
    torch.testing.assert_close(model[-1].weight, plain[-1].weight)


def test_right_lengths_leave_a_dead_layer_alone():
    fill = runs.RightLengths(torch.zeros(3, 4), hidden=1)
    assert torch.isfinite(fill(torch.empty(5, 4), generator=0)).all()


def test_starts_at_both_rates():
    options = {"replicas": 2, "trials": 1, "level": 2.2, "steps": 20, "batch_size": 16}
    options |= {"common": 0.01, "seed": 4}
    table = runs.start_table(load("mnist"), {"8x2": [8] * 2}, ["he"], [0.03, 0.1], **options)
    assert table.groupby(["rate", "shape"]).size().tolist() == [2, 2]
    assert (table.lr[table.rate == "common"] == 0.01).all()
    assert table.lr[table.rate == "own"].isin([0.03, 0.1]).all()
    assert (table.log_steps <= np.log(20)).all()
    assert table.beta.unique().tolist() == [0.25]
    both = ["right lengths", "orthogonal"]
    others = runs.start_table(load("mnist"), {"8x2": [8] * 2}, both, [], **options)
    assert others.groupby(["scheme", "rate"]).size().to_dict() == {
        ("orthogonal", "common"): 2,
        ("right lengths", "common"): 2,
    }


def test_exponents_are_those_that_made_the_steps():
    found = runs.exponents(toy_starts(0.5, 0.2), "own")
    assert found.shape == (8, 2)
    np.testing.assert_allclose(found.beta, 0.5)
    np.testing.assert_allclose(found.depth, 0.2)


def test_ranks():
    by_beta = toy_starts(1.0, 0.0)
    perfect = runs.rank_interval(by_beta, "common", "beta")
    assert perfect.value == pytest.approx(1)
    assert 0 < perfect.se < 0.01
    depth = runs.rank_interval(by_beta, "common", "depth")
    assert depth.low <= depth.value <= depth.high < 1
    np.testing.assert_allclose(runs.rank_leads(by_beta, "common"), 1 - depth.value)
    assert runs.rank_correlation([1, 2, 3, 4], [4, 3, 2, 0]) == pytest.approx(-1)


def test_figure_of_starts_names_what_it_shows():
    starts = toy_starts()
    rows = [
        (rate, name, 0.9, 0.8, 0.95) for rate in ("common", "own") for name in ("beta", "depth")
    ]
    ranks = pd.DataFrame(rows, columns=["rate", "name", "value", "low", "high"])
    deep = starts[(starts.rate == "common") & (starts.depth == 8)]
    mended = pd.concat([deep, deep.assign(scheme="right lengths", log_steps=2.0 + 0.1 * deep.seed)])
    fig = plot_starts(starts, ranks, mended, level=2.2)
    fig.draw_without_rendering()
    texts = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert sum("0.90 (0.80 to 0.95)" in text for text in texts) == 3
    assert {"4 layers", "8", "He", "right lengths"} <= set(texts)
    assert [len(ax.collections) for ax in fig.axes] == [2, 2, 2, 2]


def test_figure_of_lengths_has_theory_and_points():
    shapes = {"8x4": [8] * 4, "16x8": [16] * 8, "32x4": [32] * 4, "64x8": [64] * 8}
    sampled = {name: sample_lengths(widths, 200).signal for name, widths in shapes.items()}
    ends = {name: signal[:, -1] for name, signal in sampled.items()}
    laws = pd.concat([law_table(shapes, ends, activation) for activation in ("relu", "linear")])
    densities = pd.concat(
        log_density(ends[name], widths).assign(shape=name, beta=init.width_beta(widths))
        for name, widths in shapes.items()
    )
    fig = plot_lengths(sampled["16x8"], 16, densities, laws)
    fig.draw_without_rendering()
    words = " ".join(text.get_text() for ax in fig.axes for text in ax.texts)
    assert "8×4, 16×8" in words
    assert "32×4, 64×8" in words
    assert len(fig.axes[1].lines) == 8
