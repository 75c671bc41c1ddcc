"""Phase diagrams against the theory point by point, and the line between order and chaos."""

import numpy as np
import pytest

from initlib.activations import ACTIVATIONS, activation
from initlib.critical import critical_line
from initlib.gains import gain
from initlib.log_tables import LogTable
from initlib.meanfield import MeanField
from initlib.moments import moments
from initlib.phase import phase_diagram

SIGMA_W, SIGMA_B = np.array([0.4, 1.0, 1.3, 1.9, 3.5]), np.array([0.0, 0.2, 1.5])


def compare(diagram, net, fields):
    for name in fields:
        found, exact = getattr(diagram, name), getattr(net, name)
        scale = np.maximum(1, np.where(np.isfinite(exact), exact, 1)) if name == "q_star" else 1
        np.testing.assert_array_equal(np.isinf(found), np.isinf(exact))
        finite = np.isfinite(exact)
        np.testing.assert_allclose((found / scale)[finite], (exact / scale)[finite], atol=1e-9)
    assert (diagram.phase == net.phase).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_variances_are_those_point_by_point(name):
    diagram = phase_diagram(name, SIGMA_W, SIGMA_B, correlations=False)
    net = MeanField(name, SIGMA_W, SIGMA_B[:, None])
    compare(diagram, net, ("q_star", "chi_q", "chi_1"))
    assert diagram.c_star is None
    assert diagram.xi_c is None


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "gelu", "silu", "mish", "sigmoid"])
def test_correlations_are_those_point_by_point(name):
    diagram = phase_diagram(name, SIGMA_W, SIGMA_B)
    compare(diagram, MeanField(name, SIGMA_W, SIGMA_B[:, None]), ("c_star", "chi_c"))


def test_kinks_report_their_progress():
    seen = []
    diagram = phase_diagram(
        "hardtanh", 1.4, 0.3, progress=lambda done, total: seen.append((done, total))
    )
    net = MeanField("hardtanh", 1.4, 0.3)
    np.testing.assert_allclose(diagram.c_star, net.c_star, atol=1e-7)
    np.testing.assert_allclose(diagram.xi_c, net.xi_c, rtol=1e-5)
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))]


def test_shapes_and_scales_of_one_axis():
    diagram = phase_diagram("relu", [1.0, 2.0, 3.0], 0.1)
    assert diagram.q_star.shape == diagram.xi_c.shape == (1, 3)
    with pytest.raises(ValueError, match="two axes of the grid"):
        phase_diagram("tanh", np.ones((2, 2)), 0.1)
    with pytest.raises(ValueError, match="sigma_b must be finite and not negative"):
        phase_diagram("tanh", 1.0, -0.1)
    with pytest.raises(ValueError, match="did you mean 'gelu'"):
        phase_diagram("gellu", 1.0, 0.1)


@pytest.mark.parametrize(("sigma_b_squared", "sigma_w_squared"), [(0.05, 1.7609546396), (0.0, 1.0)])
def test_critical_line_of_tanh(sigma_b_squared, sigma_w_squared):
    """Without biases chi_1 leaves one quadratically, and half the digits are lost."""
    line = critical_line("tanh", sigma_b_squared**0.5) ** 2
    assert line == pytest.approx(sigma_w_squared, abs=1e-10 if sigma_b_squared else 1e-7)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "linear"])
def test_homogeneous_activations_are_critical_at_their_gain(name):
    np.testing.assert_allclose(critical_line(name, [0.0, 0.4]), gain(name), rtol=1e-12)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "tanhshrink"])
def test_unstable_gains_are_where_order_ends(name):
    assert critical_line(name) == pytest.approx(gain(name), rel=1e-10)


@pytest.mark.parametrize("name", ["erf", "hardtanh", "softsign", "selu"])
def test_phases_change_across_the_line(name):
    line = critical_line(name, SIGMA_B[1:])
    for factor, phase in (1 - 1e-6, "ordered"), (1 + 1e-6, "chaotic"):
        assert set(MeanField(name, factor * line, SIGMA_B[1:]).phase) == {phase}


def test_there_may_be_no_line():
    assert critical_line("hardshrink", 0.3) == 0  # it parts all signals that meet its jumps
    assert critical_line(lambda x: 1 + 0 * x) == np.inf


def test_tables_are_read_to_ten_digits():
    phi = activation("tanh")

    def functions(q):
        m = moments(phi, q)
        return np.stack([m.second_moment, m.squared_derivative], axis=1)

    table = LogTable(functions, 1e-4, 1e4)
    q = np.geomspace(1e-4, 1e4, 97)
    for which, exact in enumerate(functions(q).T):
        np.testing.assert_allclose(table(q, which)[0], exact, atol=1e-10)
    slope = moments(phi, q).slope * moments(phi, q).second_moment
    np.testing.assert_allclose(table(q, 0)[1], slope, atol=1e-8)
