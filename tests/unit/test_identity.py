"""What the live page knows, without a browser: the fold over the streams, and the lines made of it."""

import random
import subprocess
import sys
from itertools import pairwise

import pytest

from services.identity import history, live
from services.identity.history import History, record
from services.identity.live import View, apply
from services.identity.sections import sections
from services.identity.series import (
    BARS,
    CREDIBLE,
    LINES,
    POINTS,
    SPARK,
    curves,
    pace,
    smooth,
    spark,
    speed,
    swarm_means,
    thin,
    width,
)
from services.identity.shown.around import Around
from services.identity.tail import step
from shared.messages import Judged, Registration, Round
from shared.queue.memory import MemoryQueue
from shared.streams import EVENTS
from tests.identity_kit import (
    ME,
    OTHER,
    YOU,
    exchanged,
    landed,
    recorded,
    refused,
    reward,
    sampled,
    trained,
    view_of,
    vote,
)

EVERYTHING = [
    Round(number=2, stage=0, opened_at=10.0, deadline=70.0),
    trained(ME, 1),
    trained(YOU, 1, 0.7),
    trained(ME, 2, 0.9),
    sampled(1),
    Judged(at=5.0, peer_id=ME, round=1, score=0.25),
    exchanged(1, late=2),
    landed(Registration(peer_id=ME)),
    landed(reward(ME, 1)),
    landed(vote(ME, OTHER)),
    refused(reward(YOU, 1)),
    recorded(Registration(peer_id=ME)),
    recorded(reward(ME, 1)),
    recorded(reward(OTHER, 1, 900)),
    recorded(vote(ME, OTHER)),
]


def content(view):
    return sections(view, Around())


def test_a_message_that_comes_twice_changes_nothing():
    assert content(view_of(*EVERYTHING, *EVERYTHING)) == content(view_of(*EVERYTHING))


def test_numbers_do_not_depend_on_the_order_in_which_streams_are_read():
    shuffled = random.Random(3).sample(EVERYTHING, len(EVERYTHING))
    one, other = content(view_of(*EVERYTHING)), content(view_of(*shuffled))
    for name in ("pace", "network", "summary", "round", "leaders"):
        assert one[name] == other[name]
    assert {node["id"] for node in one["nodes"]} == {node["id"] for node in other["nodes"]} == {ME, YOU}


def test_a_refusal_without_a_reason_is_still_counted():
    view = view_of(refused(vote(YOU), reason=""), landed(reward()), landed(vote(ME)))
    assert view.ledger.refused == {"unknown": 1}
    assert view.ledger.landed == {"reward": 1, "winners": 1}


def test_the_later_rollout_of_a_round_replaces_the_earlier_and_goes_to_the_end():
    view = view_of(sampled(1, ME, "old"), sampled(1, YOU), sampled(1, ME, "new"))
    assert [sample.attempts[0].text for sample in view.samples.values()] == ["<answer>1</answer>", "new"]


def test_everything_is_bounded(monkeypatch):
    for name in ("PEERS", "STEPS", "DETAILS", "EXAMS", "SAMPLES", "TRANSACTIONS", "EXCHANGES", "KEYS", "REASONS"):
        monkeypatch.setattr(live, f"MAX_{name}", 3)
    view = View()
    for number in range(1, 20):
        peer = "123456789ABCDEFGHJKLMN"[number] * 30
        for message in (
            trained(ME, number),
            trained(peer, number),
            Judged(at=1.0, peer_id=ME, round=number, score=1.0),
            sampled(number),
            landed(reward(peer, number)),
            refused(vote(ME, number=number), f"reason{number}"),
            exchanged(number, **{f"why{number}": 1}),
        ):
            apply(view, message)
    ledger, network, me = view.ledger, view.network, view.peers[ME]
    bounded = (view.peers, me.steps, me.details, me.exams, view.samples)
    assert [len(one) for one in (*bounded, ledger.transactions, ledger.seen, network.seen)] == [3] * 8
    assert ledger.refused == {"reason1": 1, "reason2": 1, "reason3": 1, "other": 16}
    assert network.rejected["other"] == 16
    assert network.rounds == 19


def test_at_the_bound_the_peer_that_was_silent_for_longest_goes(monkeypatch):
    monkeypatch.setattr(live, "MAX_PEERS", 2)
    judged = Judged(at=1.0, peer_id=OTHER, round=1, score=1.0)
    assert set(view_of(trained(ME, 5), judged, trained(YOU, 4)).peers) == {ME, YOU}


def history_of(*messages):
    made = History()
    for message in messages:
        record(made, message)
    return made


def test_totals_of_the_chain_are_those_of_its_rewards_and_votes():
    made = history_of(
        recorded(reward(ME, 1, 500)), recorded(reward(ME, 2, -100)), recorded(vote(ME, YOU)), recorded(reward(YOU, 2))
    )
    me, you = made.standings[ME], made.standings[YOU]
    assert (me.points, me.rounds, me.wins, me.last_round) == (400, 2, 1, 2)
    assert (you.points, you.rounds, you.wins) == (500, 1, 1)
    assert me.transaction == recorded(reward(ME, 2)).transaction


def test_an_earlier_round_that_comes_late_does_not_become_the_last():
    made = history_of(recorded(reward(ME, 5)), recorded(reward(ME, 3)))
    assert (made.standings[ME].last_round, made.standings[ME].rounds) == (5, 2)


def test_a_record_of_another_transaction_takes_the_place_of_the_earlier():
    anew = recorded(reward(ME, 1, 300), "f")
    made = history_of(recorded(reward(ME, 1, 500)), recorded(vote(YOU)), anew, recorded(vote(OTHER), "f"))
    assert (made.standings[ME].points, made.standings[ME].rounds) == (300, 1)
    assert (made.standings[YOU].wins, made.standings[OTHER].wins) == (0, 1)
    assert made.size == 2


def test_with_the_first_record_of_another_swarm_everything_begins_anew():
    old = [recorded(reward(ME, number, 500)) for number in range(9)]
    new = recorded(reward(YOU, 0, 100)).model_copy(update={"swarm": "another"})
    made = history_of(*old, new)
    assert (list(made.standings), made.standings[YOU].points) == ([YOU], 100)
    assert (list(made.rounds), made.size, made.floor) == ([0], 1, -1)


def test_the_detail_of_the_oldest_rounds_goes_and_is_not_counted_again(monkeypatch):
    monkeypatch.setattr(history, "MAX_RECORDS", 3)
    records = [recorded(reward(ME, number, 100)) for number in range(6)]
    made = history_of(*records, *records)
    assert (sorted(made.rounds), made.size, made.floor) == ([3, 4, 5], 3, 2)
    assert (made.standings[ME].points, made.standings[ME].rounds) == (600, 6)


def test_votes_for_names_that_nobody_has_do_not_push_out_peers_that_earned(monkeypatch):
    monkeypatch.setattr(history, "MAX_STANDINGS", 3)
    strangers = [recorded(vote(letter * 30, number=n)) for n, letter in enumerate("DEFGH")]
    made = history_of(recorded(reward(ME)), recorded(reward(YOU)), *strangers)
    assert len(made.standings) == 3
    assert {ME, YOU} < set(made.standings)


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant():
    assert smooth([0.5] * 4, 9) == pytest.approx([0.5] * 4)
    line = smooth([0.0, 1.0, 0.0, 1.0], 3)
    assert line[0] == 0
    assert all(abs(b - a) < 1 for a, b in pairwise(line))
    assert smooth([], 3) == []


def test_thinning_takes_means_of_whole_bins():
    assert thin({1: 1.0, 2: 3.0, 3: 5.0, 7: 7.0}, 2) == {0: 1.0, 2: 4.0, 6: 7.0}
    assert width([]) == width([5]) == 1
    assert width(range(481), 240) == 3


def test_a_peer_that_missed_a_round_has_a_gap_there():
    chart = curves(view_of(trained(ME, 1, 0.2), trained(ME, 2, 0.4), trained(YOU, 2, 0.6)).peers, {})["reward"]
    assert chart == {
        "rounds": [1, 2],
        "mean": [0.2, 0.5],
        "swarm": [None, None],
        "lines": {ME: [0.2, 0.4], YOU: [None, 0.6]},
    }


def test_the_swarms_curve_is_of_all_peers_on_the_chain_since_this_household_began():
    records = [recorded(reward(peer, number, 400)) for number in (1, 2, 3) for peer in (ME, OTHER)]
    view = view_of(trained(ME, 2, 0.4), *records, recorded(reward(YOU, 3, 700)), recorded(vote(YOU)))
    chart = curves(view.peers, view.history.rounds)["reward"]
    assert (chart["rounds"], chart["swarm"], chart["mean"]) == ([2, 3], [0.4, 0.5], [0.4, None])
    alone = curves({}, view.history.rounds)["reward"]
    assert (alone["rounds"], alone["lines"]) == ([1, 2, 3], {})


def test_a_claim_beyond_what_a_reward_can_be_does_not_bend_the_curve():
    view = view_of(recorded(reward(ME, 1, 0)), recorded(reward(YOU, 1, 10**18)))
    assert swarm_means(view.history.rounds) == {1: CREDIBLE / 1000 / 2}


def test_length_is_tokens_per_completion_where_their_number_is_told():
    told = trained(ME, 1, completion_tokens=96, rewards=((1.0, 0.0), (0.5,)), datasets=("lcm", "gcd"))
    chart = curves(view_of(told, trained(ME, 2)).peers, {})
    assert (chart["length"]["rounds"], chart["length"]["mean"]) == ([1], [32.0])
    assert chart["loss"]["mean"] == [0.1, 0.1]


def test_a_long_history_fits_on_a_screen():
    view = view_of(*(trained(peer, number) for number in range(1_500) for peer in (ME, YOU)))
    chart = curves(view.peers, {})["reward"]
    assert len(chart["rounds"]) == len(chart["mean"]) == len(chart["lines"][ME]) <= POINTS + 1
    assert pace(view.peers)["rounds"] == list(range(1_500))[-BARS:]
    assert len(spark({number: 1.0 for number in range(1_500)})) <= SPARK + 1


def test_many_peers_share_one_mean_and_only_some_have_a_line():
    names = [letter * 30 for letter in "ABCDEFGHJKLMNPQRSTUV"]
    chart = curves(view_of(*(trained(name, 1, place / 19) for place, name in enumerate(names))).peers, {})["reward"]
    assert len(chart["lines"]) == LINES < len(names)
    assert chart["mean"] == [0.5]


def test_speed_is_that_of_the_latest_rounds():
    assert speed(view_of(*(trained(ME, n, at=10.0 * n) for n in range(30))).peers[ME]) == (100.0, 6.0)
    assert speed(view_of(trained(ME, 1, seconds={})).peers[ME]) == (None, None)


def test_bars_are_means_over_the_peers_of_a_round():
    bars = pace(view_of(trained(ME, 1), trained(YOU, 1, external_groups=0, seconds={"generate": 3.0})).peers)
    assert bars["seconds"] == {"generate": [2.0], "exchange": [0.0], "update": [1.0], "checkpoint": [0.0]}
    assert bars["groups"] == {"local": [4.0], "external": [2.0]}


def test_identity_imports_nothing_of_the_heavy_kind():
    heavy = "{'torch', 'web3', 'hivemind', 'reasoning_gym'}"
    code = f"import services.identity.service, sys; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == ""


async def test_the_tail_goes_on_where_it_was():
    queue, view = MemoryQueue(), View()
    await queue.publish(EVENTS, trained(ME, 1))
    cursor, found = await step(queue, EVENTS, "0", view)
    assert found
    await queue.publish(EVENTS, trained(ME, 2))
    cursor, _ = await step(queue, EVENTS, cursor, view)
    assert (view.version, list(view.peers[ME].steps)) == (2, [1, 2])
