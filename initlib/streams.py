"""The definition of the bits: a stream is a pure function (key, flat index) -> value.

Words come from ChaCha8 (Bernstein 2008) under a 256-bit key. They become uniform and normal values
by additions, multiplications, divisions and square roots alone, which IEEE 754 rounds in one way
only, so that the same key gives the same bits on every processor, for any number of threads and for
any slice.

Element ``e`` of a stream is word ``(e // 16) % 16`` of ChaCha block ``16 * (e // 256) + e % 16``:
blocks are computed sixteen at a time, and a group of 256 elements is stored word by word."""

import math
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
import torch

Key: TypeAlias = bytes
Generator: TypeAlias = int | Key | torch.Generator | np.random.Generator | None

GROUP = 256
_LANES = 16
_SIGMA = np.frombuffer(b"expand 32-byte k", dtype="<u4")


def stream_key(generator: Generator = None, *path: str | int) -> Key:
    """Return the 256-bit key of a stream.

    Parameters
    ----------
    generator
        An int is a seed: the same seed gives the same key. A `torch.Generator` or
        `numpy.random.Generator` is drawn from, and so advanced. None draws from torch's default
        generator, so that `torch.manual_seed` rules. A key is returned as it is.
    path
        Names of independent sub-streams, such as ``("layers.0.weight", "support")``.

    Raises
    ------
    TypeError
        If `generator` is none of these.
    ValueError
        If a key does not hold 32 bytes.

    Examples
    --------
    >>> stream_key(0, "layers.0.weight").hex()[:8] != stream_key(0, "layers.1.weight").hex()[:8]
    True
    """
    if isinstance(generator, bytes):
        if len(generator) != 32:
            raise ValueError(
                f"a key holds 32 bytes, got {len(generator)}: make one with stream_key(seed)"
            )
        key = generator
    elif isinstance(generator, int | np.integer) and not isinstance(generator, bool):
        key = blake2b(str(int(generator)).encode(), digest_size=32, person=b"initlib.seed").digest()
    elif isinstance(generator, np.random.Generator):
        key = generator.integers(2**64, size=4, dtype=np.uint64).astype("<u8").tobytes()
    elif generator is None or isinstance(generator, torch.Generator):
        device = "cpu" if generator is None else generator.device
        draw = torch.randint(
            -(2**63), 2**63 - 1, (4,), generator=generator, device=device, dtype=torch.int64
        )
        key = draw.cpu().numpy().astype("<i8").tobytes()
    else:
        raise TypeError(
            "generator must be an int seed, a torch.Generator, a numpy.random.Generator, "
            "a 32-byte key or None, "
            f"got {generator!r}"
        )
    for name in path:
        key = blake2b(repr(name).encode(), digest_size=32, key=key, person=b"initlib.path").digest()
    return key


def words(key: Key, groups: np.ndarray, nonce: int = 0) -> np.ndarray:
    """Return the ChaCha8 words of some groups, uint32 (16, 16 * len(groups)): word by block."""
    lanes = np.arange(_LANES, dtype=np.uint64)
    blocks = (_LANES * groups.astype(np.uint64)[:, None] + lanes).ravel()
    initial = np.empty((4, 4, blocks.size), np.uint32)
    initial[0] = _SIGMA[:, None]
    initial[1:3] = np.frombuffer(key, "<u4").reshape(2, 4, 1)
    initial[3, 0] = blocks & 0xFFFFFFFF
    initial[3, 1] = blocks >> 32
    initial[3, 2:] = np.array([[nonce & 0xFFFFFFFF], [nonce >> 32]], np.uint32)

    a, b, c, d = state = initial.copy()
    spare = np.empty_like(a)
    for _ in range(4):
        _quarter_rounds(a, b, c, d, spare)
        _roll(b, c, d, (1, 2, 3), spare)
        _quarter_rounds(a, b, c, d, spare)
        _roll(b, c, d, (3, 2, 1), spare)
    state += initial
    return state.reshape(16, -1)


def _quarter_rounds(a, b, c, d, spare) -> None:
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        np.add(x, y, out=x)
        np.bitwise_xor(z, x, out=z)
        np.left_shift(z, turn, out=spare)
        np.right_shift(z, 32 - turn, out=z)
        np.bitwise_or(z, spare, out=z)


def _roll(b, c, d, steps, spare) -> None:
    """Turn the rows of the state, so that columns become diagonals or diagonals columns again."""
    for row, step in zip((b, c, d), steps, strict=True):
        spare[: 4 - step] = row[step:]
        spare[4 - step :] = row[:step]
        row[:] = spare


def uniform_groups(key: Key, groups: np.ndarray, dtype: type, nonce: int = 0) -> np.ndarray:
    """Return U[0, 1) on the grid of 2^-24 (float32) or 2^-53 (float64), shaped as `words`."""
    if dtype == np.float32:
        return (words(key, groups, nonce) >> 8).astype(np.float32) * np.float32(2.0**-24)
    return _mantissa(words(key, groups, nonce), words(key, groups, nonce + 1)) * 2.0**-53


def normal_groups(key: Key, groups: np.ndarray, dtype: type, nonce: int = 0) -> np.ndarray:
    """Return N(0, 1) by the method of Box and Muller (1958), shaped as `words`.

    Words 2p and 2p + 1 of a block make elements 2p and 2p + 1. In float32 the values reach 6.66
    standard deviations, in float64 8.6."""
    high = words(key, groups, nonce)
    if dtype == np.float32:
        open_unit = (high[0::2] >> 1).astype(np.float32) * np.float32(2.0**-31) + np.float32(
            2.0**-32
        )
        angle = high[1::2]
    else:
        low = words(key, groups, nonce + 1)
        open_unit = (_mantissa(high[0::2], low[0::2]) + 0.5) * 2.0**-53
        angle = high[1::2].astype(np.uint64) << 32 | low[1::2]
    radius = np.sqrt(-2 * log(open_unit))
    cos, sin = _cos_sin_of_turn(angle)
    out = np.empty(high.shape, dtype)
    np.multiply(radius, cos, out=out[0::2])
    np.multiply(radius, sin, out=out[1::2])
    return out


def in_order(by_word: np.ndarray) -> np.ndarray:
    """Turn values shaped as `words` into the order of the flat index."""
    return by_word.reshape(16, -1, _LANES).transpose(1, 0, 2).reshape(-1)


def _mantissa(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return 53 random bits as a whole float64."""
    return (high >> 5).astype(np.float64) * 2.0**26 + (low >> 6)


# Where each series is cut, its next term is below half a unit in the last place.
_LOG_TERMS = {np.dtype(np.float32): 4, np.dtype(np.float64): 10}
_TRIG_TERMS = {np.dtype(np.float32): 4, np.dtype(np.float64): 8}


def log(x: np.ndarray) -> np.ndarray:
    """Return ln x of positive normal floats: e ln 2 + 2 artanh((m - 1) / (m + 1)), x = 2^e m."""
    bits, shift = (np.int32, 23) if x.dtype == np.float32 else (np.int64, 52)
    root_half = x.dtype.type(math.sqrt(0.5)).view(bits)
    above = x.view(bits) - root_half
    exponent = (above >> shift).astype(x.dtype)
    excess = ((above & bits((1 << shift) - 1)) + root_half).view(x.dtype) - 1
    ratio = excess / (excess + 2)
    square = ratio * ratio
    series = _horner(square, [1 / (2 * n + 1) for n in range(_LOG_TERMS[x.dtype] + 1)])
    return exponent * x.dtype.type(math.log(2)) + 2 * ratio * series


def _cos_sin_of_turn(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return cos and sin of 2 pi angle / 2^bits, by quadrants and the Taylor series on +-pi/4."""
    bits, signed, dtype = (
        (32, np.int32, np.float32) if angle.itemsize == 4 else (64, np.int64, np.float64)
    )
    quadrant = (angle + angle.dtype.type(1 << (bits - 3))) >> (bits - 2)
    x = (angle - (quadrant << (bits - 2))).view(signed).astype(dtype) * dtype(
        2 * math.pi / 2.0**bits
    )
    square = x * x
    terms = range(_TRIG_TERMS[np.dtype(dtype)] + 1)
    cos = _horner(square, [(-1) ** n / math.factorial(2 * n) for n in terms])
    sin = _horner(square, [(-1) ** n / math.factorial(2 * n + 1) for n in terms]) * x
    odd = (quadrant & 1).astype(bool)
    top = bits - 2
    unsigned = angle.dtype.type
    signs_of_cos = ((quadrant + unsigned(1)) & unsigned(2)) << top
    signs_of_sin = (quadrant & unsigned(2)) << top
    turned_cos = np.where(odd, sin, cos).view(unsigned) ^ signs_of_cos
    turned_sin = np.where(odd, cos, sin).view(unsigned) ^ signs_of_sin
    return turned_cos.view(dtype), turned_sin.view(dtype)


def _horner(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    *rest, last = map(x.dtype.type, coefficients)
    total = np.full_like(x, last)
    for coefficient in reversed(rest):
        total *= x
        total += coefficient
    return total
