"""The SAPO study: what it runs, and how it compares."""

from math import exp, isinf

import pytest

from benchmarks.sapo.intervals import ratio
from benchmarks.sapo.report import compare, tables
from benchmarks.sapo.run import NodeRow, Row, unfiltered
from benchmarks.sapo.study import Run, read_study, runs_of, settings_of
from services.trainer.learning.picks import Memory, Offer
from tests.unit.test_trainer_picks import ALICE, BOB, Random, groups

STUDY = read_study()


def row(arm: str, seed: int, reward: float, tokens: int = 1000) -> Row:
    one = STUDY.arms[arm]
    node = NodeRow(cumulative_reward=reward, generated_tokens=tokens, final_level=0.5)
    return Row(
        regime="sparse", arm=arm, pick=one.pick, local=one.local, external=one.external, sampled=one.sampled, seed=seed,
        cumulative_reward=reward, generated_tokens=tokens, final_level=0.5, nodes=(node,), reward=(0.1, 0.2, 0.3),
        informative=(0.1, 0.2, 0.3), local_groups=(1.0, 1.0, 2.0), external_groups=(2.0, 0.0, 0.0),
    )  # fmt: skip


def test_every_ratio_and_every_control_is_run_on_three_seeds_or_more_in_a_sparse_and_a_dense_regime():
    runs = runs_of(STUDY)
    assert len(set(runs)) == len(runs)
    for regime in ("sparse", "dense"):
        for arm in ("8/0", "6/2", "4/4", "2/6", "4/0", "4/4 unfiltered"):
            assert len({run.seed for run in runs if (run.regime, run.arm) == (regime, arm)}) >= 3
    assert all(arm.sampled >= arm.local for arm in STUDY.arms.values())


def test_the_first_seed_of_everything_comes_before_the_second_of_anything():
    seeds = [run.seed for run in runs_of(STUDY)]
    assert seeds == sorted(seeds)


def test_a_run_is_told_what_the_study_says_whatever_the_environment(monkeypatch):
    monkeypatch.setenv("LEARNING_RATE", "0.5")
    monkeypatch.setenv("QUESTIONS", "99")
    monkeypatch.setenv("LOCAL_GROUPS", "99")
    settings = settings_of(STUDY, Run("sparse", "4/4", 1), "embedded")
    assert (settings.questions, settings.learner.local_groups, settings.learner.external_groups) == (4, 4, 4)
    assert settings.learner.learning_rate == STUDY.trainer["learner.learning_rate"]
    assert settings.game.completions == 8


def test_the_small_study_has_the_same_arms_and_another_name():
    small = STUDY.small()
    assert {(run.regime, run.arm) for run in runs_of(small)} == {(run.regime, run.arm) for run in runs_of(STUDY)}
    assert small.digest != STUDY.digest


def test_a_ratio_is_paired_by_seed_and_geometric():
    found = ratio({1: 2.0, 2: 8.0, 3: 99.0}, {1: 1.0, 2: 2.0, 4: 1.0})
    assert found is not None
    assert (found.seeds, found.mean) == (2, pytest.approx(8**0.5))
    assert found.high == pytest.approx(exp(1.0397 + 12.706 * 0.4901 / 2**0.5), rel=1e-3)
    assert found.low * found.high == pytest.approx(found.mean**2)
    assert not found.differs
    assert ratio({1: 1.0}, {2: 1.0}) is None


def test_one_seed_tells_nothing_and_equal_seeds_everything():
    ones = dict.fromkeys((1, 2, 3), 1.0)
    one, three = ratio({1: 2.0}, {1: 1.0}), ratio(dict.fromkeys(ones, 2.0), ones)
    assert one is not None and three is not None
    assert not one.differs and not isinf(one.high)
    assert three.differs and str(three) == "2.00 (2.00 - 2.00)"


def test_there_is_no_ratio_to_nothing():
    assert ratio({1: 2.0}, {2: 1.0}) is None
    assert ratio({1: 2.0, 2: 1.0}, {1: 0.0, 2: 1.0}) is None


def test_the_table_gives_ratios_per_seed_and_per_token():
    rows = [row("8/0", 1, 1.0), row("8/0", 2, 1.0), row("4/4", 1, 2.0, 500), row("4/4", 2, 2.0, 500)]
    assert str(compare(rows, "4/4", "8/0", lambda one: one.reward_per_million_tokens)) == "4.00 (4.00 - 4.00)"
    text = tables(rows, STUDY)
    same, twice, four = "1.00 (1.00 - 1.00)", "**2.00 (2.00 - 2.00)**", "**4.00 (4.00 - 4.00)**"
    assert f"| 4/4 | 2 | 2.00 | {twice} |  | {four} | 0.500 | {same} | 3.0, 2.0 |" in text


def test_the_control_keeps_groups_that_teach_nothing():
    offer = Offer(groups(ALICE, 0, flat=8), groups(BOB, 0, flat=8), 4, 4, step=0)
    batch = unfiltered(offer, Memory(), Random(0)).batch
    assert [one.author for one in batch] == [ALICE] * 4 + [BOB] * 4
