"""Where deep linear networks end that start at the identity, or near it."""

import numpy as np
import pytest

from initlib.lab.linear_starts import final_losses, linear_courses, spare_units

SPECTRA = {"none": [0.5, 1.5], "one": [-0.5, 1.5], "both": [-0.5, -1.5]}


def test_final_losses():
    losses = final_losses(SPECTRA)
    assert losses["none"] == {"identity": 0.0, "rotated": 0.0, "noisy": 0.0}
    assert losses["one"] == pytest.approx({"identity": 0.1, "rotated": 0.1, "noisy": 0.0})
    assert losses["both"] == pytest.approx({"identity": 1.0, "rotated": 0.0, "noisy": 0.0})


def test_courses_end_where_they_should():
    options = {"depth": 3, "noise": 0.4, "rate": 0.2, "steps": 1500, "replicas": 5}
    courses = linear_courses(SPECTRA, **options)
    assert (
        courses.groupby(["target", "start"]).seed.nunique().unstack().identity.tolist() == [1] * 3
    )
    ends = courses[courses.step == 1500].groupby(["target", "start"]).loss.median()
    for target, own in final_losses(SPECTRA).items():
        for start, loss in own.items():
            assert ends[target, start] == pytest.approx(loss, abs=2e-3), (target, start)


def test_the_identity_follows_the_flow_of_one_number():
    options = {"depth": 4, "noise": 0.1, "rate": 0.04, "steps": 200, "replicas": 2}
    courses = linear_courses({"target": [0.5, 1.5]}, **options)
    own = courses[courses.start == "identity"]
    w, losses = np.ones(2), []
    for _ in range(200):
        losses.append(((w**4 - SPECTRA["none"]) ** 2).sum() / 2.5)
        w = w - 0.01 * w**3 * (w**4 - SPECTRA["none"])
    assert np.allclose(own.loss, np.array(losses)[own.step - 1], rtol=1e-9)


def test_padded_units_never_move():
    spare = spare_units(width=3, hidden=5, depth=3, steps=300)
    assert spare["spare weights"] == 0
    assert spare["loss"] < 1e-6
