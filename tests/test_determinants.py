"""Signs of determinants: what QR makes of them, and training that cannot change them."""

import numpy as np
import pytest
import torch

from initlib.lab.determinants import raw_qr, raw_qr_trace, sign_trap


@pytest.mark.parametrize(("n", "trace"), [(2, 0.0), (3, -0.5)])
def test_mean_trace_by_hand(n, trace):
    # n = 2: (cos, -sin; -sin, -cos) up to signs; n = 3: -1/2 - (2/pi) 3/4 + (2/pi) 3/4.
    assert raw_qr_trace(n) == pytest.approx(trace, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4, 9, 16])
def test_raw_qr(n):
    # 3000 draws, z = 4.5: alpha = 7e-6 for each n. Haar's 0 is over 20 errors away for n > 2.
    q = raw_qr(n, 3000, key=5)
    torch.testing.assert_close(q @ q.mT, torch.eye(n, dtype=q.dtype).expand_as(q))
    assert (torch.linalg.det(q).sign() == (-1) ** (n - 1)).all()
    traces = q.diagonal(dim1=1, dim2=2).sum(dim=1)
    error = traces.std() / 3000**0.5
    assert abs(traces.mean() - raw_qr_trace(n)) <= 4.5 * error + 1e-12


def test_networks_on_the_wrong_side_miss_the_smallest_mode():
    table = sign_trap([0.8, 1.0, 1.2], 5, 0.04, 3000, 4)
    assert table.floor.iloc[0] == pytest.approx(0.64 / 3.08)
    end = table[table.step == 3000]
    assert end.same.tolist() == [True, True, False, False]
    np.testing.assert_allclose(end.loss[end.same], 0, atol=1e-10)
    np.testing.assert_allclose(end.loss[~end.same], 0.64 / 3.08, rtol=0.01)
