import math
import zlib

import pytest
import torch

from initlib.audit import KURTOSIS, Audit, AuditRow, sample_std, z_score
from initlib.variance import Law

ROW = AuditRow("fc.weight", "Linear", (5, 3), 3, 5, "he_normal", 0.8165, 0.75, -0.5, "<frozen>")
BARE = AuditRow("fc.bias", "Linear", (5,), None, None, "zeros", 0.0, 0.0, None, "")
AUDIT = Audit((ROW, BARE), (("scale", "no rule covers it"),), ("Conv2d: orthogonal",))


@pytest.mark.parametrize("distribution", KURTOSIS)
def test_z_scores_have_unit_variance(distribution):
    """4000 matrices of 50 entries: E z = 0 and E z^2 = 1, to 5 standard errors.

    With a normal law's kurtosis for all, E z^2 would be 0.40 for the uniform and 0.69 for the
    truncated normal, 9 and more standard errors off.
    """
    key = zlib.crc32(f"audit {distribution}".encode())
    matrices = Law(1.0, "fan_in", distribution).fill_(torch.empty(4000, 50), key, None)
    z = torch.tensor(
        [z_score(sample_std(m), 1 / math.sqrt(50), 50, KURTOSIS[distribution]) for m in matrices]
    )
    for sample, expected in ((z, 0), (z.square(), 1)):
        error = sample.std().item() / math.sqrt(len(sample))
        assert abs(sample.mean().item() - expected) < 5 * error
        assert error < 0.035


def test_z_score_counts_standard_errors():
    """Of n normal values the variance has the relative standard error sqrt(2 / (n - 1))."""
    assert z_score(1.1, 1.0, 201, 3.0) == pytest.approx(0.21 / 0.1)
    assert z_score(0.22, 0.2, 201, 3.0) == pytest.approx(0.21 / 0.1)


@pytest.mark.parametrize(("measured", "target"), [(None, 1.0), (1.0, None), (0.0, 0.0)])
def test_z_score_is_blank_without_a_law(measured, target):
    assert z_score(measured, target, 10, 3.0) is None


def test_sample_std_is_unbiased_and_computed_in_high_precision():
    assert sample_std(torch.tensor([1.0, 3.0])) == pytest.approx(math.sqrt(2))
    assert sample_std(torch.tensor([200.0, -200.0], dtype=torch.float16)) == pytest.approx(
        282.84, abs=0.01
    )
    assert sample_std(torch.tensor([1.0])) is None


def test_the_text_shows_every_number_and_what_was_left():
    lines = str(AUDIT).splitlines()
    assert lines[0].split()[:3] == ["parameter", "layer", "shape"]
    numbers = ["3", "5", "he_normal", "0.8165", "0.75", "-0.5", "<frozen>"]
    assert lines[1].split() == ["fc.weight", "Linear", "(5,", "3)", *numbers]
    assert lines[2].split() == ["fc.bias", "Linear", "(5,)", "zeros", "0", "0"]
    assert lines[3:] == ["untouched: scale (no rule covers it)", "unused rule: Conv2d: orthogonal"]
    assert repr(AUDIT) == str(AUDIT)


def test_the_columns_are_aligned():
    header, first, second, *_ = str(AUDIT).splitlines()
    assert header.index("scheme") == first.index("he_normal") == second.index("zeros")


def test_the_html_is_escaped():
    page = AUDIT._repr_html_()
    assert page.count("<tr>") == 3
    assert "&lt;frozen&gt;" in page
    assert "<p>untouched: scale (no rule covers it)</p>" in page


def test_the_frame_has_a_row_for_each_fill():
    frame = AUDIT.to_frame()
    assert list(frame.columns) == [*AuditRow.__dataclass_fields__]
    assert frame.parameter.tolist() == ["fc.weight", "fc.bias"]
    assert frame.z.isna().tolist() == [False, True]
    assert list(Audit(()).to_frame().columns) == list(frame.columns)
