"""Roots of many functions at once, against solutions that are known."""

import numpy as np
import pytest

from initlib.roots import bracketed_roots


def test_roots_are_found_to_the_last_digits():
    a = np.geomspace(1e-9, 1e9, 37)
    roots = bracketed_roots(lambda x, a: x**3 - a, (0 * a, -a), (1e4 + a, (1e4 + a) ** 3 - a), a)
    np.testing.assert_allclose(roots, np.cbrt(a), rtol=1e-15)


@pytest.mark.parametrize("end", [0, 1])
def test_a_root_at_an_end_stays_there(end):
    def f(x):
        return x - float(end)

    zero, one = np.zeros(1), np.ones(1)
    assert bracketed_roots(f, (zero, f(zero)), (one, f(one))) == end


def test_a_jump_is_where_the_sign_changes():
    def f(x):
        return np.where(x < 0.3, -1.0, 1e6)

    roots = bracketed_roots(f, (np.zeros(1), f(np.zeros(1))), (np.ones(1), f(np.ones(1))))
    assert roots[0] == pytest.approx(0.3, abs=1e-15)


def test_flat_and_steep_functions_take_less_than_bisection_twice():
    calls = 0

    def f(x, power):
        nonlocal calls
        calls += 1
        return np.sign(x - 0.7) * np.abs(x - 0.7) ** power

    power = np.array([0.2, 1.0, 9.0])
    ends = (np.zeros(3), f(np.zeros(3), power)), (np.ones(3), f(np.ones(3), power))
    np.testing.assert_allclose(bracketed_roots(f, *ends, power), 0.7, rtol=1e-15)
    assert calls < 130


def test_the_same_sign_at_both_ends_is_refused():
    with pytest.raises(ValueError, match="same sign"):
        bracketed_roots(lambda x: 1 + x, (np.zeros(1), np.ones(1)), (np.ones(1), 2 * np.ones(1)))
