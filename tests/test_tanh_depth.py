"""How tanh fades: the map against its expansion, and networks against the map."""

import numpy as np
import pytest

from initlib.lab import tanh_depth
from initlib.lab.tanh_depth import fading, width_term


@pytest.fixture(scope="module")
def runs():
    return tanh_depth.deep_runs([16, 64], 8, networks=40, key=0)


def test_the_map_starts_as_its_expansion_says():
    q = np.array([1e-3, 1e-2])
    np.testing.assert_allclose(fading(q, 1)[0], q - 2 * q**2 + 17 / 3 * q**3, rtol=5e-5)


def test_every_input_fades_to_half_the_inverse_of_depth():
    np.testing.assert_allclose(2 * 400 * fading([0.5, 2.0, 50.0], 400)[-1], 1, rtol=0.01)


def test_the_term_in_width_has_the_tail_minus_a_third():
    terms = width_term(1.0, 300)
    assert terms[0] == 0  # exact at any width
    assert np.diff(terms)[-1] == pytest.approx(-1 / 3, abs=0.005)


def test_networks_follow_the_map(runs):
    for ratio in tanh_depth.decay_ratios(runs):
        assert ratio.value == pytest.approx(1, abs=5 * ratio.se)
    narrow = tanh_depth.narrow_ratios(runs)
    for layer, predicted in tanh_depth.narrow_theory(16).items():
        assert narrow[layer].value == pytest.approx(predicted, abs=5 * narrow[layer].se)
    gradient = tanh_depth.weight_gradient_ratio(runs)
    assert gradient.value == pytest.approx(1, abs=5 * gradient.se)


def test_runs_know_their_sizes(runs):
    assert (runs.narrow, runs.wide, runs.depth) == (16, 64, 8)
    assert runs.by_width[16][0].second.shape == (160, 8)


def test_tables_hold_every_panel(runs):
    table = tanh_depth.deep_tables(runs)
    assert table.groupby("panel").size().to_dict() == {"gradient": 16, "input": 24, "width": 16}
    wide = table[(table.panel == "width") & (table.width == 64)]
    narrow = table[(table.panel == "width") & (table.width == 16)]
    assert (narrow.corrected.to_numpy() < wide.corrected.to_numpy())[1:].all()
