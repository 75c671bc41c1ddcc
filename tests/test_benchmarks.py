"""The benchmarks' own arithmetic, and the quality of streams on fewer values than they take."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import models, quality, theory, timing
from benchmarks.memory import extra
from benchmarks.report import line, write
from benchmarks.rows import Gauge, Race, Row
from initlib import phase_diagram
from initlib.sampling import normal

Z = 5.0  # of 20 statistics for each of 6 cases, one in 14,000 runs has one beyond it by chance


@pytest.mark.parametrize("seed", [0, 1, 2**40])
@pytest.mark.parametrize("law", quality.MOMENTS)
def test_streams_have_the_moments_tails_and_independence_of_their_law(law, seed):
    found = quality.statistics(law, 3_000_000, seed)
    assert len(found) == 15
    assert {name: z for name, z in found.items() if abs(z) > Z} == {}


# What each of the statistics is there to catch, done to a normal stream.
FAULTS = {
    "moment 1": lambda x: x + 0.02,
    "moment 2": lambda x: x * 1.01,
    "moment 3": lambda x: x + 0.01 * x**2,
    "moment 4": lambda x: np.clip(x, -3, 3),
    "distribution": lambda x: np.round(x * 10) / 10,
    "lag 1": lambda x: np.repeat(x[::2], 2),
    "lag 16": lambda x: np.tile(x.reshape(-1, 32)[:, :16], 2).ravel(),
    "lag 4096": lambda x: x.reshape(-1, 2, 4096)[:, [0, 0]].ravel(),
    "beyond 4 std": lambda x: np.where(np.abs(x) > 4, 0, x),
    "beyond 5 std": lambda x: np.where(np.arange(len(x)) % 1000 == 0, 5.5, x),
}


@pytest.mark.parametrize("statistic", FAULTS)
def test_a_stream_with_a_fault_is_found_out(statistic, monkeypatch):
    def faulty(key, start, stop):
        return FAULTS[statistic](normal(key, start, stop)).astype(np.float32)

    monkeypatch.setattr(quality, "normal", faulty)
    assert abs(quality.statistics("normal", 1 << 20)[statistic]) > Z + 1


def test_streams_of_two_keys_that_agree_are_found_out(monkeypatch):
    monkeypatch.setattr(quality, "normal", lambda key, *ends: normal(bytes(32), *ends))
    assert quality.statistics("normal", 1 << 20)["another key"] > Z + 1


def test_a_ratio_is_the_median_over_the_quieter_half_of_the_rounds():
    ours, theirs = [1.0, 1, 1, 1, 1, 1, 1], [3.0, 9, 4, 9, 9, 9, 5]
    others = [0.1, 0.9, 0.0, 0.9, 0.8, 0.7, 0.2]
    both = {"initlib": ours, "peer": theirs}
    quiet = timing.Timing(both, both, others).quiet()
    assert quiet.seconds["peer"] == [3, 4, 5]
    assert quiet.ratio("peer", "initlib") == (4, 3.5, 4.5)


def test_the_limit_of_a_race_is_its_slowest_floor():
    calls = {"initlib": 3.0, "peer": 12.0, "writing": 1.0, "arithmetic": 2.0}
    race = Race("fills", "normal", 1, {"initlib": None, "peer": None}, {"peer": (5.0, 8.0)},
                {"writing": None, "arithmetic": None})  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        rounds = {name: [taken] * 3 for name, taken in calls.items()}
        fake = timing.Timing(rounds, rounds, [0.0] * 3)
        patch.setattr("benchmarks.rows.interleave", lambda *_, **__: fake)
        [row] = race.rows(3)
    assert (row.value, row.limit, row.limit_is) == (4, 6, "arithmetic")
    assert row.fraction == pytest.approx(2 / 3)
    assert row.met is False
    assert "MISSED" in line(row)


@pytest.mark.parametrize(("value", "met"), [(1.5, True), (1.9, False)])
def test_a_gauge_should_stay_below_its_bound(value, met):
    [row] = Gauge(
        "signals", "LSUV", 1, "a pass", "passes", lambda _: [np.float64(value)], 1.8
    ).rows(5)
    assert row.met is met
    json.dumps(row.record())


def test_a_candidate_that_does_a_part_of_the_work_counts_for_all_of_it():
    calls = {"initlib": lambda: sum(range(2000)), "peer": lambda: sum(range(2000))}
    found = timing.interleave(calls, 5, scale={"peer": 1000.0})
    assert found.ratio("peer", "initlib").median > 100


def test_models_have_the_size_they_are_known_for():
    counts = [
        sum(map(np.prod, shapes().values())) for shapes in (models.gpt2_small, models.resnet50)
    ]
    assert [round(count / 1e6, 1) for count in counts] == [124.4, 25.5]


def test_the_peer_computes_the_same_phase_diagram():
    diagram = phase_diagram("tanh", [0.7, 2.5], [0.3], correlations=False)
    for i, sigma_w in enumerate((0.7, 2.5)):
        expected = diagram.q_star[0, i], diagram.chi_1[0, i], diagram.xi_q[0, i]
        assert theory.by_quad(sigma_w, 0.3, 9.0) == pytest.approx(expected, rel=1e-6)


def test_peak_memory_is_what_a_call_adds():
    try:
        taken = extra(lambda: torch.ones(40 * 2**20 // 4))
    except FileNotFoundError:
        pytest.skip("this system does not tell the peak")
    assert 39 < taken / 2**20 < 60


def test_results_of_other_subjects_stay_and_all_are_drawn(tmp_path):
    fill = Row("fills", "normal", 2, "torch", "times", 9, 8, 10, 9.0, None, 12.0, "writing", 0.7)
    lsuv = Row("signals", "LSUV", 2, "a pass", "passes", 1.3, 1.2, 1.4, 1.8)
    write(tmp_path, {}, [lsuv, fill])
    write(tmp_path, {}, [replace(fill, value=7.0)])
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [(row["subject"], row["value"], row["met"]) for row in rows] == [
        ("fills", 7.0, False),
        ("signals", 1.3, True),
    ]
    assert (tmp_path / "speed.png").stat().st_size > 10_000
