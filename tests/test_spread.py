import math
import zlib

import pytest
import torch
from torch import Tensor

from initlib.spread import spread


def noise(words: str, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(words.encode()))
    return torch.randn(shape, generator=generator)


def unit_means(words: str, width: int, units: int, ndim: int) -> Tensor:
    shape = [1] * ndim
    shape[units] = width
    return noise(words, width).view(shape)


def expected(signal: Tensor, units: int) -> tuple[Tensor, float, float]:
    rows = signal.double().movedim(units, -1).flatten(0, -2)
    return rows.mean(0), rows.std().item(), rows.var(0).mean().sqrt().item()


IMAGES = noise("images", 9, 12, 21, 20)
CENTRES = unit_means("means", 12, 1, 4)
SIGNALS = {
    "rows": (noise("rows", 300, 70), -1),
    "one unit": (noise("one unit", 5000, 1), -1),
    "a long row": (noise("long", 3, 5, 20_000), 1),
    "images": (IMAGES, 1),
    "channels last": (IMAGES.to(memory_format=torch.channels_last), 1),
    "one image": (IMAGES[0], -3),
    "turned": (noise("turned", 30, 40, 50).permute(2, 0, 1), -1),
    "with gaps": (noise("gaps", 50, 60, 70)[:, ::3, 5:], -1),
    "expanded": (noise("expanded", 50, 1, 7).expand(50, 9, 7), -1),
    "different units": (0.3 * IMAGES + CENTRES, 1),
    "almost equal samples": (1e-5 * IMAGES + CENTRES, 1),
    "far from zero": (IMAGES + 1000, 1),
    "tiny": (2e-22 * IMAGES, 1),
    "huge": (1e25 * IMAGES, 1),
    "float64": (IMAGES.double() * 1e-4 + 1, 1),
    "half": (noise("half", 300, 70).half() * 300, -1),
    "bfloat16": (noise("bfloat16", 300, 70).bfloat16() + 3, -1),
}


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("case", SIGNALS)
def test_it_equals_float64(case, centred):
    signal, units = SIGNALS[case]
    before = signal.clone()
    means, pooled, across = spread(signal, units, centred=centred)
    true_means, true_pooled, true_across = expected(signal, units)
    exact = 3e-7 if signal.dtype.itemsize < 8 else 1e-12
    assert across / true_across == pytest.approx(1, rel=exact if centred else 1e-5)
    assert pooled / true_pooled == pytest.approx(1, rel=1e-5 if centred else exact)
    atol = 1e-7 * true_pooled
    torch.testing.assert_close(means.flatten(), true_means, rtol=1e-7, atol=atol)
    assert (signal - means.to(signal.dtype)).shape == signal.shape
    assert torch.equal(signal, before)


def test_long_sums_do_not_lose_digits():
    """4 million squares added in float32 by one dot product are off by 1e-4."""
    signal = noise("long sums", 1 << 22, 1)
    assert spread(signal).pooled == pytest.approx(signal.double().std().item(), rel=5e-8)


def test_almost_equal_samples_keep_their_differences():
    signal, units = SIGNALS["almost equal samples"]
    for centred in (False, True):
        _, _, across = spread(signal, units, centred=centred)
        assert across == pytest.approx(expected(signal, units)[2], rel=1e-9)


def test_equal_samples_have_no_spread_but_that_of_the_units():
    means, pooled, across = spread(CENTRES.expand(9, 12, 21, 20), 1)
    assert across == pytest.approx(0, abs=1e-12)
    assert pooled == pytest.approx(CENTRES.double().std(correction=0).item(), rel=1e-3)
    torch.testing.assert_close(means, CENTRES.double())


EDGES = {
    "no values": (torch.empty(0, 3), (True, True)),
    "no units": (torch.empty(3, 0), (True, True)),
    "one value": (torch.tensor([3.0]), (True, True)),
    "one sample": (torch.tensor([[1.0, 3.0]]), (False, True)),
    "one sample without a batch": (torch.tensor([1.0, 3.0]), (False, True)),
    "not a number": (torch.tensor([[1.0], [math.nan]]), (True, True)),
    "infinite": (torch.tensor([[1.0], [math.inf]]), (True, True)),
}


@pytest.mark.parametrize("case", EDGES)
def test_what_is_not_defined_is_nan(case):
    signal, is_nan = EDGES[case]
    _, pooled, across = spread(signal)
    assert (math.isnan(pooled), math.isnan(across)) == is_nan
    if not is_nan[0]:
        assert pooled == pytest.approx(math.sqrt(2))
