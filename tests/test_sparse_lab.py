"""Sparse layers and their training: laws that must come out, and identities."""

from functools import partial

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab import sparse_counts as count
from initlib.lab import sparse_units as units
from initlib.lab.data import load
from initlib.lab.estimates import estimate
from initlib.lab.rules import within
from initlib.lab.sparse_steps import depth_signals, filling, lit, lit_share

SPARSE = partial(init.sparse_, nonzeros=8)


@pytest.fixture(scope="module")
def data():
    return load("mnist", "unit").flat()


def test_rows_are_fixed_here_and_columns_in_torch():
    ours = count.lines(SPARSE, (32, 64), draws=4, key=1)
    assert (ours.rows == 8).all()
    assert ours.columns.std() > 1
    theirs = count.lines(partial(count.torch_sparse_, nonzeros=8), (64, 32), draws=4, key=1)
    assert (theirs.columns == 8).all()
    assert theirs.rows.std() > 1


def test_torch_fills_depend_on_the_key_alone():
    first, again, other = (
        count.torch_sparse_(torch.empty(32, 32), generator=init.stream_key(key), nonzeros=4)
        for key in (1, 1, 2)
    )
    assert first.equal(again)
    assert not first.equal(other)


@pytest.mark.parametrize(
    ("part", "variance"),
    [("row_sizes", 2 * 8), ("column_sizes", 8 * (3 - 8 / 64)), ("columns", 8 * (1 - 8 / 64))],
)
def test_sizes_and_counts_vary_as_derived(part, variance):
    # 200 draws: a variance that is off by 6 % would be seen with certainty.
    found = count.lines(SPARSE, (64, 64), draws=200, key=init.stream_key(0, part))
    measured = estimate(count.deviations(getattr(found, part), 8))
    assert within(4).passes(measured.value, variance, measured.se, 200).all()


def test_counts_stand_beside_the_binomial_law():
    table = count.count_table(count.lines(SPARSE, (64, 64), draws=50, key=3), "rows")
    fixed, free = (part for _, part in table.groupby("way"))
    assert fixed["count"].tolist() == [8]
    assert fixed.share.tolist() == fixed.theory.tolist() == [1.0]
    assert free.theory.sum() == pytest.approx(1, abs=1e-4)
    assert np.abs(free.share - free.theory).max() < 0.03


def test_sizes_follow_chi_square():
    sizes = count.lines(SPARSE, (64, 64), draws=100, key=4).row_sizes / 8
    table = count.size_table({"sparse": (sizes, 8)}, bins=30)
    assert (table.theory * 0.1).sum() == pytest.approx(1, abs=0.01)
    assert np.abs(table.density - table.theory).max() < 0.1


def test_inputs_that_nobody_reads():
    table = count.unread_table([(32, 4), (32, 8)], 8, draws=200, key=5)
    assert table.theory.tolist() == [0.75**4, 0.75**8]
    assert within(4).passes(table.value, table.theory, table.se, 200).all()


def test_tails_depend_on_the_law_of_inputs():
    table = units.tail_table([4, 16], 64, draws=100, key=6)
    assert table.theory[table.law == "signs"].eq(0).all()
    assert within(4).passes(table.value, table.theory, table.se, 100).all()


def test_units_are_alike_at_any_number_of_weights():
    table = units.cosine_table([1, 8, 64], 64, draws=50, key=7)
    assert within(4).passes(table.value, table.theory, table.se, 50).all()
    assert table.apart.is_monotonic_decreasing


def test_covariance_over_images_does_not_see_zeros(data):
    images, key = data.x_train[:200], init.stream_key(8)
    found = estimate(units.image_overlaps(SPARSE, images, 8 / 784, draws=60, key=key))
    assert within(4).passes(found.value, 1.0, found.se, 60).all()


def test_zeros_last_where_pixels_are_dark(data):
    options = {"hidden": 16, "networks": 3, "seed": 9, "batch_size": 16}
    filled = filling(data, SPARSE, steps=3, **options)
    start, after, end = filled.weights
    assert filled.shares[0] == pytest.approx(8 / 784)
    assert filled.shares.shape == (4, 3)
    assert filled.table().step.tolist() == [0, 1, 2, 3]
    dark = ~lit(data.x_train)
    assert (end[..., dark] == start[..., dark]).all()
    # A unit's weights fill on all lit pixels at once, or not at all if it feeds nothing.
    area = lit_share(data, seed=9, batch_size=16)
    new = ((after != 0) & (start == 0)).double().mean(dim=2)
    assert ((new == 0) | (new > 0.9 * area)).all()
    assert [image.shape for image in filled.unit().values()] == [(28, 28)] * 3


def test_linear_networks_keep_their_signal():
    fill = partial(init.sparse_, nonzeros=8, std=8**-0.5)
    found = depth_signals(fill, 1.0, "linear", n=64, depth=4, draws=100, key=10)
    assert within(4).passes(found.factor.value, 1.0, found.factor.se, 100).all()
    assert found.errors.layer.tolist() == [1, 2, 3, 4]
