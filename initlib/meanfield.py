"""Mean-field theory of wide networks: how signals, their correlations and gradients travel."""

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from initlib.activations import Activation, Function
from initlib.callables import as_activation
from initlib.checks import check_not_negative
from initlib.correlation import Correlation
from initlib.responses import Response, product, respond, respond_to_pair
from initlib.settling import (
    AT_REST,
    CRITICAL,
    LARGEST,
    depth_scale,
    name_phase,
    settle_angle,
    settle_variance,
)

Phase = Literal["ordered", "critical", "chaotic", "divergent"]
Value = float | np.ndarray
_AT_ONCE = 2048  # points: bounds the memory of their Hermite series to some 50 MB


class MeanField:
    r"""Signal propagation in a wide network of one activation, from its two scales.

    Layers are :math:`x_l = W_l\, \phi(x_{l-1}) + b_l`, with independent weights of mean zero and
    variance :math:`\sigma_w^2 / \mathrm{fan\_in}`, biases of mean zero and variance
    :math:`\sigma_b^2`, and many units. Then the pre-activations are Gaussian; with
    :math:`x, y \sim N(0, q)` of correlation c,

    ===============  ===========================================================================
    variance         :math:`q \mapsto f(q) = \sigma_w^2 E \phi(x)^2 + \sigma_b^2`
    correlation      :math:`c \mapsto (\sigma_w^2 E \phi(x) \phi(y) + \sigma_b^2) / f(q)`
    gradient         squared norms grow by :math:`\chi = \sigma_w^2 E \phi'(x)^2` a layer, going
                     back
    ===============  ===========================================================================

    The attributes describe where that leads, from a variance `q0` and any correlation in (0, 1):

    ===================  =======================================================================
    `q_star`             the variance deep in the network; 0 if the signal dies out, inf if it
                         grows for ever
    `chi_q`, `stable`    slope of the variance map there, and whether it is below one: if not,
                         `q0` is an unstable fixed point, and only exactly there it stays
    `chi_1`              growth of squared gradients a layer; slope of the correlation map at 1
    `gradient_growth`    growth of gradient norms a layer, the square root of `chi_1`
    `phase`              "ordered", "critical" or "chaotic", as `chi_1` is below, at (to within
                         1e-9) or above one; "divergent" if `q_star` is infinite
    `c_star`, `chi_c`    the correlation deep in the network, and the map's slope there
    `xi_q`, `xi_c`       layers over which deviations of q and c fall by a factor e,
                         :math:`-1 / \log |\chi|`; inf if they do not, or only as a power of depth
    ===================  =======================================================================

    All are floats for scalar scales, else arrays of their common shape. What is exact:

    - ReLU at He's :math:`\sigma_w = \sqrt 2`, :math:`\sigma_b = 0` keeps every variance: `q_star`
      is `q0`. Above it `q_star` is inf, and everything else is the limit for large q.
    - tanh at :math:`\sigma_b = 0`, :math:`\sigma_w \le 1` has `q_star` 0. What follows is then the
      limit for small biases, such as `chi_1` = :math:`\sigma_w^2 \phi'(0)^2`.
    - Variances below 1e-12 count as 0, above 1e24 as inf.
    - An activation that jumps has `chi_1` inf, but correlations like any other.

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function of NumPy arrays or torch tensors.
    sigma_w : float or array
        Standard deviation of the weights, times the square root of fan-in.
    sigma_b : float or array
        Standard deviation of the biases.
    q0 : float or array
        The variance to start from; it matters where there are several fixed points.

    Raises
    ------
    ValueError
        For a scale that is negative or not finite, or a function that cannot be integrated.
    TypeError
        If the activation is not elementwise.

    Examples
    --------
    >>> net = MeanField("tanh", sigma_w=1.5, sigma_b=0.3)
    >>> round(net.q_star, 4), round(net.chi_1, 4), net.phase
    (0.9608, 1.061, 'chaotic')
    >>> round(net.c_star, 4), round(net.xi_c, 2), round(net.xi_q, 2)
    (0.7668, 19.92, 1.17)
    >>> relu = MeanField("relu", sigma_w=[1, 2**0.5, 2])
    >>> relu.q_star, relu.phase
    (array([ 0.,  1., inf]), array(['ordered', 'critical', 'divergent'], dtype='<U9'))

    References
    ----------
    Poole et al. 2016 (the maps, order and chaos); Schoenholz et al. 2017 (gradients and depth
    scales).
    """

    def __init__(
        self,
        activation: str | Activation | Function,
        sigma_w: ArrayLike,
        sigma_b: ArrayLike = 0.0,
        *,
        q0: ArrayLike = 1.0,
    ):
        self.activation = as_activation(activation)
        given = {"sigma_w": sigma_w, "sigma_b": sigma_b, "q0": q0}
        checked = [check_not_negative(*pair) for pair in given.items()]
        _check_positive("q0", checked[-1])
        self.sigma_w, self.sigma_b, self.q0 = np.broadcast_arrays(*checked)

    def __repr__(self) -> str:
        scales = ", ".join(f"{name}={getattr(self, name)}" for name in ("sigma_w", "sigma_b"))
        return f"MeanField({self.activation.name!r}, {scales})"

    def q_map(self, q: ArrayLike, *, with_error: bool = False) -> Value | tuple[Value, Value]:
        r"""Map the variance of pre-activations through one layer.

        .. math:: f(q) = \sigma_w^2 E \phi(\sqrt q z)^2 + \sigma_b^2, \qquad z \sim N(0, 1)

        Parameters
        ----------
        q : float or array
            Finite, not negative; broadcast against the scales.
        with_error : bool
            Whether to return a pair: the value, and its estimated absolute error.

        Examples
        --------
        >>> MeanField("tanh", 1.5, 0.3).q_map([0.5, 1.0]).round(4)
        array([0.7058, 0.9772])
        >>> MeanField("relu", 2**0.5, 0.1).q_map(3.0, with_error=True)[1] < 1e-13
        True
        """
        q, variance, bias = self._broadcast("q", q)
        r = respond(self.activation, q)
        return _output(variance * r.v + bias, variance * r.v * r.error, with_error)

    def q_slope(self, q: ArrayLike, *, with_error: bool = False) -> Value | tuple[Value, Value]:
        """Differentiate `q_map`; the parameters are the same, but q must be positive.

        Examples
        --------
        >>> MeanField("tanh", 1.5, 0.3).q_slope([0.5, 1.0]).round(4)
        array([0.7304, 0.409 ])
        """
        q, variance, _ = self._broadcast("q", q, positive=True)
        r = respond(self.activation, q)
        return _output(variance * r.slope, variance * r.v / q * r.error, with_error)

    def chi(self, q: ArrayLike, *, with_error: bool = False) -> Value | tuple[Value, Value]:
        r"""Return the growth of squared gradients by a layer whose pre-activations are N(0, q).

        .. math:: \chi(q) = \sigma_w^2 E \phi'(\sqrt q z)^2

        Parameters and returns are those of `q_map`, but q must be positive; infinite where the
        activation jumps.

        Examples
        --------
        >>> MeanField("tanh", 1.5, 0.3).chi([0.5, 1.0]).round(4)
        array([1.333 , 1.0449])
        """
        q, variance, _ = self._broadcast("q", q, positive=True)
        r = respond(self.activation, q)
        chi = product(variance, r.d)
        return _output(chi, chi * r.error, with_error)

    def c_map(
        self, c: ArrayLike, q: ArrayLike | None = None, *, with_error: bool = False
    ) -> Value | tuple[Value, Value]:
        r"""Map the correlation of the pre-activations of two signals through one layer.

        .. math:: c \mapsto (\sigma_w^2 E \phi(x) \phi(y) + \sigma_b^2) / f(q)

        for x, y ~ N(0, q) with correlation c.

        Parameters
        ----------
        c : float or array
            In [-1, 1]; broadcast against the scales.
        q : float or array, optional
            The variance of both pre-activations, `q_star` by default.
        with_error : bool
            Whether to return a pair: the value, and its estimated absolute error.

        Examples
        --------
        ReLU layers make all signals alike, but slowly:

        >>> relu, c = MeanField("relu", sigma_w=2**0.5), 0.0
        >>> for _ in range(100):
        ...     c = relu.c_map(c)
        >>> print(f"1 - c = {1 - c:.6f}, 9 pi^2 / (2 L^2) = {9 * np.pi**2 / (2 * 100**2):.6f}")
        1 - c = 0.003577, 9 pi^2 / (2 L^2) = 0.004441

        References
        ----------
        Cho and Saul 2009 (the kernel of ReLU); Hayou et al. 2019 (that law).
        """
        c, strength, chord, _, error = self._pair(c, q)
        apart = strength * (1 - c)
        return _output(1 - product(apart, chord), product(apart, error), with_error)

    def c_slope(
        self, c: ArrayLike, q: ArrayLike | None = None, *, with_error: bool = False
    ) -> Value | tuple[Value, Value]:
        r"""Differentiate `c_map`, to :math:`\sigma_w^2 E \phi'(x) \phi'(y)\, q / f(q)`.

        The parameters are the same.

        Examples
        --------
        >>> MeanField("tanh", 1.5, 0.3).c_slope([0.0, 1.0]).round(4)
        array([0.8454, 1.061 ])
        """
        _, strength, _, slope, error = self._pair(c, q)
        return _output(product(strength, slope), product(strength, error), with_error)

    @cached_property
    def q_star(self) -> Value:
        """The variance deep in the network."""

        def length_map(q):
            r = respond(self.activation, q)
            return r.v, r.slope * q / np.maximum(r.v, np.finfo(float).tiny)

        scales = (a.ravel() for a in (self.sigma_w, self.sigma_b, self.q0))
        return plain(settle_variance(length_map, *scales).reshape(self.q0.shape))

    @property
    def chi_1(self) -> Value:
        """The growth of squared gradients by a layer, deep in the network."""
        return plain(product(self.sigma_w**2, self._rest.d))

    @property
    def chi_q(self) -> Value:
        """The slope of the variance map at `q_star`."""
        return plain(self.sigma_w**2 * self._rest.slope)

    @property
    def stable(self) -> bool | np.ndarray:
        """Whether deviations from `q_star` die out."""
        return plain(np.abs(self.chi_q) < 1)

    @property
    def gradient_growth(self) -> Value:
        """The growth of gradient norms by a layer, deep in the network."""
        return plain(np.sqrt(self.chi_1))

    @property
    def phase(self) -> Phase | np.ndarray:
        """What becomes of two signals."""
        return plain(name_phase(np.asarray(self.q_star), np.asarray(self.chi_1)))

    @property
    def c_star(self) -> Value:
        """The correlation of any two signals, deep in the network."""
        return plain(self._meeting[0])

    @property
    def chi_c(self) -> Value:
        """The slope of the correlation map at `c_star`."""
        return plain(self._meeting[1])

    @property
    def xi_q(self) -> Value:
        """Layers over which a deviation from `q_star` falls by a factor e."""
        return plain(depth_scale(self.chi_q))

    @property
    def xi_c(self) -> Value:
        """Layers over which a deviation from `c_star` falls by a factor e."""
        return plain(depth_scale(self.chi_c))

    def errors(self) -> dict[str, Value]:
        """Estimate the absolute errors of `q_star`, `chi_q`, `chi_1`, `c_star` and `chi_c`.

        Those of the expectations, carried through to first order; near criticality, where fixed
        points depend on them strongly, they grow. The error of a depth scale xi is xi^2 times that
        of log chi.

        Examples
        --------
        >>> max(MeanField("tanh", 1.5, 0.3).errors().values()) < 1e-9
        True
        """
        r, variance, q = self._rest, self.sigma_w**2, np.asarray(self.q_star)
        settled = (q > 0) & np.isfinite(q) & (q != self.q0)
        finite = np.where(settled, q, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = variance * r.v * r.error / np.abs(1 - self.chi_q) / finite
        moved = np.where(settled, moved, np.where(q == self.q0, AT_REST, 0))
        # The mean of a square grows with q by a power that is rarely above one.
        relative = r.error + moved
        c, chi_c = self._meeting
        c_error, chi_c_error = np.zeros(c.shape), np.array(chi_c * relative)
        apart = c < 1
        if apart.any():
            _, strength, chord, slope, error = (a[apart] for a in self._pair(c, None))
            error = error + chord * moved[apart]
            shift = error / (chord - slope)
            c_error[apart] = (1 - c[apart]) * shift
            chi_c_error[apart] = strength * (error + slope * shift)
        return {
            "q_star": plain(finite * np.where(q > 0, moved, 0)),
            "chi_q": plain(variance * r.slope * relative),
            "chi_1": plain(product(variance, r.d) * relative),
            "c_star": plain(c_error),
            "chi_c": plain(chi_c_error),
        }

    @cached_property
    def _rest(self) -> Response:
        return respond(self.activation, np.asarray(self.q_star))

    @property
    def _strength(self) -> np.ndarray:
        """sigma_w^2 q / f(q) at the fixed point; as q goes to infinity, biases do not matter."""
        with np.errstate(divide="ignore"):
            limit = LARGEST / self._rest.v
        return np.where(np.isinf(self.q_star), limit, self.sigma_w**2)

    @cached_property
    def _meeting(self) -> tuple[np.ndarray, np.ndarray]:
        """c_star and chi_c."""
        strength, q = self._strength.ravel(), np.minimum(self.q_star, LARGEST).ravel()
        slope = product(strength, self._rest.d.ravel())
        c, parting = np.ones(len(q)), np.flatnonzero(slope > 1 + CRITICAL)
        for i in range(0, parting.size, _AT_ONCE):
            some = parting[i : i + _AT_ONCE]
            pairs = Correlation(self.activation, q[some])
            theta = settle_angle(pairs.chord, strength[some], slope[some])
            c[some] = np.where(theta < np.pi / 2, np.cos(theta), 0)
            slope[some] = strength[some] * pairs(theta, np.arange(len(theta)))[1]
        # A map that keeps all angles, as the linear one that a diverging signal sees, keeps zero.
        neutral = (q == LARGEST) & (np.abs(slope - 1) <= CRITICAL)
        c, slope = np.where(neutral, 1, c), np.where(neutral, 1, slope)
        return c.reshape(self.q0.shape), slope.reshape(self.q0.shape)

    def _broadcast(self, name, value, *, positive=False):
        value = check_not_negative(name, value)
        if positive:
            _check_positive(name, value)
        return np.broadcast_arrays(value, self.sigma_w**2, self.sigma_b**2)

    def _pair(self, c, q):
        """c and sigma_w^2 q / f(q), then chord and slope, and their error."""
        c = np.asarray(c, dtype=float)
        if not np.all(np.abs(c) <= 1):
            raise ValueError(f"a correlation c must be in [-1, 1], got {c}")
        if q is None:
            q, strength = np.asarray(self.q_star), self._strength
        else:
            q, variance, bias = self._broadcast("q", q)
            r = respond(self.activation, q)
            f = variance * r.v + bias
            strength = np.divide(variance * q, f, out=np.zeros(q.shape), where=f > 0)
        c, q, strength = np.broadcast_arrays(c, q, strength)
        chord, slope, error = respond_to_pair(self.activation, q, np.arccos(c))
        return tuple(map(np.asarray, (c, strength, chord, slope, error)))


def _check_positive(name, value):
    if not np.all(value > 0):
        raise ValueError(f"{name} must be positive, got {value}: variance zero is no signal")


def plain(array: np.ndarray):
    """Return an array of no dimensions as the scalar that it is."""
    array = np.asarray(array)
    return array.item() if array.ndim == 0 else array


def _output(value, error, with_error):
    return (plain(value), plain(error)) if with_error else plain(value)
