"""Mean-field theory against mpmath, Monte Carlo, known laws and the gains."""

import math
import zlib

import mpmath
import numpy as np
import pytest
import torch
from mpmath import fp

from initlib.activations import ACTIVATIONS, activation
from initlib.gains import gain, gain_report
from initlib.meanfield import MeanField

SMOOTH_TO_ANY_SCALE = {
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "hardtanh": lambda x: max(mpmath.mpf(-1), min(mpmath.mpf(1), x)),
}


def by_mpmath(f, sigma_w, sigma_b):
    """Solve for q* and chi_1 with 15 digits, integrals by tanh-sinh and root by secant."""
    points = [-12, -5, -2, 0, 2, 5, 12]

    def expect(g, q):
        kinks = [k / mpmath.sqrt(q) for k in (-1, 1)]  # those of hardtanh; others do not mind
        return mpmath.quad(lambda z: g(mpmath.sqrt(q) * z) * mpmath.npdf(z), sorted(points + kinks))

    def excess(q):
        return sigma_w**2 * expect(lambda x: f(x) ** 2, q) + sigma_b**2 - q

    q = mpmath.findroot(excess, (0.5, 0.6), tol=1e-13)
    chi = sigma_w**2 * expect(lambda x: mpmath.diff(f, x) ** 2, q)
    return float(q), float(chi)


@pytest.mark.parametrize("name", SMOOTH_TO_ANY_SCALE)
def test_fixed_points_against_mpmath(name):
    sigma_w, sigma_b = 1.3, 0.4
    q, chi = by_mpmath(SMOOTH_TO_ANY_SCALE[name], sigma_w, sigma_b)
    net = MeanField(name, sigma_w, sigma_b)
    assert net.q_star == pytest.approx(q, abs=1e-9)
    assert net.chi_1 == pytest.approx(chi, abs=1e-8)
    assert max(net.errors().values()) < 1e-8


def test_fixed_point_of_correlations_against_mpmath():
    """The chaotic phase of tanh, by bisection on integrals over two normal variables."""
    sigma_w, sigma_b = 2.0, 0.3
    net = MeanField("tanh", sigma_w, sigma_b)
    std = math.sqrt(net.q_star)

    def map_(c):
        s = math.sqrt(1 - c * c)

        def over_second(z):
            value = math.tanh(std * z) * math.exp(-z * z / 2)
            return value * fp.quad(
                lambda w: math.tanh(std * (c * z + s * w)) * math.exp(-w * w / 2), [-9, -3, 0, 3, 9]
            )

        product = fp.quad(over_second, [-9, -3, 0, 3, 9]) / (2 * math.pi)
        return (sigma_w**2 * product + sigma_b**2) / net.q_star

    assert net.c_map(0.3) == pytest.approx(map_(0.3), abs=1e-11)
    assert net.c_star == pytest.approx(map_(net.c_star), abs=1e-11)
    h = 1e-3
    slope = (map_(net.c_star + h) - map_(net.c_star - h)) / (2 * h)
    assert net.xi_c == pytest.approx(-1 / math.log(slope), rel=1e-5)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n not in ("linear", "leaky_relu")])
def test_against_monte_carlo(name):
    """Four standard errors, n = 200 000 pairs: a false alarm in one of 200 runs over all names."""
    n, q, c = 200_000, 1.5, 0.6
    rng = np.random.default_rng(zlib.crc32(f"{name} in pairs".encode()))
    phi, net = activation(name), MeanField(name, 1.2, 0.3)
    x, z = np.sqrt(q) * rng.standard_normal((2, n))
    y = c * x + math.sqrt(1 - c * c) * z
    f = net.q_map(q)
    samples = {
        f: 1.44 * phi(x) ** 2 + 0.09,
        net.c_map(c, q): (1.44 * phi(x) * phi(y) + 0.09) / f,
    }
    if not phi.jumps:
        samples[net.chi(q)] = 1.44 * phi.derivative(x) ** 2
        samples[net.c_slope(c, q)] = 1.44 * phi.derivative(x) * phi.derivative(y) * q / f
    for expected, sample in samples.items():
        assert abs(sample.mean() - expected) <= 4 * sample.std() / np.sqrt(n) + 1e-12


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gains_are_fixed_points(name):
    report = gain_report(name)
    net = MeanField(name, report.second_moment)
    assert net.q_star == pytest.approx(1, abs=1e-12)
    assert net.chi_q == pytest.approx(report.slope, rel=1e-12)
    assert net.chi_1 == pytest.approx(report.chi_1, rel=1e-12)
    assert net.stable == (report.slope < 1)


@pytest.mark.parametrize(("name", "slope"), [("gelu", 1.144), ("silu", 1.173), ("mish", 1.076)])
def test_exact_gains_of_gelu_silu_and_mish_are_unstable(name, slope):
    net = MeanField(name, gain(name), q0=[0.99, 1.0, 1.01])
    assert net.chi_q[1] == pytest.approx(slope, abs=5e-4)
    assert not net.stable[1]
    assert net.q_star[0] < 1e-3
    assert net.q_star[2] == np.inf


def test_relu_keeps_every_variance_at_the_gain_of_he():
    q0 = np.array([0.01, 1.0, 50.0])
    net = MeanField("relu", 2**0.5, q0=q0)
    np.testing.assert_allclose(net.q_star, q0, rtol=1e-15)
    assert set(net.phase) == {"critical"}
    np.testing.assert_array_equal(net.xi_c, np.inf)
    below, above = MeanField("relu", 1.4, 0.1), MeanField("relu", 1.42, 0.1)
    assert below.q_star == pytest.approx(0.01 / (1 - 0.98))
    assert (above.q_star, above.phase) == (np.inf, "divergent")
    assert below.xi_q == pytest.approx(-1 / math.log(0.98))
    assert above.gradient_growth == pytest.approx(1.42 / 2**0.5)


def test_relu_makes_signals_alike_as_a_power_of_depth():
    """1 - c_L = 9 pi^2 / (2 L^2) in the end: Hayou et al. 2019."""
    net, c = MeanField("relu", 2**0.5), 0.0
    for _ in range(3000):
        c = net.c_map(c)
    assert (1 - c) * 3000**2 / (4.5 * np.pi**2) == pytest.approx(0.989, abs=2e-3)


@pytest.mark.parametrize("sigma_w", [0.3, 0.9, 1.0])
def test_tanh_dies_out_without_biases(sigma_w):
    net = MeanField("tanh", sigma_w)
    assert net.q_star == 0
    assert net.chi_1 == net.chi_q == pytest.approx(sigma_w**2)
    assert net.c_star == 1
    assert net.xi_c == (np.inf if sigma_w == 1 else pytest.approx(-0.5 / math.log(sigma_w)))


def test_critical_tanh_dies_out_as_a_power_of_depth():
    """q_l = 1 / (2 l): from q -> q - 2 q^2 for small q."""
    net, q = MeanField("tanh", 1.0), 1.0
    for _ in range(100):
        q = net.q_map(q)
    assert 200 * q == pytest.approx(1.0138, abs=1e-4)


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "sigmoid", "relu6"])
def test_slopes_are_those_of_the_maps(name):
    net, q, h = MeanField(name, 1.1, 0.2), 0.8, 1e-4
    numerical = (net.q_map(q + h) - net.q_map(q - h)) / (2 * h)
    assert net.q_slope(q) == pytest.approx(numerical, rel=1e-6)
    numerical = (net.c_map(0.4 + h, q) - net.c_map(0.4 - h, q)) / (2 * h)
    assert net.c_slope(0.4, q) == pytest.approx(numerical, rel=1e-6)
    assert net.c_slope(1.0, q) == pytest.approx(net.chi(q) * q / net.q_map(q), rel=1e-9)


def test_maps_settle_where_it_says():
    net, q, c = MeanField("tanh", 1.8, 0.2), 1.0, 0.1
    for _ in range(300):
        q = net.q_map(q)
    for _ in range(300):
        c = net.c_map(c)
    assert q == pytest.approx(net.q_star, abs=1e-11)
    assert c == pytest.approx(net.c_star, abs=1e-10)
    assert net.c_slope(c) == pytest.approx(net.chi_c, abs=1e-9)


def test_published_landmarks():
    """Tanh is critical at sigma_w^2 = 1.76 for sigma_b^2 = 0.05 (Schoenholz et al. 2017)."""
    assert MeanField("tanh", 1.7609546396**0.5, 0.05**0.5).chi_1 == pytest.approx(1, abs=1e-10)
    torch_tanh, torch_selu = MeanField("tanh", 5 / 3), MeanField("selu", 3 / 4)
    assert torch_tanh.phase == "chaotic"
    assert torch_tanh.chi_1 == pytest.approx(1.21, abs=5e-3)
    assert torch_selu.q_star == pytest.approx(0.023, abs=5e-4)
    assert MeanField("selu", 1.0).q_star == pytest.approx(1, abs=1e-12)
    siren = MeanField("sin", 1.0, 0.0, q0=2.0)
    assert siren.q_star == 0


def test_arrays_are_elementwise():
    sigma_w, sigma_b = np.array([[0.8], [1.7]]), np.array([0.0, 0.2, 0.7])
    net = MeanField("hardtanh", sigma_w, sigma_b)
    for name in ("q_star", "chi_1", "chi_q", "c_star", "xi_c", "xi_q", "gradient_growth", "phase"):
        together = getattr(net, name)
        assert together.shape == (2, 3)
        alone = [[getattr(MeanField("hardtanh", w, b), name) for b in sigma_b] for (w,) in sigma_w]
        if name == "phase":
            assert (together == alone).all()
        else:
            np.testing.assert_allclose(together, alone, rtol=1e-7)
    one = MeanField("hardtanh", 1.7, 0.2)
    assert {type(one.q_star), type(one.xi_c), type(one.c_map(0.5)), type(one.q_map(1))} == {float}
    assert (type(one.phase), type(one.stable)) == (str, bool)
    assert one.c_map([0.1, 0.2]).shape == (2,)


def test_functions_of_the_user():
    named, own = MeanField("silu", 1.4, 0.3), MeanField(lambda x: x * torch.sigmoid(x), 1.4, 0.3)
    for name in ("q_star", "chi_1", "chi_q", "c_star", "chi_c"):
        assert getattr(own, name) == pytest.approx(getattr(named, name), abs=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nothing_is_nan_at_the_extremes(name):
    net = MeanField(name, np.array([0.0, 0.01, 1.0, 20.0])[:, None], np.array([0.0, 3.0]))
    for what in ("q_star", "chi_1", "chi_q", "xi_q", "gradient_growth"):
        assert not np.isnan(getattr(net, what)).any(), what
    assert set(net.phase.ravel()) <= {"ordered", "critical", "chaotic", "divergent"}


def test_errors_are_returned_on_demand():
    net = MeanField("hardtanh", 1.5, 0.3)
    for value, error in (
        net.q_map(0.7, with_error=True),
        net.chi([0.7, 2.0], with_error=True),
        net.c_map(0.4, with_error=True),
        net.c_slope([0.1, 0.9], with_error=True),
    ):
        assert np.shape(value) == np.shape(error)
        assert np.all((np.asarray(error) > 0) & (np.asarray(error) < 1e-8))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("tahn", 1.0), ValueError, "did you mean 'tanh'"),
        (("tanh", -1.0), ValueError, "sigma_w must be finite and not negative"),
        (("tanh", 1.0, np.nan), ValueError, "sigma_b must be finite"),
        (("tanh", "wide"), TypeError, "sigma_w must be a number"),
        ((3, 1.0), TypeError, "expected the name of an activation"),
        ((np.cumsum, 1.0), TypeError, "element by element"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        MeanField(*arguments)


def test_bad_signals_are_refused():
    net = MeanField("tanh", 1.0, 0.1)
    with pytest.raises(ValueError, match="q0 must be positive"):
        MeanField("tanh", 1.0, q0=0)
    with pytest.raises(ValueError, match=r"correlation c must be in \[-1, 1\]"):
        net.c_map(1.1)
    with pytest.raises(ValueError, match="q must be finite and not negative"):
        net.q_map(-1)
    with pytest.raises(ValueError, match="q must be positive"):
        net.q_slope(0)
    with pytest.raises(ValueError, match="could not integrate"):
        MeanField(lambda x: 1 / x, 1.0).q_star  # noqa: B018


def test_jumps_part_all_signals():
    net = MeanField("hardshrink", 0.5, 0.3)
    assert (net.chi_1, net.phase) == (np.inf, "chaotic")
    assert net.c_star < 1
    assert net.c_map(1.0) == 1
