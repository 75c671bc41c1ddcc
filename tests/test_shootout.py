"""The shootout: what may take part, how rates are chosen, and who wins on toy results."""

import numpy as np
import pandas as pd
import pytest
import torch

import initlib as init
from initlib.lab import shootout_checks as checks
from initlib.lab import shootout_tables as tables
from initlib.lab.claims import Claims
from initlib.lab.data import Dataset, load
from initlib.lab.rules import greater
from initlib.lab.shootout import Rules, by_rate, check, shootout
from initlib.lab.shootout_figures import plot_ranks, plot_theory
from initlib.lab.shootout_networks import budgets, networks, shrink
from initlib.lab.shootout_ranks import decisions, overall, ranks, theory_table
from initlib.lab.shootout_schemes import (
    SCHEMES,
    Wiring,
    check_schemes,
    chi_1,
    choice,
    leave_out,
    lengths,
    padding,
    twins,
)

WIRINGS = {"mlp": Wiring(32), "cnn": Wiring(72, padding(4))}


def toy(steps, network="MLP, relu, 10", kind="mlp", activation="relu", depth=10, budget=100):
    """Results of one network: for each scheme its steps, one a seed."""
    rows = [
        (network, kind, activation, depth, scheme, seed, lr, value, budget, 0.5, np.inf)
        for scheme, values in steps.items()
        for lr in (0.1,)
        for seed, value in enumerate(values)
    ]
    columns = ["network", "kind", "activation", "depth", "scheme", "seed", "lr", "steps"]
    return pd.DataFrame(rows, columns=[*columns, "budget", "accuracy", "diverged"])


@pytest.fixture(scope="module")
def small():
    return shrink(load("mnist"), 6, 100)


def rules(**changes):
    return Rules(**{"rates": [0.01, 0.1], "width": 16, "replicas": 8, "trials": 3} | changes)


# Schemes


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize("name", [name for name, entry in SCHEMES.items() if entry.variance])
def test_a_law_of_theory_is_the_variance_of_hidden_weights(name, kind):
    entry, layer = SCHEMES[name], torch.nn.Linear(400, 400)
    if kind == "cnn":
        layer = torch.nn.Conv2d(100, 100, 3)
    init.initialize(torch.nn.Sequential(layer), entry.start("tanh"), 1)
    fan_in = layer.weight[0].numel()
    assert layer.weight.square().sum(dim=tuple(range(1, layer.weight.ndim))).mean().item() == (
        pytest.approx(entry.variance("tanh", fan_in), rel=0.12)
    )


def test_identity_is_the_identity_inside_and_lecun_at_the_ends():
    model = torch.nn.Sequential(torch.nn.Linear(600, 300), torch.nn.Linear(300, 300))
    init.initialize(model, SCHEMES["identity"].start("relu"), 0)
    assert torch.equal(model[1].weight, torch.eye(300))
    assert model[0].weight.square().sum(dim=1).mean().item() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("phi", ["relu", "selu", "tanh", "gelu"])
def test_twins_draw_the_same_numbers(phi):
    for name, twin in twins(phi, list(SCHEMES)).items():
        layers = [torch.nn.Sequential(torch.nn.Linear(30, 20)) for _ in range(2)]
        for layer, scheme in zip(layers, (name, twin), strict=True):
            init.initialize(layer, SCHEMES[scheme].start(phi), 3)
        assert torch.allclose(layers[0][0].weight, layers[1][0].weight, rtol=1e-5)


def test_twins_are_named_only_where_both_take_part():
    assert twins("relu", ["exact", "lecun"]) == {}


def test_padding_is_the_decay_of_averages_with_zeros_around_them():
    square, kernel = torch.ones(1, 1, 5, 5, dtype=torch.float64), torch.full((1, 1, 3, 3), 1 / 9)
    for _ in range(60):
        before, square = square, torch.conv2d(square, kernel.double(), padding=1)
    assert (square / before).mean().item() == pytest.approx(padding(5), rel=1e-6)


def test_lengths_count_what_padding_takes():
    assert lengths("he", "relu", WIRINGS["mlp"], 30) == pytest.approx(0, abs=1e-9)
    assert lengths("he", "relu", WIRINGS["cnn"], 30) == pytest.approx(-30 * np.log(padding(4)))
    assert np.isnan(chi_1("identity", "relu", WIRINGS["mlp"]))


def test_theory_chooses_among_those_that_take_part():
    assert choice("relu", WIRINGS["mlp"], ["lecun", "unit", "zeros"]) == "lecun"
    assert choice("relu", WIRINGS["cnn"], list(SCHEMES)) == "lsuv"
    with pytest.raises(ValueError, match="theory knows none"):
        choice("relu", WIRINGS["mlp"], ["zeros", "identity"])


# What may take part


def test_an_unknown_scheme_is_refused_with_its_neighbours():
    with pytest.raises(ValueError, match="no scheme 'hee'; did you mean 'he'"):
        check_schemes(["hee", "lecun"])
    with pytest.raises(ValueError, match="no scheme 'lsvu'"):
        leave_out(["lsvu"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["rnn"], ["relu"], [3]), "no kind of network 'rnn'"),
        ((["mlp"], ["rellu"], [3]), "'rellu' can't be trained here; did you mean 'relu'"),
        ((["mlp"], ["relu"], [0]), "at least 1 hidden layer, got depth 0"),
        ((["mlp"], ["relu"], []), "must be one"),
        ((["mlp"], ["relu"], [3, 3]), "takes part once"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        networks(*arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": [10]}, "20 steps or more"),
        ({"budgets": [30, 30]}, "20 steps or more"),
        ({"schemes": ["he"]}, "needs two schemes"),
        ({"schemes": ["he", "he"]}, "takes part once"),
        ({"rules": rules(rates=[0.1, -1.0])}, "rates must be positive"),
        ({"rules": rules(rates=[])}, "rates must be positive"),
        ({"rules": rules(replicas=7)}, "replicas must be at least 8, got 7"),
        ({"rules": rules(trials=2)}, "trials must be at least 3, got 2"),
        ({"rules": rules(patch=4), "kind": "cnn"}, "patch=4 doesn't divide images of 6 x 6"),
        ({"rules": rules(batch_size=10**6)}, "batch_size"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_is_trained(small, changes, message):
    given = {"budgets": [30], "schemes": ["he", "lecun"], "rules": rules(), "kind": "mlp"} | changes
    fields = networks([given["kind"]], ["relu"], [2])
    with pytest.raises(ValueError, match=message):
        check(small, fields, given["budgets"], given["schemes"], given["rules"])


def test_vectors_train_mlps_and_are_refused_for_cnns():
    x, y = torch.randn(80, 5), torch.arange(80) % 3
    data = shrink(Dataset("v", x, y, x[:20], y[:20], 3, 0.0, 1.0, {}), 12, 10)
    assert data.x_train.shape == (80, 5)
    arguments = [30], ["he", "lecun"], rules()
    check(data, networks(["mlp"], ["relu"], [2]), *arguments)
    with pytest.raises(ValueError, match="convolutions need images"):
        check(data, networks(["cnn"], ["relu"], [2]), *arguments)


@pytest.mark.parametrize("shape", [(9, 7), (3, 20, 30), (4, 4)])
def test_images_of_any_shape_become_squares_of_second_moment_one(shape):
    x, y = 5 + 2 * torch.randn(60, *shape), torch.arange(60) % 3
    data = shrink(Dataset("any", x, y, x, y, 3, 0.0, 1.0, {}), 6, 40)
    assert data.x_train.shape == (60, *shape[:-2], 6, 6)
    assert data.x_train.square().mean().item() == pytest.approx(1, rel=1e-4)
    assert len(data.x_test) == len(data.y_test) == 40


def test_each_depth_has_a_budget():
    fields = networks(["mlp", "cnn"], ["relu"], [3, 9])
    assert budgets(fields, [3, 9], {"mlp": [40, 80], "cnn": [20, 30]}) == [40, 80, 20, 30]
    with pytest.raises(ValueError, match=r"cnn networks of depths \[3, 9\] need as many budgets"):
        budgets(fields, [3, 9], {"mlp": [40, 80], "cnn": [20]})


# A contest


@pytest.fixture(scope="module")
def held(small):
    fields = networks(["mlp", "cnn"], ["relu"], [2])
    schemes = ["zeros", "he", "exact", "identity"]
    return shootout(small, fields, [30, 30], schemes, rules(channels=8, patch=2))


def test_everyone_runs_on_every_network_that_it_fits(held):
    counts = held.results.groupby(["network", "scheme"]).size()
    assert (counts == 8).all()
    assert set(counts["MLP, relu, 2"].index) == {"zeros", "he", "exact", "identity"}
    assert set(counts["CNN, relu, 2"].index) == {"zeros", "he", "exact"}


def test_trials_have_seeds_of_their_own_and_hopeless_arms_no_second_stage(held):
    assert not set(held.trials.seed) & set(held.results.seed)
    second = held.trials[held.trials.stage == 2]
    assert "he" in set(second.scheme)
    assert "zeros" not in set(second.scheme)


def test_a_twin_is_not_run_twice_and_has_the_same_results(held):
    both = [
        held.results[held.results.scheme == name].sort_values(["network", "seed"])
        for name in ("he", "exact")
    ]
    assert both[0].steps.tolist() == both[1].steps.tolist()


def test_the_rate_is_the_one_whose_slowest_trial_begins_first(held):
    for (network, scheme), trials in held.trials.groupby(["network", "scheme"]):
        if scheme == "zeros":
            continue
        slowest = trials.assign(steps=np.minimum(trials.steps, trials.budget))
        best = slowest.groupby("lr").steps.max()
        own = held.results[(held.results.network == network) & (held.results.scheme == scheme)]
        assert best[own.lr.iloc[0]] == best.min()


def test_the_slowest_trial_decides_and_between_the_lost_the_loss():
    rows = [("he", 0.1, 10.0, 0.5), ("he", 0.1, 60.0, 0.5), ("he", 0.3, 40.0, 0.9)]
    rows += [("he", 0.3, 40.0, 0.9), ("he", 1.0, np.inf, np.nan), ("he", 0.01, np.inf, 2.0)]
    trials = pd.DataFrame(rows, columns=["scheme", "lr", "steps", "loss"]).assign(budget=90)
    assert by_rate(trials) == {"he": [0.3, 0.1, 0.01, 1.0]}


def test_a_contest_repeats(small, held):
    fields = networks(["mlp"], ["relu"], [2])
    again = shootout(small, fields, [30], ["he", "zeros"], rules(channels=8, patch=2)).results
    first = held.results[(held.results.network == "MLP, relu, 2") & (held.results.scheme == "he")]
    assert again[again.scheme == "he"].steps.tolist() == first.steps.tolist()


def test_stable_rates_are_those_that_neither_diverge_nor_end_above_chance():
    rows = [(0.1, np.inf, 1.0), (0.1, np.inf, 2.0), (1.0, np.inf, 1.0), (1.0, 7.0, np.nan)]
    trials = pd.DataFrame(rows, columns=["lr", "diverged", "loss"]).assign(
        stage=1, chance=2.3, network="n", kind="mlp", activation="relu", depth=3, scheme="he"
    )
    row = tables.stable_rates(trials).iloc[0]
    assert (row.stable, row.diverged) == (0.1, 0.25)
    worse = trials.assign(loss=2.6)
    assert np.isnan(tables.stable_rates(worse).stable.iloc[0])


# Ranks and decisions


def test_what_did_not_begin_shares_the_last_ranks_and_absent_ones_have_none():
    first = toy({"he": [5.0], "lecun": [np.inf], "zeros": [np.inf]})
    second = toy({"he": [np.inf], "lecun": [4.0]}, network="CNN, relu, 10", kind="cnn")
    found = ranks(pd.concat([first, second])).reset_index(drop=True)
    assert found["he"].tolist() == [2.0, 1.0]
    assert found["zeros"].isna().tolist() == [True, False]
    assert found.loc[1].tolist() == [1.0, 2.5, 2.5]


def test_the_critical_difference_is_that_of_demsar():
    # Demsar 2006, table 6: four classifiers on 14 data sets, CD = 2.569 sqrt(4 5 / (6 14)) = 1.25.
    rng = np.random.default_rng(3)
    parts = [toy({name: 10 + rng.random(2) for name in "abcd"}, network=f"n{i}") for i in range(14)]
    assert overall(ranks(pd.concat(parts))).difference == pytest.approx(1.25, abs=0.005)


def test_overall_leaves_out_of_the_tests_what_did_not_run_everywhere():
    parts = [
        toy({"he": [5, 6], "lecun": [7, 8], "zeros": [np.inf] * 2, "identity": [1, 1]}),
        toy({"he": [5, 6], "lecun": [7, 8], "zeros": [np.inf] * 2}, network="CNN, relu, 10"),
    ]
    found = overall(ranks(pd.concat(parts)))
    assert found.table.networks["identity"] == 1
    assert found.table.index[0] == "identity"
    assert 0 < found.p < 1


STEPS = {
    "he": [30.0, 31, 32, 33, 34, 35, 36, 37, 38, 39],
    "lsuv": [30.5, 30, 33, 32, 35, 34, 36.5, 37.5, 37, 40],
    "lecun": [60.0] * 10,
    "zeros": [np.inf] * 10,
}


def test_a_decision_names_the_best_those_alike_and_the_price_of_theory():
    row = decisions(toy(STEPS), WIRINGS).iloc[0]
    assert (row.best, row.alike, row.theory) == ("he", ("lsuv",), "he")
    assert row.factor == 1
    assert 0.5 < row.sure <= 1
    worse = decisions(toy({"lecun": STEPS["he"], "he": [90.0] * 9 + [np.inf]}), WIRINGS).iloc[0]
    assert (worse.best, worse.theory, worse.censored) == ("lecun", "he", True)
    assert worse.low < worse.factor < worse.high
    assert worse.factor == pytest.approx(2.66, abs=0.1)


def test_a_network_on_which_nothing_begins_has_no_best():
    row = decisions(toy({"he": [np.inf] * 8, "zeros": [np.inf] * 8}), WIRINGS).iloc[0]
    assert (row.best, row.alike) == ("", ())
    assert (
        tables.tell(decisions(toy({"he": [np.inf] * 8, "zeros": [np.inf] * 8}), WIRINGS)).iloc[0][
            "start from"
        ]
        == "none began"
    )


def test_every_number_of_the_decision_table_is_on_record(tmp_path):
    claims = Claims("toy", tmp_path)
    results = pd.concat([toy(STEPS), toy(STEPS, "MLP, tanh, 10", activation="tanh")])
    table, all_ = decisions(results, WIRINGS), overall(ranks(results))
    grid = results.assign(stage=1, chance=2.3, loss=1.0)
    tables.record(claims, table, tables.stable_rates(grid), all_)
    numbers = claims._numbers
    row = table.iloc[0]
    assert numbers["shoot-mlp-relu-10-best-he"]["value"] == pytest.approx(row.steps)
    for name in ("sure", "rate", "accuracy", "reached"):
        assert numbers[f"shoot-mlp-relu-10-{name}"]["value"] == row[name]
    assert numbers["shoot-mlp-relu-10-largest-stable-rate"]["value"] == 0.1
    assert "shoot-mlp-relu-10-alike-lsuv" in numbers
    assert numbers["shoot-mlp-tanh-10-theory-lecun"]["value"] == pytest.approx(table.factor[1])


# What is claimed


def test_begun_sooner_and_spread_count_what_they_say():
    results = toy(STEPS)
    assert checks.begun(results, ["he", "zeros"]) == 0.5
    with pytest.raises(ValueError, match="no run of sparse"):
        checks.begun(results, ["sparse"])
    ratio = checks.sooner(toy({"he": [10.0] * 8, "zeros": [np.inf] * 8}), "he", "zeros")
    assert ratio.value == pytest.approx(np.log(10))
    assert checks.spread(toy(STEPS), 10)[0] == pytest.approx(np.log(60 / 30))


def test_agreement_and_divide_follow_theory():
    near, far = [10.0, 11.0] * 4, [50.0, 60.0] * 4
    order = {"he": near, "lecun": far, "small": [np.inf] * 8, "unit": [np.inf] * 8}
    assert checks.agreement(toy(order), WIRINGS["mlp"]).value == pytest.approx(0.95, abs=0.06)
    assert checks.divide(toy(order), WIRINGS["mlp"], within=6, beyond=12).value == 1
    assert checks.regret(toy(order), WIRINGS["mlp"]).value == 0
    turned = order | {"he": far, "lecun": near}
    assert checks.regret(toy(turned), WIRINGS["mlp"]).value == pytest.approx(
        np.log(52.2 / 10.5), abs=0.1
    )


def test_networks_without_an_order_are_left_out_of_agreement():
    order = {"he": [10.0] * 8, "lecun": [20.0] * 8, "small": [np.inf] * 8}
    nothing = toy({name: [np.inf] * 8 for name in order}, network="other")
    alone, both = (
        checks.agreement(results, WIRINGS["mlp"]).value
        for results in (toy(order), pd.concat([toy(order), nothing]))
    )
    assert alone == both == pytest.approx(1)


def test_an_agenda_states_only_what_can_be_measured(tmp_path):
    fields = networks(["mlp"], ["relu"], [3, 10])
    agenda = checks.Agenda(Claims("toy", tmp_path), fields, ["he"])
    agenda.state("toy-one", "One", greater(0), needs=["he"])
    agenda.state("toy-two", "Two", greater(0), needs=["he", "sigmoid"])
    agenda.measure("toy-two", lambda: 1 / 0)
    agenda.measure("toy-one", lambda: checks.sooner(toy(STEPS), "he", "lecun"))
    assert agenda.claims.table().verdict.to_dict() == {"toy-one": "holds"}
    agenda.claims.finish()


@pytest.mark.parametrize(
    ("kinds", "depths"), [(["cnn"], [3, 10]), (["mlp"], [3, 9]), (["mlp"], [10])]
)
def test_claims_are_on_deep_mlps_and_shallow_ones(tmp_path, kinds, depths):
    agenda = checks.Agenda(Claims("toy", tmp_path), networks(kinds, ["relu"], depths), ["he"])
    agenda.state("toy-one", "One", greater(0))
    assert not agenda.stated


# Figures


def test_figures_draw_what_they_are_given():
    results = pd.concat([toy(STEPS), toy(STEPS, "CNN, relu, 10", kind="cnn")])
    ranked = ranks(results)
    by_kind = {kind: overall(ranks(own)) for kind, own in results.groupby("kind")}
    fig = plot_ranks(overall(ranked), {10: by_kind})
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()][-1] == "zero"
    data = tables.plotted(overall(ranked), {10: by_kind})
    assert len(data) == 12
    table = theory_table(results, WIRINGS)
    assert set(table.scheme) == {"he", "lsuv", "lecun"}
    assert len(plot_theory(table, [10]).axes) == 1
