"""The definition of the bits: the generator, its keys, and the arithmetic that makes values."""

import mpmath
import numpy as np
import pytest
import torch

from initlib import streams

KEY = streams.stream_key(0, "tests of the streams")


def test_words_are_chacha8():
    # Strombergson, "Test vectors for ChaCha", TC1: 8 rounds, a 256-bit key of zeros.
    block = streams.words(bytes(32), np.arange(1))[:, 0].astype("<u4").tobytes()
    assert block.hex() == (
        "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"
        "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42"
    )


def test_counter_and_nonce_use_all_their_bits():
    seen = {
        streams.words(KEY, np.array([group]), nonce)[:, 0].tobytes()
        for group in (0, 1, 2**28, 2**59)
        for nonce in (0, 1, 2**32, 2**63)
    }
    assert len(seen) == 16


def test_element_order_is_as_documented():
    values = streams.in_order(streams.words(KEY, np.array([5, 6])))
    for element in (0, 15, 16, 255, 256, 300):
        group, word, lane = 5 + element // 256, element // 16 % 16, element % 16
        assert values[element] == streams.words(KEY, np.array([group]))[word, lane]


# The bits are a promise: a change of any of these is a new major version.
PINNED = [
    (streams.uniform_groups, np.float32, "0x1.8fd174p-1", "0x1.368884p-1", "0x1.7dda5cp-1"),
    (streams.normal_groups, np.float32, "0x1.2efa10p-2", "-0x1.85091cp-1", "-0x1.a4c746p-1"),
    (
        streams.uniform_groups,
        np.float64,
        "0x1.8fd174a338ba3p-1",
        "0x1.368884fdb9a95p-1",
        "0x1.7dda5c6d3ee8ep-1",
    ),
    (
        streams.normal_groups,
        np.float64,
        "0x1.2efa0f987f15ep-2",
        "-0x1.85091e138f3d5p-1",
        "-0x1.a4c743a91fc4cp-1",
    ),
]


@pytest.mark.parametrize(("law", "dtype", "first", "eighteenth", "last"), PINNED)
def test_bits_are_pinned(law, dtype, first, eighteenth, last):
    values = streams.in_order(law(KEY, np.array([0, 2**40]), dtype))
    assert [float(values[i]) for i in (0, 17, -1)] == [
        *map(float.fromhex, (first, eighteenth, last))
    ]


def test_log_is_accurate_to_the_last_place():
    rng = np.random.default_rng(sum(b"log"))
    for dtype, ulps in ((np.float32, 3.0), (np.float64, 3.0)):
        tiny = 2.0**-33 if dtype is np.float32 else 2.0**-54
        x = np.concatenate([rng.random(3000), 1 - rng.random(1000) * 1e-3, [tiny, 1.0]]).astype(
            dtype
        )
        with mpmath.workdps(40):
            exact = [mpmath.log(mpmath.mpf(float(v))) for v in x]
            error = [abs(float(float(g) - e)) for g, e in zip(streams.log(x), exact, strict=True)]
        unit = np.spacing(np.abs(np.array([float(e) for e in exact], dtype)))
        assert (np.array(error) <= ulps * unit).all()


def test_cos_and_sin_of_a_turn_are_accurate_in_every_quadrant():
    for unsigned, bits, tolerance in ((np.uint32, 32, 1.2e-7), (np.uint64, 64, 3e-16)):
        corners = np.array(
            [q * 2 ** (bits - 3) + d for q in range(8) for d in (0, 1, 12345)], object
        )
        angle = np.concatenate([corners, corners[1:] - 1]).astype(unsigned)
        cos, sin = streams._cos_sin_of_turn(angle)
        with mpmath.workdps(40):
            turns = [2 * mpmath.pi * int(a) / 2**bits for a in angle]
            for turn, c, s in zip(turns, cos, sin, strict=True):
                assert abs(mpmath.cos(turn) - float(c)) < tolerance
                assert abs(mpmath.sin(turn) - float(s)) < tolerance


def test_normal_of_both_precisions_is_one_value_rounded():
    groups = np.arange(64)
    single = streams.normal_groups(KEY, groups, np.float32)
    double = streams.normal_groups(KEY, groups, np.float64)
    # 2^-31 in u is 2^-31 / (u r) in the radius, worst where the radius r is near its smallest.
    assert np.abs(single - double).max() < 1e-3
    assert np.quantile(np.abs(single - double), 0.99) < 1e-6


@pytest.mark.parametrize("seed", [0, 1, -1, 2**32, 2**64 + 1, np.int64(7)])
def test_every_bit_of_an_int_seed_counts(seed):
    keys = {streams.stream_key(int(seed) + shift) for shift in (0, 1, 2**32, 2**80)}
    assert len(keys) == 4
    assert streams.stream_key(seed) == streams.stream_key(int(seed))


def test_generators_are_drawn_from_and_reproduce():
    for make in (lambda: torch.Generator().manual_seed(3), lambda: np.random.default_rng(3)):
        first, second = make(), make()
        assert streams.stream_key(first) == streams.stream_key(second)
        assert streams.stream_key(first) != streams.stream_key(make())


def test_no_generator_follows_torch_manual_seed():
    torch.manual_seed(5)
    first, second = streams.stream_key(), streams.stream_key()
    torch.manual_seed(5)
    assert (streams.stream_key(), streams.stream_key()) == (first, second)
    assert first != second


def test_paths_name_independent_keys():
    paths = [(), ("a",), ("a", "b"), ("ab",), ("a", 0), ("a", "0"), (0,), ("b", "a")]
    assert len({streams.stream_key(0, *path) for path in paths}) == len(paths)
    assert streams.stream_key(streams.stream_key(0, "a"), "b") == streams.stream_key(0, "a", "b")


@pytest.mark.parametrize("wrong", [1.0, "0", True, [0], np.float32(1), (1, 2)])
def test_wrong_generators_are_refused(wrong):
    with pytest.raises(TypeError, match="int seed"):
        streams.stream_key(wrong)


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        streams.stream_key(b"short")
