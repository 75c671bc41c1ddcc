"""Where orbits end, for maps that are known in closed form."""

import numpy as np
import pytest

from initlib.settling import depth_scale, name_phase, settle_variance


def power(exponent):
    """V(q) = q^exponent, and its slope in logarithms."""
    return lambda q: (q**exponent, np.full(q.shape, exponent))


@pytest.mark.parametrize(
    ("exponent", "sigma_w", "sigma_b", "q0", "end"),
    [
        (0.5, 2.0, 0.0, 1.0, 16.0),  # q = 4 sqrt(q)
        (0.5, 2.0, 0.0, 1e6, 16.0),
        (2.0, 1.0, 0.0, 0.9, 0.0),  # an unstable fixed point at one
        (2.0, 1.0, 0.0, 1.0, 1.0),
        (2.0, 1.0, 0.0, 1.1, np.inf),
        (1.0, 0.9, 1.0, 5.0, 1 / 0.19),
        (1.0, 1.0, 0.0, 3.0, 3.0),
        (1.0, 1.0, 1e-3, 3.0, np.inf),
        (0.0, 0.0, 0.5, 7.0, 0.25),
        (-0.5, 1.0, 0.0, 8.0, 1.0),
        (1.0, 0.0, 0.0, 1.0, 0.0),
    ],
)
def test_orbits_end_where_algebra_says(exponent, sigma_w, sigma_b, q0, end):
    scales = (np.array([value]) for value in (sigma_w, sigma_b, q0))
    (found,) = settle_variance(power(exponent), *scales)
    assert found == pytest.approx(end, rel=1e-12)


def test_slow_orbits_are_followed_to_their_end():
    """q -> q (1 - q): q_l = 1 / l, a power of depth, to zero."""

    def creeping(q):
        return q * np.exp(-q), 1 - q

    (found,) = settle_variance(creeping, np.ones(1), np.zeros(1), np.ones(1))
    assert found == 0


def test_orbits_stop_at_the_first_fixed_point():
    """Stable ones at log q = 0.6 + 1.2 k, with unstable ones between them."""
    wave = 2 * np.pi / 1.2

    def wavy(q):
        u = np.log(q)
        return q * np.exp(0.25 * np.sin(wave * u)), 1 + 0.25 * wave * np.cos(wave * u)

    start = np.array([0.05, 0.5, 1.15, 1.3, -0.1, 7.1])
    found = settle_variance(wavy, np.ones(6), np.zeros(6), np.exp(start))
    np.testing.assert_allclose(np.log(found), [0.6, 0.6, 0.6, 1.8, -0.6, 6.6], atol=1e-12)


def test_depth_scales():
    np.testing.assert_allclose(
        depth_scale([0.0, np.exp(-0.5), -np.exp(-0.5), 1.0, 1.7]), [0, 2, 2, np.inf, np.inf]
    )


def test_names_of_phases():
    names = name_phase(np.array([1, 1, 1, np.inf]), np.array([0.9, 1 + 1e-12, 1.1, 0.9]))
    assert names.tolist() == ["ordered", "critical", "chaotic", "divergent"]
