"""Arguments that are refused, and what the message says."""

import pytest

from initlib.checks import check_count


def test_whole_numbers_pass():
    assert check_count("depth", 3) == check_count("depth", 3.0) == 3


@pytest.mark.parametrize("value", [0, -2, 2.5])
def test_others_do_not(value):
    with pytest.raises(ValueError, match="depth must be a"):
        check_count("depth", value)
