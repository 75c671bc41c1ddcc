"""Sampled lengths: shapes, seeds and tables; their law is tested in test_finite_width."""

import numpy as np
import pytest

import initlib as init
from initlib.lab.lengths import law_table, log_density, moments_of, sample_lengths


def test_networks_do_not_depend_on_how_many_there_are():
    few = sample_lengths([5, 3], 1200, inputs=4, key=7)
    many = sample_lengths([5, 3], 2100, inputs=4, key=7)
    assert (few.signal.shape, few.gradient.shape) == ((1200, 2), (1200,))
    np.testing.assert_array_equal(few.signal[:1000], many.signal[:1000])
    assert not np.array_equal(many.signal[:1000], many.signal[1000:2000])


def test_a_gradient_by_hand():
    # One linear layer of one unit: h = w x, so that M_1 / M_0 = (w x)^2 / x^2 = w^2; df/dx = v w.
    signal, gradient = sample_lengths([1], 2000, inputs=1, activation="linear", key=3)
    v_squared = gradient / signal[:, 0]
    assert v_squared.mean() == pytest.approx(1, abs=4.5 * (2 / 2000) ** 0.5)
    assert abs(np.corrcoef(np.log(v_squared), np.log(signal[:, 0]))[0, 1]) < 4.5 / 2000**0.5


def test_dead_networks_have_no_logarithm():
    moments = moments_of(np.array([0.0, 1.0, np.e]), mean=0.5)
    np.testing.assert_allclose(moments["mean"], [0, 1])
    np.testing.assert_allclose(moments["variance"], [0.25, 0.25])
    np.testing.assert_allclose(moments["second"], [0, 1, np.e**2])


def test_tables():
    shapes = {"a": [8] * 3, "b": [4, 16]}
    sampled = {name: sample_lengths(widths, 400).signal[:, -1] for name, widths in shapes.items()}
    table = law_table(shapes, sampled, "relu").set_index(["shape", "moment"])
    assert len(table) == 6
    assert table.theory["a", "mean"] == init.log_length([8] * 3).mean
    assert table.theory["b", "second"] == init.length_second_moment([4, 16])
    assert table.beta["b", "variance"] == pytest.approx(5 / 16)
    assert (table.low < table.value).all()
    assert (table.value < table.high).all()
    density = log_density(sampled["a"], shapes["a"])
    step = np.diff(density.log10)[0]
    assert (density.theory * step).sum() == pytest.approx(1, abs=1e-3)
    assert (density.density * step).sum() == pytest.approx(1, abs=0.05)
