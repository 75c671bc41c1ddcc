"""The experiments of the five statements, small."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from initlib.lab import five_figures as figures
from initlib.lab import five_generalization as unseen
from initlib.lab import five_gradients as gradients
from initlib.lab import five_hidden_bias as hidden
from initlib.lab import five_outcome_figures as outcomes
from initlib.lab import five_output_bias as output
from initlib.lab import five_speed as speed
from initlib.lab import five_stability as stability
from initlib.lab import five_verdicts as verdicts
from initlib.lab.data import load
from initlib.lab.estimates import holm
from initlib.lab.five_runs import half_size

SEEDS = [11, 12]


@pytest.fixture(scope="module")
def data():
    return half_size(load("mnist"))


@pytest.fixture(scope="module")
def raced(data):
    return speed.races(
        data, [2, 4], [0.5, 1.0, 2.0], width=16, steps=60, replicas=2, trials=1, seed=5
    )


def test_scaling_a_start_is_a_learning_rate_and_a_temperature():
    assert speed.temperature_error(1.7, 0.05, depth=3, width=8, key=1) < 1e-12
    assert speed.temperature_error(0.6, 0.05, depth=2, width=8, key=1) < 1e-12


def test_races_choose_a_rate_of_their_grid_and_count_steps(raced):
    final = raced[~raced.trial]
    assert len(final) == 2 * 2 * 3
    deep = final[(final.depth == 4) & (final.gain == 2.0)]
    assert deep.lr.iloc[0] in [pytest.approx(lr / 8) for lr in speed.RATES["deep"][0]]
    assert (final.loss[np.isfinite(final.steps)] < speed.LEVEL).all()
    logs = speed.log_slower(raced, 2)
    assert (logs[1.0] == 0).all()


def test_the_minimum_of_a_parabola():
    gains = [0.5, 1.0, 2.0, 4.0]
    logs = pd.DataFrame([[3 * (np.log2(g) - 0.4) ** 2 + 1 for g in gains]], columns=gains)
    assert speed.minimum(logs)[0] == pytest.approx(0.4)


@pytest.mark.parametrize("setting", gradients.SETTINGS[::3])
def test_slopes_are_those_of_theory(setting):
    course = gradients.gradient_slopes(setting, width=96, depth=12, groups=8, networks=8, key=3)
    se = course.slopes.std(ddof=1) / 8**0.5
    assert course.slopes.mean() == pytest.approx(setting.log_chi, abs=4 * se + 0.015)
    assert (course.variance[:, 0] == 1).all()


def test_phases_follow_the_sign_of_log_chi():
    sorted_ = gradients.phases(gradients.SETTINGS)
    assert {kind: len(settings) for kind, settings in sorted_.items()} == {
        "vanish": 4,
        "stay": 2,
        "explode": 3,
    }


def test_twins_that_share_all_images_agree_but_for_those_replaced(data):
    options = {"depth": 2, "width": 16, "steps": 120, "batch_size": 32, "accuracy": 0.6}
    few = stability.churn(data, [(1.0, 0.01)], share=0.001, seeds=SEEDS, **options)
    many = stability.churn(data, [(1.0, 0.01)], share=0.5, seeds=SEEDS, **options)
    assert (few.churn < many.churn).all()
    assert ((few.accuracy >= 0.6) & np.isfinite(few.steps)).all()
    with pytest.raises(ValueError, match="share"):
        stability.churn(data, [(1.0, 0.01)], share=0.0, seeds=SEEDS, **options)


def test_stable_rates_fall_with_the_scale(data):
    rates = stability.largest_rates(data, [6], [1.0, 2.0], width=16, seeds=SEEDS)
    wide = rates.pivot(index="seed", columns="gain", values="log2_rate")
    assert (wide[2.0] < wide[1.0] - 2).all()


def test_few_positives_and_their_entropy(data):
    task = output.few_positives(data, 3, share=0.05, key=1)
    assert task.y_train.double().mean().item() == pytest.approx(0.05, abs=1e-3)
    assert output.entropy(task) == pytest.approx(output.first_loss(task, "prior"), rel=1e-6)
    assert output.first_loss(task, "zero") == pytest.approx(np.log(2))
    assert output.first_loss(task, "wrong") > 2
    for positive, share in ((10, 0.02), (3, 0.5), (3, 0.0)):
        with pytest.raises(ValueError, match=r"class|share"):
            output.few_positives(data, positive, share=share)


def test_active_theory_by_simulation():
    g = torch.Generator().manual_seed(3)
    for bias in (-0.3, 0.6):
        h = torch.randn(1, 4000, generator=g)
        h /= h.square().mean().sqrt()
        for _ in range(3):
            w = torch.randn(4000, 4000, generator=g) * (2 / 4000) ** 0.5
            h = (h @ w.T + bias).relu()
        assert (h > 0).double().mean().item() == pytest.approx(
            hidden.active_theory(bias, 3), abs=0.03
        )
    assert hidden.active_theory(-1.0, 30) == 0


def test_fits_are_complete_or_refused(data):
    shape = {"images": 40, "depth": 2, "width": 16}
    pair = unseen.lsuv_pair(data, 0.02, seeds=SEEDS, steps=300, **shape)
    wide = unseen.accuracies(pair, "start")
    assert wide.shape == (2, 2)
    assert (pair.loss < unseen.FITTED).all()
    assert (pair.fitted == 1).all()
    assert wide.to_numpy().min() > 30
    short = unseen.lsuv_pair(data, 0.02, seeds=SEEDS, steps=5, **shape)
    with pytest.raises(ValueError, match="didn't fit"):
        unseen.accuracies(short, "start")


def test_parts_are_tested_and_corrected_together():
    rng = np.random.default_rng(0)
    near, far = rng.normal(0.0, 0.1, 10), rng.normal(1.0, 0.1, 10)
    tests = {
        "a": {"far": verdicts.exceeds(far, 0.5), "near": verdicts.exceeds(near, 0.5)},
        "b": {"equal": verdicts.matches(near, 0.5), "not equal": verdicts.matches(far, 0.5)},
    }
    assert tests["a"]["far"].value == pytest.approx(far.mean())
    assert tests["a"]["far"].low < far.mean() < tests["a"]["far"].high
    held = verdicts.adjusted(tests)
    raw = [test.p for parts in tests.values() for test in parts.values()]
    assert [t.p for parts in held.values() for t in parts.values()] == holm(raw).tolist()
    table = verdicts.summary(held, ratios=("far",))
    assert table["part holds"].tolist() == ["holds", "fails", "holds", "fails"]
    assert table.effect[0] == pytest.approx(np.exp(far.mean()))
    assert verdicts.worst([tests["a"]["far"], tests["a"]["near"]]) is tests["a"]["near"]


def test_figures_from_toy_runs(data, raced):
    twins = stability.twins(data, raced, width=16, steps=30, seeds=SEEDS, share=0.05, accuracy=0.4)
    assert len(stability.log_gap(twins, 2, "larger")) == 2
    bears = stability.largest_rates(data, [2, 4], [0.5, 1.0, 2.0], width=8, seeds=SEEDS, rounds=2)
    task = output.few_positives(data, 3, share=0.05)
    fair = output.output_race(task, steps=10, replicas=2, trials=1, seed=1)
    learned = hidden.learned(data, width=8, seeds=SEEDS)
    active = hidden.active(data, seeds=SEEDS)
    shape = {"images": 40, "depth": 2, "width": 32, "steps": 3000}
    fits = unseen.scale_race(data, [1.0, 2.0], replicas=2, trials=1, seed=3, **shape)
    fitted = unseen.accuracies(fits, "scale")
    pairs = fitted.rename(columns={1.0: "own", 2.0: "other"})
    courses = {
        s: gradients.gradient_slopes(s, width=8, depth=4, groups=2, networks=2, key=1)
        for s in gradients.SETTINGS[:6:5]
    }
    drawn = [
        figures.plot_convergence(raced),
        figures.plot_gradients(courses),
        figures.plot_stability(twins, bears),
        outcomes.plot_biases(fair, output.entropy(task), learned, active, data),
        outcomes.plot_generalization(fitted, pairs),
    ]
    for fig in drawn:
        fig.draw_without_rendering()
        plt.close(fig)
