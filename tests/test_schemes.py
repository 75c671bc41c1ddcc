"""The named schemes and the fills: each against its exact law, and every wrong argument refused.

What a law should be is written here by hand, from the formulas of the papers. See laws.py for the
tests, their level and their power.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import Z, check_law
from scipy import stats

import initlib as init
from initlib import fills, schemes
from initlib.sampling import stream_key
from initlib.schemes import VARIANCE_SCALING

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
# Each of 200 000 weights or more: linear, two and three kernel dimensions; with (fan_in, fan_out).
SHAPES = {
    (400, 500): (500, 400),
    (96, 64, 6, 6): (64 * 36, 96 * 36),
    (40, 25, 6, 6, 6): (25 * 216, 40 * 216),
}


def normal(std, mean=0.0):
    return stats.norm(mean, std)


def uniform(bound):
    return stats.uniform(-bound, 2 * bound)


def truncated(std):
    """N(0, s^2) cut at +-2 s, with s such that the rest has standard deviation `std`."""
    wide = std / 0.87962566103423978
    return stats.truncnorm(-2, 2, scale=wide)


FILLS = {
    "uniform": (lambda w, g: init.uniform_(w, -0.3, 1.7, g), stats.uniform(-0.3, 2)),
    "normal": (lambda w, g: init.normal_(w, 0.5, 2.0, g), normal(2.0, 0.5)),
    "trunc_normal": (
        lambda w, g: init.trunc_normal_(w, 0.2, 0.8, -1.0, 2.0, g),
        stats.truncnorm(-1.5, 2.25, loc=0.2, scale=0.8),
    ),
    "trunc_normal beyond the mean": (
        lambda w, g: init.trunc_normal_(w, 0.0, 1.0, 2.0, 3.0, g),
        stats.truncnorm(2, 3),
    ),
    "trunc_normal, one bound": (
        lambda w, g: init.trunc_normal_(w, 1.0, 2.0, 0.0, math.inf, g),
        stats.truncnorm(-0.5, math.inf, loc=1, scale=2),
    ),
    "trunc_normal in std": (
        lambda w, g: init.trunc_normal_(w, 0.1, 0.02, -2, 2, g, bounds="std"),
        stats.truncnorm(-2, 2, loc=0.1, scale=0.02),
    ),
    "trunc_normal corrected": (
        lambda w, g: init.trunc_normal_(w, 0.0, 0.02, generator=g, bounds="corrected"),
        truncated(0.02),
    ),
}

VARIANCES = {
    "fan_in": lambda i, o: 3 / i,
    "fan_out": lambda i, o: 3 / o,
    "fan_avg": lambda i, o: 6 / (i + o),
    "fan_geo": lambda i, o: 3 / math.sqrt(i * o),
}
SCHEMES = {
    "xavier_uniform": (
        lambda w, g: init.xavier_uniform_(w, generator=g),
        lambda i, o: uniform(math.sqrt(6 / (i + o))),
    ),
    "xavier_uniform, gain": (
        lambda w, g: init.xavier_uniform_(w, 1.7, g),
        lambda i, o: uniform(1.7 * math.sqrt(6 / (i + o))),
    ),
    "xavier_normal": (
        lambda w, g: init.xavier_normal_(w, 0.5, g),
        lambda i, o: normal(0.5 * math.sqrt(2 / (i + o))),
    ),
    "kaiming_uniform": (
        lambda w, g: init.kaiming_uniform_(w, generator=g),
        lambda i, o: uniform(math.sqrt(6 / i)),
    ),
    "kaiming_uniform, torch's layers": (
        lambda w, g: init.kaiming_uniform_(w, math.sqrt(5), generator=g),
        lambda i, o: uniform(1 / math.sqrt(i)),
    ),
    "kaiming_normal": (
        lambda w, g: init.kaiming_normal_(w, generator=g),
        lambda i, o: normal(math.sqrt(2 / i)),
    ),
    "kaiming_normal, backward": (
        lambda w, g: init.kaiming_normal_(w, 0.2, "fan_out", "leaky_relu", g),
        lambda i, o: normal(math.sqrt(2 / 1.04 / o)),
    ),
    "kaiming_normal, tanh": (
        lambda w, g: init.kaiming_normal_(w, nonlinearity="tanh", generator=g),
        lambda i, o: normal(5 / 3 / math.sqrt(i)),
    ),
    "lecun_uniform": (
        lambda w, g: init.lecun_uniform_(w, g),
        lambda i, o: uniform(math.sqrt(3 / i)),
    ),
    "lecun_normal": (
        lambda w, g: init.lecun_normal_(w, g),
        lambda i, o: normal(1 / math.sqrt(i)),
    ),
    "standard_uniform": (
        lambda w, g: init.standard_uniform_(w, g),
        lambda i, o: uniform(1 / math.sqrt(i)),
    ),
} | {
    f"variance_scaling, {mode}, {name}": (
        lambda w, g, m=mode, d=name: init.variance_scaling_(w, 3.0, m, d, g),
        lambda i, o, v=variance, law=law: law(math.sqrt(v(i, o))),
    )
    for mode, variance in VARIANCES.items()
    for name, law in {
        "normal": normal,
        "uniform": lambda std: uniform(math.sqrt(3) * std),
        "truncated_normal": truncated,
    }.items()
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", FILLS)
def test_fill_follows_its_law(name, dtype):
    fill, law = FILLS[name]
    check_law(fill(torch.empty(250, 800, dtype=dtype), stream_key(0, name)), law)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", SCHEMES)
def test_scheme_follows_its_law(name, shape, dtype):
    fill, law = SCHEMES[name]
    key = stream_key(0, name, str(shape))
    check_law(fill(torch.empty(shape, dtype=dtype), key), law(*SHAPES[shape]))


def from_seven_bits(n, rng):
    return stats.norm.ppf((rng.integers(0, 128, n) + 0.5) / 128)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda n, rng: 1.015 * rng.standard_normal(n),
        lambda n, rng: 0.02 + rng.standard_normal(n),
        lambda n, rng: stats.truncnorm.rvs(-3.6, 3.6, size=n, random_state=rng),
        lambda n, rng: stats.logistic.rvs(scale=math.sqrt(3) / math.pi, size=n, random_state=rng),
        from_seven_bits,
    ],
    ids=["std", "mean", "cut tails", "logistic", "seven bits"],
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_tests_of_a_law_have_the_power_they_claim(wrong, dtype):
    rng = np.random.default_rng(int.from_bytes(b"power"))
    sample = torch.from_numpy(wrong(200_000, rng)).to(dtype)
    with pytest.raises(AssertionError):
        check_law(sample, normal(1.0))


@pytest.mark.parametrize(
    ("layer", "name", "fan_in"),
    [
        (torch.nn.Conv2d(4096, 4096, 7, groups=4096), "weight", 49),
        (torch.nn.ConvTranspose2d(128, 100, 4, stride=2), "weight", 128 * 16 / 4),
        (torch.nn.MultiheadAttention(260, 2), "in_proj_weight", 260),
    ],
    ids=["depthwise", "transposed", "packed"],
)
def test_fans_of_the_layer(layer, name, fan_in):
    weight = getattr(layer, name)
    init.he_normal_(weight, generator=stream_key(0, "layers"), layer=layer)
    check_law(weight, normal(math.sqrt(2 / fan_in)))


def test_table_holds_the_law_of_every_named_scheme():
    named = {name for name in vars(schemes) if name.endswith("_") and not name.startswith("_")}
    assert {f"{name}_" for name in VARIANCE_SCALING} == named
    for name, law in VARIANCE_SCALING.items():
        by_name = getattr(init, f"{name}_")(torch.empty(30, 70), generator=1)
        by_law = init.variance_scaling_(torch.empty(30, 70), *law, generator=1)
        torch.testing.assert_close(by_name, by_law, rtol=1e-6, atol=0)
        assert law.std(init.fans((30, 70))) == pytest.approx(
            math.sqrt(law.scale / {"fan_in": 70, "fan_avg": 50}[law.mode])
        )


@pytest.mark.parametrize(
    ("low", "high"),
    [(-2, 2), (-1, 3), (0, math.inf), (5, 6), (20, math.inf), (-1e-6, 1e-6), (-50, 50)],
)
def test_truncated_std(low, high):
    # Against 60 digits of the closed form for the first two moments.
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        a, b = mpmath.mpf(low), mpmath.mpf(high)
        at = [(x * mpmath.npdf(x) if mpmath.isfinite(x) else 0, mpmath.npdf(x)) for x in (a, b)]
        mass = (mpmath.erfc(a / mpmath.sqrt(2)) - mpmath.erfc(b / mpmath.sqrt(2))) / 2
        mean = (at[0][1] - at[1][1]) / mass
        exact = mpmath.sqrt(1 + (at[0][0] - at[1][0]) / mass - mean**2)
        assert fills.truncated_std(low, high) == pytest.approx(float(exact), rel=1e-13)


def test_correction_of_the_truncated_normal_is_the_published_constant():
    assert fills.truncated_std(-2, 2) == pytest.approx(0.87962566103423978, rel=1e-15)


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
def test_scale_zero_gives_zeros(distribution):
    w = init.variance_scaling_(torch.ones(3, 4), 0.0, distribution=distribution)
    assert torch.equal(w, torch.zeros(3, 4))


@pytest.mark.parametrize("dtype", [*DTYPES, torch.int64, torch.bool], ids=str)
def test_constants(dtype):
    for fill, value in ((init.zeros_, 0), (init.ones_, 1), (lambda w: init.constant_(w, 5), 5)):
        w = torch.full((2, 3), 7).to(dtype)
        assert fill(w) is w
        assert torch.equal(w, torch.full((2, 3), value).to(dtype))
    array = np.empty((2, 3), np.float16).T
    assert init.constant_(array, 0.1) is array
    assert (array == np.float16(0.1)).all()


RANDOM = {
    "uniform_": init.uniform_,
    "normal_": init.normal_,
    "trunc_normal_": init.trunc_normal_,
    "variance_scaling_": init.variance_scaling_,
    "xavier_uniform_": init.xavier_uniform_,
    "xavier_normal_": init.xavier_normal_,
    "kaiming_uniform_": init.kaiming_uniform_,
    "kaiming_normal_": init.kaiming_normal_,
    "lecun_uniform_": init.lecun_uniform_,
    "lecun_normal_": init.lecun_normal_,
    "standard_uniform_": init.standard_uniform_,
    "unit_rows_": init.unit_rows_,
    "sparse_": lambda w, **kwargs: init.sparse_(w, nonzeros=2, **kwargs),
}


every_random_scheme = pytest.mark.parametrize("name", RANDOM)


@every_random_scheme
def test_fills_in_place_and_returns_what_was_given(name):
    for w in (torch.zeros(6, 8), np.zeros((6, 8)), torch.nn.Parameter(torch.zeros(6, 8))):
        assert RANDOM[name](w) is w
        assert (w != 0).any()


@every_random_scheme
def test_leaves_autograd_alone(name):
    w = torch.nn.Parameter(torch.zeros(6, 8))
    RANDOM[name](w)
    assert w.is_leaf
    assert w.requires_grad
    assert w.grad_fn is None


@every_random_scheme
def test_layout_and_library_do_not_change_the_values(name):
    expected = RANDOM[name](torch.empty(6, 8), generator=3)
    for w in (
        np.empty((6, 8), np.float32),
        np.empty((8, 6), np.float32).T,
        torch.empty(8, 6).t(),
        torch.empty(12, 24)[::2, 1::3],
    ):
        assert np.array_equal(RANDOM[name](w, generator=3), expected)


@every_random_scheme
def test_low_precision_is_float32_rounded_once(name):
    expected = RANDOM[name](torch.empty(6, 8), generator=3)
    for dtype in (torch.bfloat16, torch.float16):
        w = RANDOM[name](torch.empty(6, 8, dtype=dtype), generator=3)
        limit = torch.finfo(dtype).eps * expected.abs() + torch.finfo(dtype).smallest_normal
        assert ((w.float() - expected).abs() <= limit).all()


@every_random_scheme
def test_generator(name):
    def draw(generator=None):
        return RANDOM[name](torch.empty(6, 8), generator=generator)

    assert torch.equal(draw(5), draw(5))
    assert not torch.equal(draw(5), draw(6))
    for make in (lambda: torch.Generator().manual_seed(5), lambda: np.random.default_rng(5)):
        one, other = make(), make()
        first = draw(one)
        assert torch.equal(first, draw(other))
        assert not torch.equal(first, draw(one))
    torch.manual_seed(5)
    first = draw()
    assert not torch.equal(first, draw())
    torch.manual_seed(5)
    assert torch.equal(first, draw())


@every_random_scheme
def test_meta_is_left_alone(name):
    w = torch.empty(6, 8, device="meta")
    assert RANDOM[name](w) is w


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (3, 0, 2), (0,)])
@pytest.mark.parametrize("name", [*VARIANCE_SCALING, "variance_scaling"])
def test_an_empty_tensor_is_left_alone_with_a_warning_at_the_caller(name, shape):
    w = torch.empty(shape)
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op") as caught:
        assert getattr(init, f"{name}_")(w) is w
    assert caught[0].filename == __file__


NUMBERS = st.sampled_from(["1", None, [1.0], 1j, math.nan, math.inf, -math.inf])
NEGATIVE = st.floats(max_value=0, exclude_max=True, allow_infinity=False)
NO_NAME = st.text(max_size=9).map("?{}".format) | st.none() | st.integers()
REFUSED = {
    "uniform_, a": (lambda w, bad: init.uniform_(w, bad), NUMBERS),
    "uniform_, a > b": (lambda w, bad: init.uniform_(w, 1.0, 1.0 + bad), st.floats(-9, -1e-3)),
    "normal_, mean": (lambda w, bad: init.normal_(w, bad), NUMBERS),
    "normal_, std": (lambda w, bad: init.normal_(w, std=bad), NUMBERS | NEGATIVE),
    "trunc_normal_, std": (lambda w, bad: init.trunc_normal_(w, std=bad), NUMBERS | NEGATIVE),
    "trunc_normal_, mean": (lambda w, bad: init.trunc_normal_(w, bad), NUMBERS),
    "trunc_normal_, a": (
        lambda w, bad: init.trunc_normal_(w, a=bad),
        st.sampled_from(["1", None, math.nan, math.inf]) | st.floats(min_value=2),
    ),
    "trunc_normal_, bounds": (lambda w, bad: init.trunc_normal_(w, bounds=bad), NO_NAME),
    "variance_scaling_, scale": (
        lambda w, bad: init.variance_scaling_(w, bad),
        NUMBERS | NEGATIVE,
    ),
    "variance_scaling_, mode": (lambda w, bad: init.variance_scaling_(w, mode=bad), NO_NAME),
    "variance_scaling_, law": (lambda w, bad: init.variance_scaling_(w, distribution=bad), NO_NAME),
    "xavier_uniform_, gain": (lambda w, bad: init.xavier_uniform_(w, bad), NUMBERS | NEGATIVE),
    "xavier_normal_, gain": (lambda w, bad: init.xavier_normal_(w, bad), NUMBERS | NEGATIVE),
    "kaiming_normal_, a": (
        lambda w, bad: init.kaiming_normal_(w, bad),
        st.sampled_from(["1", [1.0], 1j, math.nan]),
    ),
    "kaiming_normal_, mode": (lambda w, bad: init.kaiming_normal_(w, mode=bad), NO_NAME),
    "kaiming_uniform_, act": (lambda w, bad: init.kaiming_uniform_(w, nonlinearity=bad), NO_NAME),
    "generator": (
        lambda w, bad: init.he_normal_(w, generator=bad),
        st.sampled_from([1.5, "seed", [1], True, b"short", {}]),
    ),
    "layer": (
        lambda w, bad: init.he_normal_(w, layer=bad),
        st.sampled_from([1.5, "conv", torch.nn.Linear, torch.nn.Linear(9, 9), torch.nn.ReLU()]),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@given(data=st.data())
def test_a_wrong_argument_is_refused_and_the_tensor_untouched(name, data):
    call, values = REFUSED[name]
    w = torch.arange(6.0).reshape(2, 3)
    bad = data.draw(values)
    with pytest.raises((TypeError, ValueError)) as refusal:
        call(w, bad)
    assert len(str(refusal.value).split()) >= 4, "an error tells what was given and expected"
    assert torch.equal(w, torch.arange(6.0).reshape(2, 3))


def read_only():
    array = np.zeros((2, 3))
    array.flags.writeable = False
    return array


@every_random_scheme
@pytest.mark.parametrize(
    ("target", "error"),
    [
        ([[1.0, 2.0]], TypeError),
        (None, TypeError),
        (torch.zeros(2, 3, dtype=torch.int64), TypeError),
        (torch.zeros(2, 3, dtype=torch.complex64), TypeError),
        (np.zeros((2, 3), int), TypeError),
        (read_only(), ValueError),
        (torch.zeros(1, 3).expand(2, 3), ValueError),
        (torch.ones(2, 3, requires_grad=True) * 2, ValueError),
    ],
    ids=["list", "None", "int", "complex", "int array", "read-only", "expanded", "in a graph"],
)
def test_a_wrong_target_is_refused(name, target, error):
    before = target.clone() if isinstance(target, torch.Tensor) else np.array(target)
    with pytest.raises(error, match="tensor"):
        RANDOM[name](target)
    assert target is None or bool((before == target).all())


@pytest.mark.parametrize("shape", [(), (5,)])
@pytest.mark.parametrize("name", [*VARIANCE_SCALING, "variance_scaling"])
def test_fans_need_two_dimensions(name, shape):
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        getattr(init, f"{name}_")(torch.ones(shape))


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda w: init.variance_scaling_(w, mode="fanin"), "did you mean 'fan_in'"),
        (lambda w: init.variance_scaling_(w, distribution="gaussian"), "please use one of"),
        (lambda w: init.variance_scaling_(w, distribution="norma"), "did you mean 'normal'"),
        (lambda w: init.trunc_normal_(w, bounds="stds"), "did you mean 'std'"),
        (lambda w: init.normal_(w, std=-1), "std must be a finite number >= 0, got -1"),
        (lambda w: init.xavier_normal_(w, -2), "gain must be a finite number >= 0, got -2"),
    ],
)
def test_errors_help(call, hint):
    with pytest.raises(ValueError, match=hint):
        call(torch.ones(2, 3))


def test_squared_norms_of_normalized_rows_are_one_on_average():
    # |row|^2 is chi-square / n for the normal law, so that E |row|^2 = 1; E |row| is 0.97535.
    w = init.normalized_normal_(np.empty((100_000, 10)), stream_key(0, "normalized"))
    check_law((w**2).sum(1), stats.chi2(10, scale=0.1))
    norm = np.linalg.norm(w, axis=1)
    expected = stats.chi(10, scale=math.sqrt(0.1))
    assert abs(norm.mean() - 0.975350) < Z * expected.std() / math.sqrt(100_000) + 1e-6
