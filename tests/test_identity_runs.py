"""What an identity lets through."""

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.identity_runs import (
    copies,
    eye,
    eye_shares,
    growth_samples,
    kept_table,
    memory_table,
    residual_cells,
    residual_growth,
    share_cells,
)

SHAPES = [(4, 4), (2, 6), (6, 3)]


def test_shares_of_rectangular_identities():
    assert eye_shares(SHAPES) == pytest.approx(share_cells(SHAPES))
    assert eye_shares([(2, 6)])["6 to 2, forward"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("kernel", [(1,), (4,), (3, 2), (3, 3, 3)])
def test_a_dirac_convolution_copies(kernel):
    assert copies(kernel) == 0


SCALES = {"plain": [1.0] * 4, "half": [0.5] * 4, "zero": [0.0] * 4}


def test_residual_growth_by_autograd():
    growth = residual_growth(SCALES, units=16, draws=5, key=3)
    from initlib.sampling import fill_normal_, stream_key

    x = fill_normal_(torch.empty(5, 16, 1), stream_key(3, "inputs"), 0, 1).requires_grad_()
    h = x
    for block in range(4):
        inner, outer = (
            fill_normal_(torch.empty(5, 16, 16), stream_key(3, side, block), 0, std)
            for side, std in (("inner", (2 / 16) ** 0.5), ("outer", 1 / 4))
        )
        h = h + 0.5 * (outer @ (inner @ h).relu())
    (gradient,) = torch.autograd.grad(h.sum() / 4, x)
    half = growth[growth.kind == "half"].set_index(["block", "draw"])
    signal = (h / x.norm(dim=1, keepdim=True)).square().sum(dim=(1, 2)).detach()
    assert np.allclose(half.signal[4], signal, rtol=1e-5)
    assert np.allclose(half.gradient[0], gradient.square().sum(dim=(1, 2)), rtol=1e-5)
    assert np.allclose(half.gradient[4], 1)


def test_residual_growth_in_the_mean():
    samples = growth_samples(residual_growth(SCALES, units=64, draws=200))
    for cell, expected in residual_cells(SCALES).items():
        own = samples[cell]
        error = own.std(ddof=1) / len(own) ** 0.5
        assert abs(own.mean() - expected) <= 5 * error + 1e-6, cell


def test_memory():
    fills = {"identity": eye, "orthogonal": init.orthogonal_}
    memory = memory_table(fills, units=32, length=3, draws=100)
    kept = memory.set_index(["scheme", "t"]).kept
    assert (kept["identity"] == 1).all()
    assert kept["orthogonal"].loc[1].mean() == pytest.approx(0.5, abs=0.06)
    drawn = kept_table(residual_growth(SCALES, units=8, draws=3), memory)
    assert len(drawn) == 2 * 3 * 5 + 2 * 4
    last = drawn[(drawn.panel == "c") & (drawn.name == "orthogonal")].set_index("step").loc[3]
    assert last.low < last["median"] < last.high
    assert last["mean"] == pytest.approx(kept["orthogonal"].loc[3].mean())
