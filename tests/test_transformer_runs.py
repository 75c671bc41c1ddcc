"""What notebook 18 measures is what its theory is about."""

import numpy as np
import pytest
import torch

from initlib import initialize, moments
from initlib.lab import transformer_runs as runs
from initlib.lab.stream_theory import BlockScale, stream_theory
from initlib.lab.text_source import Lexicon
from initlib.lab.text_training import text_contest, train_on_text
from initlib.lab.transformer import Transformer
from initlib.lab.transformer_figures import plot_streams, plot_text
from initlib.lab.transformer_starts import STARTS, block_scale, build, packed_shares, start_rules

LEXICON = Lexicon(["ba", "du", "badu"])
SHAPE = {"length": 6, "width": 8, "heads": 2}
OPTIONS = SHAPE | {"blocks": 1, "steps": 12, "batch_size": 2, "tested": 8}


@pytest.mark.parametrize("start", STARTS)
def test_weights_have_the_variances_that_theory_takes(start):
    model = Transformer(5, 4, width=96, heads=2, blocks=3)
    initialize(model, start_rules(start, 3), seed=0)
    scale, block = block_scale(start, 96, 3), model.blocks[2]
    weights = block.attention.in_proj_weight, block.attention.out_proj.weight
    for weight, variance in zip((*weights, block.up.weight, block.down.weight), scale, strict=True):
        # Gaussian: the mean square of m values has a relative error of sqrt(2 / m)
        z = (weight.square().mean().item() / variance - 1) / np.sqrt(2 / weight.numel())
        assert abs(z) < 4.5
    assert block.up.bias.abs().max() == 0
    assert model.token.weight.std().item() == pytest.approx(0.5**0.5, rel=0.1)
    assert model.head.weight.std().item() == pytest.approx(0.02, rel=0.15)


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match="no start 'hee'"):
        start_rules("hee", 2)
    with pytest.raises(ValueError, match="no start"):
        train_on_text(LEXICON, [("hee", 0.1, 0)], **OPTIONS)


def test_theory_of_one_position_is_a_sum_of_branches():
    scale = BlockScale(attention=0.02, out=0.03, up=0.04, down=0.01)
    line = stream_theory(np.ones((1, 1, 1)), scale, width=64, heads=4, blocks=3)
    gelu = moments("gelu", 64 * 0.04)
    attention, mlp = 64 * 0.02 * 64 * 0.03, 4 * 64 * 0.01 * gelu.second_moment
    steps = np.diff(line.signal)
    np.testing.assert_allclose(steps, [attention, mlp] * 3, rtol=1e-9)
    growth = line.gradient[1] / line.gradient[2]
    slope = 4 * 64 * 0.01 * 64 * 0.04 * gelu.squared_derivative
    assert growth == pytest.approx(1 + (1 - 2 / 64) * slope / line.signal[1], rel=1e-6)


def test_theory_is_that_of_wide_networks():
    table = runs.streams(
        LEXICON, ["he", "xavier scaled"], [2], length=6, width=192, heads=12, networks=6
    )
    ends = table[table.branch == 4].groupby("start")
    ratio = np.log(ends.signal.mean() / ends.signal_theory.mean())
    assert ratio.abs().max() < 0.12
    starts = table[table.branch == 0].groupby("start")
    ratio = np.log(starts.gradient.mean()) / np.log(starts.gradient_theory.mean())
    assert ratio.between(0.85, 1.2).all()


def test_what_is_added_makes_up_the_stream():
    table = runs.streams(LEXICON, ["he"], [1, 2], length=6, width=32, heads=2, networks=3)
    grown = runs.added(table)
    assert grown.index.names == ["start", "blocks", "seed"]
    assert len(grown) == 6
    own = table[(table.blocks == 2) & (table.seed == 1)]
    assert grown.loc[("he", 2, 1), "signal"] == pytest.approx(own.power.sum())
    assert own.power.iloc[0] == 0


def test_one_mlp_has_its_exact_moment():
    measured = np.array(runs.mlp_branches([48], draws=60)["48"])
    se = measured.std(ddof=1) / np.sqrt(60)
    assert abs(measured.mean() - runs.mlp_theory(48)[0]) < 4 * se


def test_torch_packs_and_initlib_does_not():
    shares = packed_shares(48, draws=6)
    np.testing.assert_allclose(shares["torch"], 0.5, rtol=0.06)
    np.testing.assert_allclose(shares["initlib"], 1.0, rtol=0.06)


def test_packed_shares_leave_torch_as_it_was():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    packed_shares(8, draws=2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_arms_of_one_seed_see_one_text_and_no_arm_another():
    arms = [("he", 0.01, 3), ("gpt2", 0.01, 3), ("he", 0.03, 4)]
    together, curves = train_on_text(LEXICON, arms, **OPTIONS)
    alone, own = train_on_text(LEXICON, arms[2:], **OPTIONS)
    np.testing.assert_allclose(curves[:, 2], own[:, 0], atol=2e-5)
    assert together.loss[2] == pytest.approx(alone.loss[0], abs=2e-5)


def test_starts_share_their_random_numbers():
    he, scaled = (build(LEXICON, s, [7], 6, width=8, heads=2, blocks=2)[0] for s in
                  ("he", "he scaled"))  # fmt: skip
    torch.testing.assert_close(he.blocks[1].down.weight, 2 * scaled.blocks[1].down.weight)
    torch.testing.assert_close(he.token.weight, scaled.token.weight)


def test_the_best_rate_is_that_of_the_best_worst_trial():
    held = text_contest(LEXICON, ["he"], [1e-5, 0.02], trials=2, replicas=2, **OPTIONS)
    assert set(held.results.lr) == {0.02}
    assert not set(held.tried.seed) & set(held.results.seed)
    assert held.losses["he"].shape == (12, 2)


def test_bad_counts_are_refused():
    with pytest.raises(ValueError, match="steps"):
        train_on_text(LEXICON, [("he", 0.1, 0)], **OPTIONS | {"steps": 0})
    with pytest.raises(ValueError, match="arms"):
        train_on_text(LEXICON, [], **OPTIONS)
    with pytest.raises(ValueError, match="start must be"):
        stream_theory(np.ones((2, 2)), BlockScale(1, 1, 1, 1), width=8, heads=2, blocks=1)


def test_figures_draw_what_they_are_given():
    table = runs.streams(LEXICON, ["normal", "he"], [2], length=6, width=16, heads=1, networks=3)
    fig = plot_streams(table, runs.mlp_branches([32, 64], draws=3))
    drawn = fig.axes[0].lines[0].get_ydata()
    own = table[(table.start == "normal") & (table.seed == 0)]
    np.testing.assert_allclose(drawn, own.signal_theory)
    held = text_contest(LEXICON, ["gpt2", "he"], [0.01, 0.02], trials=1, replicas=2, **OPTIONS)
    arms = [(start, lr, i) for start in ("gpt2", "he") for lr in (0.01, 0.02) for i in range(2)]
    fig = plot_text(held, train_on_text(LEXICON, arms, **OPTIONS)[0], LEXICON.ladder(6))
    assert [len(ax.lines) > 0 for ax in fig.axes] == [True] * 3
