"""Another batch, beside sampling theory."""

import torch

from initlib.lab.lsuv_unseen import held_out, rms_table

IMAGES = torch.randn(400, 20, generator=torch.Generator().manual_seed(0))


def test_another_batch_is_off_by_its_sampling_error():
    options = {"size": 40, "draws": 60, "key": 1, "rest": 200}
    table = rms_table(held_out(["relu", "linear"], IMAGES, [20, 30, 30], **options))
    assert len(table) == 4
    # 1 within four standard errors of the mean square of 60 normal numbers, but for the other rest
    assert table.ratio.between(1 - 4 * (2 / 60) ** 0.5, 1 + 4 * (2 / 60) ** 0.5).all()
    assert (table.low < table.value).all()
    assert (table.value < table.high).all()
