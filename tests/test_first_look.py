import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from initlib.lab.data import load
from initlib.lab.first_look import build, level, look, one_layer, pictures, recommend
from initlib.lab.first_look_figures import plot_signals, plot_training


@pytest.fixture(scope="module")
def images():
    return pictures(load("mnist"), 8)


@pytest.fixture(scope="module")
def seen(images):
    model = build("mlp", "relu", 64, 8, images.shape[1:])
    schemes = ["default", "he_normal", "orthogonal"]
    return look(model, images, schemes, activation="relu", draws=8)


def test_the_scheme_that_suits_the_activation_is_recommended(seen):
    assert set(recommend(seen)) <= {"he_normal", "orthogonal"}
    table = level(seen)
    assert table.index[-1] == "default"
    assert table.signal["default"] == pytest.approx(6.0**-7, rel=0.5)
    assert table.gradient["default"] == pytest.approx(6.0**-7, rel=0.5)


def test_theory_of_one_layer_is_right_on_average(seen):
    ratios = one_layer(seen, ["default", "he_normal"])
    assert all(abs(ratio.value - 1) < 4 * ratio.se for ratio in ratios.values())


def test_a_convolutional_network_is_looked_at_alike(images):
    model = build("cnn", "tanh", 6, 3, images.shape[1:])
    table = look(model, images, ["xavier_normal"], activation="tanh", draws=2)
    assert list(table.layer) == [1, 1, 2, 2, 3, 3] * 2


def test_the_same_seed_gives_the_same_numbers(images, seen):
    model = build("mlp", "relu", 64, 8, images.shape[1:])
    again = look(model, images, ["he_normal"], activation="relu", draws=8)
    first = seen[seen.scheme == "he_normal"]
    assert again.second_moment.tolist() == first.second_moment.tolist()


def test_figures_show_every_scheme(seen):
    fig = plot_signals(seen)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == [
        "default",
        "he",
        "orthogonal",
    ]
    curves = pd.DataFrame({"scheme": "he_normal", "seed": [0, 0, 1, 1], "step": [1, 2] * 2})
    ax = plot_training(curves.assign(loss=[2.0, 1.0, 3.0, 2.0]), 2.3).axes[0]
    assert [(text.get_text(), text.xy) for text in ax.texts] == [("he", (2, 1.5))]
    plt.close("all")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mpl", "relu", 4, 2, (1, 4, 4)), "kind must be 'mlp' or 'cnn', got 'mpl'"),
        (("mlp", "rleu", 4, 2, (1, 4, 4)), "relu"),
        (("mlp", "hardtanh", 4, 2, (1, 4, 4)), "isn't built here; use relu"),
        (("mlp", "relu", 4, 0, (1, 4, 4)), "depth must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(*arguments)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least 9000 images"):
        pictures(load("mnist"), 9000)


def test_pictures_have_channels(images):
    assert images.shape == (8, 1, 28, 28)
    assert images.dtype == torch.float32
